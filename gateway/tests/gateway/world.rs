//! A hospital and a payer, each with its authorities, its gateway and one member; and strangers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_msp::SigningIdentity;
use fabric_msp::issue::{Authority, Issued, MspFolder, Request, write_msp_folder};
use healthchain_gateway::callers::{Callers, Pace};
use healthchain_gateway::configuration::{CallersConfiguration, LimitsConfiguration, WebhooksConfiguration};
use healthchain_gateway::contents::https::HttpsContents;
use healthchain_gateway::events::hub::Hub;
use healthchain_gateway::gateway::{Gateway, OwnOrganisation, OwnSigner, Patience};
use healthchain_gateway::http::browsers::Origins;
use healthchain_gateway::http::connections::Limits;
use healthchain_gateway::http::listener::TlsListener;
use healthchain_gateway::http::rates::Rates;
use healthchain_gateway::http::streams::Streams;
use healthchain_gateway::ledger::Ledger;
use healthchain_gateway::records::object_store::ObjectRecords;
use healthchain_gateway::sealing::software::SoftwareKey;
use healthchain_gateway::server::{Running, serve};
use healthchain_gateway::state::State;
use healthchain_gateway::tls::{OwnCertificate, Trust, roots_from_pem};
use healthchain_gateway::use_cases::read_record::Wholes;
use healthchain_gateway::wallet::folder::FolderWallet;
use healthchain_gateway::webhooks::sender::Sender;
use healthchain_rules::{EncryptionKey, Holder, KeyHash, MspId, Recipient};
use rustls::RootCertStore;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::ledger::MemoryLedger;

pub(crate) const RECORD: &str = r#"{"resourceType":"Bundle","type":"collection"}"#;
pub(crate) const PATIENCE: Patience = Patience {
    envelope: Duration::from_secs(5),
    opening: Duration::from_millis(250),
    transfer: Duration::from_secs(20),
};
/// What the payer's gateway is told to say of its ledger; the hospital's is told nothing.
pub(crate) const NOTICE: &str = "A ledger for tests.";
/// Streams' callers are judged again more often than in earnest.
pub(crate) const BEAT: Duration = Duration::from_millis(200);
pub(crate) const MAX_RECORD_BYTES: usize = 4 << 20;

/// Keys of providers and clients are fetched more often than in earnest, so that tests need not wait.
pub(crate) const PACE: Pace =
    Pace { least: Duration::from_millis(500), usual: Duration::from_secs(3600), most: Duration::from_secs(7200) };

pub(crate) struct World {
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) hospital: Organisation,
    pub(crate) payer: Organisation,
    /// Organisations besides, in the order of their names.
    pub(crate) others: Vec<Organisation>,
}

pub(crate) struct Organisation {
    pub(crate) msp_id: MspId,
    pub(crate) tls_root: Authority,
    pub(crate) signing_root: Authority,
    pub(crate) folder: tempfile::TempDir,
    /// The certificate of its gateway.
    pub(crate) gateway_tls: Issued,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) running: Option<Running>,
    pub(crate) url: String,
    /// The certificate bound to its one member.
    pub(crate) member_tls: Issued,
}

/// The key of a member who keeps it.
pub(crate) struct OwnKey {
    pub(crate) signer: SigningIdentity,
    pub(crate) encryption: SoftwareKey,
}

/// One more gateway of an organisation.
pub(crate) struct Twin {
    pub(crate) running: Running,
}

impl Twin {
    pub(crate) fn at(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.running.address().port())
    }
}

