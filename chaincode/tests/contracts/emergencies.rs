use healthchain_interface::{DeclareEmergency, EmergenciesClient, OpenLink, Opened, ReviewEmergency, ToReviewQuery};
use healthchain_rules::emergency::EmergencyAct;
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

/// The consortium with olga, a privacy officer of the clinic.
pub(crate) async fn with_olga() -> Consortium {
    let mut consortium = Consortium::new().await;
    consortium.add("olga", "clinic", "client");
    let olga = consortium.new_member("olga", Role::PrivacyOfficer);
    consortium.person("admin-clinic").members().register(&olga).await.unwrap();
    consortium
}

pub(crate) fn of_alice() -> DeclareEmergency {
    DeclareEmergency { patient: id("alice"), reason: id("unconscious"), hours: None }
}

pub(crate) fn review(emergency: &Emergency, finding: Finding) -> ReviewEmergency {
    ReviewEmergency { emergency: emergency.id.clone(), finding, note: id("seen") }
}

async fn declare(consortium: &Consortium, who: &str) -> Emergency {
    consortium.person(who).emergencies().declare(&of_alice()).await.unwrap()
}

async fn open(consortium: &Consortium, who: &str, emergency: &Emergency) -> Opened {
    let emergency = Some(emergency.id.clone());
    let call = OpenLink { link: id("l1"), purpose: Purpose::Treatment, emergency };
    consortium.person(who).links().open(&call).await.unwrap()
}

#[tokio::test]
async fn a_clinician_opens_what_is_denied_until_the_emergency_is_over() {
    let consortium = with_olga().await;
    consortium.publish("l1", Category::Restricted).await;
    let mut deny = to_payer("no", Effect::Deny);
    (deny.grantee, deny.purposes) = (Grantee::Role(Role::Clinician), Purpose::ALL.into());
    consortium.grant(deny).await;
    assert!(!consortium.open("clara", "l1", Purpose::Treatment).await.opening.decision.is_permitted());

    let emergency = declare(&consortium, "clara").await;
    assert_eq!(emergency.until, emergency.at.plus_hours(4));
    let opening = open(&consortium, "clara", &emergency).await.opening;
    let by = Provision::Emergency(emergency.id.clone());
    assert!(matches!(&opening.decision, Decision::Permitted { provision, .. } if *provision == by));
    let other = open(&consortium, "carol", &emergency).await.opening;
    assert!(matches!(other.decision, Decision::Denied { reason: Denial::EmergencyNotInForce, .. }));

    let ended = consortium.person("clara").emergencies().end(&emergency.id).await.unwrap();
    assert!(ended.until < emergency.until);
    assert_eq!(consortium.person("clara").emergencies().end(&emergency.id).await.unwrap(), ended, "repeated");
    assert!(!open(&consortium, "clara", &emergency).await.opening.decision.is_permitted());

    let (until, review_due) = (emergency.until, emergency.review_due);
    let declared = EmergencyAct::EmergencyDeclared { until, review_due }.into();
    let trail = consortium.person("alice").trail(Trail::OfPatient(id("alice"))).await;
    let entry = trail.iter().find(|entry| entry.act == declared).expect("the patient's notice");
    assert_eq!((&entry.transaction, entry.member.as_ref()), (&emergency.id, Some(&id("clara"))));
}

#[tokio::test]
async fn another_organisations_privacy_officer_reviews_what_is_listed() {
    let consortium = with_olga().await;
    let (of_carol, of_clara) = (declare(&consortium, "carol").await, declare(&consortium, "clara").await);
    let again = declare(&consortium, "carol").await;
    assert_ne!(again.id, of_carol.id, "declared twice it is two");
    let (olga, pam) = (consortium.person("olga").emergencies(), consortium.person("pam").emergencies());
    let listed = olga.to_review(&ToReviewQuery::default()).await.unwrap();
    assert_eq!((listed.items, listed.next_page_token), (vec![of_carol.clone(), again.clone()], None));
    assert_eq!(pam.to_review(&ToReviewQuery::default()).await.unwrap().items, [of_clara]);
    let first = ToReviewQuery { limit: Some(1.try_into().unwrap()), page_token: None };
    let page = olga.to_review(&first).await.unwrap();
    assert_eq!(page.items, std::slice::from_ref(&of_carol));
    let rest = ToReviewQuery { page_token: page.next_page_token, limit: None };
    assert_eq!(olga.to_review(&rest).await.unwrap().items, std::slice::from_ref(&again));

    assert_eq!(refused(pam.review(&review(&of_carol, Finding::Justified)).await), RefusalCode::NotPermitted);
    let reviewed = olga.review(&review(&of_carol, Finding::NotJustified)).await.unwrap();
    assert!(matches!(&reviewed.state, EmergencyState::Reviewed { finding: Finding::NotJustified, .. }));
    assert_eq!(olga.review(&review(&of_carol, Finding::NotJustified)).await.unwrap(), reviewed, "repeated");
    let other = olga.review(&review(&of_carol, Finding::Justified)).await;
    assert_eq!(refused(other), RefusalCode::EmergencyReviewed);
    assert_eq!(olga.to_review(&ToReviewQuery::default()).await.unwrap().items, [again]);
    for reader in ["alice", "carol", "pam", "olga", "admin-hospital"] {
        let found = consortium.person(reader).emergencies().emergency(&of_carol.id).await.unwrap();
        assert_eq!(found, reviewed, "{reader}");
    }
    let act = EmergencyAct::EmergencyReviewed { emergency: of_carol.id, finding: Finding::NotJustified }.into();
    let trail = consortium.person("carol").trail(Trail::OfMember(id("carol"))).await;
    assert!(trail.iter().any(|entry| entry.act == act));
}

