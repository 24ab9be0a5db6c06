//! The stream between a peer and a chaincode, over the in-memory channel.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::notes::{Notebook, NotesDispatcher};
use crate::peer::{CHANNEL, Peer, TIME, caller_certificate, offering, transaction_message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fabric_contract::{Chaincode, composite_key};
use fabric_protos::protos::chaincode_message::Type;
use fabric_protos::protos::{ChaincodeAdditionalParams, ChaincodeMessage, GetStateMultiple, WriteBatchState};
use futures::future::join_all;
use prost::Message;
use serde_json::{Value, json};
use tokio::sync::mpsc;

fn notes() -> Chaincode {
    Chaincode::new().contract(NotesDispatcher::new(Notebook))
}

/// Without batches, as before Fabric 3.1.
async fn older_peer() -> Peer {
    Peer::start(notes(), ChaincodeAdditionalParams::default()).await
}

async fn peer() -> Peer {
    Peer::start(notes(), offering(1000, 1000)).await
}

fn numbered(count: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..count).map(|number| (format!("k{number:05}"), number.to_string().into_bytes()))
}

#[tokio::test]
async fn a_hundred_transactions_interleave_with_one_request_each() {
    for ready in [offering(1000, 1000), offering(0, 0)] {
        let peer = Peer::start(notes(), ready).await;
        let calls = (0..100).map(|number| {
            let peer = peer.clone();
            async move {
                let key = format!("\"counter{number}\"");
                peer.invoke(&format!("tx{number}"), "increment", &[&key]).await.json()
            }
        });
        assert_eq!(join_all(calls).await, vec![json!(1); 100]);
        assert_eq!(peer.state().len(), 100);
        assert_eq!(peer.violations(), Vec::<String>::new());
    }
}

/// Found by review: a peer could begin transactions without end.
#[tokio::test]
async fn more_transactions_than_one_stream_may_have_are_refused_until_one_ends() {
    const MOST: usize = 2000;
    let peer = older_peer().await.with_state(numbered(1));
    peer.fall_silent();
    let mut begun = Vec::new();
    for number in 0..MOST {
        begun.push(peer.begin(transaction_message(&format!("tx{number}"), "read", &["\"k00000\""])).await);
    }
    let refused = peer.invoke("one more", "read", &["\"k00000\""]).await;
    assert_eq!((refused.kind, refused.error.as_str()), (Type::Error, "too many transactions"));

    let answer = ChaincodeMessage {
        r#type: Type::Response.into(),
        channel_id: CHANNEL.into(),
        txid: "tx0".into(),
        ..Default::default()
    };
    while peer.requests_of("tx0") == 0 {
        tokio::task::yield_now().await;
    }
    peer.send(answer).await;
    begun.swap_remove(0).await.unwrap();
    assert_ne!(peer.invoke("one more", "nothing", &[]).await.error, "too many transactions");
}

