use healthchain_interface::{MemberAuditQuery, Page, PageLimit, PatientAuditQuery, WithdrawLink};
use healthchain_rules::audit::{Act, AuditEntry};
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

fn of_alice() -> PatientAuditQuery {
    PatientAuditQuery { patient: id("alice"), page_token: None, limit: None }
}

fn of(member: &str) -> MemberAuditQuery {
    MemberAuditQuery { member: id(member), page_token: None, limit: None }
}

fn acts(page: &Page<AuditEntry>) -> Vec<String> {
    let name = |entry: &AuditEntry| serde_json::to_value(&entry.act).unwrap()["act"].as_str().unwrap().to_owned();
    page.items.iter().map(name).collect()
}

async fn some_history() -> Consortium {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.open("pia", "l1", Purpose::Payment).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    consortium.open("pia", "l1", Purpose::Payment).await;
    consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    let withdrawal = WithdrawLink { link: id("l1"), reason: id("replaced") };
    consortium.person("carol").links().withdraw(&withdrawal).await.unwrap();
    consortium
}

#[tokio::test]
async fn a_patient_reads_who_did_what_newest_first() {
    let consortium = some_history().await;
    let page = consortium.person("alice").audit().of_patient(&of_alice()).await.unwrap();
    assert_eq!(
        acts(&page),
        ["link-withdrawn", "consent-revoked", "link-opened", "consent-granted", "opening-denied", "link-published"]
    );
    let opened = &page.items[2];
    assert_eq!((opened.organisation.as_str(), opened.member.as_ref().unwrap().as_str()), ("payer", "pia"));
    assert!(matches!(
        &opened.act,
        Act::Opening(OpeningAct::LinkOpened { purpose: Purpose::Payment, provision: Provision::Consent(consent), .. })
            if *consent == id("c1")
    ));
    let denied = &page.items[4].act;
    assert!(matches!(denied, Act::Opening(OpeningAct::OpeningDenied { reason: Denial::ConsentRequired, .. })));
}

#[tokio::test]
async fn a_members_trail_is_for_the_member_and_its_organisations_auditors() {
    let consortium = some_history().await;
    consortium.suspend("carol", "hospital").await;
    for reader in ["pam", "admin-hospital"] {
        let page = consortium.person(reader).audit().of_member(&of("carol")).await.unwrap();
        assert_eq!(acts(&page), ["member-suspended", "link-withdrawn", "link-published", "member-registered"]);
    }
    let own = consortium.person("pia").audit().of_member(&of("pia")).await.unwrap();
    assert_eq!(acts(&own), ["link-opened", "opening-denied", "member-registered"]);
    for (who, whose, expected) in [
        ("dora", "carol", RefusalCode::NotPermitted),
        ("carol", "carol", RefusalCode::MemberSuspended),
        ("admin-clinic", "carol", RefusalCode::OtherOrganisation),
        ("gateway-hospital", "carol", RefusalCode::NotPermitted),
        ("pam", "nobody", RefusalCode::UnknownMember),
    ] {
        let found = consortium.person(who).audit().of_member(&of(whose)).await;
        assert_eq!(refused(found), expected, "{who} {whose}");
    }
}

#[tokio::test]
async fn nobody_but_the_patient_reads_a_patients_trail() {
    let consortium = some_history().await;
    for other in ["bob", "carol", "pam", "pia", "admin-patients", "gateway-patients"] {
        let found = consortium.person(other).audit().of_patient(&of_alice()).await;
        assert_eq!(refused(found), RefusalCode::NotPermitted, "{other}");
    }
    consortium.suspend("alice", "patients").await;
    let alice = consortium.person("alice").audit();
    assert_eq!(refused(alice.of_patient(&of_alice()).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn trails_come_page_by_page_and_tokens_belong_to_their_query() {
    let consortium = some_history().await;
    let alice = consortium.person("alice");
    let whole = alice.audit().of_patient(&of_alice()).await.unwrap().items;
    let two = PageLimit::try_from(2).unwrap();
    let mut query = PatientAuditQuery { limit: Some(two), ..of_alice() };
    let mut paged = Vec::new();
    loop {
        let page = alice.audit().of_patient(&query).await.unwrap();
        paged.extend(page.items);
        match page.next_page_token {
            Some(token) => query.page_token = Some(token),
            None => break,
        }
    }
    assert_eq!(paged, whole);
    let foreign = MemberAuditQuery { page_token: query.page_token, ..of("alice") };
    assert_eq!(refused(alice.audit().of_member(&foreign).await), RefusalCode::PageTokenMismatch);
    for malformed in [json!({"patient": "alice", "limit": 0}), json!({"patient": "alice", "page_token": ""}), json!({})]
    {
        assert_eq!(alice.status_of("Audit:ofPatient", malformed).await, 400);
    }
    assert_eq!(alice.status_of("Audit:ofMember", json!({"member": "A"})).await, 400);
}
