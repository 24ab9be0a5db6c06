//! What the key custodian's agent seals anew, and when it stops.

use healthchain_gateway::agents::Listening;
use healthchain_gateway::agents::key_custodian::KeyCustodian;
use healthchain_gateway::sealing::EnvelopeContext;
use healthchain_rules::member::MemberAct;
use healthchain_rules::recovery::RecoveryAct;
use healthchain_rules::{Envelope, KeyHash, RefusalCode};
use serde_json::json;

use super::super::ledger::{When, refused};
use super::super::world::World;
use super::{AGENT, a_while, at_work, dealt_with, world};

const NAME: &str = "key_custodian";

/// A published link on the ledger's work list, for the payer, who stands for somebody with a new key.
async fn with_list(world: &World) -> String {
    let link = world.published().await;
    let mut state = world.ledger.state.lock().unwrap();
    let recipient = state.recipient_of[&world.payer.msp_id].clone();
    let item = json!({ "link": link, "version": 1, "category": "summary", "recipient": recipient });
    state.answers.insert("Links:toReseal".into(), json!({ "items": [item] }));
    let added = serde_json::to_value(&state.envelopes[0].1).unwrap();
    state.answers.insert("Links:reseal".into(), added);
    link
}

fn rotate(world: &World) {
    let hash = |byte| KeyHash::from_bytes(&[byte; 32]);
    let rotated = "anna".parse().unwrap();
    let act = MemberAct::KeyRotated { rotated, from: hash(1), to: hash(1), encryption_key: hash(2) };
    world.ledger.tell("PatientsMSP", act);
}

fn resealed(world: &World) -> usize {
    world.ledger.called("Links:reseal")
}

#[tokio::test]
async fn what_the_list_names_is_sealed_to_the_present_key_and_opens_with_it() {
    let world = world().await;
    let link = with_list(&world).await;
    rotate(&world);
    let _at_work = at_work(&world, Listening(KeyCustodian));
    dealt_with(&world, NAME, 1).await;
    assert_eq!(resealed(&world), 1);

    let sent = world.ledger.argument_of("Links:reseal");
    let envelope: Envelope = serde_json::from_value(sent["envelope"].clone()).unwrap();
    let sealed = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, envelope.sealed.as_str()).unwrap();
    let recipient_key_hash = envelope.recipient_key_hash.as_str();
    let context = EnvelopeContext { link: &link, version: 1, category: "summary", recipient_key_hash };
    let payload = world.payer.gateway.organisation.encryption_key.unseal(&context, &sealed).unwrap();
    assert!(!String::from_utf8_lossy(&payload).contains("record"), "others are not told where it lies");
}

#[tokio::test]
async fn a_recovery_asks_for_the_same_and_other_events_for_nothing() {
    let world = world().await;
    with_list(&world).await;
    let _at_work = at_work(&world, Listening(KeyCustodian));
    let act = RecoveryAct::RecoveryObjected { recovery: "r-1".parse().unwrap() };
    world.ledger.tell("PatientsMSP", act);
    dealt_with(&world, NAME, 1).await;
    assert_eq!(world.ledger.called("Links:toReseal"), 0);
    let completed =
        json!({ "act": "recovery-completed", "recovery": "r-1", "from": "ab".repeat(32), "to": "cd".repeat(32) });
    world.ledger.tell_about("anna", "PatientsMSP", serde_json::from_value::<RecoveryAct>(completed).unwrap());
    dealt_with(&world, NAME, 2).await;
    assert_eq!(resealed(&world), 1);
}

#[tokio::test]
async fn a_stopped_agent_seals_nothing_and_goes_on_with_the_same_patient() {
    let world = world().await;
    with_list(&world).await;
    rotate(&world);
    world.ledger.refuse_member(AGENT, Some(RefusalCode::AgentNotPermitted));
    let _at_work = at_work(&world, Listening(KeyCustodian));
    a_while().await;
    assert_eq!((resealed(&world), world.ledger.called("Links:custodianEnvelope")), (0, 0));
    world.ledger.refuse_member(AGENT, None);
    dealt_with(&world, NAME, 1).await;
    assert_eq!(resealed(&world), 1);
}

#[tokio::test]
async fn what_is_not_wanted_any_more_or_cannot_be_opened_holds_nothing_up() {
    let world = world().await;
    with_list(&world).await;
    world.ledger.fail_next("Links:reseal", When::Before, refused(RefusalCode::EnvelopeExists));
    world.ledger.fail_next("Links:reseal", When::Before, refused(RefusalCode::EnvelopeNotWanted));
    world.ledger.fail_next("Links:custodianEnvelope", When::Before, refused(RefusalCode::UnknownEnvelope));
    world.ledger.fail_next("Links:toReseal", When::Before, refused(RefusalCode::UnknownPatient));
    let _at_work = at_work(&world, Listening(KeyCustodian));
    for told in 1..=5 {
        rotate(&world);
        dealt_with(&world, NAME, told).await;
    }
    assert_eq!((world.ledger.called("Links:toReseal"), resealed(&world)), (5, 3));
}
