use fabric_client::Contract;
use healthchain_interface::*;
use healthchain_rules::charge::Account;
use healthchain_rules::notarization::{BillTo, NotarizationState, NotarizedKind};
use healthchain_rules::*;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::consortium::*;
use crate::subscriptions::{a_plan, account_of, an_order};

pub(crate) fn notarize(notarization: &str, bill_to: BillTo) -> Notarize {
    Notarize {
        notarization: id(notarization),
        patient: id("alice"),
        kind: NotarizedKind::Document,
        hash: hash("document"),
        bill_to,
    }
}

pub(crate) fn revocation(notarization: &str, reason: &str) -> RevokeNotarization {
    RevokeNotarization { notarization: id(notarization), reason: id(reason) }
}

pub(crate) fn of_hash(seed: &str) -> VerifyQuery {
    VerifyQuery { hash: hash(seed), page_token: None, limit: None }
}

pub(crate) fn of_alice() -> NotarizationsQuery {
    NotarizationsQuery { patient: id("alice"), page_token: None, limit: None }
}

#[tokio::test]
async fn somebody_whom_the_ledger_does_not_know_verifies_a_hash_and_learns_nothing_of_the_patient() {
    let mut consortium = Consortium::new().await;
    consortium.add("stranger", "clinic", "client");
    let call = notarize("n1", BillTo::Organisation);
    let carol = consortium.person("carol").notarizations();
    let notarization = carol.notarize(&call).await.unwrap();
    assert_eq!(carol.notarize(&call).await.unwrap(), notarization, "repeated");
    assert_eq!((notarization.notary.as_str(), notarization.organisation.as_str()), ("carol", "hospital"));

    let stranger = consortium.person("stranger").notarizations();
    let page = stranger.verify(&of_hash("document")).await.unwrap();
    assert_eq!(page.items, [notarization.verification()]);
    assert!(!serde_json::to_string(&page).unwrap().contains("alice"));
    assert_eq!(stranger.verify(&of_hash("other document")).await.unwrap().items, []);
    assert_eq!(refused(stranger.notarization(&id("n1")).await), RefusalCode::UnknownCaller);
}

#[tokio::test]
async fn several_notaries_notarize_one_hash_and_verification_comes_page_by_page() {
    let consortium = Consortium::new().await;
    for (who, notarization) in [("carol", "n1"), ("clara", "n2"), ("phil", "n3")] {
        let call = notarize(notarization, BillTo::Organisation);
        consortium.person(who).notarizations().notarize(&call).await.unwrap();
    }
    let bob = consortium.person("bob");
    let mut query = VerifyQuery { limit: Some(2.try_into().unwrap()), ..of_hash("document") };
    let first = bob.notarizations().verify(&query).await.unwrap();
    query.page_token = first.next_page_token;
    let second = bob.notarizations().verify(&query).await.unwrap();
    assert_eq!(second.next_page_token, None);
    let notaries: Vec<&str> =
        first.items.iter().chain(&second.items).map(|verification| verification.notary.as_str()).collect();
    assert_eq!(notaries, ["carol", "clara", "phil"]);
    let foreign = VerifyQuery { hash: hash("other"), ..query };
    assert_eq!(refused(bob.notarizations().verify(&foreign).await), RefusalCode::PageTokenMismatch);
}

