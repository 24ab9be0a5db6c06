use healthchain_interface::{BeginRecovery, Me, NamedRecovery, PlanRecovery, RecoveriesClient, RecoveryStatus};
use healthchain_rules::recovery::{RecoveryState, Trustee};
use healthchain_rules::*;
use serde_json::{Value, json};

use crate::consortium::*;

/// Carol and the payer's administrators, it takes both.
pub(crate) fn plan() -> PlanRecovery {
    let trustees = [Trustee::Member(id("carol")), Trustee::Organisation(id("payer"))].into();
    PlanRecovery { patient: id("alice"), trustees, threshold: 2 }
}

/// The consortium with alice's next certificate, which the ledger does not know yet.
pub(crate) async fn with_next_key() -> Consortium {
    let mut consortium = Consortium::new().await;
    consortium.add("alice-again", "patients", "client");
    consortium
}

pub(crate) fn beginning(consortium: &Consortium, recovery: &str) -> BeginRecovery {
    let next = consortium.person("alice-again");
    BeginRecovery {
        recovery: id(recovery),
        patient: id("alice"),
        key_hash: next.key_hash.clone(),
        encryption_key: next.encryption_key.clone(),
        reason: id("lost the phone"),
    }
}

pub(crate) fn named(recovery: &str) -> NamedRecovery {
    NamedRecovery { recovery: id(recovery), patient: id("alice") }
}

fn later(consortium: &Consortium, who: &str, hours: u64) -> RecoveriesClient<Later> {
    RecoveriesClient::new(consortium.person(who).later(hours))
}

#[tokio::test]
async fn trustees_replace_a_lost_key_and_the_old_one_is_unknown_at_once() {
    let consortium = with_next_key().await;
    let alice = consortium.person("alice");
    let made = alice.recoveries().plan(&plan()).await.unwrap();
    assert_eq!(alice.recoveries().plan(&plan()).await.unwrap(), made, "repeated");

    let (carol, payer) = (consortium.person("carol").recoveries(), consortium.person("admin-payer").recoveries());
    let call = beginning(&consortium, "r1");
    let begun = carol.begin(&call).await.unwrap();
    assert_eq!(begun.state, RecoveryState::Collecting);
    assert_eq!(carol.begin(&call).await.unwrap(), begun, "repeated");
    assert_eq!(refused(carol.complete(&named("r1")).await), RefusalCode::RecoveryNotApproved);
    let waiting = payer.approve(&named("r1")).await.unwrap();
    assert!(matches!(waiting.state, RecoveryState::Waiting { .. }));
    assert_eq!(payer.approve(&named("r1")).await.unwrap(), waiting, "repeated");
    assert_eq!(
        refused(later(&consortium, "admin-payer", 71).complete(&named("r1")).await),
        RefusalCode::RecoveryTooEarly
    );
    let completed = later(&consortium, "admin-payer", 73).complete(&named("r1")).await.unwrap();
    assert_eq!(carol.complete(&named("r1")).await.unwrap(), completed, "repeated");

    assert_eq!(refused(alice.members().me().await), RefusalCode::UnknownCaller);
    let again = consortium.person("alice-again");
    let Me::Member(member) = again.members().me().await.unwrap() else { panic!("no member") };
    assert_eq!((&member.id, &member.key_hash), (&id("alice"), &again.key_hash));
    assert_eq!(member.encryption_key.public_key, again.encryption_key);
    let status = again.recoveries().recovery(&id("alice")).await.unwrap();
    assert_eq!(status, RecoveryStatus { plan: Some(made), latest: Some(completed) });
    assert_eq!(refused(again.recoveries().object(&named("r1")).await), RefusalCode::RecoveryNotOpen);
}

#[tokio::test]
async fn a_recovery_waits_and_the_patient_who_has_the_key_after_all_objects() {
    let consortium = with_next_key().await;
    let alice = consortium.person("alice").recoveries();
    alice.plan(&PlanRecovery { threshold: 1, ..plan() }).await.unwrap();
    let carol = consortium.person("carol").recoveries();
    let waiting = carol.begin(&beginning(&consortium, "r1")).await.unwrap();
    assert_eq!(waiting.waits_until(), Some(waiting.begun.plus_hours(72)));
    assert_eq!(refused(carol.complete(&named("r1")).await), RefusalCode::RecoveryTooEarly);
    let payer = consortium.person("admin-payer").recoveries();
    assert_eq!(refused(payer.begin(&beginning(&consortium, "r2")).await), RefusalCode::RecoveryOpen);
    assert_eq!(refused(payer.begin(&beginning(&consortium, "r1")).await), RefusalCode::RecoveryExists);
    assert_eq!(refused(payer.object(&named("r1")).await), RefusalCode::NotPermitted);

    let ended = alice.object(&named("r1")).await.unwrap();
    assert!(matches!(&ended.state, RecoveryState::Objected { by, .. } if *by == id("alice")));
    assert_eq!(alice.object(&named("r1")).await.unwrap(), ended, "repeated");
    assert_eq!(refused(carol.complete(&named("r1")).await), RefusalCode::RecoveryNotOpen);
    assert_eq!(refused(payer.approve(&named("r1")).await), RefusalCode::RecoveryNotOpen);
    payer.begin(&beginning(&consortium, "r2")).await.unwrap();
}

