//! One record's way, and what holds on it.

use healthchain_end_to_end::{World, sha256};
use serde_json::json;
use uuid::Uuid;

const RECORD: &[u8] = br#"{"resourceType":"Bundle","type":"collection","entry":[]}"#;

crate::promises![
    a_record_goes_the_whole_way,
    consent_to_one_person_seals_to_that_person_alone,
    somebody_entitled_later_gets_an_envelope_without_the_patient_doing_anything,
    a_denial_of_the_patient_stops_even_direct_treatment,
    a_withdrawn_link_opens_to_nobody,
    a_suspended_member_opens_nothing_from_the_next_call_on,
    the_same_idempotency_key_never_publishes_twice,
    many_openings_at_once_are_all_committed,
];

async fn a_record_goes_the_whole_way(world: &World) {
    let (hospital, clinic, payer) = (world.hospital_clinician(), world.clinic_clinician(), world.payer_officer());
    let patient = world.new_patient();

    let link = hospital.publish(patient.id(), "encounter-note", RECORD).await;
    payer.comes_to_see(patient.id(), "payment", &[]).await;
    let refused = payer.open(&link, "payment").await;
    assert_eq!(refused.problem(), (403, "consent-required".to_owned()));

    let consent = patient.permit(payer.access().msp_id.as_str(), "encounter-note", "payment").await;
    payer.comes_to_see(patient.id(), "payment", &[&link]).await;
    let opened = payer.open(&link, "payment").await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    assert_eq!(sha256(&opened.body), sha256(RECORD));
    assert_eq!(opened.headers["content-type"], "application/fhir+json");
    assert_eq!(clinic.open(&link, "treatment").await.body, RECORD);
    assert_eq!(patient.open(&link, "personal").await.body, RECORD);

    patient.revoke(&consent).await;
    let refused_again = payer.open(&link, "payment").await;
    assert_eq!(refused_again.problem(), (403, "consent-required".to_owned()));
    payer.comes_to_see(patient.id(), "payment", &[]).await;

    let trail = patient.trail_with(&refused_again.opening()).await;
    let looked: Vec<_> = trail
        .iter()
        .rev()
        .filter(|entry| entry["act"]["link"] == json!(link))
        .map(|entry| (entry["act"]["act"].as_str().unwrap_or_default(), entry["member"].as_str().unwrap_or("gateway")))
        .filter(|(act, _)| *act != "envelope-added")
        .collect();
    let [hospital, clinic, payer, patient] = [&hospital, &clinic, &payer, &patient].map(|person| person.id().as_str());
    let expected = [
        ("link-published", hospital),
        ("opening-denied", payer),
        ("link-opened", payer),
        ("link-opened", clinic),
        ("link-opened", patient),
        ("opening-denied", payer),
    ];
    assert_eq!(looked, expected);
}

async fn consent_to_one_person_seals_to_that_person_alone(world: &World) {
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    let colleague = world.person(healthchain_rules::OrganisationKind::Payer, healthchain_rules::Role::PayerOfficer, 1);
    let link = hospital.publish(patient.id(), "claim", RECORD).await;

    patient.grant(json!({ "member": payer.id() }), "claim", "payment", "permit").await;
    let opened = payer.open(&link, "payment").await;
    assert_eq!((opened.status, opened.body.as_slice()), (200, RECORD), "{}", opened.text());
    assert_eq!(colleague.open(&link, "payment").await.problem(), (403, "consent-required".to_owned()));

    // The envelope on the ledger is the person's: neither the colleague nor the organisation's gateway could unseal it.
    let envelope = world.chain(&payer).links().envelope(&opened.opening()).await.unwrap().expect("it was sealed");
    assert_eq!(json!(envelope)["holder"], json!({ "member": payer.id() }));
    let refused = world.chain(&colleague).links().envelope(&opened.opening()).await.unwrap_err();
    assert!(refused.to_string().contains("unknown-opening"), "{refused}");
}

