//! A patient whose key is in a program of its own, in another language, with other libraries: the gateway never sees it.

use std::fs;
use std::path::{Path, PathBuf};

use healthchain_end_to_end::{Person, World, sha256, until};
use healthchain_rules::LinkId;
use serde_json::{Value, json};
use tokio::process::Command;

const RECORD: &[u8] = br#"{"resourceType":"Bundle","type":"collection","entry":[]}"#;

crate::promises![a_patient_who_keeps_the_key_reads_consents_and_opens_with_it];

async fn a_patient_who_keeps_the_key_reads_consents_and_opens_with_it(world: &World) {
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    let link = hospital.publish(patient.id(), "encounter-note", RECORD).await;
    patient.comes_to_see(patient.id(), "personal", &[&link]).await;
    assert_eq!(payer.open(&link, "payment").await.problem(), (403, "consent-required".to_owned()));

    let taken = TakenKey::of(&patient);
    // What the gateway has in memory it may use until it looks at the folder, which it does at the next request.
    let told = until("the wallet", || async {
        let answer = patient.get("/v1/me").await;
        if answer.status == 409 { Ok(answer.problem()) } else { Err(answer.text()) }
    });
    assert_eq!(told.await.1, "sign-yourself");
    let seen = run(&patient, &taken, &link, payer.access().msp_id.as_str()).await;
    taken.give_back();

    let seen = seen.unwrap_or_else(|said| panic!("the patient's program failed: {said}"));
    assert_eq!(seen["links"], json!([link]));
    assert_eq!(seen["record"], json!(sha256(RECORD)));
    // The ledger refuses what is not the patient's to do, in its own words.
    assert_eq!(seen["refused"], "other-organisation");
    // And the program signs nothing but what it asked for.
    assert!(seen["misled"].as_str().unwrap().starts_with("asked to sign something else: Consents:ofPatient"), "{seen}");

    // The consent that was signed elsewhere counts.
    payer.comes_to_see(patient.id(), "payment", &[&link]).await;
    assert_eq!(payer.open(&link, "payment").await.body, RECORD);
}

/// What the patient's program saw.
async fn run(patient: &Person, taken: &TakenKey, link: &LinkId, grantee: &str) -> Result<Value, String> {
    let access = patient.access();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("own-key-client/patient.mjs");
    let output = Command::new("node")
        .arg(program)
        .env("GATEWAY", &access.gateway_url)
        .env("TLS_ROOT", &access.tls_root)
        .env("TLS_CERTIFICATE", &access.tls.certificate)
        .env("TLS_KEY", &access.tls.key)
        .env("SIGNING_KEY", taken.file("key.pem"))
        .env("ENCRYPTION_KEY", taken.file("encryption.pem"))
        .env("MEMBER", patient.id().as_str())
        .env("LINK", link.as_str())
        .env("GRANTEE", grantee)
        .output()
        .await
        .map_err(|error| format!("node: {error}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", said(&output.stdout))),
        false => Err(said(&output.stderr)),
    }
}

/// A member's keys, out of the gateway's wallet.
struct TakenKey {
    wallet: PathBuf,
    own: PathBuf,
}

impl TakenKey {
    const FILES: [&str; 2] = ["key.pem", "encryption.pem"];

    fn of(person: &Person) -> Self {
        let wallet = person.access().identity.key.parent().unwrap().to_owned();
        let own = person.access().tls.key.parent().unwrap().join("own-key");
        fs::create_dir_all(&own).unwrap();
        let taken = Self { wallet, own };
        for file in Self::FILES {
            fs::rename(taken.wallet.join(file), taken.own.join(file)).unwrap();
        }
        taken
    }

    fn file(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    fn give_back(&self) {
        for file in Self::FILES {
            fs::rename(self.own.join(file), self.wallet.join(file)).unwrap();
        }
    }
}
