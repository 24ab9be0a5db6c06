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
    let large = hospital.publish(patient.id(), "summary", &large_record()).await;
    assert_eq!(payer.open(&link, "payment").await.problem(), (403, "consent-required".to_owned()));

    let taken = TakenKey::of(&patient);
    comes_to_sign_elsewhere(&patient).await;
    let seen = run(&patient, &taken, [&link, &large], payer.access().msp_id.as_str()).await;
    drop(taken);

    let seen = seen.unwrap_or_else(|said| panic!("the patient's program failed: {said}"));
    must_have_seen(&seen, [&link, &large], RECORD);

    // The consent that was signed elsewhere counts.
    payer.comes_to_see(patient.id(), "payment", &[&link]).await;
    assert_eq!(payer.open(&link, "payment").await.body, RECORD);
}

/// What the gateway has in memory it may use until it looks at the folder, which it does at the next request.
pub(crate) async fn comes_to_sign_elsewhere(member: &Person) {
    let told = until("the wallet", || async {
        let answer = member.get("/v1/me").await;
        if answer.status == 409 { Ok(answer.problem()) } else { Err(answer.text()) }
    });
    assert_eq!(told.await.1, "sign-yourself");
}

/// A record in three parts.
pub(crate) fn large_record() -> Vec<u8> {
    let mut record = RECORD.to_vec();
    record.resize((2 << 20) + 5, b' ');
    record
}

/// What a patient saw who read, granted and opened with keys of the own: this record, and the large one.
pub(crate) fn must_have_seen(seen: &Value, links: [&LinkId; 2], record: &[u8]) {
    let mut listed: Vec<_> = seen["links"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    listed.sort_unstable();
    let mut published = links.map(LinkId::as_str);
    published.sort_unstable();
    assert_eq!(listed, published, "{seen}");
    assert_eq!(seen["record"], json!(sha256(record)));
    assert_eq!(seen["large_record"], json!(sha256(&large_record())));
    // The ledger refuses what is not the patient's to do, in its own words.
    assert_eq!(seen["refused"], "other-organisation");
    // And the program signs nothing but what it asked for.
    assert!(seen["misled"].as_str().unwrap().starts_with("asked to sign something else: Consents:ofPatient"), "{seen}");
    // Parts are taken as they were published, and not otherwise.
    let tampered = seen["tampered"].as_object().unwrap();
    assert_eq!((&tampered["parts"], &tampered["untouched"], tampered.len()), (&json!(3), &json!("opened"), 11));
    let others = tampered.iter().filter(|(how, _)| !["parts", "untouched"].contains(&how.as_str()));
    assert!(others.clone().all(|(_, outcome)| outcome == "refused"), "{seen}");
}

/// What the patient's program saw.
async fn run(patient: &Person, taken: &TakenKey, [link, large]: [&LinkId; 2], grantee: &str) -> Result<Value, String> {
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
        .env("LARGE_LINK", large.as_str())
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

/// A member's keys, out of the gateway's wallet. They are back when this ends, as the network wants them, and so is the certificate.
pub(crate) struct TakenKey {
    wallet: PathBuf,
    own: PathBuf,
}

impl TakenKey {
    const KEYS: [&str; 2] = ["key.pem", "encryption.pem"];
    const CERTIFICATE: &str = "certificate.pem";

    pub(crate) fn of(person: &Person) -> Self {
        let wallet = person.access().identity.key.parent().unwrap().to_owned();
        let own = person.access().tls.key.parent().unwrap().join("own-key");
        fs::create_dir_all(&own).unwrap();
        let taken = Self { wallet, own };
        fs::copy(taken.wallet.join(Self::CERTIFICATE), taken.own.join(Self::CERTIFICATE)).unwrap();
        for file in Self::KEYS {
            fs::rename(taken.wallet.join(file), taken.own.join(file)).unwrap();
        }
        taken
    }

    /// Has the wallet know the member by another certificate.
    pub(crate) fn certify(&self, certificate: &str) {
        fs::write(self.wallet.join(Self::CERTIFICATE), certificate).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }
}

impl Drop for TakenKey {
    fn drop(&mut self) {
        for file in Self::KEYS.iter().chain([&Self::CERTIFICATE]) {
            // Of a test that failed half-way it may not be there.
            let _ = fs::rename(self.own.join(file), self.wallet.join(file));
        }
    }
}
