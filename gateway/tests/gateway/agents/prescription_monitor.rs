//! What the prescription monitor counts, what it leaves out, and when it stops.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use healthchain_gateway::agents::prescription_monitor::PrescriptionMonitor;
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::keeper;
use healthchain_gateway::ledger::{LedgerFailure, Position};
use healthchain_gateway::records::{NewRecord, Records, RecordsError, StoredBytes};
use healthchain_gateway::state::checkpoint;
use healthchain_rules::RefusalCode;
use serde_json::{Value, json};

use super::super::ledger::{When, now, refused};
use super::super::world::World;
use super::{AGENT, a_while, at_work, at_work_as, until, world};

const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const AMOXICILLIN: &str = "562251";
const OXYCODONE: &str = "1049221";

fn monitor() -> PrescriptionMonitor {
    monitor_with(json!({}))
}

fn monitor_with(change: Value) -> PrescriptionMonitor {
    let mut settings = json!({
        "member": AGENT, "measure": "antibiotics-and-opioids", "region": "US-MA", "wait_days": 0, "max_bytes": 100_000,
        "check_seconds": 1,
    });
    settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    PrescriptionMonitor::new(serde_json::from_value(settings).unwrap()).unwrap()
}

/// The month before the present one, `YYYY-MM`.
fn last_month() -> String {
    let now = time::OffsetDateTime::from_unix_timestamp((now().milliseconds() / 1000) as i64).unwrap();
    let before = now.replace_day(1).unwrap() - time::Duration::days(1);
    format!("{:04}-{:02}", before.year(), u8::from(before.month()))
}

/// The ledger has a measure that begins with the last month.
async fn with_measure() -> World {
    let world = world().await;
    let measure = json!({
        "id": "antibiotics-and-opioids", "by": "max", "defined": 1,
        "terms": {
            "title": "antibiotics-and-opioids", "denominator": "visits", "per": 1000, "classes": ["J01", "N02A"],
            "regions": ["US-MA", "US-NY"], "from": last_month(), "epsilon_budget": 1000,
        },
    });
    let contribution = json!({
        "measure": "antibiotics-and-opioids", "period": last_month(), "organisation": "HospitalMSP", "at": 1,
        "counts": [{ "class": "J01", "region": "US-MA", "numerator": 0, "denominator": 0 }],
    });
    {
        let mut state = world.ledger.state.lock().unwrap();
        state.answers.insert("Statistics:measures".into(), json!([measure]));
        state.answers.insert("Statistics:contribute".into(), contribution);
    }
    keeper_has_read(&world, 0).await;
    world
}

/// The gateway's keeper has read the ledger to this block.
async fn keeper_has_read(world: &World, block: u64) {
    let position = Position { block, transaction: "ab".into() };
    checkpoint::save(&world.hospital.gateway.state, keeper::READER, &position).await.unwrap();
}

/// A store of records that cannot be reached.
struct Away;

fn away<T: Send + 'static>() -> BoxFuture<'static, Result<T, RecordsError>> {
    async { Err(RecordsError::Unavailable("down".into())) }.boxed()
}

impl Records for Away {
    fn create(&self, _: &str) -> Box<dyn NewRecord> {
        unreachable!("the monitor writes nothing")
    }

    fn fetch<'a>(&'a self, _: &'a str, _: Option<Range<u64>>) -> BoxFuture<'a, Result<StoredBytes, RecordsError>> {
        away()
    }

    fn holds<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<bool, RecordsError>> {
        away()
    }

    fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), RecordsError>> {
        away()
    }

    fn list(&self) -> BoxStream<'_, Result<String, RecordsError>> {
        away().into_stream().boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), RecordsError>> {
        away()
    }
}

/// A bundle of visits in a month, each with what was prescribed at it.
fn bundle(month: &str, visits: &[(&str, &[&str])]) -> String {
    let entries = visits.iter().flat_map(|(visit, drugs)| {
        let identifier = json!([{ "system": "https://hospital.example/visits", "value": visit }]);
        let encounter = json!({ "fullUrl": visit, "resource": {
            "resourceType": "Encounter", "identifier": identifier, "status": "finished", "period": { "start": format!("{month}-03T10:00:00Z") },
        } });
        let prescribed = drugs.iter().map(move |drug| {
            json!({ "resource": {
                "resourceType": "MedicationRequest", "status": "active", "intent": "order",
                "encounter": { "reference": visit },
                "medicationCodeableConcept": { "coding": [{ "system": RXNORM, "code": drug }] },
            } })
        });
        std::iter::once(encounter).chain(prescribed).collect::<Vec<_>>()
    });
    json!({ "resourceType": "Bundle", "entry": entries.collect::<Vec<_>>() }).to_string()
}

async fn publish(world: &World, category: &str, media_type: &str, record: String) {
    publish_of(world, ("anna", category), media_type, record).await;
}

async fn publish_of(world: &World, (patient, category): (&str, &str), media_type: &str, record: String) {
    let hospital = &world.hospital;
    let request = hospital.member().post(hospital.at(&format!("/v1/links?patient={patient}&category={category}")));
    let key = uuid::Uuid::new_v4().to_string();
    let request = request.header("idempotency-key", key).header("content-type", media_type).body(record);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
}