#[tokio::test]
async fn a_revoked_notarization_says_when_and_why() {
    let consortium = Consortium::new().await;
    let carol = consortium.person("carol").notarizations();
    carol.notarize(&notarize("n1", BillTo::Organisation)).await.unwrap();
    let dora = consortium.person("dora").notarizations();
    let revoked = dora.revoke(&revocation("n1", "wrong page")).await.unwrap();
    assert_eq!(dora.revoke(&revocation("n1", "wrong page")).await.unwrap(), revoked, "repeated");
    let verified = carol.verify(&of_hash("document")).await.unwrap().items;
    assert!(matches!(
        &verified[..],
        [one] if matches!(&one.state, NotarizationState::Revoked { by, reason, .. }
            if *by == id("dora") && *reason == id("wrong page"))
    ));

    for (who, notarization, reason, expected) in [
        ("carol", "n1", "forged", RefusalCode::NotarizationRevoked),
        ("carol", "n2", "wrong page", RefusalCode::UnknownNotarization),
        ("clara", "n1", "wrong page", RefusalCode::UnknownNotarization),
        ("pam", "n1", "wrong page", RefusalCode::NotPermitted),
        ("alice", "n1", "wrong page", RefusalCode::NotPermitted),
        ("gateway-hospital", "n1", "wrong page", RefusalCode::NotPermitted),
    ] {
        let found = consortium.person(who).notarizations().revoke(&revocation(notarization, reason)).await;
        assert_eq!(refused(found), expected, "{who} {notarization} {reason}");
    }
}

