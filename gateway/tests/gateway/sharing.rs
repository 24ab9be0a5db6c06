use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::ledger::LedgerFailure;
use healthchain_gateway::state::State;
use healthchain_rules::{Holder, Refusal, RefusalCode};

use super::ledger::When;
use super::world::{RECORD, World, answer, problem};

const OTHER: &str = r#"{"resourceType":"Bundle","type":"document"}"#;

fn unknown() -> LedgerFailure {
    LedgerFailure::OutcomeUnknown { transaction: "ab".into(), reason: "the connection was lost".into() }
}

/// Publishes as [`World::publish`] does, and gives the answer as it is.
async fn publish(world: &World, key: &str, record: &'static str, category: &str) -> reqwest::Response {
    let path = format!("/v1/links?patient=anna&category={category}");
    let request = world.hospital.member().post(world.hospital.at(&path));
    let request = request.header("idempotency-key", key).header("content-type", "application/fhir+json");
    request.body(record).send().await.unwrap()
}

#[tokio::test]
async fn a_published_record_is_stored_encrypted_and_sealed_to_the_recipients() {
    let world = World::new().await;
    world.entitle_payer_at_publication();
    let response = publish(&world, "key-1", RECORD, "summary").await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, link) = answer(response).await;
    assert_eq!((status, location), (201, format!("/v1/links/{}", link["id"].as_str().unwrap())));

    let stored = std::fs::read_to_string(world.hospital.record()).unwrap();
    assert!(stored.starts_with("eyJ") && !stored.contains("Bundle"));
    let hash = hex::encode(openssl::sha::sha256(stored.as_bytes()));
    assert_eq!(link["current"]["content"]["hash"], hash);
    assert_ne!(world.hospital.record().file_name().unwrap().to_str(), Some(hash.as_str()));
    let state = world.ledger.state.lock().unwrap();
    let holders: Vec<_> = state.envelopes.iter().map(|(_, envelope)| envelope.holder.clone()).collect();
    let organisations = [&world.hospital, &world.payer].map(|one| Holder::Organisation(one.msp_id.clone()));
    assert_eq!(holders, organisations);
}

#[tokio::test]
async fn the_same_request_again_publishes_nothing_and_gives_the_same_link() {
    let world = World::new().await;
    let first = world.publish("key-1", RECORD).await;
    let again = world.publish("key-1", RECORD).await;
    assert_eq!((first.0, again.0), (201, 200));
    assert_eq!(first.1, again.1);
    assert_eq!(world.ledger.called("Links:publish"), 1);
    assert_eq!(std::fs::read_dir(world.hospital.records()).unwrap().count(), 1);
}

#[tokio::test]
async fn another_key_publishes_another_link() {
    let world = World::new().await;
    let (first, second) = (world.publish("key-1", RECORD).await, world.publish("key-2", RECORD).await);
    assert_eq!((first.0, second.0), (201, 201));
    assert_ne!(first.1["id"], second.1["id"]);
}

#[tokio::test]
async fn the_same_key_with_another_record_or_category_is_refused() {
    let world = World::new().await;
    world.published().await;
    problem(publish(&world, "key-1", OTHER, "summary").await, 422, "idempotency-key-reused").await;
    problem(publish(&world, "key-1", RECORD, "claim").await, 422, "idempotency-key-reused").await;
    assert_eq!(world.ledger.called("Links:publish"), 1);
}

#[tokio::test]
async fn an_answer_lost_after_the_commit_is_found_by_the_same_request() {
    let world = World::new().await;
    world.ledger.fail_next("Links:publish", When::After, unknown());
    let lost = problem(publish(&world, "key-1", RECORD, "summary").await, 504, "commit-outcome-unknown").await;
    assert!(lost["detail"].as_str().unwrap().contains("Idempotency-Key"), "{lost}");
    assert_eq!(world.publish("key-1", RECORD).await.0, 200);
    assert_eq!(world.ledger.state.lock().unwrap().links.len(), 1);
}

#[tokio::test]
async fn an_answer_lost_before_the_commit_is_published_by_the_same_request() {
    let world = World::new().await;
    world.ledger.fail_next("Links:publish", When::Before, unknown());
    problem(publish(&world, "key-1", RECORD, "summary").await, 504, "commit-outcome-unknown").await;
    assert_eq!(world.publish("key-1", RECORD).await.0, 201);
    assert_eq!(world.ledger.state.lock().unwrap().links.len(), 1);
}