async fn somebody_entitled_later_gets_an_envelope_without_the_patient_doing_anything(world: &World) {
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    let link = hospital.publish(patient.id(), "laboratory", RECORD).await;
    patient.permit(payer.access().msp_id.as_str(), "laboratory", "operations").await;

    let opened = payer.open(&link, "operations").await;
    assert_eq!((opened.status, opened.body.as_slice()), (200, RECORD), "{}", opened.text());
    let added =
        patient.trail_with(&opened.opening()).await.into_iter().find(|entry| entry["act"]["act"] == "envelope-added");
    let added = added.expect("the publisher's gateway's deed is on the trail");
    assert_eq!(added["organisation"], json!(hospital.access().msp_id));
    assert_eq!(added["act"]["opening"], json!(opened.opening()));
}

async fn a_denial_of_the_patient_stops_even_direct_treatment(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "imaging", RECORD).await;
    assert_eq!(clinic.open(&link, "treatment").await.status, 200);

    let clinic_organisation = json!({ "organisation": clinic.access().msp_id });
    let consent = patient.grant(clinic_organisation, "imaging", "treatment", "deny").await;
    let refused = clinic.open(&link, "treatment").await;
    assert_eq!(refused.problem(), (403, "patient-denied".to_owned()));
    assert_eq!(refused.json()["provision"], json!({ "consent": consent }));
    assert_eq!(patient.open(&link, "personal").await.status, 200);
}

async fn a_withdrawn_link_opens_to_nobody(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;

    let path = format!("/v1/links/{link}/withdrawal");
    let reason = json!({ "reason": "published for the wrong patient" });
    assert_eq!(clinic.post(&path, &reason).await.problem(), (404, "unknown-link".to_owned()));
    assert!(hospital.post(&path, &reason).await.is_success());
    for (person, purpose) in [(&clinic, "treatment"), (&hospital, "treatment"), (&patient, "personal")] {
        assert_eq!(person.open(&link, purpose).await.problem(), (403, "link-withdrawn".to_owned()));
    }
}

async fn a_suspended_member_opens_nothing_from_the_next_call_on(world: &World) {
    use healthchain_rules::{OrganisationKind::PrimaryCare, Role};
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let administrator = world.person(PrimaryCare, Role::Administrator, 0);
    let suspended = world.person(PrimaryCare, Role::Clinician, 2);
    let link = hospital.publish(patient.id(), "medication", RECORD).await;
    assert_eq!(suspended.open(&link, "treatment").await.status, 200);

    let path = format!("/v1/members/{}/suspension", suspended.id());
    let reason = json!({ "reason": "left the organisation" });
    assert_eq!(hospital.post(&path, &reason).await.problem().0, 403);
    assert!(administrator.post(&path, &reason).await.is_success());
    let refused = suspended.open(&link, "treatment").await;
    assert_eq!(refused.problem(), (403, "member-suspended".to_owned()));
    assert_eq!(suspended.get(&format!("/v1/patients/{}/links?purpose=treatment", patient.id())).await.problem().0, 403);
    let trail = patient.trail_with(&refused.opening()).await;
    assert!(trail.iter().any(|entry| entry["act"]["reason"] == "member-suspended"));
}

async fn the_same_idempotency_key_never_publishes_twice(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let key = Uuid::new_v4().to_string();
    let at_once =
        futures::future::join_all((0..4).map(|_| hospital.publish_as(&key, patient.id(), "summary", RECORD))).await;
    let first = hospital.publish_as(&key, patient.id(), "summary", RECORD).await;
    assert_eq!(first.status, 200, "{}", first.text());
    for answer in at_once {
        assert!(answer.is_success(), "{}", answer.text());
        assert_eq!(answer.link(), first.link());
    }
    patient.comes_to_see(patient.id(), "personal", &[&first.link()]).await;
    assert_eq!(patient.open(&first.link(), "personal").await.body, RECORD);

    let other = hospital.publish_as(&key, patient.id(), "summary", b"{}").await;
    assert_eq!(other.problem(), (422, "idempotency-key-reused".to_owned()));
}

async fn many_openings_at_once_are_all_committed(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "allergy", RECORD).await;
    let opened = futures::future::join_all((0..50).map(|_| clinic.open(&link, "treatment"))).await;
    for answer in &opened {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for answer in &opened {
        patient.trail_with(&answer.opening()).await;
    }
}