async fn publish_bundle(world: &World, month: &str, visits: &[(&str, &[&str])]) {
    publish(world, "encounter-note", "application/fhir+json", bundle(month, visits)).await;
}

fn contributions(world: &World) -> usize {
    world.ledger.called("Statistics:contribute")
}

async fn contributed(world: &World) -> Value {
    until("the contribution", async || contributions(world) > 0).await;
    world.ledger.argument_of("Statistics:contribute")
}

fn counts(visits: u64, antibiotics: u64, opioids: u64) -> Value {
    let cell =
        |class, numerator| json!({ "class": class, "region": "US-MA", "numerator": numerator, "denominator": visits });
    json!([cell("J01", antibiotics), cell("N02A", opioids)])
}

#[tokio::test]
async fn a_month_that_is_over_is_counted_and_contributed_once() {
    let world = with_measure().await;
    let month = last_month();
    publish_bundle(
        &world,
        &month,
        &[("urn:v1", &[AMOXICILLIN, AMOXICILLIN]), ("urn:v2", &[]), ("urn:v3", &[OXYCODONE])],
    )
    .await;
    // Once more in another record, with one visit that is new and one of another month.
    publish_bundle(&world, &month, &[("urn:v1", &[AMOXICILLIN, OXYCODONE]), ("urn:v4", &["313782"])]).await;
    publish_bundle(&world, "2020-02", &[("urn:v5", &[AMOXICILLIN])]).await;
    let at_work_once = at_work(&world, monitor());
    let sent = contributed(&world).await;
    assert_eq!(sent["period"], month);
    assert_eq!(sent["cells"], counts(4, 1, 2));
    drop(at_work_once);

    let _at_work = at_work(&world, monitor());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(contributions(&world), 1);
}

/// A bundle without the identifiers of its visits.
fn without_identifiers(bundle: &str) -> String {
    let mut bundle: Value = serde_json::from_str(bundle).unwrap();
    for entry in bundle["entry"].as_array_mut().unwrap() {
        entry["resource"].as_object_mut().unwrap().remove("identifier");
    }
    bundle.to_string()
}

#[tokio::test]
async fn the_same_name_within_two_records_or_of_two_patients_is_two_visits() {
    let world = with_measure().await;
    let month = last_month();
    let in_record = without_identifiers(&bundle(&month, &[("Encounter/1", &[AMOXICILLIN])]));
    let address = without_identifiers(&bundle(&month, &[("https://h.example/Encounter/2", &[])]));
    let identified = bundle(&month, &[("urn:v3", &[OXYCODONE])]);
    for patient in ["anna", "ben"] {
        for record in [&in_record, &address, &identified] {
            for _ in 0..2 {
                let of = (patient, "encounter-note");
                publish_of(&world, of, "application/fhir+json", record.clone()).await;
            }
        }
    }
    let _at_work = at_work(&world, monitor());
    // For each patient two that are known in their records only, and once each what is known everywhere.
    assert_eq!(contributed(&world).await["cells"], counts(8, 4, 2));
}

#[tokio::test]
async fn drugs_of_a_sites_own_table_count_too() {
    let world = with_measure().await;
    let map = world.hospital.folder.path().join("own.csv");
    std::fs::write(&map, "1,N02AX02,a drug of ours\n").unwrap();
    publish_bundle(&world, &last_month(), &[("urn:v1", &["1"]), ("urn:v2", &[AMOXICILLIN])]).await;
    let _at_work = at_work(&world, monitor_with(json!({ "rxnorm_map": map })));
    assert_eq!(contributed(&world).await["cells"], counts(2, 1, 1));
}

#[tokio::test]
async fn what_is_restricted_or_not_understood_is_left_out_and_stops_nothing() {
    let world = with_measure().await;
    let month = last_month();
    let counted = || bundle(&month, &[("urn:v1", &[AMOXICILLIN])]);
    publish(&world, "restricted", "application/fhir+json", bundle(&month, &[("urn:v2", &[AMOXICILLIN])])).await;
    publish(&world, "encounter-note", "text/plain", bundle(&month, &[("urn:v3", &[AMOXICILLIN])])).await;
    for malformed in ["{", "[]", r#"{"resourceType":"Patient"}"#] {
        publish(&world, "encounter-note", "application/fhir+json", malformed.to_owned()).await;
    }
    let large = format!("{}{}", bundle(&month, &[("urn:v4", &[AMOXICILLIN])]), " ".repeat(200_000));
    publish(&world, "encounter-note", "application/fhir+json", large).await;
    let lost = bundle(&month, &[("urn:v5", &[AMOXICILLIN])]);
    publish(&world, "encounter-note", "application/fhir+json", lost).await;
    let before: Vec<_> =
        std::fs::read_dir(world.hospital.records()).unwrap().map(|file| file.unwrap().path()).collect();
    publish(&world, "encounter-note", "application/fhir+json", counted()).await;
    // One of the records is gone from the store: the last that was published before the one that counts.
    let newest = before.iter().max_by_key(|file| file.metadata().unwrap().modified().unwrap()).unwrap();
    std::fs::remove_file(newest).unwrap();
    let _at_work = at_work(&world, monitor());
    assert_eq!(contributed(&world).await["cells"], counts(1, 1, 0));
}

