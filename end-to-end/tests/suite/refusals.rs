//! What the REST interface refuses, each with an answer of its own.

use std::path::PathBuf;
use std::{fs, io};

use healthchain_end_to_end::{Person, World, until};
use healthchain_rules::{MspId, OrganisationKind, Role};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

const RECORD: &[u8] = br#"{"resourceType":"Observation","status":"final"}"#;

crate::promises![
    a_caller_without_a_certificate_is_told_to_present_one,
    a_certificate_of_another_organisation_is_not_trusted,
    a_certificate_that_is_bound_to_no_member_is_refused,
    a_role_that_may_not_is_refused_by_the_ledger,
    an_unknown_link_is_not_found_and_a_malformed_id_is_malformed,
    malformed_and_oversized_requests_are_told_apart,
    a_lost_record_is_said_to_be_lost,
    a_record_with_one_changed_byte_is_refused,
    concurrent_consents_are_each_granted_or_told_to_come_again,
];

crate::promises![STOPPING_PARTS:
    a_gateway_whose_peer_is_down_says_so_and_changes_nothing,
    a_link_whose_publisher_is_down_says_so,
];

async fn a_caller_without_a_certificate_is_told_to_present_one(world: &World) {
    let nobody = world.hospital_clinician().showing(None);
    let expected = (401, "client-certificate-missing".to_owned());
    assert_eq!(nobody.get("/v1/me").await.problem(), expected);
    let answer = nobody.publish_as("key", nobody.id(), "summary", RECORD).await;
    assert_eq!(answer.problem(), expected);
    assert_eq!(nobody.get("/healthz").await.status, 200);
    assert_eq!(nobody.get("/openapi.json").await.json()["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
}

async fn a_certificate_of_another_organisation_is_not_trusted(world: &World) {
    let stranger = world.hospital_clinician().showing(Some(world.payer_officer().access()));
    let expected = (401, "client-certificate-not-trusted".to_owned());
    assert_eq!(stranger.get("/v1/me").await.problem(), expected);
    assert_eq!(stranger.get(&format!("/v1/links/{}", Uuid::new_v4())).await.problem(), expected);
}

async fn a_certificate_that_is_bound_to_no_member_is_refused(world: &World) {
    let hospital = world.hospital_clinician();
    let gateway = gateway_folder(world, &hospital.access().msp_id);
    let unbound = hospital.showing_files(&gateway.join("tls-certificate.pem"), &gateway.join("tls-key.pem"));
    assert_eq!(unbound.get("/v1/me").await.problem(), (403, "client-certificate-not-bound".to_owned()));
}

async fn a_role_that_may_not_is_refused_by_the_ledger(world: &World) {
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    let not_permitted = (403, "not-permitted".to_owned());
    let published = payer.publish_as(&Uuid::new_v4().to_string(), patient.id(), "claim", RECORD).await;
    assert_eq!(published.problem(), not_permitted);
    assert_eq!(hospital.get(&format!("/v1/patients/{}/audit", patient.id())).await.problem(), not_permitted);
    assert_eq!(hospital.get(&format!("/v1/patients/{}/consents", patient.id())).await.problem(), not_permitted);
    let consent = json!({
        "consent": Uuid::new_v4().to_string(), "patient": patient.id(), "grantee": { "organisation": payer.access().msp_id },
        "scope": { "categories": ["claim"] }, "purposes": ["payment"], "effect": "permit",
    });
    assert_eq!(payer.post("/v1/consents", &consent).await.problem(), not_permitted);
    let registered = json!({ "reason": "no reason" });
    assert_eq!(
        payer.post(&format!("/v1/members/{}/suspension", payer.id()), &registered).await.problem(),
        not_permitted
    );
}

async fn an_unknown_link_is_not_found_and_a_malformed_id_is_malformed(world: &World) {
    let hospital = world.hospital_clinician();
    let unknown = Uuid::new_v4();
    let not_found = (404, "unknown-link".to_owned());
    assert_eq!(hospital.get(&format!("/v1/links/{unknown}")).await.problem(), not_found);
    assert_eq!(hospital.open(&unknown.to_string().parse().unwrap(), "treatment").await.problem(), not_found);
    assert_eq!(hospital.get("/v1/links/NOT_AN_ID").await.problem(), (400, "malformed-path".to_owned()));
    assert_eq!(hospital.get("/v1/nothing").await.problem(), (404, "route-not-found".to_owned()));
    assert_eq!(
        hospital.request(Method::DELETE, "/v1/me", |request| request).await.problem(),
        (405, "method-not-allowed".to_owned())
    );

    // A link that exists is as unknown to those who may not know of it.
    let (payer, patient) = (world.payer_officer(), world.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    assert_eq!(payer.get(&format!("/v1/links/{link}")).await.problem(), not_found);
}

async fn malformed_and_oversized_requests_are_told_apart(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let publish = async |query: &str, headers: &[(&'static str, &str)], body: Vec<u8>| {
        let with = |mut request: reqwest::RequestBuilder| {
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(body)
        };
        hospital.request(Method::POST, &format!("/v1/links?{query}"), with).await.problem()
    };
    let query = format!("patient={}&category=summary", patient.id());
    let fhir = ("Content-Type", "application/fhir+json");
    let key = ("Idempotency-Key", "a-key");
    let problem = |status: u16, code: &str| (status, code.to_owned());

    assert_eq!(publish("category=summary", &[fhir, key], RECORD.into()).await, problem(400, "malformed-query"));
    let unknown_category = query.replace("summary", "gossip");
    assert_eq!(publish(&unknown_category, &[fhir, key], RECORD.into()).await, problem(400, "malformed-query"));
    assert_eq!(publish(&query, &[fhir], RECORD.into()).await, problem(400, "idempotency-key-missing"));
    assert_eq!(publish(&query, &[fhir, key], vec![]).await, problem(400, "record-empty"));
    assert_eq!(publish(&query, &[key], RECORD.into()).await.0, 415);

    let unknown_patient = format!("patient={}&category=summary", hospital.id());
    assert_eq!(publish(&unknown_patient, &[fhir, key], RECORD.into()).await, problem(404, "unknown-patient"));

    let consents = async |media_type: &'static str, body: Vec<u8>| {
        let with = |request: reqwest::RequestBuilder| request.header("Content-Type", media_type).body(body);
        patient.request(Method::POST, "/v1/consents", with).await.problem()
    };
    assert_eq!(consents("application/json", b"{".to_vec()).await, problem(400, "malformed-body"));
    assert_eq!(consents("text/plain", b"{}".to_vec()).await, problem(415, "json-expected"));
    assert_eq!(consents("application/json", vec![b' '; 1 << 20]).await, problem(413, "body-too-large"));
}

async fn a_lost_record_is_said_to_be_lost(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let (link, stored) = publish_and_find(world, &hospital, &patient).await;
    fs::remove_file(&stored).unwrap();
    for person in [&hospital, &clinic] {
        assert_eq!(person.open(&link, "treatment").await.problem(), (502, "record-lost".to_owned()));
    }
}

async fn a_record_with_one_changed_byte_is_refused(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let (link, stored) = publish_and_find(world, &hospital, &patient).await;
    assert_eq!(clinic.open(&link, "treatment").await.body, RECORD);

    let mut content = fs::read(&stored).unwrap();
    let middle = content.len() / 2;
    content[middle] = if content[middle] == b'A' { b'B' } else { b'A' };
    fs::write(&stored, content).unwrap();
    for person in [&hospital, &clinic] {
        assert_eq!(person.open(&link, "treatment").await.problem(), (502, "record-tampered".to_owned()));
    }
}

async fn a_gateway_whose_peer_is_down_says_so_and_changes_nothing(world: &World) {
    let (payer, patient, hospital) = (world.payer_officer(), world.new_patient(), world.hospital_clinician());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let peer = world.component("peer", world.organisation(OrganisationKind::Payer));
    world.network.stop(&peer).await.unwrap();
    assert_eq!(payer.open(&link, "payment").await.problem(), (503, "peer-unavailable".to_owned()));
    until("the gateway's saying that it is not ready", || async {
        let ready = payer.get("/readyz").await;
        if ready.status == 503 { Ok(()) } else { Err(ready.text()) }
    })
    .await;
    assert_eq!(payer.get("/healthz").await.status, 200);
    world.network.start(&peer).await.unwrap();

    let answer = until("the gateway finds its peer again", || async {
        let answer = payer.open(&link, "payment").await;
        if answer.status == 503 { Err(answer.text()) } else { Ok(answer) }
    })
    .await;
    assert_eq!(answer.problem(), (403, "consent-required".to_owned()));
}

async fn a_link_whose_publisher_is_down_says_so(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let gateway = world.component("gateway", world.organisation(OrganisationKind::PrimaryCare));
    world.network.stop(&gateway).await.unwrap();
    let refused = clinic.open(&link, "treatment").await;
    assert_eq!(refused.problem(), (503, "publisher-unavailable".to_owned()));
    assert!(refused.headers.contains_key("retry-after"));
    refused.opening();
    world.network.start(&gateway).await.unwrap();
    assert_eq!(clinic.open(&link, "treatment").await.body, RECORD);
}

async fn concurrent_consents_are_each_granted_or_told_to_come_again(world: &World) {
    let patient = world.new_patient();
    let grants = (0..20).map(|number| {
        let consent = json!({
            "consent": format!("c-{number}"), "patient": patient.id(), "grantee": { "role": Role::PayerOfficer },
            "scope": { "categories": ["claim"] }, "purposes": ["payment"], "effect": "permit",
        });
        let patient = patient.clone();
        async move { patient.post("/v1/consents", &consent).await }
    });
    let answers = futures::future::join_all(grants).await;
    let granted = answers.iter().filter(|answer| answer.is_success()).count();
    for answer in answers.iter().filter(|answer| !answer.is_success()) {
        assert_eq!(answer.problem(), (503, "commit-conflict".to_owned()));
    }
    let standing = patient.get(&format!("/v1/patients/{}/consents", patient.id())).await.json();
    assert_eq!(standing.as_array().map(Vec::len), Some(granted), "{standing}");
    assert!(granted > 0);
}

/// Publishes a record and finds the one file that this made in the publisher's store.
async fn publish_and_find(world: &World, publisher: &Person, patient: &Person) -> (healthchain_rules::LinkId, PathBuf) {
    let store = gateway_folder(world, &publisher.access().msp_id).join("records");
    let before = files(&store).unwrap();
    let link = publisher.publish(patient.id(), "summary", RECORD).await;
    let mut new: Vec<_> = files(&store).unwrap().into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(new.len(), 1, "one record is one object: {new:?}");
    (link, new.remove(0))
}

fn files(folder: &std::path::Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

fn gateway_folder(world: &World, msp_id: &MspId) -> PathBuf {
    let organisations = &world.network.consortium().organisations;
    let organisation = organisations.iter().find(|organisation| organisation.msp_id == *msp_id).unwrap();
    let records = world.network.layout().organisation(&organisation.name).records();
    records.parent().unwrap().to_owned()
}
