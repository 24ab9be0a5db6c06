//! The contracts, called as any Fabric client would: a function's name and one JSON argument.

use std::time::{SystemTime, UNIX_EPOCH};

use healthchain_end_to_end::{Person, World, until};
use healthchain_rules::OrganisationKind::{self, Payer, PrimaryCare, SecondaryCare};
use healthchain_rules::Role;
use serde_json::{Value, json};
use uuid::Uuid;

const RECORD: &[u8] = br#"{"resourceType":"Observation"}"#;
const DAY: u64 = 86_400_000;

crate::promises![
    administrators_of_a_majority_make_a_group_and_its_privileges_hold_at_once,
    an_identity_is_attested_and_a_key_is_replaced_by_trustees_only,
    a_guardian_acts_within_what_the_patient_lets_it,
    an_amendment_takes_effect_once_another_care_organisation_approves,
    an_erased_link_opens_to_nobody_and_leaves_a_receipt,
    a_request_is_answered_and_a_standing_rule_answers_by_itself,
    an_emergency_overrides_a_denial_and_is_reviewed_elsewhere,
    a_subscription_is_ordered_charged_and_stated,
    a_notarization_is_verified_by_anybody_until_it_is_revoked,
    counts_are_contributed_closed_and_kept_back_while_few_contribute,
    points_are_earned_without_values_and_redeemed_once,
    an_agent_acts_within_its_charter_and_is_stopped,
    reading_the_audit_is_on_the_audit_and_every_opening_replays,
];

fn in_days(days: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap() + days * DAY
}

fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::new_v4().simple())
}

/// Submits one function; panics with the refusal, if it is one.
async fn submit(world: &World, who: &Person, function: &str, argument: Value) -> Value {
    let answer = world.chain(who).contract.submit(function, vec![argument.to_string().into_bytes()]).await;
    serde_json::from_slice(&answer.unwrap_or_else(|error| panic!("{function}: {error}"))).unwrap()
}

/// Asks until the own peer, which may be a block behind, answers what is wanted.
async fn ask(world: &World, who: &Person, function: &str, argument: Value, is_it: impl Fn(&Value) -> bool) -> Value {
    until(function, || async {
        let arguments = vec![argument.to_string().into_bytes()];
        let answer =
            world.chain(who).contract.evaluate(function, arguments).await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        if is_it(&answer) { Ok(answer) } else { Err(answer.to_string()) }
    })
    .await
}