/// An organisation before its gateway runs.
struct Draft {
    msp_id: MspId,
    tls_root: Authority,
    signing_root: Authority,
    folder: tempfile::TempDir,
    gateway_tls: Issued,
    encryption_key: Arc<SoftwareKey>,
    listener: TlsListener,
    member_tls: Issued,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_patience(PATIENCE).await
    }

    pub(crate) async fn with_patience(patience: Patience) -> Self {
        Self::with(patience, CallersConfiguration::default()).await
    }

    /// The hospital's gateway is also called by these.
    pub(crate) async fn called_by(callers: CallersConfiguration) -> Self {
        Self::with(PATIENCE, callers).await
    }

    async fn with(patience: Patience, callers: CallersConfiguration) -> Self {
        Self::of(patience, callers, &[]).await
    }

    /// With a clinic and a pharmacy, which the hospital named as its custodians.
    pub(crate) async fn with_custodians() -> Self {
        let world = Self::of(PATIENCE, CallersConfiguration::default(), &["ClinicMSP", "PharmacyMSP"]).await;
        let custodians = world.others.iter().map(|other| other.msp_id.clone()).collect();
        let mut state = world.ledger.state.lock().unwrap();
        state.custodians.insert(world.hospital.msp_id.clone(), custodians);
        state.height = 1_000_000;
        drop(state);
        world
    }

    async fn of(patience: Patience, callers: CallersConfiguration, more: &[&str]) -> Self {
        let ledger = Arc::new(MemoryLedger::new());
        let hospital = Draft::new(&ledger, "HospitalMSP", "dr-grey").await;
        let payer = Draft::new(&ledger, "PayerMSP", "officer-7").await;
        {
            let mut state = ledger.state.lock().unwrap();
            state.recipients = vec![hospital.recipient()];
            state.permitted = [hospital.msp_id.clone(), payer.msp_id.clone()].into();
            for organisation in [&hospital, &payer] {
                state.recipient_of.insert(organisation.msp_id.clone(), organisation.recipient());
            }
        }
        // The hospital has a revocation list, the payer none.
        std::fs::write(hospital.folder.path().join("crl.pem"), hospital.tls_root.revocation_list(&[], 1).unwrap())
            .unwrap();
        let mut others = Vec::new();
        for name in more {
            others.push(Draft::new(&ledger, name, &format!("{}-member", name.to_lowercase())).await);
        }
        let roots: Vec<_> = [&hospital, &payer].into_iter().chain(&others).map(Draft::root).collect();
        let hospital_url = hospital.listener.address();
        let hospital = hospital.start(&ledger, &roots, patience, callers).await;
        let payer = payer.start(&ledger, &roots, patience, CallersConfiguration::default()).await;
        let mut started = Vec::new();
        for other in others {
            started.push(other.start(&ledger, &roots, patience, CallersConfiguration::default()).await);
        }
        assert_ne!(hospital_url.port(), payer.running.as_ref().unwrap().address().port());
        Self { ledger, hospital, payer, others: started }
    }

    /// A client of another member of the hospital.
    pub(crate) async fn colleague(&self) -> reqwest::Client {
        let certificate = self.hospital.add_member(&self.ledger, "dr-yang");
        // A wallet looks for new members once a second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        self.hospital.client(Some(&certificate))
    }

    /// Has the hospital's gateway end.
    pub(crate) async fn stop_hospital(&mut self) {
        self.hospital.running.take().unwrap().stop().await;
    }

    /// Has the hospital serve with its gateway as it is now.
    pub(crate) async fn restart_hospital(&mut self) {
        let hospital = &mut self.hospital;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TlsListener::bind(any, own(&hospital.gateway_tls).server().unwrap()).await.unwrap();
        hospital.url = format!("https://localhost:{}", listener.address().port());
        self.ledger.state.lock().unwrap().gateway_urls.insert(hospital.msp_id.clone(), hospital.url.clone());
        hospital.running = Some(serve(Arc::clone(&hospital.gateway), listener, Limits::default()));
    }

    /// Also seals the payer's envelope at publication.
    pub(crate) fn entitle_payer_at_publication(&self) {
        let mut state = self.ledger.state.lock().unwrap();
        let recipient = state.recipient_of[&self.payer.msp_id].clone();
        state.recipients.push(recipient);
    }

    /// Publishes the record at the hospital and tells the link's id.
    pub(crate) async fn published(&self) -> String {
        let answer = self.publish("key-1", RECORD).await;
        assert_eq!(answer.0, 201, "{:?}", answer.1);
        answer.1["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn publish(&self, key: &str, record: &'static str) -> (u16, Value) {
        let request = self.hospital.member().post(self.hospital.at("/v1/links?patient=anna&category=summary"));
        let request = request.header("idempotency-key", key).header("content-type", "application/fhir+json");
        answer(request.body(record).send().await.unwrap()).await
    }

    /// Opens a link as a member of this organisation.
    pub(crate) async fn open(&self, organisation: &Organisation, link: &str) -> reqwest::Response {
        let request = organisation.member().post(organisation.at(&format!("/v1/links/{link}/openings")));
        let request = request.header("content-type", "application/json").body(r#"{"purpose":"treatment"}"#);
        request.send().await.unwrap()
    }
}

impl Organisation {
    /// Revokes signing certificates.
    pub(crate) fn revoke_signing(&self, certificates: &[&fabric_msp::Certificate]) {
        let list = self.signing_root.revocation_list(certificates, 1).unwrap();
        write_msp(&self.folder.path().join("msp"), &self.signing_root, &self.tls_root, &[list]);
    }

    /// A file of a member's wallet entry.
    pub(crate) fn wallet_file(&self, member: &str, file: &str) -> Vec<u8> {
        std::fs::read(self.wallet().join(member).join(file)).unwrap()
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The gateway once more, changed by the test.
    pub(crate) async fn twin(&self, change: impl FnOnce(&mut Gateway)) -> Twin {
        let listener =
            TlsListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), own(&self.gateway_tls).server().unwrap());
        let mut gateway = Gateway { under_way: TaskTracker::new(), ..(*self.gateway).clone() };
        change(&mut gateway);
        Twin { running: serve(Arc::new(gateway), listener.await.unwrap(), Limits::default()) }
    }

    /// A client of this organisation's gateway with the member's certificate.
    pub(crate) fn member(&self) -> reqwest::Client {
        self.client(Some(&self.member_tls))
    }

    /// A client of this organisation's gateway with any certificate, or none.
    pub(crate) fn client(&self, certificate: Option<&Issued>) -> reqwest::Client {
        let roots = root(&self.tls_root);
        let config = match certificate {
            Some(issued) => own(issued).client(roots).unwrap(),
            None => rustls::ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth(),
        };
        client(config)
    }

    /// Adds a member to the wallet; returns its TLS client certificate.
    pub(crate) fn add_member(&self, ledger: &MemoryLedger, member: &str) -> Issued {
        add_member(ledger, &self.msp_id, &self.signing_root, &self.tls_root, self.wallet(), member)
    }

    /// Takes a member's key out of the wallet, and gives it to the member.
    pub(crate) fn hand_over_key(&self, member: &str) -> OwnKey {
        let folder = self.wallet().join(member);
        let read = |file| std::fs::read(folder.join(file)).unwrap();
        let (certificate, key) = (read("certificate.pem"), read("key.pem"));
        std::fs::remove_file(folder.join("key.pem")).unwrap();
        OwnKey {
            signer: SigningIdentity::from_pem(self.msp_id.as_str(), certificate, &key).unwrap(),
            encryption: SoftwareKey::from_pem(&key).unwrap(),
        }
    }

    pub(crate) fn wallet(&self) -> PathBuf {
        self.folder.path().join("wallet")
    }

    pub(crate) fn crl(&self) -> PathBuf {
        self.folder.path().join("crl.pem")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.folder.path().join("records")
    }

    /// The only record in its store.
    pub(crate) fn record(&self) -> PathBuf {
        let mut files = std::fs::read_dir(self.records()).unwrap();
        files.next().unwrap().unwrap().path()
    }
}

