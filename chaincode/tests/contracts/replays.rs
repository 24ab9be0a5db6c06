use healthchain_interface::{EndDelegation, GrantConsent, OpenLink, RotateKey, StopAgent, SuspendMember};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;
use crate::{agents, delegations, emergencies};

async fn agrees(consortium: &Consortium, opening: &Opening) {
    let replay = consortium.person("alice").audit().replay(&opening.transaction).await.unwrap();
    let expected = Replay {
        opening: opening.transaction.clone(),
        decided_by_rules: 1,
        replayed_by_rules: 1,
        recorded: opening.decision.clone(),
        replayed: Some(opening.decision.clone()),
        agrees: true,
        missing: Vec::new(),
    };
    assert_eq!(replay, expected);
}

/// Which of the openings were permitted, and that each replays to its own decision.
async fn permitted_and_agreed(consortium: &Consortium, openings: &[Opening], permitted: &[bool]) {
    let found: Vec<bool> = openings.iter().map(|opening| opening.decision.is_permitted()).collect();
    assert_eq!(found, permitted);
    for opening in openings {
        agrees(consortium, opening).await;
    }
}

async fn opened(consortium: &Consortium, who: &str, purpose: Purpose) -> Opening {
    consortium.open(who, "l1", purpose).await.opening
}

#[tokio::test]
async fn a_decision_replays_to_the_same_answer_whatever_happened_since() {
    let mut consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let mut openings = vec![opened(&consortium, "pia", Purpose::Payment).await];
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    openings.push(opened(&consortium, "pia", Purpose::Payment).await);
    openings.push(opened(&consortium, "clara", Purpose::Treatment).await);
    openings.push(opened(&consortium, "alice", Purpose::Personal).await);
    consortium.grant(to_payer("c2", Effect::Deny)).await;
    openings.push(opened(&consortium, "pia", Purpose::Payment).await);
    consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    consortium.person("alice").consents().revoke(&revocation("c2")).await.unwrap();
    openings.push(opened(&consortium, "pia", Purpose::Payment).await);
    consortium.suspend("pia", "payer").await;
    openings.push(opened(&consortium, "pia", Purpose::Payment).await);

    consortium.add("clara-2", "clinic", "client");
    let next = consortium.person("clara-2");
    let (key_hash, encryption_key) = (next.key_hash.clone(), next.encryption_key.clone());
    let rotation = RotateKey { member: id("clara"), key_hash, encryption_key };
    consortium.person("clara").members().rotate_key(&rotation).await.unwrap();
    openings.push(opened(&consortium, "clara-2", Purpose::Treatment).await);

    permitted_and_agreed(&consortium, &openings, &[false, true, true, true, false, false, false, true]).await;
}

#[tokio::test]
async fn an_agents_openings_replay_with_the_charter_and_the_budget_of_then() {
    let mut consortium = Consortium::new().await;
    consortium.add("monitor", "pharmacy", "client");
    let charter = agents::monitor(&consortium);
    consortium.person("admin-pharmacy").agents().deploy(&charter).await.unwrap();
    consortium.publish("l1", Category::Medication).await;
    let mut openings = Vec::new();
    for _ in 0..3 {
        openings.push(opened(&consortium, "monitor", Purpose::Treatment).await);
    }
    let stop = StopAgent { agent: id("monitor"), reason: id("odd answers") };
    consortium.person("phil").agents().stop(&stop).await.unwrap();
    openings.push(opened(&consortium, "monitor", Purpose::Treatment).await);
    permitted_and_agreed(&consortium, &openings, &[true, true, false, false]).await;
}

#[tokio::test]
async fn a_guardians_openings_replay_with_the_delegation_of_then() {
    let consortium = delegations::with_guardians().await;
    consortium.publish("l1", Category::Summary).await;
    let alice = consortium.person("alice").delegations();
    let mut openings = vec![opened(&consortium, "gina", Purpose::Personal).await];
    alice.delegate(&delegations::to("gina", "d1")).await.unwrap();
    openings.push(opened(&consortium, "gina", Purpose::Personal).await);
    alice.end(&EndDelegation { patient: id("alice"), guardian: id("gina") }).await.unwrap();
    openings.push(opened(&consortium, "gina", Purpose::Personal).await);
    permitted_and_agreed(&consortium, &openings, &[false, true, false]).await;
}

