//! Proposing a link's next version.

use healthchain_gateway::ledger::LedgerFailure;
use healthchain_gateway::state::State;
use healthchain_gateway::use_cases::collect_records::{collect, learn};
use healthchain_gateway::{content::parts::Place, gateway::Gateway};
use healthchain_rules::{LedgerTime, Refusal, RefusalCode};
use serde_json::Value;

use super::ledger::{When, now};
use super::world::{Organisation, RECORD, World, answer, problem};

const SECOND: &str = r#"{"resourceType":"Bundle","type":"document"}"#;
const THIRD: &str = r#"{"resourceType":"Bundle","type":"history"}"#;
const WHY: &str = "base_version=1&reason=the%20unit%20was%20wrong";

async fn propose(of: &Organisation, link: &str, key: &str, query: &str, record: &'static str) -> reqwest::Response {
    let request = of.member().post(of.at(&format!("/v1/links/{link}/amendments?{query}")));
    let request = request.header("idempotency-key", key).header("content-type", "application/fhir+json");
    request.body(record).send().await.unwrap()
}

async fn proposed(world: &World, link: &str, key: &str) -> Value {
    let (status, amendment) = answer(propose(&world.hospital, link, key, WHY, SECOND).await).await;
    assert_eq!(status, 201, "{amendment}");
    amendment
}

fn id(amendment: &Value) -> &str {
    amendment["id"].as_str().unwrap()
}

fn stored(world: &World) -> usize {
    std::fs::read_dir(world.hospital.records()).unwrap().count()
}

fn soon() -> LedgerTime {
    LedgerTime::from_milliseconds(now().milliseconds() + 1000)
}

async fn opened(world: &World, link: &str) -> String {
    world.open(&world.hospital, link).await.text().await.unwrap()
}

#[tokio::test]
async fn a_proposed_version_is_stored_encrypted_and_opens_once_it_is_approved() {
    let world = World::new().await;
    let link = world.published().await;
    let response = propose(&world.hospital, &link, "a-1", WHY, SECOND).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, amendment) = answer(response).await;
    assert_eq!((status, location), (201, format!("/v1/amendments/{}", id(&amendment))));
    assert_eq!(amendment["version"]["number"], 2);
    assert_eq!(amendment["reason"], "the unit was wrong");
    assert_eq!((stored(&world), opened(&world, &link).await.as_str()), (2, RECORD));

    world.ledger.approve(id(&amendment));
    assert_eq!(opened(&world, &link).await, SECOND);
}

#[tokio::test]
async fn the_same_proposal_again_proposes_nothing_before_and_after_it_took_effect() {
    let world = World::new().await;
    let link = world.published().await;
    let first = proposed(&world, &link, "a-1").await;
    let again = answer(propose(&world.hospital, &link, "a-1", WHY, SECOND).await).await;
    assert_eq!(again, (200, first.clone()));
    world.ledger.approve(id(&first));
    let after = answer(propose(&world.hospital, &link, "a-1", WHY, SECOND).await).await;
    assert_eq!((after.0, id(&after.1)), (200, id(&first)));
    assert_eq!(stored(&world), 2);
}

#[tokio::test]
async fn the_same_key_with_another_version_reason_base_or_link_is_refused() {
    let world = World::new().await;
    let (link, other) = (world.published().await, world.publish("key-2", RECORD).await.1);
    proposed(&world, &link, "a-1").await;
    let other = other["id"].as_str().unwrap();
    let reason = "base_version=1&reason=another";
    let base = "base_version=2&reason=the%20unit%20was%20wrong";
    for (link, query, record) in
        [(link.as_str(), WHY, THIRD), (&link, reason, SECOND), (&link, base, SECOND), (other, WHY, SECOND)]
    {
        let response = propose(&world.hospital, link, "a-1", query, record).await;
        problem(response, 422, "idempotency-key-reused").await;
    }
    assert_eq!(world.ledger.state.lock().unwrap().amendments.len(), 1);
}

#[tokio::test]
async fn what_may_not_be_proposed_is_refused_before_it_is_stored() {
    let world = World::new().await;
    let link = world.published().await;
    let conflict = propose(&world.hospital, &link, "a-1", "base_version=2&reason=late", SECOND).await;
    problem(conflict, 409, "amendment-conflict").await;
    problem(propose(&world.hospital, "nowhere", "a-1", WHY, SECOND).await, 404, "unknown-link").await;
    problem(propose(&world.payer, &link, "a-1", WHY, SECOND).await, 404, "unknown-link").await;
    for query in ["base_version=1", "reason=why", "base_version=one&reason=why", "base_version=1&reason="] {
        problem(propose(&world.hospital, &link, "a-1", query, SECOND).await, 400, "malformed-query").await;
    }
    problem(propose(&world.hospital, &link, "", WHY, SECOND).await, 400, "idempotency-key-missing").await;
    problem(propose(&world.hospital, &link, "a-1", WHY, "").await, 400, "record-empty").await;
    assert_eq!(stored(&world), 1);
    assert_eq!(std::fs::read_dir(world.payer.records()).map_or(0, Iterator::count), 0);
}

