//! Large records over bad lines: uploaded bit by bit with the tus project's own client, and published when they are whole.

use std::path::Path;

use healthchain_end_to_end::{Answer, Person, World, until};
use healthchain_rules::MemberId;
use healthchain_rules::OrganisationKind::PrimaryCare;
use healthchain_rules::Role::PrivacyOfficer;
use reqwest::Method;
use serde_json::Value;
use tokio::process::Command;
use uuid::Uuid;

crate::promises![
    a_scan_is_uploaded_over_a_line_that_breaks_again_and_again_and_opens_elsewhere,
    an_upload_goes_on_where_it_was_when_the_gateway_is_killed_in_between,
    a_next_version_is_uploaded_bit_by_bit_and_an_upload_is_nobody_elses,
];

/// Bytes whose place in the file can be told.
fn scan(length: u32) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Has the program of the tus project upload a file; tells what it saw.
async fn upload(who: &Person, file: &Path, settings: &[(&str, &str)]) -> Value {
    let access = who.access();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tus-client/upload.mjs");
    let output = Command::new("node")
        .arg(program)
        .env("GATEWAY", access.gateway_url.trim_end_matches('/'))
        .env("TLS_ROOT", &access.tls_root)
        .env("TLS_CERTIFICATE", &access.tls.certificate)
        .env("TLS_KEY", &access.tls.key)
        .env("FILE", file)
        .envs(settings.iter().copied())
        .output()
        .await
        .expect("Node is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn id(told: &Value) -> &str {
    told["url"].as_str().unwrap().rsplit('/').next().unwrap()
}

async fn publish(who: &Person, key: &str, patient: &MemberId, upload: &str) -> Answer {
    let path = format!("/v1/links?patient={patient}&category=imaging&upload={upload}");
    who.request(Method::POST, &path, |request| request.header("Idempotency-Key", key)).await
}

async fn comes_to_open(who: &Person, link: &healthchain_rules::LinkId, record: &[u8]) {
    until("the record", || async {
        let opened = who.open(link, "treatment").await;
        if opened.body == record { Ok(()) } else { Err(format!("{} and {} bytes", opened.status, opened.body.len())) }
    })
    .await;
}

async fn a_scan_is_uploaded_over_a_line_that_breaks_again_and_again_and_opens_elsewhere(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let (folder, scan) = (tempfile::tempdir().unwrap(), scan(9_400_001));
    let file = folder.path().join("scan.dcm");
    std::fs::write(&file, &scan).unwrap();
    let told = upload(&hospital, &file, &[("CUTS", "[1000000, 4500000, 8000000]")]).await;
    assert_eq!(told["cuts"], 3, "{told}");
    let offsets = told["offsets"].as_array().unwrap();
    assert!(offsets.len() >= 3 && offsets.iter().all(Value::is_u64), "it asked where to go on: {told}");

    let key = Uuid::new_v4().to_string();
    let published = publish(&hospital, &key, patient.id(), id(&told)).await;
    assert_eq!(published.status, 201, "{}", published.text());
    let link = published.link();
    assert_eq!(published.json()["current"]["content"]["media_type"], "application/dicom");
    comes_to_open(&clinic, &link, &scan).await;
    let again = until("the same request", || async {
        let again = publish(&hospital, &key, patient.id(), id(&told)).await;
        if again.status == 200 { Ok(again) } else { Err(again.text()) }
    });
    assert_eq!(again.await.link(), link);
    let another = publish(&hospital, "another", patient.id(), id(&told)).await;
    assert_eq!(another.problem(), (409, "upload-used".to_owned()));
}

async fn an_upload_goes_on_where_it_was_when_the_gateway_is_killed_in_between(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let (folder, scan) = (tempfile::tempdir().unwrap(), scan(7_000_003));
    let file = folder.path().join("scan.dcm");
    std::fs::write(&file, &scan).unwrap();
    let first = upload(&hospital, &file, &[("STOP_AT", "3000000")]).await;
    let half = publish(&hospital, "half", patient.id(), id(&first)).await;
    assert_eq!(half.problem(), (409, "upload-incomplete".to_owned()));

    let gateway = world.component("gateway", world.organisation(PrimaryCare));
    assert!(world.network.kill(&gateway).await.unwrap());
    world.network.start(&gateway).await.unwrap();
    let second = upload(&hospital, &file, &[("UPLOAD", first["url"].as_str().unwrap())]).await;
    assert!(second["offsets"][0].as_u64().unwrap() >= 3_000_000, "{second}");
    assert_eq!(second["url"], first["url"]);
    let published = publish(&hospital, &Uuid::new_v4().to_string(), patient.id(), id(&first)).await;
    assert_eq!(published.status, 201, "{}", published.text());
    comes_to_open(&hospital, &published.link(), &scan).await;
}

async fn a_next_version_is_uploaded_bit_by_bit_and_an_upload_is_nobody_elses(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "imaging", b"the first version").await;
    let (folder, scan) = (tempfile::tempdir().unwrap(), scan(4_000_000));
    let file = folder.path().join("scan.dcm");
    std::fs::write(&file, &scan).unwrap();
    let told = upload(&hospital, &file, &[]).await;

    let colleague = world.person(PrimaryCare, PrivacyOfficer, 0);
    let theirs = publish(&colleague, "mine", patient.id(), id(&told)).await;
    assert_eq!(theirs.problem(), (404, "upload-unknown".to_owned()));
    let begun = patient.request(Method::POST, "/v1/uploads", |request| {
        let request = request.header("Tus-Resumable", "1.0.0").header("Upload-Length", 5);
        request.header("Upload-Metadata", "filetype dGV4dC9wbGFpbg==")
    });
    assert_eq!(begun.await.problem(), (403, "not-permitted".to_owned()));

    let path = format!("/v1/links/{link}/amendments?base_version=1&reason=sharper&upload={}", id(&told));
    let key = Uuid::new_v4().to_string();
    let proposed = hospital.request(Method::POST, &path, |request| request.header("Idempotency-Key", &key)).await;
    assert_eq!(proposed.status, 201, "{}", proposed.text());
    let approvals = format!("/v1/amendments/{}/approvals", proposed.json()["id"].as_str().unwrap());
    until("the approval", || async {
        let approved = clinic.post(&approvals, &serde_json::json!({})).await;
        if approved.is_success() { Ok(()) } else { Err(approved.text()) }
    })
    .await;
    comes_to_open(&clinic, &link, &scan).await;
}
