//! Keys in a token: SoftHSM2, whose library reads its configuration once a process, so each promise is tested in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use fabric_msp::issue::{Authority, Issued, Request};
use fabric_msp::{SigningError, SigningIdentity};
use healthchain_gateway::configuration::{FileOr, Pkcs11Configuration, WalletConfiguration};
use healthchain_gateway::hsm::{Hsm, HsmError, KeyName};
use healthchain_gateway::sealing::{DecryptionKey as _, EnvelopeContext, SealingError, device::DeviceKey, seal};
use healthchain_gateway::wallet::Wallet as _;
use healthchain_gateway::wallet::folder::FolderWallet;
use healthchain_gateway::wallet::key_store::KeyStore;
use openssl::ecdsa::EcdsaSig;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const TOKEN: &str = "hospital";
const PIN: &str = "5678-secret";
const FOLDER: &str = "HEALTHCHAIN_TEST_TOKEN";

struct Token {
    folder: PathBuf,
}

/// Runs a promise in a process that has a token of its own.
fn in_a_token(promise: &str, body: impl FnOnce(&Token)) {
    if let Ok(folder) = std::env::var(FOLDER) {
        return body(&Token { folder: folder.into() });
    }
    let folder = tempfile::tempdir().unwrap();
    let (tokens, configuration) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
    std::fs::create_dir(&tokens).unwrap();
    std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    std::fs::write(folder.path().join("pin"), format!("{PIN}\n")).unwrap();
    let token = Token { folder: folder.path().to_owned() };
    token.tool(&["--init-token", "--free", "--label", TOKEN, "--so-pin", "so-pin-1", "--pin", PIN]);
    let ended = Command::new(std::env::current_exe().unwrap())
        .args([&format!("wallet_hsm::{promise}"), "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", &configuration)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let output = [ended.stdout, ended.stderr].concat();
    let output = String::from_utf8_lossy(&output);
    assert!(ended.status.success() && output.contains("1 passed"), "{output}");
    assert!(!output.contains(PIN), "{output}");
}

impl Token {
    fn tool(&self, arguments: &[&str]) {
        let ended = Command::new("softhsm2-util")
            .args(arguments)
            .env("SOFTHSM2_CONF", self.folder.join("softhsm2.conf"))
            .output()
            .expect("softhsm2-util is there: scripts/install-tools.sh installs it");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Puts a key into the token.
    fn import(&self, issued: &Issued, label: &str, id: &str) {
        let file = self.folder.join(format!("{label}-{id}.pem"));
        std::fs::write(&file, issued.key_pem()).unwrap();
        let file = file.to_str().unwrap();
        self.tool(&["--import", file, "--token", TOKEN, "--label", label, "--id", id, "--pin", PIN]);
        std::fs::remove_file(file).unwrap();
        // What is imported may only sign.
        let module = Pkcs11::new(MODULE).unwrap();
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => panic!("{error}"),
        }
        let slot = module.get_slots_with_initialized_token().unwrap()[0];
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(hex::decode(id).unwrap())];
        for key in session.find_objects(&wanted).unwrap() {
            session.update_attributes(key, &[Attribute::Derive(true)]).unwrap();
        }
        drop(session);
        module.finalize().unwrap();
    }

    fn configuration(&self) -> Pkcs11Configuration {
        Pkcs11Configuration { module: MODULE.into(), token: TOKEN.into(), pin_file: self.folder.join("pin") }
    }

    fn open(&self) -> Hsm {
        Hsm::open(&self.configuration()).unwrap()
    }
}

fn named(label: &str) -> KeyName {
    KeyName { label: Some(label.into()), id: None }
}

fn issued() -> Issued {
    Authority::create("root", "Hospital").unwrap().issue(&Request::signing("dr-grey", "client")).unwrap()
}

fn holds(issued: &Issued, signer: &SigningIdentity) -> bool {
    let signature = EcdsaSig::from_der(&signer.sign(b"message").unwrap()).unwrap();
    let key = issued.certificate().public_key().ec_key().unwrap();
    signature.verify(&openssl::sha::sha256(b"message"), &key).unwrap()
}

fn signer(hsm: &Hsm, issued: &Issued, name: &KeyName) -> Result<SigningIdentity, SigningError> {
    let key = Arc::new(hsm.key(name).unwrap());
    SigningIdentity::with_signer("HospitalMSP", issued.certificate().clone(), key)
}