impl Draft {
    async fn new(ledger: &MemoryLedger, msp_id: &str, member: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let msp_id: MspId = msp_id.parse().unwrap();
        let tls_root = Authority::create("tls root", msp_id.as_str()).unwrap();
        let signing_root = Authority::create("root", msp_id.as_str()).unwrap();
        let local = ["127.0.0.1".parse().unwrap()];
        let gateway_tls = tls_root.issue(&Request::tls("gateway", &["localhost"], &local)).unwrap();
        let encryption_key = signing_root.issue(&Request::signing("encryption", "client")).unwrap();
        let member_tls = add_member(ledger, &msp_id, &signing_root, &tls_root, folder.path().join("wallet"), member);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listener: TlsListener::bind(any, own(&gateway_tls).server().unwrap()).await.unwrap(),
            encryption_key: Arc::new(SoftwareKey::from_pem(encryption_key.key_pem()).unwrap()),
            msp_id,
            tls_root,
            signing_root,
            folder,
            gateway_tls,
            member_tls,
        }
    }

    fn root(&self) -> (String, RootCertStore) {
        (self.msp_id.to_string(), root(&self.tls_root))
    }

    fn recipient(&self) -> Recipient {
        let public_key = self.encryption_key.public_key();
        Recipient {
            holder: Holder::Organisation(self.msp_id.clone()),
            key: EncryptionKey {
                public_key: STANDARD.encode(public_key).parse().unwrap(),
                key_hash: KeyHash::from_bytes(&fabric_msp::key_hash(public_key)),
            },
        }
    }

    async fn start(
        self,
        ledger: &Arc<MemoryLedger>,
        all: &[(String, RootCertStore)],
        patience: Patience,
        mut callers: CallersConfiguration,
    ) -> Organisation {
        let msp = self.folder.path().join("msp");
        write_msp(&msp, &self.signing_root, &self.tls_root, &[]);
        callers.msp = Some(msp);
        let state = State::in_memory().await.unwrap();
        let issued = self.signing_root.issue(&Request::signing("gateway", "client")).unwrap();
        let signer =
            SigningIdentity::from_pem(self.msp_id.as_str(), issued.certificate_pem(), issued.key_pem()).unwrap();
        ledger.enter(&self.msp_id, &signer);
        let others: Vec<_> = all.iter().filter(|(name, _)| name != self.msp_id.as_str()).cloned().collect();
        let url = format!("https://localhost:{}", self.listener.address().port());
        ledger.state.lock().unwrap().gateway_urls.insert(self.msp_id.clone(), url.clone());
        let crl = self.folder.path().join("crl.pem");
        let trust = if crl.exists() {
            Trust::with_revocations(root(&self.tls_root), &crl, others.clone()).unwrap()
        } else {
            Trust::new(root(&self.tls_root), others.clone()).unwrap()
        };
        let signer = OwnSigner::from(signer);
        let ledger = Arc::clone(ledger) as Arc<dyn Ledger>;
        let gateway = Arc::new(Gateway {
            events: Hub::new(&ledger, &signer),
            streams: Arc::new(Streams::with_beat(BEAT)),
            webhooks: Arc::new(Sender::new(&WebhooksConfiguration::default()).unwrap()),
            organisation: OwnOrganisation {
                msp_id: self.msp_id.clone(),
                signer,
                encryption_key: Arc::clone(&self.encryption_key) as _,
            },
            callers: Arc::new(
                Callers::new(&callers, self.msp_id.as_str(), &url.parse().unwrap(), &state, PACE).unwrap(),
            ),
            public_url: url.parse().unwrap(),
            max_record_bytes: MAX_RECORD_BYTES,
            patience,
            trust: Arc::new(trust),
            wallet: Arc::new(FolderWallet::open(&self.folder.path().join("wallet"), self.msp_id.as_str()).unwrap()),
            ledger,
            records: Arc::new(ObjectRecords::in_folder(&self.folder.path().join("records")).unwrap()),
            absences: Arc::default(),
            suspects: Arc::default(),
            wholes: Wholes::default(),
            contents: Arc::new(HttpsContents::new(&own(&self.gateway_tls), others).unwrap()),
            state,
            under_way: TaskTracker::new(),
            rates: Arc::new(Rates::new(&LimitsConfiguration::default())),
            uploads: LimitsConfiguration::default().of_uploads(),
            origins: Origins::default(),
            development: (self.msp_id.as_str() == "PayerMSP").then(|| NOTICE.to_owned()),
        });
        Organisation {
            running: Some(serve(Arc::clone(&gateway), self.listener, Limits::default())),
            msp_id: self.msp_id,
            tls_root: self.tls_root,
            signing_root: self.signing_root,
            folder: self.folder,
            gateway_tls: self.gateway_tls,
            member_tls: self.member_tls,
            gateway,
            url,
        }
    }
}

