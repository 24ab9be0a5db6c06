//! Somebody else signs; the client sees a certificate and signatures, never a key.

#![allow(clippy::unwrap_used)] // reason: helpers of tests

mod fake;

use fabric_client::{Code, Contract, Stage, UnsignedProposal, UnsignedTransaction};
use fabric_msp::{SignatureError, SigningIdentity};
use fabric_protos::gateway::CommitStatusRequest;
use fabric_protos::protos::Proposal;
use fake::{Do, Peer, opened};
use openssl::sha::sha256;
use prost::Message;
use tonic::Status;

/// A question of somebody's, signed where the key is.
fn proposal(contract: &Contract, member: &SigningIdentity) -> UnsignedProposal {
    contract.unsigned_proposal(member.creator(), "Links:withdraw", vec![b"{}".to_vec()])
}

async fn prepared(contract: &Contract, member: &SigningIdentity) -> UnsignedTransaction {
    let proposal = proposal(contract, member);
    let signature = member.sign(proposal.bytes()).unwrap();
    proposal.sign(&signature).unwrap().endorse().await.unwrap()
}

#[tokio::test]
async fn a_member_whose_key_is_elsewhere_gets_an_answer_with_one_signature_and_a_block_with_two() {
    let (peer, member) = (Peer::up(), fake::identity());
    let contract = peer.contract();
    assert_ne!(contract.client().identity().serialized(), member.serialized());

    let question = proposal(&contract, &member);
    assert_eq!(question.digest(), sha256(question.bytes()));
    let signature = member.sign(question.bytes()).unwrap();
    let question = question.sign(&signature).unwrap();
    assert_eq!(question.evaluate().await.unwrap(), b"LINKS:WITHDRAW");
    assert_eq!(question.evaluate().await.unwrap(), b"LINKS:WITHDRAW");

    let transaction = prepared(&contract, &member).await;
    assert_eq!(transaction.result(), b"LINKS:WITHDRAW");
    assert_eq!(transaction.digest(), sha256(transaction.bytes()));
    let (id, bytes) = (transaction.transaction_id().to_owned(), transaction.bytes().to_vec());
    let signature = member.sign(transaction.bytes()).unwrap();
    let committed = transaction.sign(&signature).unwrap().commit().await.unwrap();
    assert_eq!((committed.transaction_id(), committed.block_number()), (id.as_str(), 7));

    let script = peer.script.lock().unwrap();
    for proposed in &script.proposed {
        let (header, ..) = opened(proposed);
        let signer = fabric_protos::common::SignatureHeader::decode(header.signature_header.as_slice()).unwrap();
        assert_eq!(signer.creator, member.serialized());
        assert_eq!(member.creator().accept(&proposed.proposal_bytes, &proposed.signature).unwrap(), proposed.signature);
    }
    assert_eq!(script.submitted[0].payload, bytes);
    assert_eq!(member.creator().accept(&bytes, &script.submitted[0].signature).unwrap(), script.submitted[0].signature);
    // Whoever keeps its key to itself is not asked for a third signature.
    let asked = CommitStatusRequest::decode(script.status_requests[0].as_slice()).unwrap();
    assert_eq!(asked.identity, contract.client().identity().serialized());
}

