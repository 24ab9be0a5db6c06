//! A transaction's way, and each way in which it can end.

#![allow(clippy::unwrap_used)] // reason: helpers of tests

mod fake;

use std::time::{Duration, Instant};

use fabric_client::{Code, Error, Stage, TxValidationCode};
use fabric_contract::{CallFailure, Transact};
use fabric_protos::common::Payload;
use fake::{Do, Peer, failure, opened};
use openssl::ecdsa::EcdsaSig;
use openssl::sha::sha256;
use prost::Message;
use tonic::Status;

fn verified(peer: &Peer, contract: &fabric_client::Contract) {
    let key = contract.client().identity().certificate().public_key().ec_key().unwrap();
    let script = peer.script.lock().unwrap();
    for proposal in &script.proposed {
        let signature = EcdsaSig::from_der(&proposal.signature).unwrap();
        assert!(signature.verify(&sha256(&proposal.proposal_bytes), &key).unwrap());
    }
    for envelope in &script.submitted {
        let signature = EcdsaSig::from_der(&envelope.signature).unwrap();
        assert!(signature.verify(&sha256(&envelope.payload), &key).unwrap());
    }
}

/// The calls without transaction ids, and how many different ids there were.
fn shape(peer: &Peer) -> (String, usize) {
    let calls = peer.calls();
    let mut ids: Vec<&str> = calls.iter().filter_map(|call| call.split(' ').nth(1)).collect();
    ids.sort_unstable();
    ids.dedup();
    let verbs: Vec<&str> = calls.iter().filter_map(|call| call.split(' ').next()).collect();
    (verbs.join(" "), ids.len())
}

async fn refused(peer: &Peer) -> Error {
    peer.contract().submit("open", Vec::new()).await.unwrap_err()
}