#[tokio::test]
async fn without_a_plan_or_a_capacity_nobody_recovers_anything() {
    let consortium = with_next_key().await;
    let call = beginning(&consortium, "r1");
    let carol = consortium.person("carol").recoveries();
    assert_eq!(refused(carol.begin(&call).await), RefusalCode::NoRecoveryPlan);
    let unknown = BeginRecovery { patient: id("nobody"), ..call.clone() };
    assert_eq!(refused(carol.begin(&unknown).await), RefusalCode::UnknownPatient);
    for who in ["bob", "carol", "admin-patients", "gateway-patients"] {
        let refusal = refused(consortium.person(who).recoveries().plan(&plan()).await);
        assert_eq!(refusal, RefusalCode::NotPermitted, "{who}");
    }
    let alice = consortium.person("alice").recoveries();
    for (trustee, expected) in [
        (Trustee::Member(id("nobody")), RefusalCode::UnknownMember),
        (Trustee::Member(id("alice")), RefusalCode::NotPermitted),
        (Trustee::Organisation(id("nowhere")), RefusalCode::UnknownOrganisation),
    ] {
        let call = PlanRecovery { trustees: [trustee].into(), threshold: 1, ..plan() };
        assert_eq!(refused(alice.plan(&call).await), expected);
    }
    alice.plan(&plan()).await.unwrap();
    for who in ["dora", "admin-hospital", "pia", "alice", "gateway-payer"] {
        let refusal = refused(consortium.person(who).recoveries().begin(&call).await);
        assert_eq!(refusal, RefusalCode::NotPermitted, "{who}");
    }
    let taken = BeginRecovery { key_hash: consortium.person("bob").key_hash.clone(), ..call.clone() };
    assert_eq!(refused(carol.begin(&taken).await), RefusalCode::KeyTaken);

    carol.begin(&call).await.unwrap();
    let dora = consortium.person("dora").recoveries();
    assert_eq!(refused(dora.approve(&named("r1")).await), RefusalCode::UnknownRecovery);
    assert_eq!(refused(dora.complete(&named("r1")).await), RefusalCode::UnknownRecovery);
    assert_eq!(refused(dora.object(&named("r1")).await), RefusalCode::UnknownRecovery);
    assert_eq!(refused(dora.recovery(&id("alice")).await), RefusalCode::UnknownRecovery);
    for reader in ["alice", "carol", "admin-payer", "admin-patients"] {
        let status = consortium.person(reader).recoveries().recovery(&id("alice")).await.unwrap();
        assert!(status.plan.is_some() && status.latest.is_some(), "{reader}");
    }
    consortium.suspend("carol", "hospital").await;
    assert_eq!(refused(carol.begin(&call).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(carol.approve(&named("r1")).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_trustee_suspended_meanwhile_does_not_count() {
    let consortium = with_next_key().await;
    consortium.person("alice").recoveries().plan(&plan()).await.unwrap();
    consortium.person("carol").recoveries().begin(&beginning(&consortium, "r1")).await.unwrap();
    let payer = consortium.person("admin-payer").recoveries();
    payer.approve(&named("r1")).await.unwrap();
    consortium.suspend("carol", "hospital").await;
    let payer = later(&consortium, "admin-payer", 73);
    assert_eq!(refused(payer.complete(&named("r1")).await), RefusalCode::RecoveryNotApproved);
    consortium.person("admin-hospital").members().reinstate(&id("carol")).await.unwrap();
    payer.complete(&named("r1")).await.unwrap();
}

#[tokio::test]
async fn malformed_recoveries_are_refused() {
    let consortium = with_next_key().await;
    let alice = consortium.person("alice");
    let many: Vec<Value> = (0..17).map(|number| json!({"member": format!("m{number}")})).collect();
    for (trustees, threshold) in [(json!(many), 1), (json!([]), 0), (json!([{"member": "carol"}]), 2)] {
        let call = json!({"patient": "alice", "trustees": trustees, "threshold": threshold});
        assert_eq!(alice.status_of("Recoveries:plan", call).await, 400);
    }
    let beginning = serde_json::to_value(beginning(&consortium, "r1")).unwrap();
    for (field, value) in [
        ("recovery", json!("r".repeat(65))),
        ("key_hash", json!("ab")),
        ("encryption_key", json!("AAAA")),
        ("reason", json!("x".repeat(201))),
        ("other", json!(1)),
    ] {
        let mut malformed = beginning.clone();
        malformed[field] = value;
        assert_eq!(alice.status_of("Recoveries:begin", malformed).await, 400, "{field}");
    }
    for function in ["approve", "object", "complete"] {
        let malformed = json!({"recovery": "r1", "patient": "ALICE"});
        assert_eq!(alice.status_of(&format!("Recoveries:{function}"), malformed).await, 400, "{function}");
    }
    assert_eq!(alice.status_of("Recoveries:recovery", json!("ALICE")).await, 400);
}
