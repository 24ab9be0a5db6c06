//! Event streams that lose nothing and repeat nothing.

#![allow(clippy::unwrap_used)] // reason: helpers of tests

mod fake;

use std::time::Duration;

use fabric_client::{ChaincodeEvent, Code, Error, From, Stage};
use fabric_protos::gateway::{ChaincodeEventsRequest, ChaincodeEventsResponse};
use fabric_protos::orderer::seek_position::Type;
use fabric_protos::protos::ChaincodeEvent as EventMessage;
use fake::{Events, Peer};
use futures::{Stream, StreamExt};
use tokio::time::timeout;
use tonic::Status;

fn block(number: u64, transactions: &[&str]) -> ChaincodeEventsResponse {
    let event = |transaction: &&str| EventMessage {
        chaincode_id: "ehr".to_owned(),
        tx_id: (*transaction).to_owned(),
        event_name: "link-opened".to_owned(),
        payload: b"{}".to_vec(),
    };
    ChaincodeEventsResponse { events: transactions.iter().map(event).collect(), block_number: number }
}

fn script(peer: &Peer, streams: Vec<(Vec<ChaincodeEventsResponse>, Option<Status>)>) {
    let events = streams.into_iter().map(|(blocks, end)| Events { blocks, end });
    peer.script.lock().unwrap().events.extend(events);
}

async fn take(
    events: &mut (impl Stream<Item = Result<ChaincodeEvent, Error>> + Unpin),
    count: usize,
) -> Vec<(u64, String)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let event = timeout(Duration::from_secs(5), events.next()).await.unwrap().unwrap().unwrap();
        taken.push((event.block_number, event.transaction_id));
    }
    taken
}

fn starts(peer: &Peer) -> Vec<Option<u64>> {
    let start =
        |request: &ChaincodeEventsRequest| match request.start_position.as_ref().unwrap().r#type.as_ref().unwrap() {
            Type::Specified(specified) => Some(specified.number),
            _ => None,
        };
    peer.script.lock().unwrap().event_requests.iter().map(start).collect()
}

fn named(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(block, transaction)| (*block, (*transaction).to_owned())).collect()
}

#[tokio::test]
async fn a_lost_stream_goes_on_after_the_last_event() {
    let peer = Peer::up();
    script(
        &peer,
        vec![
            (vec![block(3, &["a"]), block(5, &["b", "c"])], Some(Status::unavailable("going away"))),
            (vec![block(5, &["b", "c"]), block(6, &["d"])], None),
        ],
    );
    let mut events = peer.client().chaincode_events("health", "ehr", From::Block(3));
    assert_eq!(take(&mut events, 4).await, named(&[(3, "a"), (5, "b"), (5, "c"), (6, "d")]));
    assert_eq!(starts(&peer), [Some(3), Some(5)]);
}

#[tokio::test]
async fn a_peers_restart_goes_unnoticed() {
    let peer = Peer::up();
    script(&peer, vec![(vec![block(3, &["a"])], None), (vec![block(3, &["a"]), block(4, &["b"])], None)]);
    let mut events = peer.client().chaincode_events("health", "ehr", From::Block(0));
    assert_eq!(take(&mut events, 1).await, named(&[(3, "a")]));
    peer.kill();
    let restarting = peer.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        restarting.start();
    });
    assert_eq!(take(&mut events, 1).await, named(&[(4, "b")]));
}

#[tokio::test]
async fn a_checkpoint_goes_on_within_its_block() {
    let peer = Peer::up();
    script(&peer, vec![(vec![block(5, &["a", "b", "c"]), block(6, &["d"])], None)]);
    let from = From::After { block: 5, transaction: "b".to_owned() };
    let mut events = peer.client().chaincode_events("health", "ehr", from);
    assert_eq!(take(&mut events, 2).await, named(&[(5, "c"), (6, "d")]));
    let asked = peer.script.lock().unwrap().event_requests[0].after_transaction_id.clone();
    assert_eq!(asked, "", "with it, a peer stays silent for ever if that transaction had no event");
}

#[tokio::test]
async fn a_checkpoint_without_event_repeats_its_block_instead_of_staying_silent() {
    let peer = Peer::up();
    script(&peer, vec![(vec![block(5, &["a"])], None)]);
    let from = From::After { block: 5, transaction: "x".to_owned() };
    assert_eq!(take(&mut peer.client().chaincode_events("health", "ehr", from), 1).await, named(&[(5, "a")]));
}

#[tokio::test]
async fn the_next_block_is_pinned_down_so_that_a_lost_connection_misses_nothing() {
    let peer = Peer::up();
    peer.script.lock().unwrap().height = 8;
    script(&peer, vec![(Vec::new(), Some(Status::unavailable("going away"))), (vec![block(8, &["a"])], None)]);
    let mut events = peer.client().chaincode_events("health", "ehr", From::Next);
    assert_eq!(take(&mut events, 1).await, named(&[(8, "a")]));
    assert_eq!(starts(&peer), [Some(8), Some(8)]);
}

#[tokio::test]
async fn who_may_not_ask_for_the_height_gets_the_peers_next_block() {
    let peer = Peer::up();
    peer.script.lock().unwrap().evaluate.push_back(fake::Do::Fail(Status::aborted("access denied")));
    script(&peer, vec![(vec![block(9, &["a"])], None)]);
    let mut events = peer.client().chaincode_events("health", "ehr", From::Next);
    assert_eq!(take(&mut events, 1).await, named(&[(9, "a")]));
    assert_eq!(starts(&peer), [None]);
}

#[tokio::test]
async fn a_refusal_ends_the_stream() {
    let peer = Peer::up();
    script(&peer, vec![(Vec::new(), Some(Status::permission_denied("no Reader")))]);
    let mut events = peer.client().chaincode_events("health", "ehr", From::Block(0));
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!((error.stage(), error.code()), (Stage::ChaincodeEvents, Code::PermissionDenied));
    assert!(events.next().await.is_none());
}