#[tokio::test]
async fn an_overdue_review_suspends_further_emergencies() {
    let consortium = with_olga().await;
    let emergency = declare(&consortium, "carol").await;
    let later = |who: &str, hours| EmergenciesClient::new(consortium.person(who).later(hours));
    later("carol", 71).declare(&of_alice()).await.unwrap();
    assert_eq!(refused(later("carol", 73).declare(&of_alice()).await), RefusalCode::EmergencySuspended);
    later("dora", 73).declare(&of_alice()).await.unwrap();
    later("olga", 73).review(&review(&emergency, Finding::Justified)).await.unwrap();
    later("carol", 73).declare(&of_alice()).await.unwrap();
}

#[tokio::test]
async fn eight_emergencies_of_a_clinician_wait_at_most() {
    let consortium = Consortium::new().await;
    for _ in 0..8 {
        declare(&consortium, "carol").await;
    }
    let carol = consortium.person("carol").emergencies();
    assert_eq!(refused(carol.declare(&of_alice()).await), RefusalCode::TooManyEmergencies);
}

#[tokio::test]
async fn emergencies_are_refused_to_others() {
    let consortium = with_olga().await;
    for other in ["alice", "phil", "pia", "pam", "admin-hospital", "gateway-hospital"] {
        let other = consortium.person(other).emergencies();
        assert_eq!(refused(other.declare(&of_alice()).await), RefusalCode::NotPermitted);
    }
    let emergency = declare(&consortium, "carol").await;
    for other in ["alice", "phil", "clara", "admin-clinic", "gateway-clinic"] {
        let other = consortium.person(other).emergencies();
        let reviewed = other.review(&review(&emergency, Finding::Justified)).await;
        assert_eq!(refused(reviewed), RefusalCode::NotPermitted);
        assert_eq!(refused(other.to_review(&ToReviewQuery::default()).await), RefusalCode::NotPermitted);
    }
    for other in ["dora", "bob", "clara", "pia"] {
        let other = consortium.person(other).emergencies();
        assert_eq!(refused(other.emergency(&emergency.id).await), RefusalCode::UnknownEmergency);
        assert_eq!(refused(other.end(&emergency.id).await), RefusalCode::UnknownEmergency);
    }
    let (carol, olga) = (consortium.person("carol").emergencies(), consortium.person("olga").emergencies());
    let nobody = DeclareEmergency { patient: id("dora"), ..of_alice() };
    assert_eq!(refused(carol.declare(&nobody).await), RefusalCode::UnknownPatient);
    let unknown = ReviewEmergency { emergency: hash("none"), ..review(&emergency, Finding::Justified) };
    assert_eq!(refused(olga.review(&unknown).await), RefusalCode::UnknownEmergency);
    for (who, home) in [("carol", "hospital"), ("olga", "clinic")] {
        consortium.suspend(who, home).await;
    }
    assert_eq!(refused(carol.declare(&of_alice()).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(carol.end(&emergency.id).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(olga.review(&review(&emergency, Finding::Justified)).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn malformed_emergencies_are_refused() {
    let consortium = Consortium::new().await;
    let (carol, pam) = (consortium.person("carol"), consortium.person("pam"));
    for (field, value) in [
        ("patient", json!("Alice")),
        ("reason", json!("")),
        ("reason", json!("x".repeat(201))),
        ("hours", json!(0)),
        ("hours", json!(-1)),
        ("more", json!(1)),
    ] {
        let mut call = serde_json::to_value(of_alice()).unwrap();
        call[field] = value;
        assert_eq!(carol.status_of("Emergencies:declare", call).await, 400, "{field}");
    }
    let unknown_finding = json!({"emergency": "ab".repeat(32), "finding": "perhaps", "note": "seen"});
    assert_eq!(pam.status_of("Emergencies:review", unknown_finding).await, 400);
    assert_eq!(carol.status_of("Emergencies:end", json!("e1")).await, 400);
    assert_eq!(carol.status_of("Emergencies:emergency", json!(7)).await, 400);
    assert_eq!(pam.status_of("Emergencies:toReview", json!({"limit": 101})).await, 400);
}
