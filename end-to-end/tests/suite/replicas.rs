//! The clinic keeps copies of what the hospital publishes: they are read while the hospital's gateway is down, and go with what is erased.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthchain_end_to_end::{Answer, Person, World, until};
use healthchain_rules::{LinkId, OrganisationKind, Role};
use reqwest::{Method, RequestBuilder, header};
use serde_json::json;

crate::promises![STOPPING_PARTS:
    records_are_read_from_a_custodians_copies_while_their_publisher_is_down,
    a_copy_that_an_outage_delayed_is_made_and_goes_when_its_record_is_erased,
];

const MIB: usize = 1 << 20;

/// The hospital names these organisations as its custodians.
async fn name_custodians(world: &World, custodians: &[&str]) {
    let path = "/v1/organisations/HospitalMSP/custodians";
    let body = json!({ "custodians": custodians });
    let refused = world.hospital_clinician().request(Method::PUT, path, |request| request.json(&body)).await;
    assert_eq!(refused.problem(), (403, "not-permitted".to_owned()));
    let administrator = world.person(OrganisationKind::PrimaryCare, Role::Administrator, 0);
    let named = administrator.request(Method::PUT, path, |request| request.json(&body)).await;
    assert!(named.is_success(), "{}", named.text());
    until("the custodians", || async {
        let seen = world.payer_officer().get(path).await;
        assert!(seen.is_success(), "{}", seen.text());
        let named = &seen.json()["custodians"];
        if *named == body["custodians"] { Ok(()) } else { Err(named.to_string()) }
    })
    .await;
}

/// Bytes that no other record has.
fn record(length: usize) -> Vec<u8> {
    let mut bytes = uuid::Uuid::new_v4().as_bytes().to_vec();
    bytes.extend((bytes.len()..length).map(|index| (index / 7 + index / MIB) as u8));
    bytes
}

async fn publish(publisher: &Person, patient: &Person, record: &[u8]) -> LinkId {
    publisher.publish(patient.id(), "imaging", record).await
}

fn objects(store: &Path) -> BTreeSet<PathBuf> {
    std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The objects of the publisher's store, each with the copy in the custodian's store that has the same bytes.
async fn copies_of(originals: &[&PathBuf], store: &Path) -> Vec<PathBuf> {
    until("the copies", || async {
        let contents: Vec<_> =
            objects(store).into_iter().filter_map(|path| Some((std::fs::read(&path).ok()?, path))).collect();
        originals
            .iter()
            .map(|original| {
                let original = std::fs::read(original).unwrap();
                let copy = contents.iter().find(|(bytes, _)| *bytes == original);
                copy.map(|(_, path)| path.clone()).ok_or_else(|| "without a copy".to_owned())
            })
            .collect()
    })
    .await
}

async fn range(reader: &Person, opened: &Answer, first: usize, last: usize) -> Answer {
    let path = format!("/v1/openings/{}/content", opened.opening());
    let with = |request: RequestBuilder| request.header(header::RANGE, format!("bytes={first}-{last}"));
    reader.request(Method::GET, &path, with).await
}

/// The stores of the hospital and of the clinic.
fn stores(world: &World) -> [PathBuf; 2] {
    [OrganisationKind::PrimaryCare, OrganisationKind::SecondaryCare]
        .map(|kind| world.network.layout().organisation(&world.organisation(kind).name).records())
}

async fn records_are_read_from_a_custodians_copies_while_their_publisher_is_down(world: &Arc<World>) {
    name_custodians(world, &["ClinicMSP"]).await;
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    patient.permit(payer.access().msp_id.as_str(), "imaging", "payment").await;
    let (small, large) = (record(2000), record(3 * MIB + 17));
    let [store, copies] = stores(world);
    let before = objects(&store);
    let links = [publish(&hospital, &patient, &small).await, publish(&hospital, &patient, &large).await];
    let published = objects(&store);
    let originals: Vec<_> = published.difference(&before).collect();
    assert_eq!(originals.len(), 2, "{originals:?}");
    let copied = copies_of(&originals, &copies).await;
    assert!(copied.iter().zip(&originals).all(|(copy, original)| copy.file_name() != original.file_name()));

    let gateway = world.component("gateway", world.organisation(OrganisationKind::PrimaryCare));
    assert!(world.network.kill(&gateway).await.unwrap());
    for (link, record) in links.iter().zip([&small, &large]) {
        let opened = payer.open(link, "payment").await;
        assert_eq!(opened.status, 200, "{}", opened.text());
        assert!(opened.body == *record, "the record came back otherwise");
        let middle = record.len() / 2..record.len() / 2 + 100;
        let part = range(&payer, &opened, middle.start, middle.end - 1).await;
        assert_eq!(part.status, 206, "{}", part.text());
        assert!(part.body == record[middle]);
    }
    // The copy gives nothing to whom the ledger denies it.
    let denied = world.person(OrganisationKind::Payer, Role::PayerOfficer, 1).open(&links[0], "operations").await;
    assert_eq!(denied.status, 403, "{}", denied.text());
    world.network.start(&gateway).await.unwrap();

    name_custodians(world, &[]).await;
    until("what is struck off to be destroyed", || async {
        if copied.iter().any(|copy| copy.exists()) { Err("there".to_owned()) } else { Ok(()) }
    })
    .await;
    assert!(originals.iter().all(|original| original.exists()));
    until("the ledger to hear that the copies are destroyed", || async {
        let seen = hospital.get("/v1/organisations/HospitalMSP/custodians").await.json();
        let is_heard = seen["former"].is_null() && seen["cleared"]["ClinicMSP"].is_object();
        if is_heard { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
}

async fn a_copy_that_an_outage_delayed_is_made_and_goes_when_its_record_is_erased(world: &Arc<World>) {
    name_custodians(world, &["ClinicMSP"]).await;
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let [store, copies] = stores(world);
    let custodian = world.component("gateway", world.organisation(OrganisationKind::SecondaryCare));
    assert!(world.network.kill(&custodian).await.unwrap());
    let before = objects(&store);
    let record = record(2000);
    let link = publish(&hospital, &patient, &record).await;
    let published = objects(&store);
    let originals: Vec<_> = published.difference(&before).collect();
    world.network.start(&custodian).await.unwrap();
    let copy = copies_of(&originals, &copies).await.remove(0);

    let officer = world.person(OrganisationKind::PrimaryCare, Role::PrivacyOfficer, 0);
    let erasure = officer.post(&format!("/v1/links/{link}/erasure"), &json!({ "reason": "wrong patient" })).await;
    assert!(erasure.is_success(), "{}", erasure.text());
    assert_eq!(erasure.json()["copies"], json!({ "ClinicMSP": { "state": "ordered" } }));
    until("the receipt", || async {
        let receipt = patient.get(&format!("/v1/links/{link}/erasure-receipt")).await;
        assert!(receipt.is_success(), "{}", receipt.text());
        let receipt = receipt.json();
        let states = [&receipt["content"]["state"], &receipt["copies"]["ClinicMSP"]["state"]];
        if states.iter().all(|state| **state == "confirmed") { Ok(()) } else { Err(format!("{states:?}")) }
    })
    .await;
    assert!(!copy.exists() && originals.iter().all(|original| !original.exists()));
    name_custodians(world, &[]).await;
}
