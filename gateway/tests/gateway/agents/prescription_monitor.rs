//! What the prescription monitor counts, what it leaves out, and when it stops.

use std::time::Duration;

use healthchain_gateway::agents::prescription_monitor::PrescriptionMonitor;
use healthchain_gateway::ledger::LedgerFailure;
use healthchain_rules::RefusalCode;
use serde_json::{Value, json};

use super::super::ledger::{When, now, refused};
use super::super::world::World;
use super::{AGENT, at_work, until, world};

const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const AMOXICILLIN: &str = "308182";
const OXYCODONE: &str = "1049221";

fn monitor() -> PrescriptionMonitor {
    let settings = json!({
        "member": AGENT, "measure": "antibiotics-and-opioids", "region": "US-MA", "wait_days": 0, "max_bytes": 100_000,
        "check_seconds": 1,
    });
    PrescriptionMonitor::new(serde_json::from_value(settings).unwrap())
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
    world
}

/// A bundle of visits in a month, each with what was prescribed at it.
fn bundle(month: &str, visits: &[(&str, &[&str])]) -> String {
    let entries = visits.iter().flat_map(|(visit, drugs)| {
        let encounter = json!({ "fullUrl": visit, "resource": {
            "resourceType": "Encounter", "status": "finished", "period": { "start": format!("{month}-03T10:00:00Z") },
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
    let hospital = &world.hospital;
    let request = hospital.member().post(hospital.at(&format!("/v1/links?patient=anna&category={category}")));
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
