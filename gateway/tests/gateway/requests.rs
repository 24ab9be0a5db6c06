//! Requests that do not fit.

use std::sync::Arc;

use healthchain_gateway::ledger::LedgerFailure;
use healthchain_rules::{Refusal, RefusalCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ledger::When;
use super::world::{MAX_RECORD_BYTES, World, own, problem, root};

async fn publish(world: &World, query: &str, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Response {
    let mut request = world.hospital.member().post(world.hospital.at(&format!("/v1/links{query}")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).send().await.unwrap()
}

const QUERY: &str = "?patient=anna&category=summary";
const KEY: (&str, &str) = ("idempotency-key", "key-1");
const FHIR: (&str, &str) = ("content-type", "application/fhir+json");

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_are_problems() {
    let world = World::new().await;
    let client = world.hospital.client(None);
    problem(client.get(world.hospital.at("/v2/links")).send().await.unwrap(), 404, "route-not-found").await;
    problem(client.delete(world.hospital.at("/v1/links/a")).send().await.unwrap(), 405, "method-not-allowed").await;
}

#[tokio::test]
async fn a_query_that_does_not_fit_is_refused_before_the_ledger_is_asked() {
    let world = World::new().await;
    for query in ["", "?patient=anna", "?patient=Anna&category=summary", "?patient=anna&category=diary", "?colour=red"]
    {
        let response = publish(&world, query, &[KEY, FHIR], b"record".to_vec()).await;
        problem(response, 400, "malformed-query").await;
    }
    for path in [
        "/v1/patients/anna/links",
        "/v1/patients/anna/links?purpose=curiosity",
        "/v1/patients/anna/links?purpose=payment&limit=101",
        "/v1/patients/anna/links?purpose=payment&page_token=%20",
        "/v1/patients/anna/audit?limit=0",
        "/v1/members/dr-grey/audit?page=2",
        "/v1/organisations/HospitalMSP/audit?limit=101",
        "/v1/patients/anna/accounting?all=perhaps",
    ] {
        let response = world.hospital.member().get(world.hospital.at(path)).send().await.unwrap();
        problem(response, 400, "malformed-query").await;
    }
    assert!(world.ledger.state.lock().unwrap().calls.is_empty());
}

#[tokio::test]
async fn an_id_that_is_not_one_is_refused() {
    let world = World::new().await;
    let long = "a".repeat(65);
    for id in ["Link", "a_b", "a%20b", "%C3%A4", long.as_str()] {
        let response = world.hospital.member().get(world.hospital.at(&format!("/v1/links/{id}"))).send().await.unwrap();
        problem(response, 400, "malformed-path").await;
    }
}

#[tokio::test]
async fn a_body_that_is_not_the_routes_json_is_refused() {
    let world = World::new().await;
    let open = |body: &'static str, kind: Option<&'static str>| {
        let request = world.hospital.member().post(world.hospital.at("/v1/links/a/openings")).body(body);
        kind.into_iter().fold(request, |request, kind| request.header("content-type", kind)).send()
    };
    let json = Some("application/json");
    for body in ["", "{", "[]", r#"{"purpose":"curiosity"}"#, r#"{"purpose":"payment","and":"more"}"#] {
        problem(open(body, json).await.unwrap(), 400, "malformed-body").await;
    }
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        problem(open(r#"{"purpose":"payment"}"#, kind).await.unwrap(), 415, "json-expected").await;
    }
    let large =
        world.hospital.member().post(world.hospital.at("/v1/consents")).header("content-type", "application/json");
    problem(large.body(vec![b' '; 65 << 10]).send().await.unwrap(), 413, "body-too-large").await;
}

#[tokio::test]
async fn a_record_larger_than_the_limit_is_refused_announced_or_not() {
    let world = World::new().await;
    let response = publish(&world, QUERY, &[KEY, FHIR], vec![b' '; MAX_RECORD_BYTES + 1]).await;
    problem(response, 413, "record-too-large").await;

    let chunks = (0..2).map(|_| Ok::<_, std::io::Error>(vec![b' '; MAX_RECORD_BYTES / 2 + 1]));
    let request = world.hospital.member().post(world.hospital.at(&format!("/v1/links{QUERY}")));
    let request = request.header(KEY.0, KEY.1).header(FHIR.0, FHIR.1);
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    problem(request.body(body).send().await.unwrap(), 413, "record-too-large").await;
    assert_eq!(std::fs::read_dir(world.hospital.records()).unwrap().count(), 0);

    let response = publish(&world, QUERY, &[KEY, FHIR], vec![b' '; MAX_RECORD_BYTES]).await;
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn forms_and_records_without_a_media_type_are_refused() {
    let world = World::new().await;
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "a/b/c", ""] {
        let response = publish(&world, QUERY, &[KEY, ("content-type", kind)], b"record".to_vec()).await;
        problem(response, 415, "media-type-not-a-record").await;
    }
    let response = publish(&world, QUERY, &[KEY], b"record".to_vec()).await;
    problem(response, 415, "media-type-not-a-record").await;
}

#[tokio::test]
async fn publishing_needs_an_idempotency_key_and_a_record() {
    let world = World::new().await;
    let long = "k".repeat(129);
    for key in ["", "two words", long.as_str()] {
        let response = publish(&world, QUERY, &[("idempotency-key", key), FHIR], b"record".to_vec()).await;
        problem(response, 400, "idempotency-key-missing").await;
    }
    problem(publish(&world, QUERY, &[FHIR], b"record".to_vec()).await, 400, "idempotency-key-missing").await;
    problem(publish(&world, QUERY, &[KEY, FHIR], vec![]).await, 400, "record-empty").await;
}

/// Such as most simple HTTP clients: they read nothing before all is sent.
#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_still_learns_that_its_record_is_too_large() {
    let world = World::new().await;
    let length = 24 << 20;
    let mut stream = announce(&world, length, "Connection: close").await;
    for _ in 0..length / 8192 {
        stream.write_all(&[b' '; 8192]).await.unwrap();
    }
    stream.flush().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("record-too-large"), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_go_on_is_told_at_once_that_its_record_is_too_large() {
    let world = World::new().await;
    let mut stream = announce(&world, MAX_RECORD_BYTES + 1, "Expect: 100-continue").await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn who_may_not_publish_is_refused_before_the_record_is_sent() {
    let world = World::new().await;
    let (status, message) = Refusal::new(RefusalCode::NotPermitted, "said by the test").into();
    let refused = LedgerFailure::Refused { status: i32::from(status), message };
    world.ledger.fail_next("Links:recipients", When::Before, refused);
    let mut stream = announce(&world, MAX_RECORD_BYTES, "Connection: close").await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    assert_eq!(world.ledger.called("Links:publish"), 0);
}

#[tokio::test]
async fn publishing_asks_the_ledger_one_question_and_submits_once() {
    let world = World::new().await;
    world.published().await;
    let mut calls = world.ledger.state.lock().unwrap().calls.clone();
    calls.sort();
    assert_eq!(calls, ["Links:publish", "Links:recipients"]);
}

/// Sends the head of a publication whose body is yet to come.
async fn announce(world: &World, length: usize, header: &str) -> TlsStream<TcpStream> {
    let config = own(&world.hospital.member_tls).client(root(&world.hospital.tls_root)).unwrap();
    let stream = TcpStream::connect(world.hospital.running.as_ref().unwrap().address()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let head = format!(
        "POST /v1/links{QUERY} HTTP/1.1\r\nHost: localhost\r\n{header}\r\nIdempotency-Key: key-1\r\n\
         Content-Type: application/fhir+json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream
}
