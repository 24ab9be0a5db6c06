//! Gateways that end: politely, with somebody waiting for an answer, and with the loss of everything that they remembered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use healthchain_end_to_end::{World, until};
use healthchain_rules::{OrganisationKind, Role};
use reqwest::{Body, Method, header};
use serde_json::{Value, json};

use crate::observing::{ByHand, gateway};

crate::promises![STOPPING_PARTS:
    a_gateway_that_is_told_to_end_finishes_what_is_under_way_and_takes_nothing_new,
    a_gateway_whose_state_is_lost_goes_on_with_what_the_ledger_knows_after_a_rebuild,
];

const RECORD: &[u8] = br#"{"resourceType":"Condition"}"#;

async fn a_gateway_that_is_told_to_end_finishes_what_is_under_way_and_takes_nothing_new(world: &World) {
    let operations = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let environment = [("HEALTHCHAIN_GATEWAY__OPERATIONS__LISTEN", operations.to_string())];
    let by_hand = ByHand::start(world, &environment).await;
    let operators = reqwest::Client::new();
    let readiness = async || {
        let answer =
            operators.get(format!("http://{operations}/readyz")).send().await.map_err(|error| error.to_string())?;
        Ok::<_, String>((answer.status().as_u16(), answer.json::<Value>().await.map_err(|error| error.to_string())?))
    };
    let (status, ready) = readiness().await.unwrap();
    assert_eq!((status, &ready["stopping"]), (200, &json!(false)), "{ready}");

    // A record of which the first half has come.
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let (rest, body) = futures::channel::mpsc::unbounded();
    let halves = RECORD.split_at(RECORD.len() / 2);
    rest.unbounded_send(halves.0.to_vec()).unwrap();
    let path = format!("/v1/links?patient={}&category=summary", patient.id());
    let publisher = hospital.clone();
    let published = tokio::spawn(async move {
        let body = Body::wrap_stream(body.map(Ok::<_, std::io::Error>));
        let with = |request: reqwest::RequestBuilder| {
            request
                .header("Idempotency-Key", uuid::Uuid::new_v4().to_string())
                .header(header::CONTENT_TYPE, "application/fhir+json")
                .body(body)
        };
        publisher.try_request(Method::POST, &path, with).await
    });
    until("the request to be under way", || async {
        let metrics = operators.get(format!("http://{operations}/metrics")).send().await.unwrap().text().await.unwrap();
        let under_way = r#"healthchain_http_requests_in_flight{method="POST",route="/v1/links"} 1"#;
        if metrics.lines().any(|line| line == under_way) { Ok(()) } else { Err("not there".to_owned()) }
    })
    .await;

    by_hand.terminate().await;
    let stopping = until("the gateway says that it is stopping", || async {
        let (status, told) = readiness().await?;
        if status == 503 { Ok(told) } else { Err(told.to_string()) }
    });
    let stopping = stopping.await;
    assert_eq!((&stopping["ready"], &stopping["stopping"]), (&json!(false), &json!(true)), "{stopping}");
    let newcomer = hospital.showing(Some(hospital.access()));
    let refused = newcomer.try_request(Method::GET, "/healthz", |request| request).await.unwrap_err();
    assert!(refused.is_connect(), "{refused}");
    assert!(!published.is_finished(), "the record is whole before its second half came");

    rest.unbounded_send(halves.1.to_vec()).unwrap();
    drop(rest);
    let published = published.await.unwrap().unwrap();
    assert_eq!(published.status, 201, "{}", published.text());
    let log = by_hand.ended(world).await;
    assert!(!log.contains("cut off"), "{log}");
    until("the record opens", || async {
        let opened = world.clinic_clinician().open(&published.link(), "treatment").await;
        if opened.body == RECORD { Ok(()) } else { Err(opened.text()) }
    })
    .await;
}