#[tokio::test]
async fn notarizing_is_refused_to_others_for_taken_ids_strangers_and_without_a_subscription_to_bill() {
    let consortium = Consortium::new().await;
    let call = notarize("n1", BillTo::Organisation);
    consortium.person("carol").notarizations().notarize(&call).await.unwrap();
    let to_subscription = notarize("n2", BillTo::Subscription);
    let for_pia = Notarize { patient: id("pia"), ..notarize("n2", BillTo::Organisation) };
    for (who, call, expected) in [
        ("carol", notarize("n1", BillTo::Subscription), RefusalCode::NotarizationExists),
        ("clara", call.clone(), RefusalCode::NotarizationExists),
        ("carol", for_pia, RefusalCode::UnknownPatient),
        ("carol", to_subscription, RefusalCode::NoSubscription),
        ("pia", call.clone(), RefusalCode::NotPermitted),
        ("alice", call.clone(), RefusalCode::NotPermitted),
        ("gateway-hospital", call.clone(), RefusalCode::NotPermitted),
    ] {
        assert_eq!(refused(consortium.person(who).notarizations().notarize(&call).await), expected, "{who}");
    }
    consortium.suspend("carol", "hospital").await;
    let carol = consortium.person("carol").notarizations();
    assert_eq!(refused(carol.notarize(&call).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn the_notarys_organisation_pays_the_price_of_the_settings() {
    let consortium = Consortium::new().await;
    let settings = Settings { notarization_price: 250, currency: id("EUR"), ..Settings::default() };
    consortium.carry("p1", Change::ChangeSettings { settings }).await;
    let phil = consortium.person("phil").notarizations();
    phil.notarize(&notarize("n1", BillTo::Organisation)).await.unwrap();
    let query = account_of(Account::Organisation(id("pharmacy")));
    let statement = consortium.person("admin-pharmacy").subscriptions().statement(&query).await.unwrap();
    assert_eq!((statement.lines.len(), statement.sums), (1, [(id("EUR"), 250)].into()));
}

#[tokio::test]
async fn malformed_and_oversized_arguments_are_refused() {
    let consortium = Consortium::new().await;
    let carol = consortium.person("carol");
    let good = serde_json::to_value(notarize("n1", BillTo::Organisation)).unwrap();
    for (field, bad) in [
        ("notarization", json!("n".repeat(65))),
        ("patient", json!("Alice")),
        ("kind", json!("diploma")),
        ("hash", json!("ab")),
        ("hash", json!("AB".repeat(32))),
        ("bill_to", json!("nobody")),
        ("name", json!("Alice Smith")),
    ] {
        let mut call = good.clone();
        call[field] = bad;
        assert_eq!(carol.status_of("Notarizations:notarize", call).await, 400, "{field}");
    }
    let long = json!({"notarization": "n1", "reason": "r".repeat(201)});
    for (function, argument) in [
        ("Notarizations:revoke", long),
        ("Notarizations:verify", json!({"hash": "x"})),
        ("Notarizations:verify", json!({"hash": "ab".repeat(32), "limit": 101})),
        ("Notarizations:notarization", json!("N 1")),
        ("Notarizations:ofPatient", json!({"patient": "alice", "limit": 0})),
        ("Notarizations:ofPatient", Value::Null),
    ] {
        assert_eq!(carol.status_of(function, argument).await, 400, "{function}");
    }
}

#[tokio::test]
async fn the_patient_lists_notarizations_newest_first_and_the_notarys_organisation_reads_them() {
    let consortium = Consortium::new().await;
    for notarization in ["n1", "n2", "n3"] {
        let call = notarize(notarization, BillTo::Organisation);
        consortium.person("carol").notarizations().notarize(&call).await.unwrap();
    }
    consortium.person("carol").notarizations().revoke(&revocation("n2", "wrong page")).await.unwrap();
    let alice = consortium.person("alice").notarizations();
    let mut query = NotarizationsQuery { limit: Some(2.try_into().unwrap()), ..of_alice() };
    let first = alice.of_patient(&query).await.unwrap();
    query.page_token = first.next_page_token;
    let second = alice.of_patient(&query).await.unwrap();
    assert_eq!(second.next_page_token, None);
    let listed = [first.items, second.items].concat();
    assert_eq!(listed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["n3", "n2", "n1"]);
    assert!(matches!(listed[1].state, NotarizationState::Revoked { .. }));

    for reader in ["alice", "carol", "dora", "pam", "admin-hospital"] {
        let read = consortium.person(reader).notarizations().notarization(&id("n3")).await.unwrap();
        assert_eq!(read, listed[0], "{reader}");
    }
    for (who, expected) in [
        ("bob", RefusalCode::UnknownNotarization),
        ("clara", RefusalCode::UnknownNotarization),
        ("pia", RefusalCode::UnknownNotarization),
        ("gateway-hospital", RefusalCode::NotPermitted),
    ] {
        let found = consortium.person(who).notarizations().notarization(&id("n3")).await;
        assert_eq!(refused(found), expected, "{who}");
    }
    for who in ["bob", "carol", "pam", "admin-patients"] {
        let found = consortium.person(who).notarizations().of_patient(&of_alice()).await;
        assert_eq!(refused(found), RefusalCode::NotPermitted, "{who}");
    }
}

#[tokio::test]
async fn concurrent_notarizations_for_one_patient_never_conflict_and_as_many_are_free_as_the_plan_says() {
    const AT_ONCE: usize = 20;
    let consortium = Consortium::new().await;
    a_plan(&consortium, "basic").await;
    consortium.person("alice").subscriptions().order(&an_order("o1", 1)).await.unwrap();

    let carol = &consortium.person("carol").contract;
    let mut calls = JoinSet::new();
    for n in 0..AT_ONCE {
        let contract: Contract = carol.clone().conflict_retries(0);
        let call = notarize(&format!("n{n}"), BillTo::Subscription);
        calls.spawn(async move { NotarizationsClient::new(contract).notarize(&call).await.unwrap() });
    }
    assert_eq!(calls.join_all().await.len(), AT_ONCE);

    let alice = consortium.person("alice").subscriptions();
    let query = StatementQuery { limit: Some(100.try_into().unwrap()), ..account_of(Account::Patient(id("alice"))) };
    let statement = alice.statement(&query).await.unwrap();
    let mut by_place: Vec<_> = statement.lines.iter().map(|line| (line.charge.place(), line.due)).collect();
    by_place.sort();
    let due: Vec<i64> = by_place.into_iter().map(|(_, due)| due).collect();
    assert_eq!(due, [vec![1000, 0, 0], vec![40; AT_ONCE - 2]].concat(), "the order, two free ones, and the others");
    assert_eq!(statement.sums, [(id("USD"), 40 * 18 + 1000)].into());
    let status = alice.subscription(&id("alice")).await.unwrap();
    assert_eq!(status.free_notarizations_left, 0);
}
