use healthchain_interface::{ConsentQuery, GrantConsent, PatientConsentsQuery};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

#[tokio::test]
async fn a_patient_grants_reads_and_revokes_consents() {
    let consortium = Consortium::new().await;
    let alice = consortium.person("alice").consents();
    let consent = alice.grant(&to_payer("c1", Effect::Permit)).await.unwrap();
    assert_eq!(consent.state, ConsentState::Granted);
    assert_eq!(alice.grant(&to_payer("c1", Effect::Permit)).await.unwrap(), consent, "repeated");
    assert_eq!(refused(alice.grant(&to_payer("c1", Effect::Deny)).await), RefusalCode::ConsentExists);
    assert_eq!(alice.of_patient(&id("alice")).await.unwrap(), [consent]);

    let revoked = alice.revoke(&revocation("c1")).await.unwrap();
    assert!(matches!(revoked.state, ConsentState::Revoked { .. }));
    assert_eq!(alice.revoke(&revocation("c1")).await.unwrap(), revoked, "repeated");
    assert!(alice.of_patient(&id("alice")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_grant_repeated_after_its_revocation_does_not_pretend_to_be_in_force() {
    let consortium = Consortium::new().await;
    let alice = consortium.person("alice").consents();
    alice.grant(&to_payer("c1", Effect::Permit)).await.unwrap();
    alice.revoke(&revocation("c1")).await.unwrap();
    assert_eq!(refused(alice.grant(&to_payer("c1", Effect::Permit)).await), RefusalCode::ConsentExists);
    assert!(alice.of_patient(&id("alice")).await.unwrap().is_empty());
    assert!(alice.grant(&to_payer("c2", Effect::Permit)).await.is_ok(), "a new id grants anew");
}

#[tokio::test]
async fn nobody_else_grants_reads_or_revokes_a_patients_consents() {
    let consortium = Consortium::new().await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    for other in ["bob", "carol", "pia", "admin-patients", "gateway-patients"] {
        let other = consortium.person(other).consents();
        assert_eq!(refused(other.grant(&to_payer("c2", Effect::Permit)).await), RefusalCode::NotPermitted);
        assert_eq!(refused(other.revoke(&revocation("c1")).await), RefusalCode::NotPermitted);
        assert_eq!(refused(other.of_patient(&id("alice")).await), RefusalCode::NotPermitted);
    }
    let bob = consortium.person("bob").consents();
    let mut other = revocation("c1");
    other.patient = id("bob");
    assert_eq!(refused(bob.revoke(&other).await), RefusalCode::UnknownConsent);
}

#[tokio::test]
async fn patients_choose_their_consents_ids_without_regard_to_other_patients() {
    let consortium = Consortium::new().await;
    let of_alice = consortium.grant(to_payer("c1", Effect::Permit)).await;
    let bob = consortium.person("bob").consents();
    bob.grant(&GrantConsent { patient: id("bob"), ..to_payer("c1", Effect::Deny) }).await.unwrap();
    assert_eq!(consortium.person("alice").consents().of_patient(&id("alice")).await.unwrap(), [of_alice]);
}

#[tokio::test]
async fn a_suspended_patient_grants_and_revokes_nothing() {
    let consortium = Consortium::new().await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    consortium.suspend("alice", "patients").await;
    let alice = consortium.person("alice").consents();
    assert_eq!(refused(alice.grant(&to_payer("c2", Effect::Permit)).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(alice.revoke(&revocation("c1")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(alice.of_patient(&id("alice")).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_consent_names_only_what_exists() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let alice = consortium.person("alice").consents();
    let to = |grantee, scope| GrantConsent { grantee, scope, ..to_payer("c1", Effect::Permit) };
    let all = || to_payer("c1", Effect::Permit).scope;
    let links = |names: &[&str]| Scope::Links(names.iter().map(|name| id(name)).collect());
    for (call, expected) in [
        (to(Grantee::Member(id("nobody")), all()), RefusalCode::UnknownMember),
        (to(Grantee::Organisation(id("nobody")), all()), RefusalCode::UnknownOrganisation),
        (to(Grantee::Group(id("nobody")), all()), RefusalCode::UnknownGroup),
        (to(Grantee::Role(Role::Clinician), links(&["l1", "l2"])), RefusalCode::UnknownLink),
    ] {
        assert_eq!(refused(alice.grant(&call).await), expected);
    }
    assert_eq!(refused(alice.revoke(&revocation("none")).await), RefusalCode::UnknownConsent);
    assert!(alice.grant(&to(Grantee::Member(id("pia")), links(&["l1"]))).await.is_ok());
}

#[tokio::test]
async fn malformed_and_oversized_consents_are_refused() {
    let consortium = Consortium::new().await;
    let alice = consortium.person("alice");
    let no_purpose = GrantConsent { purposes: [].into(), ..to_payer("c", Effect::Permit) };
    let no_record = GrantConsent { scope: Scope::Categories([].into()), ..to_payer("c", Effect::Permit) };
    let many = (0..33).map(|n| id(&format!("l{n}"))).collect();
    let many = GrantConsent { scope: Scope::Links(many), ..to_payer("c", Effect::Permit) };
    let past = Some(LedgerTime::from_milliseconds(1));
    let ended = GrantConsent { until: past, ..to_payer("c", Effect::Permit) };
    for call in [no_purpose, no_record, many, ended] {
        assert_eq!(refused(alice.consents().grant(&call).await), RefusalCode::Malformed);
    }
    let well_formed = serde_json::to_value(to_payer("c", Effect::Permit)).unwrap();
    for (field, value) in [
        ("consent", json!("C")),
        ("grantee", json!({"guild": "x"})),
        ("scope", json!({"categories": ["everything"]})),
        ("purposes", json!(["curiosity"])),
        ("from", json!(-1)),
        ("more", json!(1)),
    ] {
        let mut call = well_formed.clone();
        call[field] = value;
        assert_eq!(alice.status_of("Consents:grant", call).await, 400, "{field}");
    }
    assert_eq!(alice.status_of("Consents:revoke", json!({"consent": "c"})).await, 400);
    assert_eq!(alice.status_of("Consents:ofPatient", json!(7)).await, 400);
}

#[tokio::test]
async fn a_patient_reads_every_consent_that_was_ever_granted() {
    let consortium = Consortium::new().await;
    let alice = consortium.person("alice").consents();
    for name in ["c1", "c2", "c3"] {
        consortium.grant(to_payer(name, Effect::Permit)).await;
    }
    let revoked = alice.revoke(&revocation("c2")).await.unwrap();
    let one = |name| ConsentQuery { patient: id("alice"), consent: id(name) };
    assert_eq!(alice.consent(&one("c2")).await.unwrap(), revoked);
    assert_eq!(refused(alice.consent(&one("c4")).await), RefusalCode::UnknownConsent);

    let all = |page_token, limit: Option<u32>| {
        let limit = limit.map(|limit| limit.try_into().unwrap());
        PatientConsentsQuery { patient: id("alice"), page_token, limit }
    };
    let page = alice.all_of_patient(&all(None, Some(2))).await.unwrap();
    let names: Vec<&str> = page.items.iter().map(|consent| consent.id.as_str()).collect();
    assert_eq!((names, &page.items[1]), (vec!["c1", "c2"], &revoked));
    let rest = alice.all_of_patient(&all(page.next_page_token.clone(), None)).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].id.as_str(), rest.next_page_token), (1, "c3", None));

    let bob = consortium.person("bob").consents();
    assert_eq!(refused(bob.consent(&one("c1")).await), RefusalCode::NotPermitted);
    assert_eq!(refused(bob.all_of_patient(&all(None, None)).await), RefusalCode::NotPermitted);
    let own = PatientConsentsQuery { patient: id("bob"), ..all(page.next_page_token, None) };
    assert_eq!(refused(bob.all_of_patient(&own).await), RefusalCode::PageTokenMismatch);
    let malformed = json!({"patient": "alice", "limit": 101});
    assert_eq!(consortium.person("alice").status_of("Consents:allOfPatient", malformed).await, 400);
    assert_eq!(consortium.person("alice").status_of("Consents:consent", json!({"patient": "alice"})).await, 400);
}