#[tokio::test]
async fn a_stopped_agent_reads_and_contributes_nothing_until_the_ledger_lets_it() {
    let world = with_measure().await;
    publish_bundle(&world, &last_month(), &[("urn:v1", &[AMOXICILLIN])]).await;
    world.ledger.refuse_member(AGENT, Some(RefusalCode::AgentNotPermitted));
    let before = world.ledger.called("Links:link");
    let _at_work = at_work(&world, monitor());
    until("it asks", async || world.ledger.called("Statistics:measures") > 1).await;
    assert_eq!((world.ledger.called("Links:link") - before, contributions(&world)), (0, 0));
    world.ledger.refuse_member(AGENT, None);
    assert_eq!(contributed(&world).await["cells"], counts(1, 1, 0));
}

#[tokio::test]
async fn a_pass_goes_on_where_it_was_and_counts_nothing_twice() {
    let world = with_measure().await;
    for visit in 0..25 {
        let name = format!("urn:v{visit}");
        publish_bundle(&world, &last_month(), &[(name.as_str(), &[AMOXICILLIN])]).await;
    }
    world.ledger.fail_next("Statistics:contribute", When::Before, refused(RefusalCode::AgentNotPermitted));
    let before = world.ledger.called("Links:link");
    let _at_work = at_work(&world, monitor());
    until("the contribution", async || contributions(&world) == 2).await;
    assert_eq!(world.ledger.argument_of("Statistics:contribute")["cells"], counts(25, 25, 0));
    assert_eq!(world.ledger.called("Links:link") - before, 25, "each record is read once");
}

#[tokio::test]
async fn after_a_loss_of_the_state_nothing_is_counted_before_all_records_are_known_again() {
    let world = with_measure().await;
    publish_bundle(&world, &last_month(), &[("v1", &[AMOXICILLIN])]).await;
    checkpoint::forget(&world.hospital.gateway.state, keeper::READER).await.unwrap();
    let _working = at_work(&world, monitor());
    a_while().await;
    assert_eq!(contributions(&world), 0);
    world.ledger.state.lock().unwrap().height = 1000;
    keeper_has_read(&world, 500).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(contributions(&world), 0);
    keeper_has_read(&world, 999).await;
    until("the contribution", async || contributions(&world) == 1).await;
    assert_eq!(contributed(&world).await["cells"], counts(1, 1, 0));
}

#[tokio::test]
async fn counts_that_stand_already_are_not_sent_again() {
    let world = with_measure().await;
    publish_bundle(&world, &last_month(), &[("urn:v1", &[AMOXICILLIN])]).await;
    world.ledger.fail_next("Statistics:contribute", When::Before, refused(RefusalCode::ContributionExists));
    let _at_work = at_work(&world, monitor());
    until("the contribution", async || contributions(&world) == 1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(contributions(&world), 1);
}

#[tokio::test]
async fn a_peer_that_was_away_costs_no_visit() {
    let world = with_measure().await;
    publish_bundle(&world, &last_month(), &[("urn:v1", &[AMOXICILLIN])]).await;
    world.ledger.fail_next("Links:link", When::Before, LedgerFailure::Unreachable("down".into()));
    world.ledger.fail_next("Links:custodianEnvelope", When::Before, LedgerFailure::Unreachable("down".into()));
    let _at_work = at_work(&world, monitor());
    assert_eq!(contributed(&world).await["cells"], counts(1, 1, 0));
}

#[tokio::test]
async fn a_store_that_was_away_costs_no_visit() {
    let world = with_measure().await;
    publish_bundle(&world, &last_month(), &[("urn:v1", &[AMOXICILLIN])]).await;
    let gateway = &world.hospital.gateway;
    let without_store = Arc::new(Gateway { records: Arc::new(Away), ..Gateway::clone(gateway) });
    let before = world.ledger.called("Links:link");
    let at_work_without_store = at_work_as(&without_store, AGENT, monitor());
    until("it tries again", async || world.ledger.called("Links:link") > before + 2).await;
    assert_eq!(contributions(&world), 0);
    drop(at_work_without_store);

    let _at_work = at_work(&world, monitor());
    assert_eq!(contributed(&world).await["cells"], counts(1, 1, 0));
}

#[tokio::test]
async fn a_month_without_a_visit_is_not_contributed() {
    let world = with_measure().await;
    publish_bundle(&world, "2020-02", &[("urn:v1", &[AMOXICILLIN])]).await;
    let before = world.ledger.called("Links:link");
    let read = || world.ledger.called("Links:link") - before;
    let _at_work = at_work(&world, monitor());
    until("the record is read", async || read() == 1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!((read(), contributions(&world)), (1, 0), "and nothing is counted again");
}
