//! From the signed transaction to the block, and what is read of it afterwards.

use std::time::{Duration, Instant};

use fabric_client::{ChaincodeEvent, Code, From, TxValidationCode as Is};
use fabric_embedded::{
    config::Batch,
    ledger::Storage,
    testing::{CHANNEL, Network},
};
use fabric_msp::SigningIdentity;
use fabric_protos::{
    common::{Block, BlockchainInfo},
    protos::ProcessedTransaction,
};
use futures::StreamExt;
use prost::Message;

use crate::{
    BOTH, client, contract, evaluate, network,
    raw::{Draft, Gateway, changed, signed},
    submit,
};

/// Amy of Org1 at her gateway.
struct Amy {
    network: Network,
    identity: SigningIdentity,
    gateway: Gateway,
}

impl Amy {
    async fn with(batch: Batch) -> Self {
        let network = network(BOTH).batch(batch).start().await;
        let identity = network.identity("Org1MSP", "amy", "client");
        let gateway = Gateway::of(&network, "Org1MSP");
        Self { network, identity, gateway }
    }

    async fn new() -> Self {
        Self::with(Batch { timeout_milliseconds: 5, ..Batch::default() }).await
    }

    /// An endorsed and signed transaction with its id.
    async fn prepare(&self, call: &[&str]) -> (String, fabric_protos::common::Envelope) {
        self.prepare_with(call, &[]).await
    }

    async fn prepare_with(&self, call: &[&str], by: &[&str]) -> (String, fabric_protos::common::Envelope) {
        let draft = Draft::new(&self.identity, call);
        let prepared = self.gateway.endorse(draft.sign(&self.identity), by).await.unwrap();
        (draft.header.tx_id, signed(prepared, &self.identity))
    }

    async fn status(&self, transaction: &str) -> Is {
        self.gateway.status(transaction, &self.identity).await
    }

    /// Orders prepared transactions and answers their codes.
    async fn order(&self, transactions: Vec<(String, fabric_protos::common::Envelope)>) -> Vec<Is> {
        let mut codes = Vec::new();
        for (_, envelope) in &transactions {
            self.gateway.submit(envelope.clone()).await.unwrap();
        }
        for (transaction, _) in &transactions {
            codes.push(self.status(transaction).await);
        }
        codes
    }
}

/// Two transactions are one block.
fn pairs() -> Batch {
    Batch { max_messages: 2, timeout_milliseconds: 2000, ..Batch::default() }
}

#[tokio::test]
async fn an_envelope_sent_twice_counts_once() {
    let amy = Amy::new().await;
    let (transaction, envelope) = amy.prepare(&["put", "a", "1"]).await;
    assert_eq!(amy.order(vec![(transaction.clone(), envelope.clone())]).await, [Is::Valid]);
    amy.gateway.submit(envelope).await.unwrap();
    let mut heights = amy.network.ledger().subscribe();
    heights.wait_for(|height| *height == 3).await.unwrap();
    let second = amy.network.ledger().committed_block(2).unwrap().unwrap();
    assert_eq!(second.transactions[0].code, Is::DuplicateTxid);
    let status = amy.gateway.status_in(CHANNEL, &transaction, &amy.identity).await.unwrap();
    assert_eq!((status.result(), status.block_number), (Is::Valid, 1));
}

#[tokio::test]
async fn a_proposal_whose_transaction_is_committed_is_refused() {
    let amy = Amy::new().await;
    let draft = Draft::new(&amy.identity, &["put", "a", "1"]);
    let prepared = amy.gateway.endorse(draft.sign(&amy.identity), &[]).await.unwrap();
    amy.order(vec![(draft.header.tx_id.clone(), signed(prepared, &amy.identity))]).await;
    let refused = amy.gateway.evaluate(draft.sign(&amy.identity), &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(&format!("duplicate transaction found [{}]", draft.header.tx_id)), "{refused}");
    assert_eq!(amy.gateway.endorse(draft.sign(&amy.identity), &[]).await.unwrap_err().code(), Code::Aborted);
}