#[tokio::test]
async fn requests_of_one_transaction_wait_for_each_other() {
    let peer = older_peer().await.with_state(numbered(3));
    let ended = peer.invoke("tx", "readAtOnce", &[r#"["k00002","k00000","absent","k00001"]"#]).await;
    assert_eq!(ended.json(), json!(["2", "0", null, "1"]));
    assert_eq!(peer.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_answer_of_a_request_given_up_is_not_taken_for_the_next_ones() {
    let peer = older_peer().await.with_state(numbered(2));
    let ended = peer.invoke("tx", "readImpatiently", &[r#""k00000""#, r#""k00001""#]).await;
    assert_eq!(ended.json(), json!("1"));
    assert_eq!(peer.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn waiting_calls_fail_at_once_when_the_stream_ends() {
    let (to_chaincode, incoming) = mpsc::channel(8);
    let (outgoing, mut from_chaincode) = mpsc::channel(8);
    let serving = tokio::spawn(notes().serve_channel("basic:1", outgoing, incoming));
    from_chaincode.recv().await.unwrap();
    for kind in [Type::Registered, Type::Ready] {
        to_chaincode.send(ChaincodeMessage { r#type: kind.into(), ..Default::default() }).await.unwrap();
    }
    to_chaincode.send(transaction_message("tx", "read", &["\"a\""])).await.unwrap();
    assert_eq!(from_chaincode.recv().await.unwrap().r#type(), Type::GetState);

    drop(to_chaincode);

    serving.await.unwrap();
    let ended = from_chaincode.recv().await.unwrap();
    let response = fabric_protos::protos::Response::decode(ended.payload.as_slice()).unwrap();
    assert!(response.message.contains("the connection to the peer ended"), "{}", response.message);
    assert!(from_chaincode.recv().await.is_none());
}

#[tokio::test]
async fn the_stream_ends_when_the_peer_stops_taking_messages() {
    let (_to_chaincode, incoming) = mpsc::channel(8);
    let (outgoing, mut from_chaincode) = mpsc::channel(8);
    let serving = tokio::spawn(notes().serve_channel("basic:1", outgoing, incoming));
    from_chaincode.recv().await.unwrap();
    drop(from_chaincode);
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_loses_the_stream() {
    for kind in [Type::Transaction, Type::Response, Type::GetState, Type::Completed] {
        let (to_chaincode, incoming) = mpsc::channel(8);
        let (outgoing, _from_chaincode) = mpsc::channel(8);
        let serving = tokio::spawn(notes().serve_channel("basic:1", outgoing, incoming));
        to_chaincode.send(ChaincodeMessage { r#type: kind.into(), ..Default::default() }).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_panic_fails_its_own_transaction_only() {
    let peer = peer().await.with_state(numbered(1));
    let calls = (0..20).map(|number| {
        let peer = peer.clone();
        async move {
            if number % 2 == 0 {
                peer.invoke(&format!("tx{number}"), "read", &["\"k00000\""]).await
            } else {
                peer.invoke(&format!("tx{number}"), "writeAndPanic", &[]).await
            }
        }
    });
    for (number, ended) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(ended.response.status, if number % 2 == 0 { 200 } else { 500 });
        assert!(!ended.response.message.contains("a bug"), "the inside message stays inside");
    }
    assert_eq!(peer.state().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_completed_with_its_status_and_nothing_is_written() {
    let peer = peer().await;
    for status in [400, 403, 404, 409, 500, 599] {
        let ended = peer.invoke("tx", "writeAndRefuse", &[&status.to_string()]).await;
        assert_eq!(ended.kind, Type::Completed);
        assert_eq!(ended.status(), (status, format!("{status} no: not \"today\"").as_str()));
        assert_eq!(ended.event, None);
        assert_eq!(ended.kinds(), []);
    }
}

#[tokio::test]
async fn a_refusal_with_a_status_that_would_be_endorsed_becomes_500() {
    let peer = peer().await;
    for status in ["0", "200", "399", "600"] {
        assert_eq!(peer.invoke("tx", "writeAndRefuse", &[status]).await.response.status, 500);
    }
}

#[tokio::test]
async fn writes_go_in_one_batch_in_the_order_of_their_keys() {
    let peer = peer().await;
    let ended = peer.invoke("tx", "write", &[r#"[["b","1"],["a","2"],["c","3"],["b","4"]]"#]).await;
    assert_eq!(ended.json(), Value::Null);
    assert_eq!(ended.kinds(), [Type::WriteBatchState]);
    let batch = WriteBatchState::decode(ended.requests[0].1.as_slice()).unwrap();
    let written: Vec<_> = batch.rec.iter().map(|record| (record.key.as_str(), record.value.as_slice())).collect();
    assert_eq!(written, [("a", b"2".as_slice()), ("b", b"4"), ("c", b"3")], "the last write of a key counts");
}

#[tokio::test]
async fn an_older_peer_gets_one_message_a_key() {
    let peer = older_peer().await;
    let ended = peer.invoke("tx1", "write", &[r#"[["b","1"],["a","2"]]"#]).await;
    assert_eq!(ended.kinds(), [Type::PutState, Type::PutState]);
    let ended = peer.invoke("tx2", "remove", &[r#"["a","absent"]"#]).await;
    assert_eq!(ended.kinds(), [Type::DelState, Type::DelState]);
    assert_eq!(peer.state(), BTreeMap::from([("b".into(), b"1".to_vec())]));
    let ended = peer.invoke("tx3", "readMany", &[r#"["a","b"]"#]).await;
    assert_eq!(ended.kinds(), [Type::GetState, Type::GetState]);
    assert_eq!(ended.json(), json!([null, "1"]));
}

#[tokio::test]
async fn a_peer_that_offers_batches_of_nothing_is_sent_none() {
    let ready = ChaincodeAdditionalParams { use_write_batch: true, use_get_multiple_keys: true, ..Default::default() };
    let peer = Peer::start(notes(), ready).await;
    assert_eq!(peer.invoke("tx", "write", &[r#"[["b","1"]]"#]).await.kinds(), [Type::PutState]);
    assert_eq!(peer.invoke("tx", "readMany", &[r#"["b"]"#]).await.kinds(), [Type::GetState]);
}

#[tokio::test]
async fn batches_are_no_larger_than_the_peer_offers() {
    let peer = Peer::start(notes(), offering(3, 4)).await;
    let entries: Vec<_> = (0..8).map(|number| (format!("k{number}"), "v")).collect();
    let ended = peer.invoke("tx1", "write", &[&json!(entries).to_string()]).await;
    let sizes = ended.requests.iter().map(|(_, payload)| WriteBatchState::decode(&payload[..]).unwrap().rec.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [3, 3, 2]);
    assert_eq!(peer.state().len(), 8);

    let keys: Vec<_> = (0..9).map(|number| format!("k{number}")).collect();
    let ended = peer.invoke("tx2", "readMany", &[&json!(keys).to_string()]).await;
    let sizes = ended.requests.iter().map(|(_, payload)| GetStateMultiple::decode(&payload[..]).unwrap().keys.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [4, 4, 1]);
    assert_eq!(ended.json(), json!(["v", "v", "v", "v", "v", "v", "v", "v", null]));
}

#[tokio::test]
async fn large_values_are_spread_over_batches_of_16_mib() {
    let peer = peer().await;
    let value = "x".repeat(7 * 1024 * 1024);
    let entries: Vec<_> = (0..5).map(|number| (format!("k{number}"), value.as_str())).collect();
    let ended = peer.invoke("tx", "write", &[&json!(entries).to_string()]).await;
    assert_eq!(ended.kinds(), [Type::WriteBatchState; 3]);
    assert_eq!(peer.state().len(), 5);
}

#[tokio::test]
async fn an_empty_value_is_an_absent_one() {
    let peer = peer().await.with_state([("a".into(), b"1".to_vec())]);
    assert_eq!(peer.invoke("tx1", "write", &[r#"[["a",""]]"#]).await.json(), Value::Null);
    assert_eq!(peer.invoke("tx2", "read", &["\"a\""]).await.json(), Value::Null);
    assert_eq!(peer.invoke("tx3", "readMany", &[r#"["a"]"#]).await.json(), json!([null]));
}

#[tokio::test]
async fn an_empty_key_or_event_name_fails_the_transaction_before_anything_is_written() {
    let peer = peer().await;
    let ended = peer.invoke("tx", "write", &[r#"[["a","1"],["","2"]]"#]).await;
    assert_eq!((ended.status(), ended.kinds()), ((500, "write: a key must not be empty"), vec![]));
    let ended = peer.invoke("tx", "announce", &["\"\""]).await;
    assert_eq!(ended.status(), (500, "announce: the name of an event must not be empty"));
}

#[tokio::test]
async fn writes_that_the_peer_refuses_fail_the_transaction_with_its_words() {
    for peer in [peer().await, older_peer().await] {
        peer.refuse_writes();
        let ended = peer.invoke("tx", "write", &[r#"[["a","1"],["b","2"]]"#]).await;
        assert_eq!(ended.kind, Type::Error, "so that the gateway asks another peer");
        assert!(ended.error.contains("failed: no writes today"), "{}", ended.error);
        assert_eq!(ended.kinds().len(), 1);
    }
}

#[tokio::test]
async fn a_range_is_fetched_as_it_is_read() {
    let peer = peer().await.with_state(numbered(250));
    let ended = peer.invoke("tx1", "list", &["\"\"", "\"\""]).await;
    assert_eq!(ended.json().as_array().unwrap().len(), 250);
    assert_eq!(ended.kinds(), [Type::GetStateByRange, Type::QueryStateNext, Type::QueryStateNext]);

    let ended = peer.invoke("tx2", "list", &["\"k00010\"", "\"k00012\""]).await;
    assert_eq!(ended.json(), json!(["k00010", "k00011"]));
    assert_eq!(ended.kinds(), [Type::GetStateByRange]);
}

#[tokio::test]
async fn a_range_left_early_is_closed_before_the_next_request() {
    let peer = peer().await.with_state(numbered(250));
    let ended = peer.invoke("tx", "first", &["101"]).await;
    assert_eq!(ended.json().as_array().unwrap().len(), 101);
    let expected = [Type::GetStateByRange, Type::QueryStateNext, Type::QueryStateClose, Type::GetState];
    assert_eq!(ended.kinds(), expected);
    assert_eq!(peer.open_queries(), 0);
}

#[tokio::test]
async fn a_range_whose_read_was_given_up_fails_instead_of_missing_results() {
    let peer = peer().await.with_state(numbered(250));
    let ended = peer.invoke("tx", "firstAfterGivingUp", &[]).await;
    assert!(ended.response.message.contains("an earlier read of the same query broke off"), "{ended:?}");
    assert_eq!(peer.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_open_range_of_simple_keys_leaves_composite_keys_out() {
    let composite = composite_key("note", &["ann", "1"]).unwrap();
    let peer = peer().await.with_state([("a".into(), b"1".to_vec()), (composite.clone(), b"2".to_vec())]);
    assert_eq!(peer.invoke("tx1", "list", &["\"\"", "\"\""]).await.json(), json!(["a"]));
    let ended = peer.invoke("tx2", "list", &[&json!(composite).to_string(), "\"\""]).await;
    assert!(ended.response.message.contains("partial composite key"), "{}", ended.response.message);
}

#[tokio::test]
async fn a_partial_composite_key_finds_its_keys_only_and_page_by_page() {
    let notes = [("ann", "1"), ("ann", "2"), ("ann", "3"), ("anna", "4"), ("bob", "5")];
    let state = notes.map(|(owner, id)| (composite_key("note", &[owner, id]).unwrap(), id.as_bytes().to_vec()));
    let peer = peer().await.with_state(state);
    assert_eq!(peer.invoke("tx1", "ofOwner", &["\"ann\""]).await.json(), json!(["1", "2", "3"]));

    let first = peer.invoke("tx2", "page", &["\"ann\"", "null"]).await.json();
    assert_eq!(first["values"], json!(["1", "2"]));
    let second = peer.invoke("tx3", "page", &["\"ann\"", &first["bookmark"].to_string()]).await.json();
    assert_eq!(second, json!({ "values": ["3"], "bookmark": null }));
}

#[tokio::test]
async fn history_has_the_newest_change_first() {
    let ended = peer().await.invoke("tx", "history", &["\"a\""]).await;
    assert_eq!(ended.json(), json!([["t2", [7, 0], null], ["t1", [7, 0], "v"]]));
}

#[tokio::test]
async fn the_last_event_goes_with_the_result() {
    let event = peer().await.invoke("tx", "announce", &["\"Announced\""]).await.event.unwrap();
    assert_eq!((event.event_name.as_str(), event.payload.as_slice()), ("Announced", b"payload".as_slice()));
}

#[tokio::test]
async fn a_function_sees_the_circumstances_of_its_transaction() {
    let seen = peer().await.invoke("tx", "circumstances", &[]).await.json();
    let certificate = caller_certificate();
    let id = r"x509::CN=alice,OU=client,O=Hospital\, Inc.::CN=ca,O=Hospital\, Inc.";
    let expected = json!({
        "transaction": "tx", "channel": CHANNEL, "time": TIME, "secret": "tea", "other": null, "msp": "HospitalMSP",
        "key_hash": certificate.key_hash(), "certificate": certificate.der(), "client": true, "admin": false,
        "id": STANDARD.encode(id), "attribute": null,
    });
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_keepalive_is_echoed_at_any_time() {
    let peer = peer().await;
    peer.fall_silent();
    let _waiting = peer.begin(transaction_message("tx", "read", &["\"a\""])).await;
    peer.send(ChaincodeMessage { r#type: Type::Keepalive.into(), ..Default::default() }).await;
    tokio::time::timeout(Duration::from_secs(5), async {
        while peer.keepalives() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn init_without_a_function_succeeds_and_with_one_runs_it() {
    let peer = peer().await;
    let init = |function: &str, argument: &str| ChaincodeMessage {
        r#type: Type::Init.into(),
        ..transaction_message("tx", function, if argument.is_empty() { &[] } else { std::slice::from_ref(&argument) })
    };
    let ended = peer.begin(init("", "")).await.await.unwrap();
    assert_eq!((ended.kind, ended.response.status), (Type::Completed, 200));
    let ended = peer.begin(init("echo", "\"hello\"")).await.await.unwrap();
    assert_eq!(ended.json(), json!("hello"));
    let ended = peer.begin(init("writeAndRefuse", "409")).await.await.unwrap();
    assert_eq!((ended.kind, ended.response.status), (Type::Completed, 409));
    let ended = peer.begin(init("writeAndRefuse", "500")).await.await.unwrap();
    assert_eq!(ended.kind, Type::Error);
}

#[tokio::test]
async fn a_proposal_that_cannot_be_read_is_refused() {
    let peer = peer().await;
    let message = ChaincodeMessage { proposal: None, ..transaction_message("tx", "echo", &["\"\""]) };
    let ended = peer.begin(message).await.await.unwrap();
    assert_eq!(ended.status(), (500, "the message carries no proposal"));
}