#[tokio::test]
async fn an_emergencys_openings_replay_after_it_was_ended() {
    let consortium = emergencies::with_olga().await;
    consortium.publish("l1", Category::Restricted).await;
    let clara = consortium.person("clara");
    let mut openings = vec![opened(&consortium, "clara", Purpose::Treatment).await];
    let emergency = clara.emergencies().declare(&emergencies::of_alice()).await.unwrap().id;
    let call = OpenLink { link: id("l1"), purpose: Purpose::Treatment, emergency: Some(emergency.clone()) };
    openings.push(clara.links().open(&call).await.unwrap().opening);
    clara.emergencies().end(&emergency).await.unwrap();
    openings.push(clara.links().open(&call).await.unwrap().opening);
    permitted_and_agreed(&consortium, &openings, &[false, true, false]).await;
}

#[tokio::test]
async fn a_replay_is_for_the_patient_and_both_organisations_auditors() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let opening = opened(&consortium, "pia", Purpose::Payment).await.transaction;
    for auditor in ["alice", "pam", "admin-hospital", "admin-payer"] {
        assert!(consortium.person(auditor).audit().replay(&opening).await.unwrap().agrees, "{auditor}");
    }
    for other in ["bob", "pia", "carol", "clara", "admin-clinic", "max"] {
        let found = consortium.person(other).audit().replay(&opening).await;
        assert_eq!(refused(found), RefusalCode::UnknownOpening, "{other}");
    }
    let gateway = consortium.person("gateway-hospital").audit();
    assert_eq!(refused(gateway.replay(&opening).await), RefusalCode::NotPermitted);
    let alice = consortium.person("alice");
    assert_eq!(refused(alice.audit().replay(&hash("none")).await), RefusalCode::UnknownOpening);
    assert_eq!(alice.status_of("Audit:replay", json!("t1")).await, 400);
    consortium.suspend("alice", "patients").await;
    assert_eq!(refused(alice.audit().replay(&opening).await), RefusalCode::MemberSuspended);
}

/// Thirty calls by a fixed generator: consents come and go, members are suspended and reinstated, everybody opens.
#[tokio::test]
async fn every_opening_of_a_random_history_replays_to_its_recorded_decision() {
    let consortium = Consortium::new().await;
    for (link, category) in [("l1", Category::Summary), ("l2", Category::Medication)] {
        consortium.publish(link, category).await;
    }
    let mut state: u64 = 20_261_123;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let openers = [
        ("clara", Purpose::Treatment),
        ("phil", Purpose::Treatment),
        ("pia", Purpose::Payment),
        ("paul", Purpose::Operations),
        ("alice", Purpose::Personal),
    ];
    let mut openings = Vec::new();
    for step in 0..30 {
        match below(8) {
            0 => {
                let effect = if below(2) == 0 { Effect::Permit } else { Effect::Deny };
                let grantee =
                    if below(2) == 0 { Grantee::Role(Role::Clinician) } else { Grantee::Organisation(id("payer")) };
                let purposes = [Purpose::Treatment, Purpose::Payment, Purpose::Operations].into();
                let call = to_payer(&format!("c{step}"), effect);
                consortium.grant(GrantConsent { grantee, purposes, ..call }).await;
            }
            1 => {
                let standing =
                    consortium.person("alice").consents().revoke(&revocation(&format!("c{}", below(step + 1)))).await;
                drop(standing); // There may be no such consent.
            }
            2 => {
                let call = SuspendMember { member: id("pia"), reason: id("left") };
                consortium.person("admin-payer").members().suspend(&call).await.unwrap();
            }
            3 => {
                consortium.person("admin-payer").members().reinstate(&id("pia")).await.unwrap();
            }
            _ => {
                let (who, purpose) = openers[below(5) as usize];
                let link = if below(2) == 0 { "l1" } else { "l2" };
                openings.push(consortium.open(who, link, purpose).await.opening);
            }
        }
    }
    let permitted = openings.iter().filter(|opening| opening.decision.is_permitted()).count();
    assert!(permitted >= 3 && openings.len() - permitted >= 3, "{permitted} of {}", openings.len());
    for opening in &openings {
        agrees(&consortium, opening).await;
    }
}