#[tokio::test]
async fn of_two_that_read_and_write_a_key_in_one_block_the_second_is_invalid() {
    let amy = Amy::with(pairs()).await;
    let both = vec![amy.prepare(&["read-write", "a", "1"]).await, amy.prepare(&["read-write", "a", "2"]).await];
    assert_eq!(amy.order(both).await, [Is::Valid, Is::MvccReadConflict]);
}

#[tokio::test]
async fn of_two_blind_writes_both_are_valid_and_the_later_stands() {
    let amy = Amy::with(pairs()).await;
    let both = vec![amy.prepare(&["put", "a", "1"]).await, amy.prepare(&["put", "a", "2"]).await];
    assert_eq!(amy.order(both).await, [Is::Valid, Is::Valid]);
    assert_eq!(evaluate(&contract(&amy.network), &["get", "a"]).await.unwrap(), "2");
}

#[tokio::test]
async fn a_key_that_appears_in_a_range_makes_who_scanned_it_invalid() {
    let amy = Amy::with(pairs()).await;
    let both = vec![amy.prepare(&["put", "b", "1"]).await, amy.prepare(&["scan-put", "z", "1"]).await];
    assert_eq!(amy.order(both).await, [Is::Valid, Is::PhantomReadConflict]);
}

#[tokio::test]
async fn a_transaction_sees_neither_its_own_writes_nor_empty_values() {
    let amy = Amy::new().await;
    let contract = contract(&amy.network);
    submit(&contract, &["put", "a", "old"]).await.unwrap();
    assert_eq!(submit(&contract, &["put-get", "a", "new"]).await.unwrap(), "old");
    submit(&contract, &["put", "a", ""]).await.unwrap();
    assert_eq!(evaluate(&contract, &["get", "a"]).await.unwrap(), "");
    assert_eq!(evaluate(&contract, &["history", "a"]).await.unwrap(), "deleted,new,old");
}

#[tokio::test]
async fn too_few_endorsements_are_found_at_commit() {
    let amy = Amy::new().await;
    let alone = amy.prepare_with(&["put", "a", "1"], &["Org1MSP"]).await;
    assert_eq!(amy.order(vec![alone]).await, [Is::EndorsementPolicyFailure]);
    assert_eq!(evaluate(&contract(&amy.network), &["get", "a"]).await.unwrap(), "");
}

#[tokio::test]
async fn the_same_endorsement_twice_does_not_count_twice() {
    let amy = Amy::new().await;
    let draft = Draft::new(&amy.identity, &["put", "a", "1"]);
    let prepared = amy.gateway.endorse(draft.sign(&amy.identity), &["Org1MSP"]).await.unwrap();
    let twice = changed(&prepared, |action| {
        let endorsements = &mut action.action.as_mut().unwrap().endorsements;
        endorsements.push(endorsements[0].clone());
    });
    let codes = amy.order(vec![(draft.header.tx_id, signed(twice, &amy.identity))]).await;
    assert_eq!(codes, [Is::EndorsementPolicyFailure]);
}

#[tokio::test]
async fn what_was_changed_after_endorsement_is_invalid() {
    let amy = Amy::new().await;
    let draft = Draft::new(&amy.identity, &["put", "a", "1"]);
    let prepared = amy.gateway.endorse(draft.sign(&amy.identity), &[]).await.unwrap();
    let other_arguments = changed(&prepared, |action| action.chaincode_proposal_payload.push(0));
    let transaction = draft.header.tx_id.clone();
    let codes = amy.order(vec![(transaction, signed(other_arguments, &amy.identity))]).await;
    assert_eq!(codes, [Is::InvalidEndorserTransaction]);

    let draft = Draft::new(&amy.identity, &["put", "a", "1"]);
    let prepared = amy.gateway.endorse(draft.sign(&amy.identity), &[]).await.unwrap();
    let other_signature = changed(&prepared, |action| {
        let endorsement = &mut action.action.as_mut().unwrap().endorsements[1];
        let last = endorsement.signature.len() - 1;
        endorsement.signature[last] ^= 1;
    });
    let codes = amy.order(vec![(draft.header.tx_id, signed(other_signature, &amy.identity))]).await;
    assert_eq!(codes, [Is::EndorsementPolicyFailure]);
}

