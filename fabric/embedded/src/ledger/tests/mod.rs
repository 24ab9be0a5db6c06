//! Tests of the ledger engine as a whole.

mod chain;
mod conflicts;
mod crash;
mod golden;
mod isolation;
mod model;

use std::sync::Arc;

use fabric_protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload, SignatureHeader};
use fabric_protos::kvrwset::{KvRead, KvrwSet, RangeQueryInfo, range_query_info::ReadsInfo};
use fabric_protos::protos::TxValidationCode::{self, Valid};
use fabric_protos::protos::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEndorsedAction, ChaincodeEvent, ProposalResponsePayload,
    Transaction, TransactionAction,
};
use openssl::sha::sha256;
use prost::Message;
use prost_types::Timestamp;

use super::*;

/// The chaincode of the tests.
const CC: &str = "records";

/// Signs with a hash that everybody can make: enough to see what was signed.
struct Orderer;

impl BlockSigner for Orderer {
    fn creator(&self) -> Vec<u8> {
        b"orderer".to_vec()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(sha256(message).to_vec())
    }
}

fn signed_by_orderer(creator: &[u8], message: &[u8], signature: &[u8]) -> bool {
    creator == b"orderer" && signature == sha256(message)
}

fn open(storage: &Storage) -> Ledger {
    Ledger::open(storage, Arc::new(Orderer), || envelope(HeaderType::Config, "genesis", Vec::new())).unwrap()
}

fn in_memory() -> Ledger {
    open(&Storage::Memory)
}

/// An envelope of the channel; its time is 1000 s.
fn envelope(header_type: HeaderType, transaction_id: &str, data: Vec<u8>) -> Vec<u8> {
    let channel_header = ChannelHeader {
        r#type: header_type as i32,
        timestamp: Some(Timestamp { seconds: 1000, nanos: 7 }),
        channel_id: "channel".into(),
        tx_id: transaction_id.into(),
        ..ChannelHeader::default()
    };
    let signature_header = SignatureHeader { creator: b"creator".to_vec(), nonce: b"nonce".to_vec() };
    let header =
        Header { channel_header: channel_header.encode_to_vec(), signature_header: signature_header.encode_to_vec() };
    let payload = Payload { header: Some(header), data };
    Envelope { payload: payload.encode_to_vec(), signature: b"signature".to_vec() }.encode_to_vec()
}

/// A chaincode's transaction with this read-write set and an event named like the transaction.
fn transaction(transaction_id: &str, read_write_set: Vec<u8>) -> Vec<u8> {
    let event = ChaincodeEvent {
        chaincode_id: CC.into(),
        tx_id: transaction_id.into(),
        event_name: format!("event of {transaction_id}"),
        payload: Vec::new(),
    };
    let action = ChaincodeAction { results: read_write_set, events: event.encode_to_vec(), ..Default::default() };
    let response =
        ProposalResponsePayload { proposal_hash: vec![0; 32], extension: action.encode_to_vec() }.encode_to_vec();
    let endorsed = ChaincodeEndorsedAction { proposal_response_payload: response, endorsements: Vec::new() };
    let payload = ChaincodeActionPayload { chaincode_proposal_payload: Vec::new(), action: Some(endorsed) };
    let action = TransactionAction { header: Vec::new(), payload: payload.encode_to_vec() };
    let data = Transaction { actions: vec![action] }.encode_to_vec();
    envelope(HeaderType::EndorserTransaction, transaction_id, data)
}

/// Simulates now; the envelope can be committed whenever wanted.
fn simulate(ledger: &Ledger, transaction_id: &str, run: impl FnOnce(&mut Simulator)) -> Vec<u8> {
    let mut simulator = ledger.simulate(transaction_id).unwrap();
    run(&mut simulator);
    transaction(transaction_id, simulator.finish().unwrap().read_write_set)
}

/// Commits a block of transactions that passed the earlier checks; returns the codes.
fn commit(ledger: &Ledger, envelopes: Vec<Vec<u8>>) -> Vec<TxValidationCode> {
    let codes = vec![Valid; envelopes.len()];
    let block = ledger.commit(envelopes, &codes).unwrap();
    block.transactions.iter().map(|transaction| transaction.code).collect()
}

/// Commits one block of one transaction that puts these keys.
fn put_all(ledger: &Ledger, keys: impl IntoIterator<Item = (String, &'static str)>) {
    let id = format!("put {}", ledger.height());
    let envelope = simulate(ledger, &id, |tx| {
        keys.into_iter().for_each(|(key, value)| tx.put(CC, &key, value.into()).unwrap());
    });
    assert_eq!(commit(ledger, vec![envelope]), [Valid]);
}

fn put(ledger: &Ledger, key: &str, value: &'static str) {
    put_all(ledger, [(key.to_owned(), value)]);
}

fn numbered(count: usize) -> impl Iterator<Item = (String, &'static str)> {
    (0..count).map(|i| (format!("k{i:05}"), "v"))
}

/// Reads a whole range; gives the sizes of the batches.
fn read_range(tx: &mut Simulator, start: &str, end: &str) -> Vec<usize> {
    let query = tx.open_range(CC, start, end).unwrap();
    let mut sizes = Vec::new();
    loop {
        let batch = tx.next_batch(query).unwrap();
        sizes.push(batch.results.len());
        if !batch.has_more {
            return sizes;
        }
    }
}

/// What a simulation leaves of the test's chaincode.
fn recorded(simulator: Simulator) -> KvrwSet {
    let result = simulator.finish().unwrap();
    let sets = decode_read_write_set(&result.read_write_set).unwrap();
    sets.into_iter().find(|set| set.namespace == CC).map(|set| set.set).unwrap_or_default()
}

fn raw_keys(range: &RangeQueryInfo) -> Vec<&str> {
    match &range.reads_info {
        None => Vec::new(),
        Some(ReadsInfo::RawReads(reads)) => reads.kv_reads.iter().map(|KvRead { key, .. }| key.as_str()).collect(),
        Some(other) => panic!("not raw: {other:?}"),
    }
}
