//! Large records through everything: flat memory, ranges, and erasure to the last byte.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use healthchain_end_to_end::{Answer, Person, World, until};
use healthchain_rules::{OrganisationKind, Role};
use reqwest::{Method, RequestBuilder, header};
use serde_json::json;

crate::promises!(a_record_of_100_mib_is_shared_in_flat_memory, an_erased_record_is_gone_and_its_receipt_says_so);

const MIB: usize = 1 << 20;
/// Generous: a transfer needs a few copies of a part, and pieces of 6 MiB on the way to the store.
const GROWTH: usize = 32 * MIB;

/// Bytes of which no part is like another.
fn scan(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 + index / MIB) as u8).collect()
}

async fn publish(publisher: &Person, patient: &Person, record: Vec<u8>) -> Answer {
    let path = format!("/v1/links?patient={}&category=imaging", patient.id());
    let with = |request: RequestBuilder| {
        let request = request.header("Idempotency-Key", uuid::Uuid::new_v4().to_string());
        request.header(header::CONTENT_TYPE, "application/dicom").body(record)
    };
    let answer = publisher.request(Method::POST, &path, with).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer
}

/// Peak of the resident memory of an organisation's gateway, from the kernel.
fn peak(world: &World, kind: OrganisationKind) -> usize {
    let gateway = world.component("gateway", world.organisation(kind));
    let pid = world.network.pid(&gateway).expect("the gateway runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

async fn a_record_of_100_mib_is_shared_in_flat_memory(world: &Arc<World>) {
    let (hospital, clinic) = (world.hospital_clinician(), world.clinic_clinician());
    let patient = world.new_patient();
    // Whatever a gateway needs once is there after a record of a few parts.
    let small = publish(&hospital, &patient, scan(5 * MIB)).await.link();
    patient.permit(clinic.access().msp_id.as_str(), "imaging", "treatment").await;
    assert_eq!(clinic.open(&small, "treatment").await.status, 200);
    let kinds = [OrganisationKind::PrimaryCare, OrganisationKind::SecondaryCare];
    let before = kinds.map(|kind| peak(world, kind));

    let record = scan(100 * MIB + 17);
    let begun = std::time::Instant::now();
    let link = publish(&hospital, &patient, record.clone()).await.link();
    let published = begun.elapsed();
    let begun = std::time::Instant::now();
    let answer = clinic.open(&link, "treatment").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == record, "the record came back otherwise");
    let opened = begun.elapsed();
    for (kind, before) in kinds.into_iter().zip(before) {
        let after = peak(world, kind);
        let (before, after) = (before / 1024, after / 1024);
        println!("100 MiB record, gateway of {kind:?}: peak resident {before} KiB before, {after} KiB after");
        assert!(after.saturating_sub(before) < GROWTH / 1024, "{kind:?}: resident memory grew with the record");
    }
    println!("100 MiB record: published in {:.1} s, opened in {:.1} s", published.as_secs_f64(), opened.as_secs_f64());

    let content = format!("/v1/openings/{}/content", answer.opening());
    let middle = 50 * MIB - 3..50 * MIB + 4;
    let with =
        |request: RequestBuilder| request.header(header::RANGE, format!("bytes={}-{}", middle.start, middle.end - 1));
    let range = clinic.request(Method::GET, &content, with).await;
    assert_eq!(range.status, 206, "{}", range.text());
    assert!(range.body == record[middle]);
}

async fn an_erased_record_is_gone_and_its_receipt_says_so(world: &Arc<World>) {
    let clinic = world.clinic_clinician();
    let officer = world.person(OrganisationKind::SecondaryCare, Role::PrivacyOfficer, 0);
    let patient = world.new_patient();
    let organisation = world.organisation(OrganisationKind::SecondaryCare);
    let folder = world.network.layout().organisation(&organisation.name).records();
    // Others share small records at the same time.
    let large = || -> BTreeSet<PathBuf> {
        let objects = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        objects.filter(|path| path.metadata().is_ok_and(|object| object.len() > 3 << 20)).collect()
    };
    let before = large();
    let link = publish(&clinic, &patient, scan(3 * MIB)).await.link();
    let stored: Vec<_> = large().difference(&before).cloned().collect();
    assert_eq!(stored.len(), 1, "{stored:?}");

    let erasure =
        officer.post(&format!("/v1/links/{link}/erasure"), &json!({ "reason": "published by mistake" })).await;
    assert!(erasure.is_success(), "{}", erasure.text());
    until("the receipt", || async {
        let receipt = patient.get(&format!("/v1/links/{link}/erasure-receipt")).await;
        assert!(receipt.is_success(), "{}", receipt.text());
        let state = receipt.json()["content"]["state"].clone();
        if state == "confirmed" { Ok(()) } else { Err(state.to_string()) }
    })
    .await;
    assert!(!stored[0].exists());
    assert_ne!(clinic.open(&link, "treatment").await.status, 200);
}
