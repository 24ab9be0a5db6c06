use healthchain_interface::{EntriesQuery, PageLimit, ReadTrail, WithdrawLink};
use healthchain_rules::audit::{Act, AuditEntry};
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::reading::ReadingAct;
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

fn of_alice() -> Trail {
    Trail::OfPatient(id("alice"))
}

fn of(member: &str) -> Trail {
    Trail::OfMember(id(member))
}

fn of_organisation(name: &str) -> Trail {
    Trail::OfOrganisation(id(name))
}

fn whole(trail: Trail) -> ReadTrail {
    ReadTrail { trail, from: None, until: None }
}

fn acts(entries: &[AuditEntry]) -> Vec<String> {
    let name = |entry: &AuditEntry| serde_json::to_value(&entry.act).unwrap()["act"].as_str().unwrap().to_owned();
    entries.iter().map(name).collect()
}

async fn some_history() -> Consortium {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.open("pia", "l1", Purpose::Payment).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    consortium.open("pia", "l1", Purpose::Payment).await;
    consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    let withdrawal = WithdrawLink { link: id("l1"), reason: id("replaced"), superseded_by: None };
    consortium.person("carol").links().withdraw(&withdrawal).await.unwrap();
    consortium
}

/// All entries of a reading, taken page by page.
async fn paged(reader: &Person, reading: &TransactionId, limit: u32) -> Vec<AuditEntry> {
    let limit = Some(PageLimit::try_from(limit).unwrap());
    let mut query = EntriesQuery { reading: reading.clone(), page_token: None, limit };
    let mut items = Vec::new();
    loop {
        let page = reader.audit().entries(&query).await.unwrap();
        items.extend(page.items);
        match page.next_page_token {
            Some(token) => query.page_token = Some(token),
            None => return items,
        }
    }
}

#[tokio::test]
async fn a_patient_reads_who_did_what_newest_first() {
    let consortium = some_history().await;
    let entries = consortium.person("alice").trail(of_alice()).await;
    assert_eq!(
        acts(&entries),
        [
            "audit-read",
            "link-withdrawn",
            "consent-revoked",
            "link-opened",
            "consent-granted",
            "opening-denied",
            "link-published"
        ]
    );
    let opened = &entries[3];
    assert_eq!((opened.organisation.as_str(), opened.member.as_ref().unwrap().as_str()), ("payer", "pia"));
    assert!(matches!(
        &opened.act,
        Act::Opening(OpeningAct::LinkOpened { purpose: Purpose::Payment, provision: Provision::Consent(consent), .. })
            if *consent == id("c1")
    ));
    let denied = &entries[5].act;
    assert!(matches!(denied, Act::Opening(OpeningAct::OpeningDenied { reason: Denial::ConsentRequired, .. })));
}

#[tokio::test]
async fn a_members_trail_is_for_the_member_and_its_organisations_auditors() {
    let consortium = some_history().await;
    consortium.suspend("carol", "hospital").await;
    let of_carol = ["member-suspended", "link-withdrawn", "link-published", "member-registered"];
    let entries = consortium.person("pam").trail(of("carol")).await;
    assert_eq!(acts(&entries), [&["audit-read"], &of_carol[..]].concat());
    let entries = consortium.person("admin-hospital").trail(of("carol")).await;
    assert_eq!(acts(&entries), [&["audit-read", "audit-read"], &of_carol[..]].concat());
    let own = consortium.person("pia").trail(of("pia")).await;
    assert_eq!(acts(&own), ["audit-read", "link-opened", "opening-denied", "member-registered"]);
    for (who, whose, expected) in [
        ("dora", "carol", RefusalCode::NotPermitted),
        ("carol", "carol", RefusalCode::MemberSuspended),
        ("admin-clinic", "carol", RefusalCode::OtherOrganisation),
        ("gateway-hospital", "carol", RefusalCode::NotPermitted),
        ("pam", "nobody", RefusalCode::UnknownMember),
    ] {
        let found = consortium.person(who).audit().read(&whole(of(whose))).await;
        assert_eq!(refused(found), expected, "{who} {whose}");
    }
}