#[tokio::test]
async fn of_two_proposals_with_one_key_the_slower_one_gives_the_faster_ones_amendment() {
    let world = World::new().await;
    let link = world.published().await;
    let first = proposed(&world, &link, "a-1").await;
    // The second looks before the first has proposed, and is told all is well; then it finds the id taken.
    let refused = |code| {
        let (status, message) = Refusal::new(code, "said by the test").into();
        LedgerFailure::Refused { status: i32::from(status), message }
    };
    for (record, status) in [(SECOND, 200), (THIRD, 422)] {
        world.ledger.fail_next("Amendments:amendment", When::Before, refused(RefusalCode::UnknownAmendment));
        world.ledger.fail_next("Amendments:propose", When::Before, refused(RefusalCode::EnvelopeMissing));
        let answered = answer(propose(&world.hospital, &link, "a-1", WHY, record).await).await;
        assert_eq!(answered.0, status, "{}", answered.1);
        assert!(status != 200 || id(&answered.1) == id(&first));
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_commit_is_found_by_the_same_proposal() {
    let world = World::new().await;
    let link = world.published().await;
    let lost = || LedgerFailure::OutcomeUnknown { transaction: "ab".into(), reason: "lost".into() };
    // The first call only asks.
    let refused: (u16, String) = Refusal::new(RefusalCode::EnvelopeMissing, "said by the test").into();
    let asked = LedgerFailure::Refused { status: i32::from(refused.0), message: refused.1 };
    world.ledger.fail_next("Amendments:propose", When::Before, asked);
    world.ledger.fail_next("Amendments:propose", When::After, lost());
    let response = propose(&world.hospital, &link, "a-1", WHY, SECOND).await;
    problem(response, 504, "commit-outcome-unknown").await;
    assert_eq!(propose(&world.hospital, &link, "a-1", WHY, SECOND).await.status(), 200);
}

#[tokio::test]
async fn a_version_is_kept_while_it_waits_and_collected_when_it_is_rejected() {
    let world = World::new().await;
    let link = world.published().await;
    let (kept, rejected) = (proposed(&world, &link, "a-1").await, proposed(&world, &link, "a-2").await);
    collect(&world.hospital.gateway, soon()).await.unwrap();
    assert_eq!(stored(&world), 3, "both may still be approved");

    world.ledger.reject(id(&rejected));
    collect(&world.hospital.gateway, soon()).await.unwrap();
    assert_eq!(stored(&world), 2);
    world.ledger.approve(id(&kept));
    assert_eq!(opened(&world, &link).await, SECOND);
}

/// A transaction's time may lag behind: what was decided in the last moment may come late.
#[tokio::test]
async fn a_version_that_nobody_decided_on_in_time_is_collected_a_while_later() {
    let world = World::new().await;
    let link = world.published().await;
    let amendment = proposed(&world, &link, "a-1").await;
    let until = LedgerTime::from_milliseconds(now().milliseconds() - 1);
    world.ledger.state.lock().unwrap().amendments.get_mut(&id(&amendment).parse().unwrap()).unwrap().until = until;
    collect(&world.hospital.gateway, until).await.unwrap();
    assert_eq!(stored(&world), 2);
    collect(&world.hospital.gateway, soon()).await.unwrap();
    assert_eq!(stored(&world), 1);
}

#[tokio::test]
async fn of_two_versions_in_conflict_the_one_that_lost_is_collected() {
    let world = World::new().await;
    let link = world.published().await;
    let (won, _) = (proposed(&world, &link, "a-1").await, proposed(&world, &link, "a-2").await);
    world.ledger.approve(id(&won));
    let place = link.parse().unwrap();
    learn(&world.hospital.gateway, Place { link: &place, version: 2 }).await.unwrap();
    collect(&world.hospital.gateway, soon()).await.unwrap();
    assert_eq!(stored(&world), 2);
    assert_eq!(opened(&world, &link).await, SECOND);
}

/// Nobody can tell any more what was proposed: saying that it was the same would be a guess.
#[tokio::test]
async fn after_the_state_was_lost_a_waiting_proposal_is_not_taken_for_the_same() {
    let world = World::new().await;
    let link = world.published().await;
    let first = proposed(&world, &link, "a-1").await;
    let state = State::in_memory().await.unwrap();
    let twin = world.hospital.twin(|gateway: &mut Gateway| gateway.state = state).await;
    let send = || {
        let request = world.hospital.member().post(twin.at(&format!("/v1/links/{link}/amendments?{WHY}")));
        let request = request.header("idempotency-key", "a-1").header("content-type", "application/fhir+json");
        request.body(SECOND).send()
    };
    problem(send().await.unwrap(), 422, "idempotency-key-reused").await;
    world.ledger.approve(id(&first));
    assert_eq!(send().await.unwrap().status(), 200, "the ledger tells it once it took effect");
}