#[tokio::test]
async fn the_orderer_takes_nothing_that_its_creator_did_not_sign() {
    let amy = Amy::new().await;
    let (_, mut envelope) = amy.prepare(&["put", "a", "1"]).await;
    let bob = amy.network.identity("Org1MSP", "bob", "client");
    envelope.signature = bob.sign(&envelope.payload).unwrap();
    let refused = amy.gateway.submit(envelope).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    let text = "received unsuccessful response from orderer: status=FORBIDDEN, info=implicit policy evaluation failed";
    assert!(refused.message().starts_with(text), "{refused}");
    assert!(refused.message().ends_with("permission denied") && refused.details().is_empty(), "{refused}");
}

#[tokio::test]
async fn a_transaction_that_is_too_large_is_refused() {
    let amy = Amy::with(Batch { absolute_max_bytes: 20_000, timeout_milliseconds: 5, ..Batch::default() }).await;
    let (_, envelope) = amy.prepare(&["put", "a", &"x".repeat(20_000)]).await;
    let refused = amy.gateway.submit(envelope).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().contains("status=BAD_REQUEST, info=message payload is "), "{refused}");
}

#[tokio::test]
async fn blocks_are_cut_by_number_and_by_time() {
    let batch = Batch { max_messages: 4, timeout_milliseconds: 700, ..Batch::default() };
    let amy = Amy::with(batch).await;
    let mut prepared = Vec::new();
    for key in ["a", "b", "c", "d", "e"] {
        prepared.push(amy.prepare(&["put", key, "1"]).await);
    }
    let started = Instant::now();
    let mut heights = amy.network.ledger().subscribe();
    for (_, envelope) in prepared {
        amy.gateway.submit(envelope).await.unwrap();
    }
    heights.wait_for(|height| *height == 2).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(600));
    assert_eq!(amy.network.ledger().committed_block(1).unwrap().unwrap().transactions.len(), 4);
    heights.wait_for(|height| *height == 3).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(700));
    assert_eq!(amy.network.ledger().committed_block(2).unwrap().unwrap().transactions.len(), 1);
}

#[tokio::test]
async fn a_keys_own_policy_stands_in_place_of_the_chaincodes() {
    let amy = Amy::new().await;
    submit(&contract(&amy.network), &["put", "k", "1"]).await.unwrap();
    submit(&contract(&amy.network), &["label", "k", "OR('Org2MSP.peer')"]).await.unwrap();
    let by_first = amy.prepare_with(&["put", "k", "2"], &["Org1MSP"]).await;
    let by_second = amy.prepare_with(&["put", "k", "3"], &["Org2MSP"]).await;
    assert_eq!(amy.order(vec![by_first, by_second]).await, [Is::EndorsementPolicyFailure, Is::Valid]);
    let (_, planned) = amy.prepare(&["put", "k", "4"]).await;
    assert_eq!(crate::raw::action(&planned).action.unwrap().endorsements.len(), 1);
}

#[tokio::test]
async fn whoever_writes_a_key_whose_policy_changes_in_the_same_block_is_invalid() {
    let amy = Amy::with(pairs()).await;
    let first = vec![amy.prepare(&["put", "k", "1"]).await, amy.prepare(&["put", "l", "1"]).await];
    assert_eq!(amy.order(first).await, [Is::Valid, Is::Valid]);
    let label = amy.prepare(&["label", "k", "OR('Org2MSP.peer')"]).await;
    let write = amy.prepare(&["put", "k", "2"]).await;
    assert_eq!(amy.order(vec![label, write]).await, [Is::Valid, Is::EndorsementPolicyFailure]);
}

#[tokio::test]
async fn a_system_chaincode_cannot_be_submitted() {
    let amy = Amy::new().await;
    let mut draft = Draft::new(&amy.identity, &["GetChainInfo", CHANNEL]);
    draft.chaincode = "qscc".into();
    let prepared = amy.gateway.endorse(draft.sign(&amy.identity), &["Org1MSP", "Org2MSP"]).await.unwrap();
    let codes = amy.order(vec![(draft.header.tx_id, signed(prepared, &amy.identity))]).await;
    assert_eq!(codes, [Is::InvalidChaincode]);
}

