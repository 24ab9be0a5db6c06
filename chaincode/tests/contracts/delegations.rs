use healthchain_interface::{Delegate, EndDelegation, GuardianDelegationsQuery, PatientDelegationsQuery};
use healthchain_rules::*;
use serde_json::{Value, json};

use crate::consortium::*;

const DAY: u64 = 86_400_000;

/// The consortium with the guardians gina and greg.
pub(crate) async fn with_guardians() -> Consortium {
    let mut consortium = Consortium::new().await;
    for name in ["gina", "greg"] {
        consortium.add(name, "patients", "client");
        let new = consortium.new_member(name, Role::Guardian);
        consortium.person("admin-patients").members().register(&new).await.unwrap();
    }
    consortium
}

pub(crate) fn to(guardian: &str, delegation: &str) -> Delegate {
    Delegate {
        delegation: id(delegation),
        patient: id("alice"),
        guardian: id(guardian),
        powers: [Power::Open].into(),
        categories: [Category::Summary].into(),
        from: None,
        until: LedgerTime::from_milliseconds(now().milliseconds() + DAY),
    }
}

pub(crate) fn of_alice() -> PatientDelegationsQuery {
    PatientDelegationsQuery { patient: id("alice"), page_token: None, limit: None }
}

pub(crate) fn of_gina() -> GuardianDelegationsQuery {
    GuardianDelegationsQuery { guardian: id("gina"), page_token: None, limit: None }
}

#[tokio::test]
async fn a_guardian_opens_what_the_patient_delegates_until_it_ends() {
    let consortium = with_guardians().await;
    consortium.publish("l1", Category::Summary).await;
    let alice = consortium.person("alice").delegations();
    let call = to("gina", "d1");
    let before = consortium.open("gina", "l1", Purpose::Personal).await;
    assert!(!before.opening.decision.is_permitted());

    let delegation = alice.delegate(&call).await.unwrap();
    assert_eq!(alice.delegate(&call).await.unwrap(), delegation, "repeated");
    let other = Delegate { powers: [Power::Consent].into(), ..call };
    assert_eq!(refused(alice.delegate(&other).await), RefusalCode::DelegationExists);
    let opened = consortium.open("gina", "l1", Purpose::Personal).await;
    assert!(
        matches!(opened.opening.decision, Decision::Permitted { provision: Provision::Delegation(by), .. } if by == id("d1"))
    );

    let gina = consortium.person("gina").delegations();
    let end = EndDelegation { patient: id("alice"), guardian: id("gina") };
    let ended = gina.end(&end).await.unwrap();
    assert!(matches!(&ended.state, DelegationState::Ended { by, .. } if *by == id("gina")));
    assert_eq!(alice.end(&end).await.unwrap(), ended, "repeated");
    let after = consortium.open("gina", "l1", Purpose::Personal).await;
    assert!(!after.opening.decision.is_permitted());
}

#[tokio::test]
async fn patients_and_guardians_list_their_own_delegations_page_by_page() {
    let consortium = with_guardians().await;
    let (alice, gina) = (consortium.person("alice").delegations(), consortium.person("gina").delegations());
    let first = alice.delegate(&to("gina", "d1")).await.unwrap();
    let second = alice.delegate(&to("greg", "d1")).await.unwrap();
    let one = PatientDelegationsQuery { limit: Some(1.try_into().unwrap()), ..of_alice() };
    let page = alice.of_patient(&one).await.unwrap();
    assert_eq!(page.items, std::slice::from_ref(&first));
    let rest = PatientDelegationsQuery { page_token: page.next_page_token, ..of_alice() };
    assert_eq!(alice.of_patient(&rest).await.unwrap().items, [second]);
    assert_eq!(gina.of_guardian(&of_gina()).await.unwrap().items, [first]);

    let replaced = alice.delegate(&to("gina", "d2")).await.unwrap();
    let listed = gina.of_guardian(&of_gina()).await.unwrap();
    assert_eq!((listed.items, listed.next_page_token), (vec![replaced], None), "one a patient and guardian");
    assert_eq!(refused(gina.of_patient(&of_alice()).await), RefusalCode::NotPermitted);
    assert_eq!(refused(alice.of_guardian(&of_gina()).await), RefusalCode::NotPermitted);
    let stranger = consortium.person("admin-patients").delegations();
    assert_eq!(refused(stranger.of_patient(&of_alice()).await), RefusalCode::NotPermitted);
}

#[tokio::test]
async fn delegations_are_refused_to_others_to_those_who_are_no_guardians_and_beyond_two_years() {
    let consortium = with_guardians().await;
    for who in ["bob", "gina", "carol", "admin-patients", "gateway-patients"] {
        let refusal = refused(consortium.person(who).delegations().delegate(&to("gina", "d1")).await);
        assert_eq!(refusal, RefusalCode::NotPermitted, "{who}");
    }
    let alice = consortium.person("alice").delegations();
    assert_eq!(refused(alice.delegate(&to("nobody", "d1")).await), RefusalCode::UnknownMember);
    assert_eq!(refused(alice.delegate(&to("carol", "d1")).await), RefusalCode::NotGuardian);
    let long = Delegate { until: LedgerTime::from_milliseconds(now().milliseconds() + 732 * DAY), ..to("gina", "d1") };
    assert_eq!(refused(alice.delegate(&long).await), RefusalCode::Malformed);
    let over = Delegate { until: LedgerTime::from_milliseconds(1), ..to("gina", "d1") };
    assert_eq!(refused(alice.delegate(&over).await), RefusalCode::Malformed);
    let end = EndDelegation { patient: id("alice"), guardian: id("gina") };
    assert_eq!(refused(alice.end(&end).await), RefusalCode::UnknownDelegation);
    alice.delegate(&to("gina", "d1")).await.unwrap();
    assert_eq!(refused(consortium.person("greg").delegations().end(&end).await), RefusalCode::UnknownDelegation);

    consortium.suspend("greg", "patients").await;
    assert_eq!(refused(alice.delegate(&to("greg", "d1")).await), RefusalCode::NotGuardian);
    consortium.suspend("alice", "patients").await;
    assert_eq!(refused(alice.delegate(&to("gina", "d2")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(alice.end(&end).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn malformed_delegations_are_refused() {
    let consortium = Consortium::new().await;
    let alice = consortium.person("alice");
    let call = serde_json::to_value(to("gina", "d1")).unwrap();
    let with = |field: &str, value: Value| {
        let mut call = call.clone();
        call[field] = value;
        call
    };
    for malformed in [
        with("delegation", json!("d".repeat(65))),
        with("powers", json!(["everything"])),
        with("categories", json!(["secrets"])),
        with("until", json!("tomorrow")),
        with("forever", json!(true)),
    ] {
        assert_eq!(alice.status_of("Delegations:delegate", malformed.clone()).await, 400, "{malformed}");
    }
    assert_eq!(alice.status_of("Delegations:end", json!({"patient": "alice"})).await, 400);
    assert_eq!(alice.status_of("Delegations:ofPatient", json!({"patient": "alice", "limit": 101})).await, 400);
    assert_eq!(alice.status_of("Delegations:ofGuardian", json!({"guardian": "G"})).await, 400);
}
