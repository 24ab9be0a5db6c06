//! Keys at rest, identities that are imported, enrolled and renewed.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use fabric_client::ca::{CaClient, Registration, Wishes};
use fabric_embedded::ca::{CaOptions, RunningCa};
use fabric_msp::issue::{Authority, Issued, MspFolder, Request, write_msp_folder};
use fabric_msp::{Certificate, SigningIdentity, SoftwareSigner, certification_request};
use healthchain_gateway::configuration::Configuration;
use healthchain_gateway::gateway::OwnSigner;
use healthchain_gateway::wallet::Wallet as _;
use healthchain_gateway::wallet::admission::{Admission, AdmissionError};
use healthchain_gateway::wallet::command::WalletCommand;
use healthchain_gateway::wallet::folder::FolderWallet;
use healthchain_gateway::wallet::judge::JudgementError;
use healthchain_gateway::wallet::key_store::KeyStore;
use healthchain_gateway::wallet::renewal::{Renewal, RenewalError};
use healthchain_rules::MemberId;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::X509;

pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// A gateway's folder with a wallet of one member.
pub(crate) struct Hospital {
    folder: tempfile::TempDir,
    pub(crate) authority: Authority,
    pub(crate) tls: Authority,
    grey: Issued,
    bound: Issued,
}

