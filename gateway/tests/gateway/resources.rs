//! What the gateway only passes on: the table's one handler.

use healthchain_gateway::ledger::LedgerFailure;
use healthchain_rules::{Refusal, RefusalCode};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::ledger::When;
use super::world::{World, answer, problem};

async fn call(world: &World, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Response {
    let mut request = world.hospital.member().request(method, world.hospital.at(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.unwrap()
}

async fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> Response {
    call(world, Method::GET, path, headers, None).await
}

async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: Value) -> Response {
    call(world, Method::POST, path, headers, Some(body)).await
}

fn answers(world: &World, function: &str, value: Value) {
    world.ledger.state.lock().unwrap().answers.insert(function.to_owned(), value);
}

fn notarization() -> Value {
    json!({"patient": "anna", "kind": "document", "hash": "ab".repeat(32), "bill_to": "organisation"})
}

#[tokio::test]
async fn path_and_body_reach_the_ledger_as_one_argument() {
    let world = World::new().await;
    let response = post(&world, "/v1/links/l1/withdrawal", &[], json!({"reason": "duplicate"})).await;
    assert_eq!(answer(response).await, (200, json!([{"link": "l1", "reason": "duplicate"}])));
    let response = get(&world, "/v1/proposals?open=true&limit=3", &[]).await;
    assert_eq!(answer(response).await, (200, json!([{"limit": 3, "open": true}])));
    let response = get(&world, "/v1/links/l1/versions/2", &[]).await;
    assert_eq!(answer(response).await, (200, json!(["l1", 2])));
    let response = call(&world, Method::POST, "/v1/members/dr-yang/reinstatement", &[], None).await;
    assert_eq!(answer(response).await, (200, json!(["dr-yang"])));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_the_ledger_is_asked() {
    let world = World::new().await;
    let withdrawal = "/v1/links/l1/withdrawal";
    for body in [json!({}), json!([]), json!({"reason": "a", "link": "l2"}), json!({"reason": "a", "and": "more"})] {
        problem(post(&world, withdrawal, &[], body).await, 400, "malformed-body").await;
    }
    problem(post(&world, &format!("{withdrawal}?reason=a"), &[], json!({})).await, 400, "malformed-query").await;
    problem(post(&world, "/v1/links/L1/withdrawal", &[], json!({"reason": "a"})).await, 400, "malformed-path").await;
    problem(post(&world, "/v1/notarizations", &[], notarization()).await, 422, "id-missing").await;
    let two_words = [("idempotency-key", "two words")];
    problem(post(&world, "/v1/notarizations", &two_words, notarization()).await, 400, "idempotency-key-missing").await;
    let text = world.hospital.member().post(world.hospital.at(withdrawal)).body(r#"{"reason":"a"}"#);
    problem(text.send().await.unwrap(), 415, "json-expected").await;
    assert!(world.ledger.state.lock().unwrap().calls.is_empty());
}

#[tokio::test]
async fn a_creation_says_where_it_is_read_and_its_id_follows_from_the_idempotency_key() {
    let world = World::new().await;
    let location = async |key: &str| {
        let response = post(&world, "/v1/notarizations", &[("idempotency-key", key)], notarization()).await;
        assert_eq!(response.status(), 201);
        response.headers()["location"].to_str().unwrap().to_owned()
    };
    let first = location("key-1").await;
    assert_eq!(first, location("key-1").await);
    assert_ne!(first, location("key-2").await);
    assert_eq!(first.strip_prefix("/v1/notarizations/").unwrap().len(), 64);

    answers(&world, "Emergencies:declare", json!({"id": "ab".repeat(32)}));
    let declaration = json!({"patient": "anna", "reason": "unconscious"});
    let response = post(&world, "/v1/emergency-accesses", &[("idempotency-key", "key-1")], declaration).await;
    assert_eq!(response.headers()["location"], format!("/v1/emergency-accesses/{}", "ab".repeat(32)));
}

#[tokio::test]
async fn a_page_says_where_the_next_one_is() {
    let world = World::new().await;
    answers(&world, "Governance:proposals", json!({"items": [], "next_page_token": "abc"}));
    let response = get(&world, "/v1/proposals?page_token=xyz&open=true", &[]).await;
    assert_eq!(response.headers()["link"], "</v1/proposals?open=true&page_token=abc>; rel=\"next\"");
    answers(&world, "Governance:proposals", json!({"items": []}));
    assert!(!get(&world, "/v1/proposals", &[]).await.headers().contains_key("link"));
}

#[tokio::test]
async fn what_the_caller_has_already_is_not_sent_again() {
    let world = World::new().await;
    answers(&world, "Governance:settings", json!({"a": 1}));
    let first = get(&world, "/v1/settings", &[]).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"') && first.headers()["cache-control"] == "private, no-cache");

    let known = get(&world, "/v1/settings", &[("if-none-match", &tag)]).await;
    assert_eq!((known.status().as_u16(), known.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
    assert!(known.bytes().await.unwrap().is_empty());
    answers(&world, "Governance:settings", json!({"a": 2}));
    assert_eq!(get(&world, "/v1/settings", &[("if-none-match", &tag)]).await.status(), 200);
}

#[tokio::test]
async fn a_write_is_done_only_on_the_state_that_its_caller_has_read() {
    let world = World::new().await;
    answers(&world, "Governance:proposal", json!({"votes": 0}));
    let tag = get(&world, "/v1/proposals/p1", &[]).await.headers()["etag"].to_str().unwrap().to_owned();
    let vote = async |tag: &str| {
        post(&world, "/v1/proposals/p1/votes", &[("if-match", tag)], json!({"choice": "approve"})).await
    };
    assert_eq!(vote(&tag).await.status(), 200);
    assert_eq!(vote("*").await.status(), 200);
    assert_eq!(world.ledger.called("Governance:vote"), 2);

    answers(&world, "Governance:proposal", json!({"votes": 1}));
    for tag in [tag.as_str(), &format!("W/{tag}"), "", "\"other\""] {
        problem(vote(tag).await, 412, "precondition-failed").await;
    }
    let (status, message) = Refusal::new(RefusalCode::UnknownProposal, "said by the test").into();
    let unknown = LedgerFailure::Refused { status: i32::from(status), message };
    world.ledger.fail_next("Governance:proposal", When::Before, unknown);
    problem(vote("*").await, 412, "precondition-failed").await;
    world.ledger.fail_next("Governance:proposal", When::Before, LedgerFailure::Unreachable("gone".into()));
    problem(vote("*").await, 503, "peer-unavailable").await;
    let nothing_to_compare = post(&world, "/v1/members", &[("if-match", "*")], json!({})).await;
    problem(nothing_to_compare, 400, "malformed-body").await;
    assert_eq!(world.ledger.called("Governance:vote"), 2);
}

/// A strong tag tells codings apart (RFC 9110, 8.8.3); who has read a compressed answer must be able to write all the same.
#[tokio::test]
async fn each_coding_of_an_answer_has_a_tag_of_its_own_and_any_of_them_meets_a_condition() {
    let world = World::new().await;
    let proposal = |votes: u32| json!({"votes": votes, "text": "as long as what is compressed ".repeat(100)});
    answers(&world, "Governance:proposal", proposal(0));
    let path = "/v1/proposals/p1";
    let mut tags = Vec::new();
    for coding in ["identity", "gzip", "br"] {
        let read = get(&world, path, &[("accept-encoding", coding)]).await;
        let told = read.headers().get("content-encoding").map_or("identity", |told| told.to_str().unwrap());
        assert_eq!((told, &read.headers()["vary"]), (coding, &"accept-encoding".parse().unwrap()));
        let tag = read.headers()["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with('"') && !tags.contains(&tag), "{coding}: {tag} of {tags:?}");
        tags.push(tag);
    }
    let reread = async |tag: &str| get(&world, path, &[("if-none-match", tag), ("accept-encoding", "br")]).await;
    let vote = async |tag: &str| {
        post(&world, &format!("{path}/votes"), &[("if-match", tag)], json!({"choice": "approve"})).await
    };
    for tag in &tags {
        for said in [tag.clone(), format!("W/{tag}")] {
            let known = reread(&said).await;
            assert_eq!((known.status().as_u16(), known.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
            assert_eq!(known.headers()["vary"], "accept-encoding");
        }
        assert_eq!(vote(tag).await.status(), 200);
        problem(vote(&format!("W/{tag}")).await, 412, "precondition-failed").await;
    }
    let invented = tags[1].replace("gzip", "zstd");
    assert_eq!(reread(&invented).await.status(), 200);
    problem(vote(&invented).await, 412, "precondition-failed").await;

    answers(&world, "Governance:proposal", proposal(1));
    for tag in &tags {
        assert_eq!(reread(tag).await.status(), 200);
        problem(vote(tag).await, 412, "precondition-failed").await;
    }
    assert_eq!(world.ledger.called("Governance:vote"), tags.len());
}

#[tokio::test]
async fn a_refusal_and_a_failure_of_the_ledger_are_told_apart() {
    let world = World::new().await;
    let (status, message) = Refusal::new(RefusalCode::OtherOrganisation, "said by the test").into();
    let refused = LedgerFailure::Refused { status: i32::from(status), message };
    world.ledger.fail_next("Members:reinstate", When::Before, refused);
    let path = "/v1/members/dr-yang/reinstatement";
    problem(post(&world, path, &[], json!({})).await, 403, "other-organisation").await;
    let foreign = LedgerFailure::Refused { status: 500, message: "no such function".into() };
    world.ledger.fail_next("Members:reinstate", When::Before, foreign);
    problem(post(&world, path, &[], json!({})).await, 502, "ledger-unintelligible").await;
}

#[tokio::test]
async fn anybody_verifies_a_notarization_and_nothing_else() {
    let world = World::new().await;
    let stranger = world.hospital.client(None);
    let ask = |path: &str| stranger.get(world.hospital.at(path)).send();
    let hash = "ab".repeat(32);
    let (status, asked) = answer(ask(&format!("/v1/verifications?hash={hash}")).await.unwrap()).await;
    assert_eq!((status, asked), (200, json!([{"hash": hash}])));
    problem(ask("/v1/verifications").await.unwrap(), 400, "malformed-query").await;
    problem(ask("/v1/verifications?hash=short").await.unwrap(), 400, "malformed-query").await;
    problem(ask("/v1/notarizations/n1").await.unwrap(), 401, "client-certificate-missing").await;
}
