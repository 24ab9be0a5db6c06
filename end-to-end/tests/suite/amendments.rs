//! A hospital amends a record; a clinic reads the proposal, and approves or rejects it.

use healthchain_end_to_end::{Answer, Person, World, until};
use healthchain_rules::LinkId;
use healthchain_rules::OrganisationKind::SecondaryCare;
use healthchain_rules::Role::PrivacyOfficer;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const FIRST: &[u8] = br#"{"resourceType":"Observation","valueString":"7 mg"}"#;
const SECOND: &[u8] = br#"{"resourceType":"Observation","valueString":"7 g"}"#;
const THIRD: &[u8] = br#"{"resourceType":"Observation","valueString":"8 g"}"#;

crate::promises![
    a_hospital_amends_a_clinic_reads_the_proposal_and_approves_and_the_new_version_opens,
    a_rejected_amendment_changes_nothing_and_says_so,
    of_two_amendments_in_conflict_the_first_takes_effect_and_the_other_is_told,
    a_large_version_is_proposed_in_parts_and_comes_back_whole,
];

async fn propose_as(key: &str, who: &Person, link: &LinkId, base: u32, record: &[u8]) -> Answer {
    let path = format!("/v1/links/{link}/amendments?base_version={base}&reason=the%20unit%20was%20wrong");
    let with = |request: reqwest::RequestBuilder| {
        let request = request.header("Idempotency-Key", key).header("Content-Type", "application/fhir+json");
        request.body(record.to_vec())
    };
    who.request(Method::POST, &path, with).await
}

async fn propose(who: &Person, link: &LinkId, base: u32, record: &[u8]) -> Value {
    let answer = propose_as(&Uuid::new_v4().to_string(), who, link, base, record).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let amendment = answer.json();
    assert_eq!(answer.headers["location"], format!("/v1/amendments/{}", amendment["id"].as_str().unwrap()));
    amendment
}

/// The amendment as soon as somebody's own peer has it so.
async fn comes_to_stand(who: &Person, amendment: &Value, standing: &str) -> Value {
    let path = format!("/v1/amendments/{}", amendment["id"].as_str().unwrap());
    until("the amendment", || async {
        let answer = who.get(&path).await;
        let stands = answer.is_success() && answer.json()["standing"] == standing;
        if stands { Ok(answer.json()) } else { Err(answer.text()) }
    })
    .await
}

async fn approve(who: &Person, amendment: &Value) -> Answer {
    who.post(&format!("/v1/amendments/{}/approvals", amendment["id"].as_str().unwrap()), &json!({})).await
}

async fn comes_to_open(who: &Person, link: &LinkId, purpose: &str, record: &[u8]) {
    until("the version", || async {
        let opened = who.open(link, purpose).await;
        if opened.body == record { Ok(()) } else { Err(opened.text()) }
    })
    .await;
}

async fn a_hospital_amends_a_clinic_reads_the_proposal_and_approves_and_the_new_version_opens(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "laboratory", FIRST).await;
    let key = Uuid::new_v4().to_string();
    let first = propose_as(&key, &hospital, &link, 1, SECOND).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let amendment = first.json();

    let read = comes_to_stand(&clinic, &amendment, "open").await;
    assert_eq!(read["amendment"]["reason"], "the unit was wrong");
    assert_eq!(read["amendment"]["version"], amendment["version"]);
    comes_to_open(&clinic, &link, "treatment", FIRST).await;

    let again = until("the same request", || async {
        let again = propose_as(&key, &hospital, &link, 1, SECOND).await;
        if again.status == 200 { Ok(again.json()) } else { Err(again.text()) }
    });
    assert_eq!(again.await["id"], amendment["id"]);
    let reused = propose_as(&key, &hospital, &link, 1, THIRD).await;
    assert_eq!(reused.problem(), (422, "idempotency-key-reused".to_owned()));

    assert_eq!(approve(&hospital, &amendment).await.problem(), (403, "not-permitted".to_owned()));
    let approved = approve(&clinic, &amendment).await;
    assert!(approved.is_success(), "{}", approved.text());
    comes_to_open(&clinic, &link, "treatment", SECOND).await;
    comes_to_open(&patient, &link, "personal", SECOND).await;
    let former = hospital.get(&format!("/v1/links/{link}/versions/1")).await.json();
    assert!(former["superseded"].is_u64(), "{former}");
    let after = propose_as(&key, &hospital, &link, 1, SECOND).await;
    assert_eq!((after.status, after.json()["id"].clone()), (200, amendment["id"].clone()));
}

async fn a_rejected_amendment_changes_nothing_and_says_so(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "laboratory", FIRST).await;
    let amendment = propose(&hospital, &link, 1, SECOND).await;
    comes_to_stand(&clinic, &amendment, "open").await;
    let id = amendment["id"].as_str().unwrap();
    let reason = json!({ "reason": "not what the laboratory reported" });
    let rejected = clinic.post(&format!("/v1/amendments/{id}/rejections"), &reason).await;
    assert!(rejected.is_success(), "{}", rejected.text());

    comes_to_stand(&hospital, &amendment, "rejected").await;
    assert_eq!(approve(&clinic, &amendment).await.problem(), (409, "voice-given".to_owned()));
    comes_to_open(&clinic, &link, "treatment", FIRST).await;
    let stranger = world.payer_officer().get(&format!("/v1/amendments/{id}")).await;
    assert_eq!(stranger.problem(), (404, "unknown-amendment".to_owned()));
}

async fn of_two_amendments_in_conflict_the_first_takes_effect_and_the_other_is_told(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "laboratory", FIRST).await;
    let (first, second) = (propose(&hospital, &link, 1, SECOND).await, propose(&hospital, &link, 1, THIRD).await);
    comes_to_stand(&clinic, &second, "open").await;
    let approved = approve(&clinic, &first).await;
    assert!(approved.is_success(), "{}", approved.text());
    comes_to_stand(&clinic, &second, "superseded").await;
    assert_eq!(approve(&clinic, &second).await.problem(), (409, "amendment-conflict".to_owned()));
    comes_to_stand(&hospital, &second, "superseded").await;
    let late = propose_as("late", &hospital, &link, 1, THIRD).await;
    assert_eq!(late.problem(), (409, "amendment-conflict".to_owned()));
    comes_to_open(&clinic, &link, "treatment", SECOND).await;

    // Nobody proposes versions of another organisation's link, or without the role for it.
    let key = Uuid::new_v4().to_string();
    assert_eq!(propose_as(&key, &clinic, &link, 2, THIRD).await.problem(), (404, "unknown-link".to_owned()));
    assert_eq!(propose_as(&key, &patient, &link, 2, THIRD).await.problem().0, 403);
    let officer = world.person(SecondaryCare, PrivacyOfficer, 0);
    assert_eq!(propose_as(&key, &officer, &link, 2, THIRD).await.problem().0, 404);
}

async fn a_large_version_is_proposed_in_parts_and_comes_back_whole(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "imaging", FIRST).await;
    let large: Vec<u8> = (0..5_000_011_u32).map(|number| (number % 251) as u8).collect();
    let amendment = propose(&hospital, &link, 1, &large).await;
    comes_to_stand(&clinic, &amendment, "open").await;
    let approved = approve(&clinic, &amendment).await;
    assert!(approved.is_success(), "{}", approved.text());
    comes_to_open(&clinic, &link, "treatment", &large).await;
}
