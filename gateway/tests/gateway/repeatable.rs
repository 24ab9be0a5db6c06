//! Writes that are repeated, and writes that nobody waits for.

use std::time::Duration;

use healthchain_gateway::ledger::LedgerFailure;
use healthchain_gateway::state::answers;
use healthchain_rules::{LedgerTime, Refusal, RefusalCode};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::ledger::{When, now};
use super::world::{World, answer, problem};

const WITHDRAWAL: &str = "/v1/links/l1/withdrawal";
const WITHDRAW: &str = "Links:withdraw";

/// Withdraws a link.
async fn withdraw(world: &World, client: &Client, headers: &[(&str, &str)], reason: &str) -> Response {
    let mut request = client.post(world.hospital.at(WITHDRAWAL)).json(&json!({"reason": reason}));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

const KEY: (&str, &str) = ("idempotency-key", "key-1");
const ASYNC: (&str, &str) = ("prefer", "respond-async");

fn is_replayed(response: &Response) -> bool {
    response.headers().get("idempotency-replayed").is_some_and(|value| value == "true")
}

async fn job(world: &World, client: &Client, location: &str) -> Value {
    let (status, job) = answer(client.get(world.hospital.at(location)).send().await.unwrap()).await;
    assert_eq!(status, 200, "{job}");
    job
}

/// The job when it does not run any more.
async fn ended(world: &World, client: &Client, location: &str) -> Value {
    for _ in 0..500 {
        let job = job(world, client, location).await;
        if job["status"] != "running" {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job does not end");
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    response.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_repeated_write_is_carried_out_once_and_answered_the_same() {
    let world = World::new().await;
    let member = world.hospital.member();
    let body = json!({"patient": "anna", "kind": "document", "hash": "ab".repeat(32), "bill_to": "organisation"});
    let notarize = || member.post(world.hospital.at("/v1/notarizations")).header(KEY.0, KEY.1).json(&body).send();
    let (first, second) = (notarize().await.unwrap(), notarize().await.unwrap());
    assert!(!is_replayed(&first) && is_replayed(&second));
    for header in ["location", "content-type"] {
        assert_eq!(first.headers()[header], second.headers()[header]);
    }
    assert_eq!(answer(first).await, answer(second).await);
    assert_eq!(world.ledger.called("Notarizations:notarize"), 1);
}

#[tokio::test]
async fn without_a_key_each_write_reaches_the_ledger() {
    let world = World::new().await;
    for _ in 0..2 {
        assert!(!is_replayed(&withdraw(&world, &world.hospital.member(), &[], "wrong").await));
    }
    assert_eq!(world.ledger.called(WITHDRAW), 2);
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_member_on_one_route() {
    let world = World::new().await;
    let member = world.hospital.member();
    assert_eq!(withdraw(&world, &member, &[KEY], "wrong").await.status(), 200);
    problem(withdraw(&world, &member, &[KEY], "right").await, 422, "idempotency-key-reused").await;
    problem(withdraw(&world, &member, &[KEY, ("if-match", "*")], "wrong").await, 422, "idempotency-key-reused").await;

    let yang = world.colleague().await;
    let other = withdraw(&world, &yang, &[KEY], "right").await;
    assert!(other.status() == 200 && !is_replayed(&other), "another member's key");
    assert_eq!(world.ledger.called(WITHDRAW), 2);
    let erasure = member.post(world.hospital.at("/v1/links/l1/erasure")).header(KEY.0, KEY.1);
    let other = erasure.json(&json!({"reason": "wrong"})).send().await.unwrap();
    assert!(!is_replayed(&other), "another route's key");
}

#[tokio::test]
async fn a_write_under_way_is_not_begun_again_and_not_given_up_when_its_caller_leaves() {
    let world = World::new().await;
    let member = world.hospital.member();
    let let_go = world.ledger.hold(WITHDRAW);
    let first = tokio::time::timeout(Duration::from_millis(500), withdraw(&world, &member, &[KEY], "wrong")).await;
    assert!(first.is_err(), "its caller has left");

    let second = withdraw(&world, &member, &[KEY], "wrong").await;
    assert_eq!(second.headers()["retry-after"], "1");
    problem(second, 409, "idempotency-key-in-use").await;
    problem(withdraw(&world, &member, &[KEY], "right").await, 422, "idempotency-key-reused").await;
    let_go.add_permits(1);
    for _ in 0..500 {
        let repeated = withdraw(&world, &member, &[KEY], "wrong").await;
        if repeated.status() == 200 {
            assert!(is_replayed(&repeated));
            assert_eq!(world.ledger.called(WITHDRAW), 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the first request was given up");
}

#[tokio::test]
async fn what_each_repetition_would_make_anew_needs_a_key() {
    let world = World::new().await;
    let member = world.hospital.member();
    let declaration = json!({"patient": "anna", "reason": "unconscious"});
    let declare = || member.post(world.hospital.at("/v1/emergency-accesses")).json(&declaration);
    problem(declare().send().await.unwrap(), 400, "idempotency-key-missing").await;
    assert_eq!(world.ledger.called("Emergencies:declare"), 0);
    for _ in 0..2 {
        assert_eq!(declare().header(KEY.0, KEY.1).send().await.unwrap().status(), 201);
    }
    assert_eq!(world.ledger.called("Emergencies:declare"), 1);
}

#[tokio::test]
async fn a_repeated_publication_says_that_it_is_one() {
    let world = World::new().await;
    let publish = || {
        let request = world.hospital.member().post(world.hospital.at("/v1/links?patient=anna&category=summary"));
        request.header(KEY.0, KEY.1).header("content-type", "application/fhir+json").body("{}").send()
    };
    let (first, second) = (publish().await.unwrap(), publish().await.unwrap());
    assert_eq!((first.status().as_u16(), is_replayed(&first)), (201, false));
    assert_eq!((second.status().as_u16(), is_replayed(&second)), (200, true));
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_a_failure_is_none() {
    let world = World::new().await;
    let member = world.hospital.member();
    let (status, message) = Refusal::new(RefusalCode::LinkWithdrawn, "said by the test").into();
    let refused = LedgerFailure::Refused { status: i32::from(status), message };
    world.ledger.fail_next(WITHDRAW, When::Before, refused);
    for _ in 0..2 {
        problem(withdraw(&world, &member, &[KEY], "wrong").await, status, "link-withdrawn").await;
    }
    assert_eq!(world.ledger.called(WITHDRAW), 1);

    let other = ("idempotency-key", "key-2");
    world.ledger.fail_next(WITHDRAW, When::Before, LedgerFailure::Unreachable("gone".into()));
    problem(withdraw(&world, &member, &[other], "wrong").await, 503, "peer-unavailable").await;
    let repeated = withdraw(&world, &member, &[other], "wrong").await;
    assert!(repeated.status() == 200 && !is_replayed(&repeated));
}

#[tokio::test]
async fn a_repeated_write_is_answered_even_though_the_first_has_changed_what_its_condition_is_about() {
    let world = World::new().await;
    let answers = |value: Value| world.ledger.state.lock().unwrap().answers.insert("Governance:proposal".into(), value);
    answers(json!({"votes": 0}));
    let member = world.hospital.member();
    let proposal = member.get(world.hospital.at("/v1/proposals/p1")).send().await.unwrap();
    let tag = proposal.headers()["etag"].to_str().unwrap().to_owned();
    let vote = || {
        let request = member.post(world.hospital.at("/v1/proposals/p1/votes")).header("if-match", &tag);
        request.header(KEY.0, KEY.1).json(&json!({"choice": "approve"})).send()
    };
    assert_eq!(vote().await.unwrap().status(), 200);
    answers(json!({"votes": 1}));
    let repeated = vote().await.unwrap();
    assert!(repeated.status() == 200 && is_replayed(&repeated));
}

#[tokio::test]
async fn without_its_database_a_gateway_begins_no_write_that_it_could_not_remember() {
    let world = World::new().await;
    world.hospital.gateway.state.close().await;
    let member = world.hospital.member();
    problem(withdraw(&world, &member, &[KEY], "wrong").await, 503, "state-unavailable").await;
    problem(withdraw(&world, &member, &[ASYNC], "wrong").await, 503, "state-unavailable").await;
    assert_eq!(world.ledger.called(WITHDRAW), 0);
    assert_eq!(withdraw(&world, &member, &[], "wrong").await.status(), 200);
}

#[tokio::test]
async fn who_does_not_wait_finds_the_answer_later_and_nobody_else_does() {
    let world = World::new().await;
    let member = world.hospital.member();
    let let_go = world.ledger.hold(WITHDRAW);
    let begun = withdraw(&world, &member, &[ASYNC], "wrong").await;
    let location = location(&begun);
    assert_eq!(job(&world, &member, &location).await, json!({"status": "running"}));
    let_go.add_permits(1);
    let expected = json!({"status": "done", "answer": {"status": 200, "body": [{"link": "l1", "reason": "wrong"}]}});
    assert_eq!(ended(&world, &member, &location).await, expected);

    let yang = world.colleague().await;
    problem(yang.get(world.hospital.at(&location)).send().await.unwrap(), 404, "job-not-found").await;
    let other = member.get(world.hospital.at("/v1/jobs/another")).send().await.unwrap();
    problem(other, 404, "job-not-found").await;
}

#[tokio::test]
async fn a_job_that_fails_says_why_and_its_key_may_be_used_again() {
    let world = World::new().await;
    let member = world.hospital.member();
    world.ledger.fail_next(WITHDRAW, When::Before, LedgerFailure::Unreachable("gone".into()));
    let begun = withdraw(&world, &member, &[ASYNC, KEY], "wrong").await;
    let failed = ended(&world, &member, &location(&begun)).await;
    assert_eq!((&failed["status"], &failed["problem"]["code"]), (&json!("failed"), &json!("peer-unavailable")));

    let begun = withdraw(&world, &member, &[ASYNC, KEY], "wrong").await;
    assert_eq!(ended(&world, &member, &location(&begun)).await["status"], "done");
    assert!(is_replayed(&withdraw(&world, &member, &[ASYNC, KEY], "wrong").await));
}

#[tokio::test]
async fn who_waits_a_little_is_answered_at_once_if_that_is_enough() {
    let world = World::new().await;
    let member = world.hospital.member();
    let wait = ("prefer", "respond-async, wait=20");
    assert_eq!(withdraw(&world, &member, &[wait], "wrong").await.status(), 200);
    let _let_go = world.ledger.hold(WITHDRAW);
    let wait = ("prefer", "respond-async, wait=1");
    location(&withdraw(&world, &member, &[wait], "wrong").await);
}

#[tokio::test]
async fn who_has_many_jobs_under_way_waits_for_the_next_answer() {
    let world = World::new().await;
    let member = world.hospital.member();
    let let_go = world.ledger.hold(WITHDRAW);
    let begin = || withdraw(&world, &member, &[ASYNC], "wrong");
    let mut jobs = Vec::new();
    for _ in 0..16 {
        jobs.push(location(&begin().await));
    }
    let (next, ()) = tokio::join!(begin(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let_go.add_permits(17);
    });
    assert_eq!((next.status().as_u16(), next.headers().get("preference-applied")), (200, None));
    for job in jobs {
        assert_eq!(ended(&world, &member, &job).await["status"], "done");
    }
    location(&begin().await);
}

#[tokio::test]
async fn a_job_that_was_cut_off_says_that_its_outcome_is_unknown() {
    let world = World::new().await;
    let minute_ago = LedgerTime::from_milliseconds(now().milliseconds() - 60_000);
    let state = &world.hospital.gateway.state;
    answers::claim(state, "job abc", &"dr-grey".parse().unwrap(), "", minute_ago).await.unwrap();
    let job = job(&world, &world.hospital.member(), "/v1/jobs/abc").await;
    assert_eq!((&job["status"], &job["problem"]["code"]), (&json!("failed"), &json!("job-cut-off")));
}