fn add_member(
    ledger: &MemoryLedger,
    msp_id: &MspId,
    signing_root: &Authority,
    tls_root: &Authority,
    wallet: PathBuf,
    member: &str,
) -> Issued {
    let folder = wallet.join(member);
    let signing = signing_root.issue(&Request::signing(member, "client")).unwrap();
    let tls = tls_root.issue(&Request::tls(member, &[], &[])).unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("certificate.pem"), signing.certificate_pem()).unwrap();
    std::fs::write(folder.join("key.pem"), signing.key_pem()).unwrap();
    std::fs::write(folder.join("tls-certificate.pem"), tls.certificate_pem()).unwrap();
    let identity = SigningIdentity::from_pem(msp_id.as_str(), signing.certificate_pem(), signing.key_pem()).unwrap();
    ledger.register(member, msp_id, &identity);
    tls
}

/// The organisation's MSP folder, with these revocation lists.
pub(crate) fn write_msp(folder: &Path, authority: &Authority, tls_authority: &Authority, revocation_lists: &[String]) {
    write_msp_folder(folder, &MspFolder { authority, tls_authority, signer: None, revocation_lists }).unwrap();
}

/// Status and JSON body.
pub(crate) async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    if status >= 400 {
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{status}");
    }
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Asserts a problem's status and code; returns the problem.
pub(crate) async fn problem(response: reqwest::Response, status: u16, code: &str) -> Value {
    let (answered, problem) = answer(response).await;
    assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    problem
}

pub(crate) fn client(config: rustls::ClientConfig) -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}

pub(crate) fn own(issued: &Issued) -> OwnCertificate {
    OwnCertificate::from_pem(issued.certificate_pem().as_bytes(), issued.key_pem()).unwrap()
}

pub(crate) fn root(authority: &Authority) -> RootCertStore {
    roots_from_pem(authority.certificate().pem().as_bytes()).unwrap()
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