#[test]
fn a_key_in_a_token_signs_and_opens_envelopes_and_is_shown_nowhere() {
    in_a_token("a_key_in_a_token_signs_and_opens_envelopes_and_is_shown_nowhere", |token| {
        let grey = issued();
        token.import(&grey, "dr-grey", "a1");
        let hsm = token.open();
        for name in [named("dr-grey"), KeyName { label: None, id: Some("a1".into()) }] {
            assert!(holds(&grey, &signer(&hsm, &grey, &name).unwrap()));
        }
        let key = hsm.key(&named("dr-grey")).unwrap();
        assert_eq!(key.public_key().unwrap(), grey.certificate().spki());
        assert!(!format!("{hsm:?} {key:?}").contains("dr-grey"));

        let opener = DeviceKey::new(grey.certificate().spki(), Arc::new(key)).unwrap();
        let key_hash = hex::encode(grey.certificate().key_hash());
        let context = EnvelopeContext { link: "l", version: 1, category: "c", recipient_key_hash: &key_hash };
        let sealed = seal(grey.certificate().spki(), &context, b"payload").unwrap();
        assert_eq!(opener.unseal(&context, &sealed).unwrap().as_slice(), b"payload");
        let moved = EnvelopeContext { version: 2, ..context };
        assert_eq!(opener.unseal(&moved, &sealed), Err(SealingError::DoesNotOpen));
        for index in [0, 1, 40, 64, 65, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(opener.unseal(&context, &changed), Err(SealingError::DoesNotOpen), "{index}");
        }
        assert_eq!(opener.unseal(&context, &sealed[..64]), Err(SealingError::DoesNotOpen));
    });
}

#[test]
fn a_key_of_another_certificate_a_missing_one_and_two_of_one_name_are_refused() {
    in_a_token("a_key_of_another_certificate_a_missing_one_and_two_of_one_name_are_refused", |token| {
        let (grey, yang) = (issued(), issued());
        token.import(&grey, "dr-grey", "a1");
        token.import(&yang, "twice", "b1");
        token.import(&grey, "twice", "b2");
        let hsm = token.open();
        let error = signer(&hsm, &yang, &named("dr-grey")).unwrap_err();
        assert!(matches!(error, SigningError::Mismatch { .. }), "{error}");
        let key = Arc::new(hsm.key(&named("dr-grey")).unwrap());
        assert_eq!(DeviceKey::new(yang.certificate().spki(), key).unwrap_err(), SealingError::NotAPrivateKey);
        for (name, count) in [("nobody", 0), ("twice", 2)] {
            let error = hsm.key(&named(name)).unwrap_err();
            assert!(matches!(error, HsmError::NotOneKey { found, .. } if found == count), "{error}");
        }
        for id in [None, Some("no hexadecimal".into())] {
            assert!(matches!(hsm.key(&KeyName { label: None, id }).unwrap_err(), HsmError::NoName));
        }
        let both = KeyName { label: Some("twice".into()), id: Some("b1".into()) };
        assert!(holds(&yang, &signer(&hsm, &yang, &both).unwrap()));
    });
}

#[test]
fn a_token_that_was_reset_is_logged_in_to_again() {
    in_a_token("a_token_that_was_reset_is_logged_in_to_again", |token| {
        let grey = issued();
        token.import(&grey, "dr-grey", "a1");
        let signer = signer(&token.open(), &grey, &named("dr-grey")).unwrap();
        // The library is loaded once a process, so this ends the gateway's login, or its sessions.
        let log_out = || {
            let module = Pkcs11::new(MODULE).unwrap();
            let slot = module.get_slots_with_initialized_token().unwrap()[0];
            module.open_ro_session(slot).unwrap().logout().unwrap();
        };
        let restart = || Pkcs11::new(MODULE).unwrap().finalize().unwrap();
        log_out();
        assert!(holds(&grey, &signer));
        restart();
        assert!(holds(&grey, &signer));
        std::fs::remove_file(token.folder.join("pin")).unwrap();
        restart();
        let error = signer.sign(b"message").unwrap_err();
        assert!(error.to_string().contains("pin_file"), "{error}");
        std::fs::write(token.folder.join("pin"), PIN).unwrap();
        assert!(holds(&grey, &signer));
    });
}

#[test]
fn a_wrong_pin_is_tried_once_and_a_corrected_one_again() {
    in_a_token("a_wrong_pin_is_tried_once_and_a_corrected_one_again", |token| {
        let grey = issued();
        token.import(&grey, "dr-grey", "a1");
        let signer = signer(&token.open(), &grey, &named("dr-grey")).unwrap();
        std::fs::write(token.folder.join("pin"), "9999").unwrap();
        Pkcs11::new(MODULE).unwrap().finalize().unwrap();
        let first = signer.sign(b"message").unwrap_err().to_string();
        assert!(!first.contains("not tried again"), "{first}");
        for _ in 0..20 {
            let next = signer.sign(b"message").unwrap_err().to_string();
            assert!(next.contains("not tried again"), "{next}");
        }
        std::fs::write(token.folder.join("pin"), PIN).unwrap();
        assert!(holds(&grey, &signer));
    });
}