#[tokio::test]
async fn what_waits_for_its_signature_survives_being_stored() {
    let (peer, member) = (Peer::up(), fake::identity());
    let contract = peer.contract();
    let first = proposal(&contract, &member);
    let again = UnsignedProposal::read(&contract, member.creator(), first.bytes().to_vec()).unwrap();
    assert_eq!((again.transaction_id(), again.digest()), (first.transaction_id(), first.digest()));
    let signature = member.sign(again.bytes()).unwrap();
    let first = again.sign(&signature).unwrap().endorse().await.unwrap();
    let again = UnsignedTransaction::read(&contract, member.creator(), first.bytes().to_vec()).unwrap();
    assert_eq!((again.transaction_id(), again.result()), (first.transaction_id(), first.result()));
    let signature = member.sign(again.bytes()).unwrap();
    again.sign(&signature).unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_with_a_signature_that_is_not_the_members_over_these_bytes() {
    let (peer, member, stranger) = (Peer::up(), fake::identity(), fake::identity());
    let contract = peer.contract();
    let proposal = proposal(&contract, &member);
    let refused = |signature: &[u8]| proposal.clone().sign(signature).unwrap_err();
    assert_eq!(refused(&stranger.sign(proposal.bytes()).unwrap()), SignatureError::Wrong);
    assert_eq!(refused(&member.sign(b"something else").unwrap()), SignatureError::Wrong);
    // Signed twice over: the digest instead of what it is the digest of.
    assert_eq!(refused(&member.sign(&proposal.digest()).unwrap()), SignatureError::Wrong);
    assert_eq!(refused(b"signature"), SignatureError::Malformed);
    assert!(peer.calls().is_empty());

    let transaction = prepared(&contract, &member).await;
    let of_the_proposal = member.sign(proposal.bytes()).unwrap();
    assert_eq!(transaction.clone().sign(&of_the_proposal).unwrap_err(), SignatureError::Wrong);
    let of_a_stranger = stranger.sign(transaction.bytes()).unwrap();
    assert_eq!(transaction.sign(&of_a_stranger).unwrap_err(), SignatureError::Wrong);
    assert!(peer.script.lock().unwrap().submitted.is_empty());
}

#[tokio::test]
async fn what_is_stored_is_read_only_as_the_call_of_this_contract_by_this_member() {
    let (peer, member, other) = (Peer::up(), fake::identity(), fake::identity());
    let contract = peer.contract();
    let bytes = proposal(&contract, &member).bytes().to_vec();
    let transaction = prepared(&contract, &member).await.bytes().to_vec();
    for elsewhere in [peer.client().contract("health", "other"), peer.client().contract("other", "ehr")] {
        let refused = UnsignedProposal::read(&elsewhere, member.creator(), bytes.clone()).unwrap_err();
        assert!(refused.to_string().contains("another chaincode"), "{refused}");
        assert!(UnsignedTransaction::read(&elsewhere, member.creator(), transaction.clone()).is_err());
    }
    let refused = UnsignedProposal::read(&contract, other.creator(), bytes.clone()).unwrap_err();
    assert!(refused.to_string().contains("somebody else's"), "{refused}");
    assert!(UnsignedTransaction::read(&contract, other.creator(), transaction.clone()).is_err());
    for garbage in [vec![], vec![255], bytes[1..].to_vec(), transaction] {
        assert!(UnsignedProposal::read(&contract, member.creator(), garbage).is_err());
    }
    for garbage in [vec![], vec![255], bytes.clone()] {
        assert!(UnsignedTransaction::read(&contract, member.creator(), garbage).is_err());
    }
    // A transaction id of the writer's own invention.
    let mut proposal = Proposal::decode(bytes.as_slice()).unwrap();
    let id = proposal.header.windows(2).position(|bytes| bytes == [0x2a, 64]).unwrap() + 2;
    proposal.header[id] = if proposal.header[id] == b'0' { b'1' } else { b'0' };
    let refused = UnsignedProposal::read(&contract, member.creator(), proposal.encode_to_vec()).unwrap_err();
    assert!(refused.to_string().contains("transaction id"), "{refused}");
}

#[tokio::test]
async fn another_transaction_than_was_proposed_is_never_offered_for_signing() {
    let (peer, member) = (Peer::up(), fake::identity());
    let contract = peer.contract();
    let cheat: fn(&mut fabric_protos::common::Envelope) = |envelope| {
        let text = envelope.payload.windows(4).rposition(|bytes| bytes == b"with").unwrap();
        envelope.payload[text] = b'W';
    };
    peer.script.lock().unwrap().endorse.push_back(Do::Cheat(cheat));
    let proposal = proposal(&contract, &member);
    let signature = member.sign(proposal.bytes()).unwrap();
    let error = proposal.sign(&signature).unwrap().endorse().await.unwrap_err();
    assert_eq!((error.stage(), error.code()), (Stage::Endorse, Code::Internal), "{error}");
}

#[tokio::test]
async fn a_transaction_that_may_have_gone_out_before_is_looked_up_before_it_goes_out_again() {
    let (peer, member) = (Peer::up(), fake::identity());
    let transaction = prepared(&peer.contract(), &member).await;
    let signature = member.sign(transaction.bytes()).unwrap();
    let endorsed = transaction.sign(&signature).unwrap();
    endorsed.clone().resume().await.unwrap();
    assert!(peer.script.lock().unwrap().submitted.is_empty(), "it is committed");

    peer.script.lock().unwrap().commit_status.push_back(Do::Hang);
    peer.script.lock().unwrap().submit.push_back(Do::Fail(Status::unavailable("request already processed")));
    endorsed.resume().await.unwrap();
    assert_eq!(peer.script.lock().unwrap().submitted.len(), 1, "nobody knew it");
}