#[tokio::test]
async fn an_organisations_trail_holds_what_it_did_and_is_for_its_auditors() {
    let consortium = some_history().await;
    let entries = consortium.person("pam").trail(of_organisation("hospital")).await;
    assert!(entries.iter().all(|entry| entry.organisation == id("hospital")));
    let newest = ["audit-read", "link-withdrawn", "link-published", "member-registered"];
    assert_eq!(acts(&entries)[..4], newest);
    assert!(acts(&entries).contains(&"organisations-founded".to_owned()));
    for (who, expected) in [
        ("carol", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
        ("admin-clinic", RefusalCode::OtherOrganisation),
    ] {
        let found = consortium.person(who).audit().read(&whole(of_organisation("hospital"))).await;
        assert_eq!(refused(found), expected, "{who}");
    }
}

#[tokio::test]
async fn what_a_gateway_does_is_on_its_organisations_trail() {
    let consortium = Consortium::new().await;
    let mut call = consortium.publication("l1", Category::Summary).await;
    call.envelopes.retain(|envelope| envelope.holder != Holder::Organisation(id("clinic")));
    consortium.person("carol").links().publish(&call).await.unwrap();
    let opened = consortium.open("clara", "l1", Purpose::Treatment).await;
    let envelope = envelope_for(opened.opening.recipient().unwrap());
    let add = healthchain_interface::AddEnvelope { opening: opened.opening.transaction, envelope };
    consortium.person("gateway-hospital").links().add_envelope(&add).await.unwrap();
    let entries = consortium.person("pam").trail(of_organisation("hospital")).await;
    assert_eq!((acts(&entries)[1].as_str(), &entries[1].member), ("envelope-added", &None));
}

#[tokio::test]
async fn who_reads_a_trail_is_seen_by_whose_it_is() {
    let consortium = some_history().await;
    consortium.person("pam").trail(of("carol")).await;
    let own = consortium.person("carol").trail(of("carol")).await;
    let seen = &own[1];
    assert_eq!((acts(&own)[1].as_str(), &seen.member), ("audit-read", &Some(id("pam"))));
    let act = ReadingAct::AuditRead { trail: of("carol"), from: None, until: None };
    assert_eq!(seen.act, Act::Reading(act));
    let of_pam = consortium.person("pam").trail(of("pam")).await;
    assert_eq!(acts(&of_pam)[..2], ["audit-read", "audit-read"]);
}

#[tokio::test]
async fn nobody_but_the_patient_reads_a_patients_trail() {
    let consortium = some_history().await;
    for other in ["bob", "carol", "pam", "pia", "admin-patients", "gateway-patients"] {
        let found = consortium.person(other).audit().read(&whole(of_alice())).await;
        assert_eq!(refused(found), RefusalCode::NotPermitted, "{other}");
    }
    let alice = consortium.person("alice").audit();
    let reading = alice.read(&whole(of_alice())).await.unwrap();
    let query = EntriesQuery { reading: reading.transaction, page_token: None, limit: None };
    for other in ["bob", "pam", "admin-patients"] {
        let found = consortium.person(other).audit().entries(&query).await;
        assert_eq!(refused(found), RefusalCode::UnknownReading, "{other}");
    }
    consortium.suspend("alice", "patients").await;
    assert_eq!(refused(alice.read(&whole(of_alice())).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(alice.entries(&query).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_reading_is_bounded_by_time() {
    let consortium = some_history().await;
    let alice = consortium.person("alice");
    let all = alice.trail(of_alice()).await;
    let (newest, oldest) = (&all[1], &all[4]);
    let call = ReadTrail { trail: of_alice(), from: Some(oldest.time), until: Some(newest.time) };
    let reading = alice.audit().read(&call).await.unwrap();
    let within: Vec<_> =
        all.iter().filter(|entry| oldest.time <= entry.time && entry.time < newest.time).cloned().collect();
    assert!(within.contains(oldest) && !within.contains(newest));
    for limit in [1, 2, 100] {
        assert_eq!(paged(alice, &reading.transaction, limit).await, within, "{limit} a page");
    }
    let call = ReadTrail { from: Some(newest.time), until: Some(oldest.time), ..call };
    assert_eq!(refused(alice.audit().read(&call).await), RefusalCode::Malformed);
}

#[tokio::test]
async fn trails_come_page_by_page_and_tokens_belong_to_their_reading() {
    let consortium = some_history().await;
    let alice = consortium.person("alice");
    let reading = alice.audit().read(&whole(of_alice())).await.unwrap().transaction;
    let at_once = paged(alice, &reading, 100).await;
    assert_eq!((at_once.len(), paged(alice, &reading, 2).await), (7, at_once));

    let limit = Some(PageLimit::try_from(2).unwrap());
    let query = EntriesQuery { reading, page_token: None, limit };
    let page_token = alice.audit().entries(&query).await.unwrap().next_page_token;
    let other = alice.audit().read(&whole(of_alice())).await.unwrap().transaction;
    let foreign = EntriesQuery { reading: other.clone(), page_token, limit };
    assert_eq!(refused(alice.audit().entries(&foreign).await), RefusalCode::PageTokenMismatch);
    let nobodys = EntriesQuery { reading: hash("none"), page_token: None, limit };
    assert_eq!(refused(alice.audit().entries(&nobodys).await), RefusalCode::UnknownReading);
    for malformed in [
        json!({"reading": other, "limit": 0}),
        json!({"reading": other, "limit": 101}),
        json!({"reading": other, "page_token": ""}),
        json!({"reading": "r1"}),
        json!({}),
    ] {
        assert_eq!(alice.status_of("Audit:entries", malformed).await, 400);
    }
    for malformed in [
        json!({"trail": {"of-member": "A"}}),
        json!({"trail": {"of-patient": "a".repeat(65)}}),
        json!({"trail": {"of-everybody": "alice"}}),
        json!({"trail": {"of-patient": "alice"}, "since": 0}),
        json!({"trail": {"of-patient": "alice"}, "from": -1}),
        json!({}),
    ] {
        assert_eq!(alice.status_of("Audit:read", malformed).await, 400);
    }
}