/// The code with which a submission is refused.
async fn refusal(world: &World, who: &Person, function: &str, argument: Value) -> String {
    let error = world.chain(who).contract.submit(function, vec![argument.to_string().into_bytes()]).await.unwrap_err();
    let text = error.to_string();
    text.split(r#""code":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or(&text).to_owned()
}

fn administrator(world: &World, kind: OrganisationKind) -> Person {
    world.person(kind, Role::Administrator, 0)
}

fn maintainer(world: &World, kind: OrganisationKind) -> Person {
    world.person(kind, Role::Maintainer, 0)
}

fn privacy_officer(world: &World) -> Person {
    world.person(SecondaryCare, Role::PrivacyOfficer, 0)
}

/// Signing and encryption key of somebody who lost them, as a new pair.
fn new_keys() -> (String, String) {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = openssl::pkey::PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
    let der = key.public_key_to_der().unwrap();
    (healthchain_end_to_end::sha256(&der), openssl::base64::encode_block(&der))
}

async fn administrators_of_a_majority_make_a_group_and_its_privileges_hold_at_once(world: &World) {
    let (proposal, group) = (unique("p"), unique("g"));
    let officer = world.person(Payer, Role::PayerOfficer, 1);
    let privileges = json!({ "level": 2, "grants": ["notarize"], "withholds": ["request-access"] });
    let change = json!({ "change": "make-group", "group": group, "privileges": privileges, "members": [officer.id()] });
    let made = submit(
        world,
        &administrator(world, PrimaryCare),
        "Governance:propose",
        json!({ "proposal": proposal, "change": change }),
    )
    .await;
    assert_eq!(made["state"]["state"], "open", "{made}");
    let vote = json!({ "proposal": proposal, "choice": "approve" });
    submit(world, &administrator(world, SecondaryCare), "Governance:vote", vote.clone()).await;
    let carried = submit(world, &administrator(world, Payer), "Governance:vote", vote).await;
    assert_eq!(carried["state"]["state"], "carried", "{carried}");
    let query = json!({ "member": officer.id(), "permission": "request-access" });
    let why = ask(world, &officer, "Governance:explain", query, |why| why.to_string().contains(&group)).await;
    assert!(why.to_string().contains("withheld"), "{why}");
}

async fn an_identity_is_attested_and_a_key_is_replaced_by_trustees_only(world: &World) {
    let patient = world.new_patient();
    let attest = json!({ "member": patient.id(), "method": "in-person" });
    submit(world, &world.hospital_clinician(), "Members:attest", attest).await;
    let (key_hash, encryption_key) = new_keys();
    let rotation = json!({ "member": patient.id(), "key_hash": key_hash, "encryption_key": encryption_key });
    let patients_administrator = administrator(world, OrganisationKind::PatientServices);
    assert_eq!(refusal(world, &patients_administrator, "Members:rotateKey", rotation).await, "not-permitted");

    let msp = |person: &Person| json!({ "organisation": person.access().msp_id });
    let (hospital, payer) = (administrator(world, PrimaryCare), administrator(world, Payer));
    let trustees = json!([msp(&hospital), msp(&payer)]);
    let plan = json!({ "patient": patient.id(), "trustees": trustees, "threshold": 2 });
    submit(world, &patient, "Recoveries:plan", plan).await;
    let recovery = json!({ "recovery": "r1", "patient": patient.id() });
    let mut begin = json!({ "key_hash": key_hash, "encryption_key": encryption_key, "reason": "lost the telephone" });
    begin.as_object_mut().unwrap().extend(recovery.as_object().unwrap().clone());
    submit(world, &hospital, "Recoveries:begin", begin).await;
    submit(world, &payer, "Recoveries:approve", recovery.clone()).await;
    assert_eq!(refusal(world, &payer, "Recoveries:complete", recovery.clone()).await, "recovery-too-early");
    submit(world, &patient, "Recoveries:object", recovery).await;
    let status =
        ask(world, &patient, "Recoveries:recovery", json!(patient.id()), |status| !status["latest"].is_null()).await;
    assert!(status.to_string().contains("objected"), "{status}");
}

async fn a_guardian_acts_within_what_the_patient_lets_it(world: &World) {
    let (patient, guardian) = (world.new_patient(), world.guardian());
    let link = world.hospital_clinician().publish(patient.id(), "summary", RECORD).await;
    assert_eq!(guardian.open(&link, "personal").await.problem(), (403, "consent-required".to_owned()));
    let delegation = json!({
        "delegation": "d1", "patient": patient.id(), "guardian": guardian.id(), "powers": ["open", "read-audit"],
        "categories": ["summary"], "until": in_days(30),
    });
    submit(world, &patient, "Delegations:delegate", delegation).await;
    until("the guardian opens", || async {
        let answer = guardian.open(&link, "personal").await;
        if answer.body == RECORD { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    let ending = json!({ "patient": patient.id(), "guardian": guardian.id() });
    submit(world, &patient, "Delegations:end", ending).await;
    assert_eq!(guardian.open(&link, "personal").await.problem(), (403, "consent-required".to_owned()));
}

async fn an_amendment_takes_effect_once_another_care_organisation_approves(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "laboratory", RECORD).await;
    let query = json!({ "patient": patient.id(), "category": "laboratory" });
    let recipients = ask(world, &hospital, "Links:recipients", query, |found| found.as_array().is_some()).await;
    let envelopes: Vec<Value> = recipients
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!({ "holder": one["holder"], "recipient_key_hash": one["key_hash"], "sealed": "c2VhbGVk" }))
        .collect();
    let amendment = unique("a");
    let proposal = json!({
        "amendment": amendment, "link": link, "base_version": 1, "content_hash": "a".repeat(64), "content_length": 31,
        "commitment": "b".repeat(64), "media_type": "application/fhir+json", "reason": "unit was wrong", "envelopes": envelopes,
    });
    submit(world, &hospital, "Amendments:propose", proposal).await;
    let approval = json!({ "amendment": amendment });
    assert_eq!(refusal(world, &hospital, "Amendments:approve", approval.clone()).await, "not-permitted");
    submit(world, &clinic, "Amendments:approve", approval).await;
    let now = ask(world, &patient, "Links:link", json!(link), |found| found["current"]["number"] == 2).await;
    assert_eq!(now["current"]["content"]["hash"], "a".repeat(64));
    let former = world
        .chain(&patient)
        .contract
        .evaluate("Links:version", vec![json!(link).to_string().into_bytes(), b"1".to_vec()])
        .await;
    assert!(String::from_utf8_lossy(&former.unwrap()).contains(r#""number":1"#));
}

async fn an_erased_link_opens_to_nobody_and_leaves_a_receipt(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "imaging", RECORD).await;
    let officer = world.person(PrimaryCare, Role::PrivacyOfficer, 0);
    let erasure = json!({ "link": link, "reason": "the patient asked for it" });
    assert_eq!(refusal(world, &hospital, "Links:erase", erasure.clone()).await, "not-permitted");
    submit(world, &officer, "Links:erase", erasure).await;
    assert_eq!(patient.open(&link, "personal").await.problem(), (403, "link-erased".to_owned()));
    let receipt = ask(world, &patient, "Links:erasureReceipt", json!(link), |found| found.is_object()).await;
    assert!(receipt.to_string().contains(officer.id().as_str()), "{receipt}");
}

async fn a_request_is_answered_and_a_standing_rule_answers_by_itself(world: &World) {
    let (payer, patient) = (world.payer_officer(), world.new_patient());
    let wish = |request: &str, category: &str| {
        json!({
            "request": request, "patient": patient.id(), "for": "organisation", "scope": { "categories": [category] },
            "purposes": ["payment"], "until": in_days(20), "reason": "claim of the spring",
        })
    };
    let (first, second) = (unique("q"), unique("q"));
    let asked = submit(world, &payer, "Requests:ask", wish(&first, "claim")).await;
    assert_eq!(asked["state"]["state"], "open", "{asked}");
    let answer = json!({ "request": first, "patient": patient.id(), "answer": { "grant": { "consent": "c1" } } });
    let answered = submit(world, &patient, "Requests:answer", answer).await;
    assert_eq!(answered["state"]["state"], "granted", "{answered}");
    let rule = json!({
        "rule": "r1", "patient": patient.id(), "grantee": { "organisation": payer.access().msp_id }, "purposes": ["payment"],
        "categories": ["imaging"], "answer": "refuse",
    });
    submit(world, &patient, "Requests:setRule", rule).await;
    let refused = submit(world, &payer, "Requests:ask", wish(&second, "imaging")).await;
    assert_eq!(refused["state"]["state"], "refused", "{refused}");
}

async fn an_emergency_overrides_a_denial_and_is_reviewed_elsewhere(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "restricted", RECORD).await;
    assert_eq!(hospital.open(&link, "treatment").await.problem(), (403, "consent-required".to_owned()));
    let declared =
        submit(world, &hospital, "Emergencies:declare", json!({ "patient": patient.id(), "reason": "unconscious" }))
            .await;
    let emergency = declared["id"].as_str().unwrap().to_owned();
    let opening = json!({ "purpose": "treatment", "emergency": emergency });
    let opened = hospital.post(&format!("/v1/links/{link}/openings"), &opening).await;
    assert_eq!((opened.status, opened.body.as_slice()), (200, RECORD), "{}", opened.text());
    let review = json!({ "emergency": emergency, "finding": "justified", "note": "was unconscious" });
    let own = world.person(PrimaryCare, Role::PrivacyOfficer, 0);
    assert_eq!(refusal(world, &own, "Emergencies:review", review.clone()).await, "not-permitted");
    submit(world, &privacy_officer(world), "Emergencies:review", review).await;
    let after = hospital.post(&format!("/v1/links/{link}/openings"), &opening).await;
    assert_eq!(after.problem(), (403, "emergency-not-in-force".to_owned()));
    ask(world, &privacy_officer(world), "Emergencies:toReview", json!({}), |page| {
        !page.to_string().contains(&emergency)
    })
    .await;
}

async fn a_subscription_is_ordered_charged_and_stated(world: &World) {
    let (payer, patient, plan) = (world.payer_officer(), world.new_patient(), unique("plan"));
    let terms = json!({
        "price": { "amount": 500, "currency": "USD" }, "period_days": 30, "grace_days": 10,
        "features": { "notarizations_a_year": 2 }, "notarization_price": 100,
    });
    submit(world, &maintainer(world, PrimaryCare), "Subscriptions:makePlan", json!({ "plan": plan, "terms": terms }))
        .await;
    let order = json!({ "order": "o1", "patient": patient.id(), "plan": plan, "periods": 2 });
    submit(world, &payer, "Subscriptions:order", order).await;
    let account = json!({ "account": { "organisation": payer.access().msp_id } });
    let stated = ask(world, &payer, "Subscriptions:statement", account, |found| {
        found.to_string().contains(patient.id().as_str())
    })
    .await;
    assert!(stated.to_string().contains("1000"), "{stated}");
}

async fn a_notarization_is_verified_by_anybody_until_it_is_revoked(world: &World) {
    let (hospital, patient, payer) = (world.hospital_clinician(), world.new_patient(), world.payer_officer());
    let (id, hash) = (unique("n"), healthchain_end_to_end::sha256(patient.id().as_str().as_bytes()));
    let call = json!({ "notarization": id, "patient": patient.id(), "kind": "document", "hash": hash, "bill_to": "organisation" });
    submit(world, &hospital, "Notarizations:notarize", call).await;
    let found =
        ask(world, &payer, "Notarizations:verify", json!({ "hash": hash }), |page| page.to_string().contains(&id))
            .await;
    assert!(!found.to_string().contains(patient.id().as_str()), "verification names no patient: {found}");
    submit(world, &hospital, "Notarizations:revoke", json!({ "notarization": id, "reason": "wrong document" })).await;
    ask(world, &payer, "Notarizations:verify", json!({ "hash": hash }), |page| page.to_string().contains("revoked"))
        .await;
}

async fn counts_are_contributed_closed_and_kept_back_while_few_contribute(world: &World) {
    let (hospital, measure) = (maintainer(world, PrimaryCare), unique("m"));
    define_measure(world, &measure, "N02A").await;
    let counts = counts(&measure, "2024-03");
    submit(world, &hospital, "Statistics:contribute", counts.clone()).await;
    submit(world, &maintainer(world, SecondaryCare), "Statistics:contribute", counts.clone()).await;
    submit(world, &hospital, "Statistics:close", json!({ "measure": measure, "period": "2024-03" })).await;
    let other = administrator(world, PrimaryCare);
    assert_eq!(refusal(world, &other, "Statistics:contribute", counts).await, "not-permitted");
}

/// A measure of its own.
pub(crate) async fn define_measure(world: &World, measure: &str, class: &str) {
    let definition = json!({
        "measure": measure, "title": "drugs", "denominator": "visits", "per": 1000, "classes": [class],
        "regions": ["US-MA"], "from": "2000-01", "epsilon_budget": 1000,
    });
    submit(world, &maintainer(world, PrimaryCare), "Statistics:define", definition).await;
}

/// What an organisation counted in a month.
pub(crate) fn counts(measure: &str, period: &str) -> Value {
    let class = if measure.starts_with("busy") { "J01" } else { "N02A" };
    json!({
        "measure": measure, "period": period,
        "cells": [{ "class": class, "region": "US-MA", "numerator": 100, "denominator": 1000 }],
    })
}

async fn points_are_earned_without_values_and_redeemed_once(world: &World) {
    let (payer, patient, hospital) = (world.payer_officer(), world.new_patient(), world.hospital_clinician());
    let program = unique("walk");
    let terms = json!({
        "metric": "steps", "target": "ten-thousand-a-day", "alternative_standard": "education", "kind": "outcome",
        "period": "year", "points": 10, "points_a_year": 10, "point_value": 2, "coverage_cost": 1000, "from": 0,
        "until": in_days(900),
    });
    submit(world, &payer, "Rewards:define", json!({ "program": program, "terms": terms })).await;
    let enrolment = json!({ "program": program, "patient": patient.id(), "sponsor": payer.access().msp_id });
    submit(world, &patient, "Rewards:enrol", enrolment).await;
    let year = 1970 + in_days(0) / (DAY * 365 + DAY / 4);
    let attestation =
        json!({ "program": program, "patient": patient.id(), "period": year.to_string(), "standard": "target" });
    submit(world, &hospital, "Rewards:attest", attestation).await;
    let redemption = json!({ "redemption": "r1", "program": program, "patient": patient.id(), "points": 10 });
    submit(world, &patient, "Rewards:redeem", redemption).await;
    let more = json!({ "redemption": "r2", "program": program, "patient": patient.id(), "points": 1 });
    assert!(refusal(world, &patient, "Rewards:redeem", more).await.contains("points"));
}

async fn an_agent_acts_within_its_charter_and_is_stopped(world: &World) {
    let (clinic, agent) = (world.clinic_clinician(), unique("agent"));
    let (key_hash, encryption_key) = new_keys();
    let deployment = json!({
        "agent": agent, "owner": clinic.id(), "key_hash": key_hash, "encryption_key": encryption_key,
        "functions": ["Amendments:approve"], "purposes": [], "categories": [], "calls_a_day": 100, "until": in_days(30),
    });
    submit(world, &administrator(world, SecondaryCare), "Agents:deploy", deployment).await;
    let found = ask(world, &clinic, "Agents:agent", json!(agent), |found| found.is_object()).await;
    assert_eq!(found["charter"]["owner"], json!(clinic.id()));
    let stop = json!({ "agent": agent, "reason": "not needed" });
    assert_eq!(refusal(world, &world.payer_officer(), "Agents:stop", stop.clone()).await, "unknown-agent");
    submit(world, &clinic, "Agents:stop", stop).await;
}

async fn reading_the_audit_is_on_the_audit_and_every_opening_replays(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let permitted = clinic.open(&link, "treatment").await.opening();
    let denied = world.payer_officer().open(&link, "payment").await.opening();
    patient.permit(world.payer_officer().access().msp_id.as_str(), "summary", "payment").await;
    for opening in [permitted, denied] {
        let replay = ask(world, &patient, "Audit:replay", json!(opening), |replay| replay.is_object()).await;
        assert_eq!(replay["agrees"], json!(true), "{replay}");
    }
    let reading = submit(world, &patient, "Audit:read", json!({ "trail": { "of-patient": patient.id() } })).await;
    let reading = json!({ "reading": reading["transaction"] });
    let page = ask(world, &patient, "Audit:entries", reading.clone(), |page| page["items"].is_array()).await;
    assert!(page.to_string().contains("audit-read"), "{page}");
    let mut all = reading;
    all["all"] = json!(true);
    let accounting = ask(world, &patient, "Audit:accounting", all, |page| page["items"].is_array()).await;
    assert!(accounting.to_string().contains(clinic.id().as_str()), "{accounting}");

    // The same as resources of the gateways.
    let path = format!("/v1/patients/{}/accounting", patient.id());
    let page = until("the accounting", || async {
        let answer = patient.get(&format!("{path}?all=true&limit=1")).await;
        if answer.is_success() { Ok(answer.json()) } else { Err(answer.text()) }
    });
    assert_eq!(page.await["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(clinic.get(&path).await.problem(), (403, "not-permitted".to_owned()));
    let officer = privacy_officer(world);
    let trail = format!("/v1/organisations/{}/audit", officer.access().msp_id);
    until("the organisation's trail", || async {
        let answer = officer.get(&format!("{trail}?limit=100")).await;
        let tells = answer.is_success() && answer.json().to_string().contains(clinic.id().as_str());
        if tells { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    for other in [&clinic, &hospital, &patient] {
        assert_eq!(other.get(&trail).await.problem().0, 403);
    }
}