impl Hospital {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create("root", "Hospital").unwrap();
        let tls = Authority::create("tls root", "Hospital").unwrap();
        let grey = authority.issue(&Request::signing("dr-grey", "client")).unwrap();
        let own = authority.issue(&Request::signing("gateway", "client")).unwrap();
        let bound = tls.issue(&Request::tls("dr-grey", &[], &[])).unwrap();
        let content = MspFolder { authority: &authority, tls_authority: &tls, signer: None, revocation_lists: &[] };
        write_msp_folder(folder.path().join("msp"), &content).unwrap();
        let member = folder.path().join("wallet/dr-grey");
        std::fs::create_dir_all(&member).unwrap();
        std::fs::write(member.join("certificate.pem"), grey.certificate_pem()).unwrap();
        std::fs::write(member.join("key.pem"), grey.key_pem()).unwrap();
        std::fs::write(member.join("tls-certificate.pem"), bound.certificate_pem()).unwrap();
        for (file, content) in [
            ("certificate.pem", own.certificate_pem().into_bytes()),
            ("key.pem", own.key_pem().to_vec()),
            ("encryption.pem", own.key_pem().to_vec()),
            ("root.pem", authority.certificate().pem().into_bytes()),
            ("tls-root.pem", tls.certificate().pem().into_bytes()),
            ("bound.pem", bound.certificate_pem().into_bytes()),
            ("passphrase", format!("{PASSPHRASE}\n").into_bytes()),
        ] {
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        Self { folder, authority, tls, grey, bound }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `wallet` is what stands under `[wallet]` beside the folder; `more` further sections.
    pub(crate) fn configuration(&self, wallet: &str, more: &str) -> Configuration {
        let text = format!(
            "msp_id = \"HospitalMSP\"\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://localhost:8443\"\nchannel = \"c\"\n\
             chaincode = \"c\"\nrecords = \"records\"\n[wallet]\nfolder = \"wallet\"\nmsp = \"msp\"\n{wallet}\n[peer]\n\
             endpoint = \"https://localhost:7051\"\ntls_root = \"tls-root.pem\"\n[tls]\ncertificate = \"bound.pem\"\n\
             key = \"key.pem\"\nmember_root = \"root.pem\"\ncrl = \"crl.pem\"\n[identity]\n\
             certificate = \"certificate.pem\"\nkey = \"key.pem\"\nencryption_key = \"encryption.pem\"\n{more}"
        );
        std::fs::write(self.file("gateway.toml"), text).unwrap();
        Configuration::load(&self.file("gateway.toml")).unwrap()
    }

    pub(crate) fn wallet(&self, configuration: &Configuration) -> Result<FolderWallet, String> {
        let store = KeyStore::open(&configuration.wallet).map_err(|error| error.to_string())?;
        FolderWallet::open_with(&configuration.wallet.folder, "HospitalMSP", store).map_err(|error| error.to_string())
    }

    pub(crate) fn p12(&self, issued: &Issued, password: &str) -> Vec<u8> {
        let key = PKey::private_key_from_pem(issued.key_pem()).unwrap();
        let certificate = X509::from_der(issued.certificate().der()).unwrap();
        Pkcs12::builder().pkey(&key).cert(&certificate).build2(password).unwrap().to_der().unwrap()
    }
}

pub(crate) const ENCRYPTED: &str = "passphrase_file = \"passphrase\"\nrequire_encrypted = true";

#[tokio::test]
async fn plain_keys_are_encrypted_in_place_and_serve_as_before() {
    let hospital = Hospital::new();
    let configuration = hospital.configuration(ENCRYPTED, "");
    let refused = hospital.wallet(&configuration).err().unwrap();
    assert!(refused.contains("wallet encrypt") && refused.contains("dr-grey"), "{refused}");

    let said = WalletCommand::Encrypt.run(&configuration).await.unwrap();
    assert!(said.starts_with("3 keys were encrypted; 0"), "{said}");
    for file in ["key.pem", "encryption.pem", "wallet/dr-grey/key.pem"] {
        let text = std::fs::read_to_string(hospital.file(file)).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{file}");
        assert_eq!(std::fs::metadata(hospital.file(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    let said = WalletCommand::Encrypt.run(&configuration).await.unwrap();
    assert!(said.starts_with("0 keys were encrypted; 3"), "{said}");

    let wallet = hospital.wallet(&configuration).unwrap();
    let member = wallet.holder_of(hospital.bound.certificate().der()).await.unwrap();
    assert_eq!(member.creator().certificate(), hospital.grey.certificate());
    member.signer().unwrap().sign(b"message").unwrap();
}

#[tokio::test]
async fn an_encrypted_wallet_does_not_open_without_its_passphrase_and_no_message_shows_one() {
    let hospital = Hospital::new();
    WalletCommand::Encrypt.run(&hospital.configuration(ENCRYPTED, "")).await.unwrap();
    std::fs::write(hospital.file("wrong"), "another-passphrase").unwrap();
    std::fs::write(hospital.file("empty"), "\n").unwrap();
    for (settings, said) in [
        ("", "no passphrase is configured"),
        ("passphrase_file = \"wrong\"", "does not open with this passphrase"),
        ("passphrase_file = \"empty\"", "the passphrase is empty"),
        ("passphrase_file = \"nowhere\"", "nowhere"),
        ("passphrase_variable = \"HEALTHCHAIN_NO_SUCH_VARIABLE\"", "no such environment variable"),
        ("passphrase_file = \"passphrase\"\npassphrase_variable = \"X\"", "give one of them"),
    ] {
        let error = hospital.wallet(&hospital.configuration(settings, "")).err().unwrap();
        assert!(error.contains(said), "{settings}: {error}");
        assert!(!error.contains(PASSPHRASE) && !error.contains("another-passphrase"), "{error}");
    }
    let configuration = hospital.configuration(ENCRYPTED, "");
    let store = KeyStore::open(&configuration.wallet).unwrap();
    assert!(!format!("{store:?} {configuration:?}").contains(PASSPHRASE));
    let refused = WalletCommand::Encrypt.run(&hospital.configuration("", "")).await.unwrap_err();
    assert!(refused.to_string().contains("passphrase_file"), "{refused}");
}

#[tokio::test]
async fn a_member_comes_from_a_pkcs12_file_and_the_key_is_encrypted_at_once() {
    let hospital = Hospital::new();
    WalletCommand::Encrypt.run(&hospital.configuration(ENCRYPTED, "")).await.unwrap();
    let configuration = hospital.configuration(ENCRYPTED, "");
    let yang = hospital.authority.issue(&Request::signing("dr-yang", "client")).unwrap();
    let bound = hospital.tls.issue(&Request::tls("dr-yang", &[], &[])).unwrap();
    for (file, content) in [
        ("yang.p12", hospital.p12(&yang, "pässword")),
        ("password", "pässword\n".into()),
        ("yang-tls.pem", bound.certificate_pem().into_bytes()),
    ] {
        std::fs::write(hospital.file(file), content).unwrap();
    }
    let command = WalletCommand::Import {
        p12: hospital.file("yang.p12"),
        member: "dr-yang".parse().unwrap(),
        password_file: Some(hospital.file("password")),
        tls_certificate: Some(hospital.file("yang-tls.pem")),
    };
    let said = command.run(&configuration).await.unwrap();
    assert!(said.contains(&hex::encode(yang.certificate().key_hash())), "{said}");
    let key = std::fs::read_to_string(hospital.file("wallet/dr-yang/key.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED"), "{key}");
    let member = hospital.wallet(&configuration).unwrap().holder_of(bound.certificate().der()).await.unwrap();
    assert_eq!(member.id.as_str(), "dr-yang");
    assert_eq!(member.creator().certificate(), yang.certificate());
}

#[tokio::test]
async fn what_is_no_members_identity_of_this_organisation_is_not_imported() {
    let hospital = Hospital::new();
    let admission = Admission::new(&hospital.configuration("", "")).unwrap();
    let bound = hospital.bound.certificate_pem();
    let yang: MemberId = "dr-yang".parse().unwrap();
    let import = |issued: &Issued, password: &str, bound: Option<&str>| {
        admission.import(&yang, &hospital.p12(issued, "right"), password, bound.map(str::as_bytes)).unwrap_err()
    };
    let good = hospital.authority.issue(&Request::signing("dr-yang", "client")).unwrap();
    let peer = hospital.authority.issue(&Request::signing("dr-yang", "peer")).unwrap();
    let no_unit = hospital.tls.issue(&Request::tls("dr-yang", &[], &[])).unwrap();
    let stranger = Authority::create("root", "Hospital").unwrap();
    let stranger = stranger.issue(&Request::signing("dr-yang", "client")).unwrap();
    let expired = Request { valid_days: 0, ..Request::signing("dr-yang", "client") };
    let expired = hospital.authority.issue(&expired).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;

    assert!(matches!(import(&good, "wrong", Some(&bound)), AdmissionError::PasswordWrong));
    assert!(matches!(import(&good, "right", None), AdmissionError::NotBound));
    assert!(matches!(import(&good, "right", Some("no PEM")), AdmissionError::BoundCertificate(_)));
    assert!(matches!(
        import(&expired, "right", Some(&bound)),
        AdmissionError::Judgement(JudgementError::OutsideItsPeriod)
    ));
    for issued in [&peer, &no_unit, &stranger] {
        let refused = import(issued, "right", Some(&bound));
        assert!(matches!(refused, AdmissionError::Judgement(JudgementError::NotAMember { .. })), "{refused}");
    }
    let error = admission.import(&yang, b"no file", "right", Some(bound.as_bytes())).unwrap_err();
    assert!(matches!(error, AdmissionError::NotPkcs12));
    assert!(!hospital.file("wallet/dr-yang").exists());

    let grey: MemberId = "dr-grey".parse().unwrap();
    let error = admission.import(&grey, &hospital.p12(&good, "right"), "right", None).unwrap_err();
    assert!(matches!(error, AdmissionError::AnotherKey));
    let kept = std::fs::read(hospital.file("wallet/dr-grey/key.pem")).unwrap();
    assert_eq!(kept, hospital.grey.key_pem());
}

/// The organisation's authority as a service, and its registrar.
struct Service {
    _ca: RunningCa,
    section: String,
    client: CaClient,
    registrar: SigningIdentity,
}

impl Service {
    async fn start(hospital: &Hospital) -> Self {
        let tls = hospital.tls.issue(&Request::tls("ca", &["localhost"], &[])).unwrap();
        let options = CaOptions {
            name: "hospital".into(),
            authority: hospital.authority.clone(),
            registrar: ("registrar".into(), "secret".into()),
            valid_days: 365,
        };
        let ca = RunningCa::start(options, &tls, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let section = format!("[fabric_ca]\nurl = \"{}\"\ntls_root = \"tls-root.pem\"\n", ca.url());
        let client = CaClient::new(&ca.url(), hospital.tls.certificate().pem().as_bytes(), None).unwrap();
        let registrar = enrolled(&client, "registrar", "secret").await;
        Self { _ca: ca, section, client, registrar }
    }

    async fn register(&self, id: &str) -> String {
        let registration = Registration { id: id.into(), kind: "client".into(), ..Registration::default() };
        self.client.register(&self.registrar, &registration).await.unwrap().to_string()
    }
}

async fn enrolled(client: &CaClient, id: &str, secret: &str) -> SigningIdentity {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
    let public = key.public_key_to_der().unwrap();
    let request = certification_request(id, &public, &SoftwareSigner::new(key.clone()).unwrap()).unwrap();
    let certificate = client.enroll(id, secret, &request, &Wishes::default()).await.unwrap();
    SigningIdentity::from_key("HospitalMSP", certificate, key).unwrap()
}

fn held(hospital: &Hospital, file: &str) -> Certificate {
    Certificate::from_pem(std::fs::read(hospital.file(file)).unwrap()).unwrap()
}

#[tokio::test]
async fn a_member_is_enrolled_renewed_and_revoked_and_keeps_the_key() {
    let hospital = Hospital::new();
    let service = Service::start(&hospital).await;
    let configuration = hospital.configuration("", &service.section);
    std::fs::write(hospital.file("secret"), service.register("dr-yang").await).unwrap();
    let enroll = |secret: &str| WalletCommand::Enroll {
        member: "dr-yang".parse().unwrap(),
        secret_file: Some(hospital.file(secret)),
        tls_certificate: Some(hospital.file("bound.pem")),
    };
    let refused = enroll("passphrase").run(&configuration).await.unwrap_err();
    assert!(refused.to_string().contains("401"), "{refused}");
    assert!(!hospital.file("wallet/dr-yang").exists());
    enroll("secret").run(&configuration).await.unwrap();
    let first = held(&hospital, "wallet/dr-yang/certificate.pem");
    assert_eq!(first.common_name(), Some("dr-yang"));

    let reenroll = || WalletCommand::Reenroll { member: Some("dr-yang".parse().unwrap()) };
    reenroll().run(&configuration).await.unwrap();
    let second = held(&hospital, "wallet/dr-yang/certificate.pem");
    assert_ne!(second.serial(), first.serial());
    assert_eq!(second.key_hash(), first.key_hash());

    let revoke = || WalletCommand::Revoke { member: "dr-yang".parse().unwrap(), reason: None };
    let refused = revoke().run(&configuration).await.unwrap_err();
    assert!(refused.to_string().contains("401"), "the gateway's own identity is not the service's: {refused}");
    service
        .client
        .revoke(&service.registrar, &fabric_client::ca::Revocation { id: Some("dr-yang".into()), ..Default::default() })
        .await
        .unwrap();
    assert!(reenroll().run(&configuration).await.is_err());
    assert_eq!(held(&hospital, "wallet/dr-yang/certificate.pem"), second);
    assert!(WalletCommand::Reenroll { member: None }.run(&hospital.configuration("", "")).await.is_err());
}

/// dr-yang, enrolled at the service, under a configuration by which every certificate is due.
async fn renewing(hospital: &Hospital, service: &Service) -> Configuration {
    std::fs::write(hospital.file("secret"), service.register("dr-yang").await).unwrap();
    let always = hospital.configuration("", &format!("{}renew_in_last = 1.0\n", service.section));
    WalletCommand::Enroll {
        member: "dr-yang".parse().unwrap(),
        secret_file: Some(hospital.file("secret")),
        tls_certificate: Some(hospital.file("bound.pem")),
    }
    .run(&always)
    .await
    .unwrap();
    always
}

#[tokio::test]
async fn certificates_are_renewed_before_they_end_and_the_gateway_signs_under_its_new_one_at_once() {
    let hospital = Hospital::new();
    let service = Service::start(&hospital).await;
    let always = renewing(&hospital, &service).await;
    let (grey, yang) = ("wallet/dr-grey/certificate.pem", "wallet/dr-yang/certificate.pem");
    let before = held(&hospital, yang);
    let own = OwnSigner::from(service.registrar.clone());
    let renewal =
        |configuration: &Configuration| Renewal::new(configuration, &KeyStore::default(), &own).unwrap().unwrap();
    // A third of the lifetime is far away, so nothing is due.
    renewal(&hospital.configuration("", &service.section)).renew_due().await;
    assert_eq!(held(&hospital, yang), before);

    renewal(&always).renew_due().await;
    let after = held(&hospital, yang);
    assert_ne!(after.serial(), before.serial());
    assert_eq!(after.key_hash(), before.key_hash());
    assert_ne!(own.current().certificate().serial(), service.registrar.certificate().serial());
    assert_eq!(own.current().certificate().key_hash(), service.registrar.certificate().key_hash());
    assert_eq!(&held(&hospital, "certificate.pem"), own.current().certificate());
    // The service did not issue this one, so it refuses, and what is there stays.
    assert_eq!(&held(&hospital, grey), hospital.grey.certificate());
    assert!(Renewal::new(&hospital.configuration("", ""), &KeyStore::default(), &own).unwrap().is_none());
}

/// The authority may not be the organisation's any more, or not that of all of it: with a certificate of another one nobody signs anything.
#[tokio::test]
async fn a_renewed_certificate_that_the_msp_does_not_take_leaves_the_old_one_in_its_place() {
    let hospital = Hospital::new();
    let service = Service::start(&hospital).await;
    let always = renewing(&hospital, &service).await;
    let (yang, gateway) = ("wallet/dr-yang/certificate.pem", "certificate.pem");
    let own = OwnSigner::from(service.registrar.clone());
    let before = (held(&hospital, yang), held(&hospital, gateway));
    let renewal = Renewal::new(&always, &KeyStore::default(), &own).unwrap().unwrap();
    let reenroll = || WalletCommand::Reenroll { member: Some("dr-yang".parse().unwrap()) }.run(&always);

    let write = |authority: &Authority| {
        std::fs::remove_dir_all(hospital.file("msp")).unwrap_or_default();
        let content = MspFolder { authority, tls_authority: &hospital.tls, signer: None, revocation_lists: &[] };
        write_msp_folder(hospital.file("msp"), &content).unwrap();
    };
    write(&Authority::create("root", "Hospital").unwrap());
    let refused = reenroll().await.unwrap_err().to_string();
    assert!(refused.contains("not a member's of HospitalMSP") && !refused.contains("yang"), "{refused}");
    renewal.renew_due().await;
    std::fs::remove_dir_all(hospital.file("msp")).unwrap();
    renewal.renew_due().await;
    assert!(reenroll().await.unwrap_err().to_string().contains("[wallet] msp"));
    assert_eq!((held(&hospital, yang), held(&hospital, gateway)), before);
    assert_eq!(own.current().certificate(), service.registrar.certificate());

    write(&hospital.authority);
    renewal.renew_due().await;
    assert_ne!(held(&hospital, yang).serial(), before.0.serial());
    assert_ne!(own.current().certificate().serial(), service.registrar.certificate().serial());
}

#[tokio::test]
async fn nothing_is_renewed_where_no_msp_could_judge_it() {
    let hospital = Hospital::new();
    let service = Service::start(&hospital).await;
    let mut configuration = hospital.configuration("", &service.section);
    configuration.wallet.msp = None;
    let own = OwnSigner::from(service.registrar.clone());
    let refused = Renewal::new(&configuration, &KeyStore::default(), &own).err().unwrap();
    assert!(matches!(refused, RenewalError::Judgement(JudgementError::NoMsp)), "{refused}");
}

#[tokio::test]
async fn the_revocation_list_is_fetched_but_not_another_authoritys() {
    let hospital = Hospital::new();
    let service = Service::start(&hospital).await;
    let configuration = hospital.configuration("", &service.section);
    let own = OwnSigner::from(service.registrar.clone());
    let renewal = Renewal::new(&configuration, &KeyStore::default(), &own).unwrap().unwrap();
    renewal.fetch_list(&hospital.file("crl.pem")).await.unwrap();
    let list = std::fs::read_to_string(hospital.file("crl.pem")).unwrap();
    assert!(list.starts_with("-----BEGIN X509 CRL-----"), "{list}");

    // The members' certificates are another authority's from now on.
    std::fs::write(hospital.file("root.pem"), hospital.tls.certificate().pem()).unwrap();
    let error = renewal.fetch_list(&hospital.file("crl.pem")).await.unwrap_err();
    assert!(matches!(error, RenewalError::List(_)), "{error}");
    assert_eq!(std::fs::read_to_string(hospital.file("crl.pem")).unwrap(), list);
}