#[test]
fn threads_sign_at_once() {
    in_a_token("threads_sign_at_once", |token| {
        let grey = issued();
        token.import(&grey, "dr-grey", "a1");
        let signer = signer(&token.open(), &grey, &named("dr-grey")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..4).for_each(|_| assert!(holds(&grey, &signer))));
            }
        });
    });
}

#[test]
fn what_is_wrong_with_a_token_is_named_and_the_pin_never() {
    in_a_token("what_is_wrong_with_a_token_is_named_and_the_pin_never", |token| {
        let right = token.configuration();
        let error = |configuration: Pkcs11Configuration| Hsm::open(&configuration).unwrap_err();
        let missing = error(Pkcs11Configuration { module: "/nowhere/hsm.so".into(), ..right.clone() });
        assert!(matches!(&missing, HsmError::Module { .. }), "{missing}");
        let no_token = error(Pkcs11Configuration { token: "payer".into(), ..right.clone() });
        assert!(no_token.to_string().contains("payer"), "{no_token}");
        let no_pin = error(Pkcs11Configuration { pin_file: "/nowhere/pin".into(), ..right.clone() });
        assert!(matches!(&no_pin, HsmError::PinFile(_)), "{no_pin}");
        std::fs::write(token.folder.join("wrong"), "0000-wrong").unwrap();
        let wrong = error(Pkcs11Configuration { pin_file: token.folder.join("wrong"), ..right });
        assert!(matches!(&wrong, HsmError::Pin(_)), "{wrong}");
        assert!(!wrong.to_string().contains("0000-wrong"), "{wrong}");
    });
}

#[test]
fn a_member_whose_key_is_in_the_token_is_found_like_every_other() {
    in_a_token("a_member_whose_key_is_in_the_token_is_found_like_every_other", |token| {
        let (grey, encryption) = (issued(), issued());
        token.import(&grey, "dr-grey", "a1");
        token.import(&encryption, "dr-grey-encryption", "a2");
        let wallet = token.folder.join("wallet");
        let member = wallet.join("dr-grey");
        std::fs::create_dir_all(&member).unwrap();
        let tls = Authority::create("tls", "Hospital").unwrap().issue(&Request::tls("dr-grey", &[], &[])).unwrap();
        std::fs::write(member.join("certificate.pem"), grey.certificate_pem()).unwrap();
        std::fs::write(member.join("tls-certificate.pem"), tls.certificate_pem()).unwrap();
        let store = KeyStore::open(&WalletConfiguration {
            pkcs11: Some(token.configuration()),
            require_encrypted: true,
            ..WalletConfiguration::from(wallet.clone())
        })
        .unwrap();
        let found = |names: &str| {
            std::fs::write(member.join("key.toml"), names).unwrap();
            let wallet = FolderWallet::open_with(&wallet, "HospitalMSP", store.clone()).map_err(|e| e.to_string())?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            Ok::<_, String>(runtime.block_on(wallet.holder_of(tls.certificate().der())).unwrap())
        };
        let one = found("signing = { label = \"dr-grey\" }").unwrap();
        assert!(holds(&grey, one.signer().unwrap()));
        assert_eq!(one.encryption_key().unwrap().key_hash(), hex::encode(grey.certificate().key_hash()));
        let two = found("signing = { id = \"a1\" }\nencryption = { label = \"dr-grey-encryption\" }").unwrap();
        assert_eq!(two.encryption_key().unwrap().key_hash(), hex::encode(encryption.certificate().key_hash()));
        for (names, said) in [
            ("signing = { label = \"nobody\" }", "nobody"),
            ("colour = \"red\"", "colour"),
            ("signing = { label = \"dr-grey-encryption\" }", "does not belong"),
        ] {
            let error = found(names).err().unwrap();
            assert!(error.contains("dr-grey") && error.contains(said), "{error}");
        }
        write_key(&member, &grey);
        assert!(found("signing = { label = \"dr-grey\" }").err().unwrap().contains("key.toml"));
        let place = FileOr::Table(named("dr-grey"));
        assert!(KeyStore::default().decryption_key(&place, None).unwrap_err().to_string().contains("[wallet.pkcs11]"));
    });
}

fn write_key(member: &Path, issued: &Issued) {
    std::fs::write(member.join("key.pem"), issued.key_pem()).unwrap();
}