async fn a_gateway_whose_state_is_lost_goes_on_with_what_the_ledger_knows_after_a_rebuild(world: &World) {
    let (hospital, patient, payer) = (world.hospital_clinician(), world.new_patient(), world.payer_officer());
    let organisation = world.organisation(OrganisationKind::PrimaryCare);
    let store = world.network.layout().organisation(&organisation.name).records();
    let name = world.component("gateway", organisation);
    let before = objects(&store);
    let key = uuid::Uuid::new_v4().to_string();
    let published = hospital.publish_as(&key, patient.id(), "summary", RECORD).await;
    let link = published.link();
    patient.permit(payer.access().msp_id.as_str(), "summary", "payment").await;
    let stored: Vec<_> = objects(&store).difference(&before).cloned().collect();
    let hospital_number =
        json!({ "system": "https://hospital.example/mrn", "value": uuid::Uuid::new_v4().to_string() });
    let entry = json!({ "patient": patient.id(), "identifier": hospital_number });
    let entered = hospital.post("/v1/patient-index", &entry).await;
    assert_eq!(entered.status, 201, "{}", entered.text());
    let search = json!({ "identifier": hospital_number });
    let known = async || hospital.post("/v1/patient-index/searches", &search).await.json()["entries"].clone();
    assert_eq!(known().await.as_array().map(Vec::len), Some(1));

    // What is there a rebuild leaves there.
    world.network.stop(&name).await.unwrap();
    let [told, _] = rebuild(world, &[]).await;
    assert!(lost(&told, "patient index").contains(" 1 are here"), "{told}");
    world.network.start(&name).await.unwrap();
    assert_eq!(known().await.as_array().map(Vec::len), Some(1));

    // An opening asks for an envelope while the gateway and its state are gone.
    world.network.stop(&name).await.unwrap();
    let opening = payer.open(&link, "payment").await;
    assert_eq!(opening.problem().0, 503, "{}", opening.text());
    for file in state_of(&store) {
        std::fs::remove_file(file).unwrap();
    }
    let away = [("HEALTHCHAIN_GATEWAY__PEER__ENDPOINT", "https://localhost:1")];
    let [_, reason] = rebuild(world, &away).await;
    assert!(reason.contains("[peer]"), "{reason}");
    let [told, _] = rebuild(world, &[]).await;
    for thing in ["tables", "key custodian's checkpoint", "what lies in the record store", "agents", "copies that"] {
        assert!(told.lines().any(|line| line.starts_with(&format!("rebuilt  {thing}"))), "{thing}: {told}");
    }
    assert!(lost(&told, "patient index").contains(" 0 are here"), "{told}");
    for thing in ["answers to repeated requests", "uploads under way", "sessions", "webhooks"] {
        lost(&told, thing);
    }
    world.network.start(&name).await.unwrap();

    // The opening that waited is answered, and a request that is repeated makes no second link.
    let content = format!("/v1/openings/{}/content", opening.opening());
    until("the opening that waited", || async {
        let answer = payer.get(&content).await;
        if answer.body == RECORD { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    let repeated = hospital.publish_as(&key, patient.id(), "summary", RECORD).await;
    assert!(repeated.is_success(), "{}", repeated.text());
    assert_eq!(repeated.link(), link);
    // Record numbers are lost, and can be entered again.
    assert_eq!(known().await, json!([]));
    let entered = hospital.post("/v1/patient-index", &entry).await;
    assert_eq!(entered.status, 201, "{}", entered.text());
    // What lies in the store is known again: it goes when the ledger says so.
    let officer = world.person(OrganisationKind::PrimaryCare, Role::PrivacyOfficer, 0);
    let erased = officer.post(&format!("/v1/links/{link}/erasure"), &json!({ "reason": "wrong patient" })).await;
    assert!(erased.is_success(), "{}", erased.text());
    until("the record to be destroyed", || async {
        if stored.iter().any(|object| object.exists()) { Err("there".to_owned()) } else { Ok(()) }
    })
    .await;
}

fn objects(store: &Path) -> BTreeSet<PathBuf> {
    std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The files of the state beside a record store: the database, not its key.
fn state_of(store: &Path) -> Vec<PathBuf> {
    let files = objects(store.parent().unwrap());
    let is_state =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("state.sqlite"));
    let state: Vec<_> = files.into_iter().filter(is_state).collect();
    assert!(!state.is_empty(), "the gateway keeps its state elsewhere");
    state
}

/// Runs `healthchain-gateway rebuild` for the hospital with an environment; gives what it says, and what it says on standard error.
async fn rebuild(world: &World, environment: &[(&str, &str)]) -> [String; 2] {
    let mut command = gateway(world, &["rebuild"]);
    let run = command.envs(environment.iter().copied()).output();
    let done = tokio::time::timeout(Duration::from_secs(60), run).await.expect("it ends").unwrap();
    assert_eq!(done.status.success(), done.stderr.is_empty(), "{done:?}");
    [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap())
}

/// The line that says that a thing is lost.
fn lost<'a>(told: &'a str, thing: &str) -> &'a str {
    let line = told.lines().find(|line| line.starts_with(&format!("lost     {thing}")));
    line.unwrap_or_else(|| panic!("{thing}: {told}"))
}