#[tokio::test]
async fn the_chain_answers_questions_about_itself() {
    let amy = Amy::new().await;
    let (transaction, envelope) = amy.prepare(&["put", "a", "1"]).await;
    amy.order(vec![(transaction.clone(), envelope.clone())]).await;
    let chain = client(&amy.network).contract(CHANNEL, "qscc");
    let ask = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let chain = chain.clone();
        async move {
            chain.evaluate(&arguments[0], arguments[1..].iter().map(|one| one.clone().into_bytes()).collect()).await
        }
    };
    let info = BlockchainInfo::decode(&ask(&["GetChainInfo", CHANNEL]).await.unwrap()[..]).unwrap();
    assert_eq!(info.height, 2);
    let block = Block::decode(&ask(&["GetBlockByNumber", CHANNEL, "1"]).await.unwrap()[..]).unwrap();
    assert_eq!(block.header.unwrap().previous_hash, info.previous_block_hash);
    let found = ask(&["GetTransactionByID", CHANNEL, &transaction]).await.unwrap();
    let found = ProcessedTransaction::decode(&found[..]).unwrap();
    assert_eq!((found.transaction_envelope.unwrap(), found.validation_code), (envelope, 0));
    assert!(ask(&["GetBlockByTxID", CHANNEL, &transaction]).await.is_ok());

    let refused = ask(&["GetBlockByNumber", CHANNEL, "9"]).await.unwrap_err();
    assert!(
        refused.message().ends_with("Failed to get block number 9, error no such block number [9] in index"),
        "{refused}"
    );
    assert!(ask(&["GetChainInfo", "c9"]).await.unwrap_err().message().ends_with("Invalid chain ID, c9"));
    let unmapped = ask(&["Nope", CHANNEL]).await.unwrap_err();
    assert!(unmapped.message().ends_with("access denied for [Nope][test]: [Unmapped policy for qscc/Nope]"));
}

async fn next(
    events: &mut (impl futures::Stream<Item = Result<ChaincodeEvent, fabric_client::Error>> + Unpin),
) -> String {
    tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap().unwrap().unwrap().name
}

#[tokio::test]
async fn events_are_those_of_valid_transactions_from_where_they_were_asked_for() {
    let amy = Amy::with(pairs()).await;
    let mut live = client(&amy.network).chaincode_events(CHANNEL, "script", From::Block(1));
    let good = amy.prepare(&["event-read", "good", "a", "1"]).await;
    let bad = amy.prepare(&["event-read", "bad", "a", "2"]).await;
    assert_eq!(amy.order(vec![good.clone(), bad]).await, [Is::Valid, Is::MvccReadConflict]);
    let later = vec![amy.prepare(&["event", "second", "b"]).await, amy.prepare(&["event", "third", "c"]).await];
    amy.order(later.clone()).await;
    assert_eq!([next(&mut live).await, next(&mut live).await, next(&mut live).await], ["good", "second", "third"]);

    let after = From::After { block: 2, transaction: later[0].0.clone() };
    let mut resumed = client(&amy.network).chaincode_events(CHANNEL, "script", after);
    assert_eq!(next(&mut resumed).await, "third");
}

#[tokio::test]
async fn after_a_transaction_without_event_there_is_silence() {
    let amy = Amy::new().await;
    let silent = amy.prepare(&["put", "a", "1"]).await;
    amy.order(vec![silent.clone()]).await;
    let event = amy.prepare(&["event", "loud", "b"]).await;
    amy.order(vec![event]).await;
    let mut events = amy.gateway.events_after(&silent.0, &amy.identity).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), events.message()).await.is_err());
}

#[tokio::test]
async fn a_network_that_is_started_again_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().join("ledger"));
    let first = network(BOTH).storage(storage.clone()).start().await;
    submit(&contract(&first), &["put", "a", "1"]).await.unwrap();
    let authorities = first.authorities().clone();
    first.stop().await;
    let second = network(BOTH).storage(storage).authorities(authorities).start().await;
    assert_eq!(evaluate(&contract(&second), &["get", "a"]).await.unwrap(), "1");
    second.verify_chain().unwrap();
}