#[tokio::test]
async fn a_proposal_carries_what_fabric_asks_for_and_transient_data_stay_out_of_the_input() {
    let peer = Peer::up();
    let contract = peer.contract();
    let proposal = contract.proposal("Links:open", vec![b"\"1\"".to_vec()]).transient("key", b"secret");
    let transaction_id = proposal.transaction_id().to_owned();
    assert_eq!(proposal.evaluate().await.unwrap(), b"LINKS:OPEN");
    verified(&peer, &contract);

    let signed = peer.script.lock().unwrap().proposed[0].clone();
    let (header, channel_header, payload, arguments) = opened(&signed);
    assert_eq!(arguments, [b"Links:open".to_vec(), b"\"1\"".to_vec()]);
    assert_eq!(payload.transient_map["key"], b"secret");
    assert!(!payload.input.windows(6).any(|bytes| bytes == b"secret"));
    assert_eq!((channel_header.r#type, channel_header.epoch, channel_header.channel_id.as_str()), (3, 0, "health"));
    assert_eq!(channel_header.tx_id, transaction_id);
    let signer = fabric_protos::common::SignatureHeader::decode(header.signature_header.as_slice()).unwrap();
    assert_eq!(signer.creator, contract.client().identity().serialized());
    assert_eq!(signer.nonce.len(), 24);
    assert_eq!(hex::encode(sha256(&[signer.nonce, signer.creator].concat())), transaction_id);
}

#[tokio::test]
async fn the_stages_lead_to_a_block() {
    let peer = Peer::up();
    let contract = peer.contract();
    let endorsed = contract.proposal("open", Vec::new()).endorse().await.unwrap();
    assert_eq!(endorsed.result(), b"OPEN");
    let submitted = endorsed.submit().await.unwrap();
    let committed = submitted.status().await.unwrap();
    assert_eq!((committed.block_number(), committed.code()), (7, TxValidationCode::Valid));
    assert_eq!(committed.transaction_id(), endorsed.transaction_id());
    assert_eq!(shape(&peer), ("endorse submit status".to_owned(), 1));
    verified(&peer, &contract);
    let payload = Payload::decode(peer.script.lock().unwrap().submitted[0].payload.as_slice()).unwrap();
    assert!(payload.header.is_some());
}

#[tokio::test]
async fn generated_clients_get_the_same_answers() {
    let peer = Peer::up();
    let contract = peer.contract();
    assert_eq!(Transact::submit(&contract, "open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(Transact::evaluate(&contract, "list", Vec::new()).await.unwrap(), b"LIST");
}

#[tokio::test]
async fn a_refusing_chaincode_is_heard_when_evaluating() {
    let peer = Peer::up();
    let text = "evaluate call to endorser returned error: chaincode response 404, unknown link";
    let details = [("peer0:7051", "HospitalMSP", "chaincode response 404, unknown link")];
    peer.script.lock().unwrap().evaluate.push_back(Do::Fail(failure(Code::Unknown, text, &details)));
    let error = peer.contract().evaluate("link", Vec::new()).await.unwrap_err();
    assert_eq!((error.stage(), error.code(), error.message()), (Stage::Evaluate, Code::Unknown, text));
    let response = error.chaincode_response().unwrap();
    assert_eq!((response.status, response.message), (404, "unknown link"));
    assert!(!error.may_have_committed() && !error.is_transport());
}

#[tokio::test]
async fn endorsing_tells_what_each_peer_said() {
    let peer = Peer::up();
    let details = [("a:7051", "A", "chaincode response 403, no consent"), ("b:7051", "B", "connection refused")];
    let status = failure(Code::Aborted, "failed to endorse transaction, see attached details for more info", &details);
    peer.script.lock().unwrap().endorse.push_back(Do::Fail(status));
    let error = refused(&peer).await;
    assert_eq!((error.stage(), error.code()), (Stage::Endorse, Code::Aborted));
    let said: Vec<_> =
        error.details().iter().map(|d| (d.address.as_str(), d.msp_id.as_str(), d.message.as_str())).collect();
    assert_eq!(said, details);
    assert_eq!(error.chaincode_response().unwrap().message, "no consent");
    assert!(error.to_string().contains("b:7051 of B: connection refused"), "{error}");
    assert_eq!(shape(&peer), ("endorse".to_owned(), 1));
}

#[tokio::test]
async fn a_transaction_that_was_not_proposed_gets_no_signature() {
    let other: fn(&mut fabric_protos::common::Envelope) = |envelope| {
        let mut payload = Payload::decode(envelope.payload.as_slice()).unwrap();
        payload.header.as_mut().unwrap().channel_header.push(0);
        envelope.payload = payload.encode_to_vec();
    };
    let input: fn(&mut fabric_protos::common::Envelope) = |envelope| {
        let text = envelope.payload.windows(4).rposition(|bytes| bytes == b"open").unwrap();
        envelope.payload[text] = b'O';
    };
    let garbage: fn(&mut fabric_protos::common::Envelope) = |envelope| envelope.payload = vec![255];
    for cheat in [other, input, garbage] {
        let peer = Peer::up();
        peer.script.lock().unwrap().endorse.push_back(Do::Cheat(cheat));
        let error = refused(&peer).await;
        assert_eq!((error.stage(), error.code()), (Stage::Endorse, Code::Internal), "{error}");
        assert_eq!(shape(&peer).0, "endorse");
    }
}

#[tokio::test]
async fn what_the_orderer_refused_is_certain_and_not_looked_up() {
    let peer = Peer::up();
    let text = "received unsuccessful response from orderer: status=FORBIDDEN, info=…";
    peer.script.lock().unwrap().submit.push_back(Do::Fail(Status::aborted(text)));
    let error = refused(&peer).await;
    assert_eq!((error.stage(), error.code()), (Stage::Submit, Code::Aborted));
    assert!(!error.may_have_committed());
    assert_eq!(shape(&peer).0, "endorse submit");
}

#[tokio::test]
async fn after_unavailable_the_same_transaction_is_looked_up_before_anything_else() {
    let peer = Peer::up();
    peer.script.lock().unwrap().submit.push_back(Do::Fail(Status::unavailable("request already processed")));
    assert_eq!(peer.contract().submit("open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(shape(&peer), ("endorse submit status".to_owned(), 1));
}

#[tokio::test]
async fn a_transaction_that_is_looked_up_in_vain_is_handed_over_once_more() {
    let peer = Peer::up();
    peer.script.lock().unwrap().submit.push_back(Do::Fail(Status::unavailable("no orderers could …")));
    peer.script.lock().unwrap().commit_status.push_back(Do::Hang);
    assert_eq!(peer.contract().submit("open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(shape(&peer), ("endorse submit status submit status".to_owned(), 1));
    let submitted = peer.script.lock().unwrap().submitted.clone();
    assert_eq!(submitted[0], submitted[1]);
}

/// Gives the prepared transaction a private write.
fn with_private_write(envelope: &mut fabric_protos::common::Envelope) {
    use fabric_protos::protos::{ChaincodeAction, ChaincodeActionPayload, ProposalResponsePayload, Transaction};
    use fabric_protos::rwset::{CollectionHashedReadWriteSet, NsReadWriteSet, TxReadWriteSet};
    let collection = CollectionHashedReadWriteSet { pvt_rwset_hash: vec![1; 32], ..Default::default() };
    let namespace = NsReadWriteSet { collection_hashed_rwset: vec![collection], ..Default::default() };
    let mut payload = Payload::decode(envelope.payload.as_slice()).unwrap();
    let mut transaction = Transaction::decode(payload.data.as_slice()).unwrap();
    let mut outer = ChaincodeActionPayload::decode(transaction.actions[0].payload.as_slice()).unwrap();
    let endorsed = outer.action.as_mut().unwrap();
    let mut response = ProposalResponsePayload::decode(endorsed.proposal_response_payload.as_slice()).unwrap();
    let mut action = ChaincodeAction::decode(response.extension.as_slice()).unwrap();
    action.results = TxReadWriteSet { ns_rwset: vec![namespace], ..Default::default() }.encode_to_vec();
    response.extension = action.encode_to_vec();
    endorsed.proposal_response_payload = response.encode_to_vec();
    transaction.actions[0].payload = outer.encode_to_vec();
    payload.data = transaction.encode_to_vec();
    envelope.payload = payload.encode_to_vec();
}

#[tokio::test]
async fn a_transaction_with_private_data_is_waited_for_and_never_handed_over_twice() {
    let peer = Peer::up();
    {
        let mut script = peer.script.lock().unwrap();
        script.endorse.push_back(Do::Cheat(with_private_write));
        script.submit.push_back(Do::Fail(Status::unavailable("lost")));
        script.commit_status.push_back(Do::Hang);
    }
    assert_eq!(peer.contract().submit("open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(shape(&peer), ("endorse submit status status".to_owned(), 1));
}

#[tokio::test]
async fn a_transaction_that_the_orderers_took_and_lost_is_handed_over_once_more() {
    let peer = Peer::up();
    peer.script.lock().unwrap().commit_status.push_back(Do::Hang);
    assert_eq!(peer.contract().submit("open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(shape(&peer), ("endorse submit status submit status".to_owned(), 1));
}

#[tokio::test]
async fn a_second_submit_that_fails_too_leaves_it_uncertain() {
    let peer = Peer::up();
    let refusals = [Do::Fail(Status::unavailable("lost")), Do::Fail(Status::aborted("status=FORBIDDEN"))];
    peer.script.lock().unwrap().submit.extend(refusals);
    peer.script.lock().unwrap().commit_status.push_back(Do::Hang);
    let error = refused(&peer).await;
    assert_eq!((error.stage(), error.code()), (Stage::Submit, Code::Aborted));
    assert!(error.may_have_committed(), "the first attempt may still arrive");
    assert!(error.to_string().contains("ask for its commit status"), "{error}");
}

#[tokio::test]
async fn a_peer_that_dies_at_the_submit_is_asked_again_when_it_is_back() {
    let peer = Peer::up();
    peer.script.lock().unwrap().submit.push_back(Do::DieFor(Duration::from_millis(300)));
    assert_eq!(peer.contract().submit("open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(shape(&peer), ("endorse submit status".to_owned(), 1));
}

#[tokio::test]
async fn a_peer_that_dies_before_the_block_is_asked_again_when_it_is_back() {
    let peer = Peer::up();
    peer.script.lock().unwrap().commit_status.push_back(Do::DieFor(Duration::from_millis(300)));
    assert_eq!(peer.contract().submit("open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(shape(&peer), ("endorse submit status status".to_owned(), 1));
}

#[tokio::test]
async fn an_invalid_transaction_is_a_commit_error_also_when_it_was_looked_up() {
    for lost in [false, true] {
        let peer = Peer::up();
        if lost {
            peer.script.lock().unwrap().submit.push_back(Do::Fail(Status::unavailable("lost")));
        }
        let invalid = Do::Committed(TxValidationCode::EndorsementPolicyFailure);
        peer.script.lock().unwrap().commit_status.push_back(invalid);
        let error = peer.contract().conflict_retries(3).submit("open", Vec::new()).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Commit);
        assert_eq!(error.validation_code(), Some(TxValidationCode::EndorsementPolicyFailure));
        assert_eq!(error.block_number(), Some(7));
        assert!(!error.may_have_committed() && !error.is_conflict());
        assert_eq!(shape(&peer), ("endorse submit status".to_owned(), 1));
    }
}

#[tokio::test]
async fn conflicts_are_endorsed_anew_as_new_transactions() {
    let peer = Peer::up();
    let conflicts = [TxValidationCode::MvccReadConflict, TxValidationCode::PhantomReadConflict];
    peer.script.lock().unwrap().commit_status.extend(conflicts.map(Do::Committed));
    peer.contract().conflict_retries(2).submit("open", Vec::new()).await.unwrap();
    assert_eq!(shape(&peer), (["endorse submit status"; 3].join(" "), 3));
}

#[tokio::test]
async fn conflicts_beyond_the_limit_are_told() {
    for (allowed, made) in [(0, 1), (1, 2)] {
        let peer = Peer::up();
        let conflict = Do::Committed(TxValidationCode::MvccReadConflict);
        peer.script.lock().unwrap().commit_status.extend(vec![conflict; 3]);
        let error = peer.contract().conflict_retries(allowed).submit("open", Vec::new()).await.unwrap_err();
        assert!(error.is_conflict());
        assert_eq!(shape(&peer).1, made);
    }
}

#[tokio::test]
async fn every_stage_ends_at_its_deadline() {
    let hang = |stage| {
        let peer = Peer::up();
        let mut script = peer.script.lock().unwrap();
        match stage {
            Stage::Evaluate => script.evaluate.push_back(Do::Hang),
            Stage::Endorse => script.endorse.push_back(Do::Hang),
            Stage::Submit => script.submit.push_back(Do::Hang),
            // The first wait is followed by handing the transaction over once more.
            _ => script.commit_status.extend([Do::Hang, Do::Hang]),
        }
        drop(script);
        peer
    };
    for (stage, uncertain) in
        [(Stage::Evaluate, false), (Stage::Endorse, false), (Stage::Submit, true), (Stage::CommitStatus, true)]
    {
        let peer = hang(stage);
        let contract = peer.contract();
        let started = Instant::now();
        let error = match stage {
            Stage::Evaluate => contract.evaluate("open", Vec::new()).await.unwrap_err(),
            Stage::Submit => contract.proposal("open", Vec::new()).endorse().await.unwrap().submit().await.unwrap_err(),
            _ => contract.submit("open", Vec::new()).await.unwrap_err(),
        };
        assert_eq!((error.stage(), error.code()), (stage, Code::DeadlineExceeded), "{error}");
        assert_eq!(error.may_have_committed(), uncertain);
        assert!(!error.is_transport());
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn the_connection_heals_when_the_peer_restarts() {
    let peer = Peer::up();
    let contract = peer.contract();
    for _ in 0..3 {
        assert_eq!(contract.evaluate("list", Vec::new()).await.unwrap(), b"LIST");
        peer.kill();
        let error = contract.evaluate("list", Vec::new()).await.unwrap_err();
        assert!(error.is_transport() && !error.may_have_committed(), "{error}");
        assert!(error.to_string().contains("check that the peer runs"), "{error}");
        peer.start();
        assert_eq!(contract.evaluate("list", Vec::new()).await.unwrap(), b"LIST");
    }
}

#[tokio::test]
async fn the_first_call_after_a_restart_does_not_fail_over_the_old_connection() {
    let peer = Peer::up();
    let contract = peer.contract();
    contract.evaluate("list", Vec::new()).await.unwrap();
    peer.kill();
    peer.start();
    assert_eq!(contract.evaluate("list", Vec::new()).await.unwrap(), b"LIST");
    assert_eq!(contract.submit("open", Vec::new()).await.unwrap(), b"OPEN");
}

#[tokio::test]
async fn a_call_that_an_overloaded_peer_turned_away_is_made_again() {
    let busy = "too many requests for /gateway.Gateway, exceeding concurrency limit (500)";
    let busy = Do::Fail(Status::unknown(busy));
    let peer = Peer::up();
    {
        let mut script = peer.script.lock().unwrap();
        script.endorse.push_back(busy.clone());
        script.submit.push_back(busy.clone());
        script.commit_status.extend([busy.clone(), busy.clone()]);
    }
    assert_eq!(peer.contract().submit("open", Vec::new()).await.unwrap(), b"OPEN");
    assert_eq!(shape(&peer), ("endorse endorse submit submit status status status".to_owned(), 1));

    peer.script.lock().unwrap().submit.extend(vec![busy; 20]);
    let error = refused(&peer).await;
    assert_eq!(error.stage(), Stage::Submit);
    assert!(!error.may_have_committed(), "it was turned away unread");
}

#[tokio::test]
async fn the_chains_height_is_told_by_the_own_organisation_and_nobody_else() {
    let peer = Peer::up();
    peer.script.lock().unwrap().height = 42;
    assert_eq!(peer.client().chain_info("health").await.unwrap().height, 42);
    assert_eq!(peer.script.lock().unwrap().targets, [["HospitalMSP"]]);
}
