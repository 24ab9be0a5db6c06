//! The key custodian: envelopes for those who are entitled later.

use std::sync::Arc;
use std::time::Duration;

use healthchain_gateway::custodian;
use healthchain_gateway::gateway::Patience;
use healthchain_gateway::ledger::LedgerFailure;
use healthchain_gateway::state::checkpoint;
use healthchain_rules::LedgerTime;
use tokio::task::JoinHandle;

use super::ledger::{When, now};
use super::world::{PATIENCE, RECORD, World};

/// Openers that do not wait for the custodian.
const IMPATIENCE: Patience = Patience { envelope: Duration::ZERO, ..PATIENCE };

fn custodian(world: &World) -> JoinHandle<()> {
    tokio::spawn(custodian::run(Arc::clone(&world.hospital.gateway)))
}

#[tokio::test]
async fn somebody_newly_entitled_gets_an_envelope_at_the_first_opening() {
    let world = World::new().await;
    let task = custodian(&world);
    let link = world.published().await;

    let response = world.open(&world.payer, &link).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap(), RECORD);
    assert_eq!(world.ledger.called("Links:addEnvelope"), 1);

    // The envelope is there now: nobody is asked again.
    assert_eq!(world.open(&world.payer, &link).await.status(), 200);
    assert_eq!(world.ledger.called("Links:addEnvelope"), 1);
    task.abort();
}

#[tokio::test]
async fn an_envelope_for_others_does_not_tell_where_the_record_lies_in_the_store() {
    let world = World::new().await;
    let task = custodian(&world);
    let link = world.published().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 200);

    let envelopes = world.ledger.state.lock().unwrap().envelopes.clone();
    let (of, envelope) = envelopes.last().unwrap();
    let sealed = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, envelope.sealed.as_str()).unwrap();
    let context = healthchain_gateway::sealing::EnvelopeContext {
        link: of.as_str(),
        version: 1,
        category: "summary",
        recipient_key_hash: envelope.recipient_key_hash.as_str(),
    };
    let payload = world.payer.gateway.organisation.encryption_key.unseal(&context, &sealed).unwrap();
    let payload = String::from_utf8(payload.to_vec()).unwrap();
    assert!(payload.contains("/v1/contents/") && !payload.contains("record"), "{}", payload.len());
    task.abort();
}

#[tokio::test]
async fn an_opening_while_the_custodian_was_away_is_sealed_when_it_is_back_and_none_twice() {
    let world = World::with_patience(IMPATIENCE).await;
    let link = world.published().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 503);

    let task = custodian(&world);
    until(&world, 1).await;
    dealt_with(&world).await;
    task.abort();

    let task = custodian(&world);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.ledger.called("Links:addEnvelope"), 1);
    task.abort();
}

#[tokio::test]
async fn no_key_is_sent_out_for_an_opening_that_is_not_in_force_any_more() {
    let world = World::with_patience(IMPATIENCE).await;
    let link = world.published().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 503);
    world.ledger.state.lock().unwrap().permitted.remove(&world.payer.msp_id);
    nothing_is_sent_out(&world).await;
}

#[tokio::test]
async fn without_a_checkpoint_no_key_is_sent_out_for_an_opening_of_long_ago() {
    let world = World::with_patience(IMPATIENCE).await;
    let link = world.published().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 503);
    let eleven_minutes_ago = LedgerTime::from_milliseconds(now().milliseconds() - 11 * 60_000);
    world.ledger.state.lock().unwrap().openings.values_mut().for_each(|opening| opening.time = eleven_minutes_ago);
    nothing_is_sent_out(&world).await;
}

#[tokio::test]
async fn without_a_checkpoint_only_the_latest_blocks_are_read() {
    let world = World::with_patience(IMPATIENCE).await;
    let link = world.published().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 503);
    world.ledger.state.lock().unwrap().height = 1_001;
    let task = custodian(&world);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.ledger.called("Links:inForce"), 0, "the opening stands in block 0");
    task.abort();
}

/// The custodian looks at the one opening, and neither unseals nor sends a key.
async fn nothing_is_sent_out(world: &World) {
    let task = custodian(world);
    dealt_with(world).await;
    task.abort();
    assert_eq!(world.ledger.called("Links:inForce"), 1);
    assert_eq!(world.ledger.called("Links:custodianEnvelope"), 0);
    assert_eq!(world.ledger.called("Links:addEnvelope"), 0);
}

#[tokio::test]
async fn sealing_is_tried_again_when_the_peer_was_away() {
    let world = World::new().await;
    let link = world.published().await;
    for _ in 0..2 {
        world.ledger.fail_next("Links:addEnvelope", When::Before, LedgerFailure::Unreachable("down".into()));
    }
    let task = custodian(&world);
    assert_eq!(world.open(&world.payer, &link).await.status(), 200);
    assert_eq!(world.ledger.called("Links:addEnvelope"), 3);
    task.abort();
}

/// Waits until the custodian has put down how far it read.
async fn dealt_with(world: &World) {
    while checkpoint::load(&world.hospital.gateway.state, custodian::READER).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until(world: &World, added: usize) {
    for _ in 0..500 {
        if world.ledger.called("Links:addEnvelope") == added {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no envelope was added");
}