#[tokio::test]
async fn after_the_state_was_lost_the_same_request_finds_its_link_on_the_ledger_and_the_record_opens() {
    let world = World::new().await;
    let link = world.published().await;
    let state = State::in_memory().await.unwrap();
    let twin = world.hospital.twin(|gateway: &mut Gateway| gateway.state = state).await;
    let send = |record: &'static str| {
        let request = world.hospital.member().post(twin.at("/v1/links?patient=anna&category=summary"));
        let request = request.header("idempotency-key", "key-1").header("content-type", "application/fhir+json");
        request.body(record).send()
    };
    let (status, again) = answer(send(RECORD).await.unwrap()).await;
    assert_eq!((status, again["id"].as_str()), (200, Some(link.as_str())), "{again}");
    problem(send(OTHER).await.unwrap(), 422, "idempotency-key-reused").await;
    assert_eq!(world.ledger.state.lock().unwrap().links.len(), 1);

    let opening = world.hospital.member().post(twin.at(&format!("/v1/links/{link}/openings")));
    let opened = opening.json(&serde_json::json!({ "purpose": "treatment" })).send().await.unwrap();
    assert_eq!(opened.text().await.unwrap(), RECORD);
}

#[tokio::test]
async fn of_two_requests_with_one_key_the_slower_one_gives_the_link_of_the_faster() {
    let world = World::new().await;
    assert_eq!(world.publish("key-1", RECORD).await.0, 201);
    // The second looked before the first had published, and now finds the id taken.
    world.ledger.fail_next("Links:link", When::Before, refused(RefusalCode::UnknownLink));
    assert_eq!(world.publish("key-1", RECORD).await.0, 200);
    world.ledger.fail_next("Links:link", When::Before, refused(RefusalCode::UnknownLink));
    problem(publish(&world, "key-1", OTHER, "summary").await, 422, "idempotency-key-reused").await;
    assert_eq!(world.ledger.state.lock().unwrap().links.len(), 1);
}

#[tokio::test]
async fn what_the_ledger_could_not_do_is_told_apart() {
    let world = World::new().await;
    for (failure, status, code, retry) in [
        (LedgerFailure::Unreachable("127.0.0.1:7051 refused".into()), 503, "peer-unavailable", true),
        (LedgerFailure::ChaincodeUnavailable("at 127.0.0.1".into()), 503, "chaincode-unavailable", true),
        (LedgerFailure::TooFewPeers("at 127.0.0.1".into()), 503, "endorsers-unavailable", true),
        (LedgerFailure::Conflict, 503, "commit-conflict", true),
        (unknown(), 504, "commit-outcome-unknown", true),
        (LedgerFailure::Failed("payloads do not match".into()), 502, "ledger-failed", false),
        (LedgerFailure::Refused { status: 500, message: "panic at …".into() }, 502, "ledger-unintelligible", false),
        (refused(RefusalCode::UnknownPatient), 404, "unknown-patient", false),
        (refused(RefusalCode::NotPermitted), 403, "not-permitted", false),
        (refused(RefusalCode::MemberSuspended), 403, "member-suspended", false),
    ] {
        world.ledger.fail_next("Links:publish", When::Before, failure);
        let response = publish(&world, "key-1", RECORD, "summary").await;
        assert_eq!(response.headers().contains_key("retry-after"), retry, "{code}");
        let problem = problem(response, status, code).await;
        for inside in ["127.0.0.1", "payloads", "panic"] {
            assert!(!problem["detail"].as_str().unwrap().contains(inside), "{problem}");
        }
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_told_and_nothing_is_published() {
    let world = World::new().await;
    std::fs::remove_dir(world.hospital.records()).unwrap();
    std::fs::write(world.hospital.records(), "a file where the folder was").unwrap();
    let response = publish(&world, "key-1", RECORD, "summary").await;
    assert!(response.headers().contains_key("retry-after"));
    problem(response, 503, "record-store-unavailable").await;
    assert_eq!(world.ledger.called("Links:publish"), 0);
}

#[tokio::test]
async fn a_recipient_whose_key_is_no_point_on_the_curve_is_named() {
    let world = World::new().await;
    {
        let mut state = world.ledger.state.lock().unwrap();
        let public_key = String::from(state.recipients[0].key.public_key.clone());
        state.recipients[0].key.public_key = format!("{}AAAA==", &public_key[..118]).parse().unwrap();
    }
    let refused = problem(publish(&world, "key-1", RECORD, "summary").await, 502, "recipient-key-unusable").await;
    assert!(refused["detail"].as_str().unwrap().contains("HospitalMSP"), "{refused}");
}

fn refused(code: RefusalCode) -> LedgerFailure {
    let (status, message) = Refusal::new(code, "said by the test").into();
    LedgerFailure::Refused { status: i32::from(status), message }
}
