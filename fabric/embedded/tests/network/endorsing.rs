//! Proposals: who may make them, and what the gateway answers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use fabric_client::{Code, Stage};
use fabric_embedded::{config::Times, testing::Network};
use fabric_msp::{SigningIdentity, issue::Request};
use fabric_protos::{kvrwset::KvrwSet, msp::SerializedIdentity};
use openssl::sha::sha256;
use prost::Message;
use tonic::Status;

use crate::{
    BOTH, contract, evaluate, network,
    raw::{Draft, Gateway, details, read_write_set},
    script, submit,
};

#[tokio::test]
async fn an_evaluation_answers_and_leaves_the_chain_as_it_is() {
    let network = network(BOTH).start().await;
    let contract = contract(&network);
    assert_eq!(evaluate(&contract, &["get", "a"]).await.unwrap(), "");
    assert_eq!(network.ledger().height(), 1);
}

#[tokio::test]
async fn a_submitted_transaction_is_on_the_ledger_and_the_chain_verifies() {
    let network = network(BOTH).start().await;
    let contract = contract(&network);
    submit(&contract, &["put", "a", "1"]).await.unwrap();
    assert_eq!(evaluate(&contract, &["get", "a"]).await.unwrap(), "1");
    let verified = network.verify_chain().unwrap();
    assert_eq!((verified.blocks, verified.transactions), (2, 2));
}

#[tokio::test]
async fn a_chaincodes_refusal_reaches_the_caller_word_for_word() {
    let network = network(BOTH).start().await;
    let contract = contract(&network);
    for status in ["500", "404", "100"] {
        let text = format!("chaincode response {status}, x");
        let evaluated = evaluate(&contract, &["answer", status, "x"]).await.unwrap_err();
        assert_eq!((evaluated.stage(), evaluated.code()), (Stage::Evaluate, Code::Unknown));
        assert_eq!(evaluated.message(), format!("evaluate call to endorser returned error: {text}"));
        let detail = &evaluated.details()[0];
        assert_eq!((detail.msp_id.as_str(), detail.message.as_str()), ("Org1MSP", text.as_str()));

        let submitted = submit(&contract, &["answer", status, "x"]).await.unwrap_err();
        assert_eq!((submitted.stage(), submitted.code()), (Stage::Endorse, Code::Aborted));
        assert_eq!(submitted.message(), "failed to endorse transaction, see attached details for more info");
        assert_eq!(submitted.details()[0].message, text);
    }
}

#[tokio::test]
async fn statuses_below_400_are_successes() {
    let network = network(BOTH).start().await;
    let contract = contract(&network);
    for status in ["201", "399"] {
        assert_eq!(evaluate(&contract, &["answer", status, "fine"]).await.unwrap(), "kept");
        assert_eq!(submit(&contract, &["answer", status, "fine"]).await.unwrap(), "kept");
    }
}

#[tokio::test]
async fn results_that_differ_between_organisations_are_refused() {
    let network = network(BOTH).start().await;
    let refused = submit(&contract(&network), &["stream"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().starts_with("failed to collect enough transaction endorsements"));
    assert_eq!(refused.details()[0].message, "ProposalResponsePayloads do not match");
    assert_eq!(refused.details()[0].msp_id, "Org2MSP");
}

#[tokio::test]
async fn one_organisations_refusal_refuses_the_transaction_and_names_it() {
    let streams = AtomicU64::new(0);
    let network = Network::of(&["Org1MSP", "Org2MSP"])
        .chaincode("script", BOTH, move |id, outgoing, incoming| {
            let first = streams.fetch_add(1, Ordering::Relaxed) == 0; // the gateway's own organisation simulates first
            async move {
                if first {
                    script::serve(id, outgoing, incoming).await;
                } else {
                    script::refuse_all(id, outgoing, incoming).await;
                }
            }
        })
        .start()
        .await;
    let refused = submit(&contract(&network), &["put", "a", "1"]).await.unwrap_err();
    assert!(refused.message().starts_with("failed to collect enough transaction endorsements"));
    let detail = &refused.details()[0];
    assert_eq!((detail.msp_id.as_str(), detail.message.as_str()), ("Org2MSP", "chaincode response 500, no"));
}

#[tokio::test]
async fn one_signature_is_enough_where_the_policy_says_or() {
    let network = network("OR('Org1MSP.peer', 'Org2MSP.peer')").start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let gateway = Gateway::of(&network, "Org1MSP");
    let prepared = gateway.endorse(Draft::new(&amy, &["put", "a", "1"]).sign(&amy), &[]).await.unwrap();
    assert_eq!(crate::raw::action(&prepared).action.unwrap().endorsements.len(), 1);
}

#[tokio::test]
async fn the_gateways_own_signature_is_dropped_where_it_is_not_needed() {
    let network = network("AND('Org2MSP.peer')").start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let gateway = Gateway::of(&network, "Org1MSP");
    let prepared = gateway.endorse(Draft::new(&amy, &["put", "a", "1"]).sign(&amy), &[]).await.unwrap();
    let endorsements = crate::raw::action(&prepared).action.unwrap().endorsements;
    let organisation = fabric_protos::msp::SerializedIdentity::decode(&endorsements[0].endorser[..]).unwrap().mspid;
    assert_eq!((endorsements.len(), organisation.as_str()), (1, "Org2MSP"));
}

#[tokio::test]
async fn a_policy_that_nobody_can_satisfy_is_told_before_anything_is_ordered() {
    let network = network("AND('Org1MSP.peer', 'Org9MSP.peer')").start().await;
    let refused = submit(&contract(&network), &["put", "a", "1"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().ends_with("no peer combination can satisfy the endorsement policy"));
}

/// What Evaluate and Endorse answer to a proposal.
async fn refusals(network: &Network, draft: &Draft, signer: &SigningIdentity) -> (Status, Status) {
    let gateway = Gateway::of(network, "Org1MSP");
    let signed = draft.sign(signer);
    (gateway.evaluate(signed.clone(), &["Org1MSP"]).await.unwrap_err(), gateway.endorse(signed, &[]).await.unwrap_err())
}

/// Checks that the proposal is refused with this text by both.
async fn refused(network: &Network, draft: &Draft, signer: &SigningIdentity, text: &str) {
    let (evaluated, endorsed) = refusals(network, draft, signer).await;
    assert_eq!(evaluated.code(), Code::FailedPrecondition, "{evaluated}");
    assert!(evaluated.message().ends_with(text), "{evaluated}");
    assert_eq!(endorsed.code(), Code::Aborted);
    assert!(details(&endorsed)[0].1.ends_with(text), "{endorsed}");
}

#[tokio::test]
async fn proposals_that_are_not_whole_are_refused_each_with_its_reason() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let draft = |change: fn(&mut Draft)| {
        let mut draft = Draft::new(&amy, &["get", "a"]);
        change(&mut draft);
        draft
    };
    let prefix = "error validating proposal: ";
    refused(&network, &draft(|draft| draft.header.r#type = 5), &amy, "invalid header type DELIVER_SEEK_INFO").await;
    refused(&network, &draft(|draft| draft.header.epoch = 1), &amy, &format!("{prefix}epoch is non-zero")).await;
    refused(&network, &draft(|draft| draft.nonce.clear()), &amy, &format!("{prefix}nonce is empty")).await;
    refused(&network, &draft(|draft| draft.creator.clear()), &amy, &format!("{prefix}creator is empty")).await;
    let (wrong, _) = refusals(&network, &draft(|draft| draft.header.tx_id = "a".into()), &amy).await;
    assert!(wrong.message().contains("incorrectly computed txid 'a' -- expected '"), "{wrong}");
}

#[tokio::test]
async fn a_proposal_without_signature_is_refused() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let mut signed = Draft::new(&amy, &["get", "a"]).sign(&amy);
    signed.signature.clear();
    let refused = Gateway::of(&network, "Org1MSP").evaluate(signed, &["Org1MSP"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().ends_with("error validating proposal: empty signature bytes"), "{refused}");
}

#[tokio::test]
async fn somebody_elses_signature_is_refused() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let bob = network.identity("Org1MSP", "bob", "client");
    let text = "access denied: channel [test] creator org [Org1MSP]";
    refused(&network, &Draft::new(&amy, &["get", "a"]), &bob, text).await;
}

/// Found by review: a reader of PEM that ends a block at any END took the victim's certificate for the creator's, where Go passes over
/// that block and takes the signer's own.
#[tokio::test]
async fn a_creator_with_a_colleagues_certificate_before_the_own_one_is_malformed() {
    let network = network(BOTH).start().await;
    let (victim, attacker) =
        (network.identity("Org1MSP", "victim", "client"), network.identity("Org1MSP", "attacker", "client"));
    let first = victim.certificate().pem().replace("END CERTIFICATE", "END X");
    let id_bytes = (first + &attacker.certificate().pem()).into_bytes();
    let mut draft = Draft::new(&attacker, &["put", "a", "1"]);
    draft.creator = SerializedIdentity { mspid: "Org1MSP".into(), id_bytes }.encode_to_vec();
    draft.header.tx_id = hex::encode(sha256(&[&draft.nonce[..], &draft.creator].concat()));
    let text = "access denied: channel [test] creator org unknown, creator is malformed";
    refused(&network, &draft, &attacker, text).await;
    refused(&network, &draft, &victim, text).await;
}

#[tokio::test]
async fn an_evaluation_that_names_its_organisations_is_answered_by_no_other() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    // Each peer that is asked refuses it, so that the details tell who was.
    let mut draft = Draft::new(&amy, &["get", "a"]);
    draft.header.timestamp.as_mut().unwrap().seconds -= 16 * 60;
    let gateway = Gateway::of(&network, "Org1MSP");
    for organisations in [&["Org1MSP"][..], &["Org2MSP"], &["Org1MSP", "Org2MSP"]] {
        let refused = gateway.evaluate(draft.sign(&amy), organisations).await.unwrap_err();
        let asked: Vec<_> = details(&refused).into_iter().map(|(msp_id, _)| msp_id).collect();
        assert_eq!(asked, organisations);
    }
    let unknown = gateway.evaluate(Draft::new(&amy, &["get", "a"]).sign(&amy), &["Org9MSP"]).await.unwrap_err();
    assert_eq!(unknown.code(), Code::FailedPrecondition);
    assert_eq!(unknown.message(), "no peers available to evaluate chaincode script in channel test");
}

#[tokio::test]
async fn strangers_are_refused() {
    let here = network(BOTH).start().await;
    let elsewhere = Network::of(&["Org1MSP", "Org9MSP"]).start().await;
    for stranger in ["Org1MSP", "Org9MSP"] {
        let eve = elsewhere.identity(stranger, "eve", "client");
        let text = "access denied: channel [test] creator org unknown, creator is malformed";
        refused(&here, &Draft::new(&eve, &["get", "a"]), &eve, text).await;
    }
}

#[tokio::test]
async fn a_peers_certificate_may_read_but_not_propose() {
    let network = network(BOTH).start().await;
    let peer = network.identity("Org1MSP", "peer7", "peer");
    let draft = Draft::new(&peer, &["get", "a"]);
    let text = "policy [/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, \
                but this policy requires 1 of the 'Writers' sub-policies to be satisfied]";
    refused(&network, &draft, &peer, text).await;
    let admin = network.identity("Org2MSP", "chief", "admin");
    let gateway = Gateway::of(&network, "Org1MSP");
    gateway.evaluate(Draft::new(&admin, &["get", "a"]).sign(&admin), &[]).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_refused_by_every_peer() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let mut draft = Draft::new(&amy, &["get", "a"]);
    draft.header.timestamp.as_mut().unwrap().seconds -= 16 * 60;
    let gateway = Gateway::of(&network, "Org1MSP");
    let evaluated = gateway.evaluate(draft.sign(&amy), &[]).await.unwrap_err();
    assert_eq!(evaluated.code(), Code::Unavailable);
    let found = details(&evaluated);
    assert_eq!(found.len(), 2);
    assert!(found[0].1.starts_with("request unauthorized due to incorrect timestamp "), "{found:?}");
    assert!(found[0].1.ends_with("peer.authentication.timewindow 15m0s"), "{found:?}");
    assert!(found[1].1.starts_with("rpc error: code = Unknown desc = request unauthorized"), "{found:?}");
    assert_eq!(gateway.endorse(draft.sign(&amy), &[]).await.unwrap_err().code(), Code::Aborted);
}

#[tokio::test]
async fn an_expired_certificate_may_not_propose_but_still_ask() {
    let network = network(BOTH).start().await;
    let request = Request { valid_days: 0, ..Request::signing("old", "client") };
    let issued = network.authorities().of("Org1MSP").issue(&request).unwrap();
    let old = SigningIdentity::from_pem("Org1MSP", issued.certificate_pem(), issued.key_pem()).unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let gateway = Gateway::of(&network, "Org1MSP");
    let refused = gateway.evaluate(Draft::new(&old, &["get", "a"]).sign(&old), &["Org1MSP"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(details(&refused)[0].1, "proposal client identity expired");

    let amy = network.identity("Org1MSP", "amy", "client");
    let draft = Draft::new(&amy, &["put", "a", "1"]);
    let prepared = gateway.endorse(draft.sign(&amy), &[]).await.unwrap();
    let refused = gateway.submit(crate::raw::recreated(&prepared, &old)).await.unwrap_err();
    assert!(refused.message().ends_with("info=broadcast client identity expired"), "{refused}");
    gateway.submit(crate::raw::signed(prepared, &amy)).await.unwrap();
    gateway.status(&draft.header.tx_id, &old).await;
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let gateway = Gateway::of(&network, "Org1MSP");
    let mut draft = Draft::new(&amy, &["get", "a"]);
    draft.chaincode = "nope".into();
    let evaluated = gateway.evaluate(draft.sign(&amy), &[]).await.unwrap_err();
    assert_eq!(evaluated.code(), Code::FailedPrecondition);
    assert_eq!(evaluated.message(), "no peers available to evaluate chaincode nope in channel test");
    let endorsed = gateway.endorse(draft.sign(&amy), &[]).await.unwrap_err();
    assert_eq!(endorsed.code(), Code::FailedPrecondition);
    assert!(endorsed.message().ends_with("No metadata was found for chaincode nope in channel test"), "{endorsed}");

    let mut draft = Draft::new(&amy, &["get", "a"]);
    draft.header.channel_id = "c9".into();
    let text = "failed to get config for channel [c9]: could not get last config for channel c9";
    let evaluated = gateway.evaluate(draft.sign(&amy), &[]).await.unwrap_err();
    assert_eq!((evaluated.code(), evaluated.message()), (Code::Unavailable, text));
    assert_eq!(gateway.endorse(draft.sign(&amy), &[]).await.unwrap_err().code(), Code::FailedPrecondition);
    let prepared = gateway.endorse(Draft::new(&amy, &["get", "a"]).sign(&amy), &[]).await.unwrap();
    let submitted = gateway.submit_to("c9", crate::raw::signed(prepared, &amy)).await.unwrap_err();
    assert_eq!((submitted.code(), submitted.message()), (Code::FailedPrecondition, text));
    let status = gateway.status_in("c9", "t", &amy).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);

    let refused = gateway.endorse(Draft::new(&amy, &["get", "a"]).sign(&amy), &["Org9MSP"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "failed to find any endorsing peers for org(s): Org9MSP");
}

#[tokio::test]
async fn requests_without_content_are_refused() {
    let network = network(BOTH).start().await;
    let gateway = Gateway::of(&network, "Org1MSP");
    let evaluated = gateway.evaluate(Default::default(), &[]).await.unwrap_err();
    assert_eq!(evaluated.code(), Code::InvalidArgument);
    assert_eq!(evaluated.message(), "failed to unpack transaction proposal: a signed proposal is required");
    assert_eq!(gateway.endorse(Default::default(), &[]).await.unwrap_err().code(), Code::InvalidArgument);
    let submitted = gateway.submit(Default::default()).await.unwrap_err();
    assert_eq!(submitted.message(), "prepared transaction must be signed");
}

#[tokio::test]
async fn every_transaction_reads_its_chaincodes_definition() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let gateway = Gateway::of(&network, "Org1MSP");
    let prepared = gateway.endorse(Draft::new(&amy, &["put", "a", "1"]).sign(&amy), &[]).await.unwrap();
    let set = read_write_set(&prepared);
    let names: Vec<_> = set.ns_rwset.iter().map(|part| part.namespace.as_str()).collect();
    assert_eq!(names, ["_lifecycle", "script"]);
    let reads = KvrwSet::decode(&set.ns_rwset[0].rwset[..]).unwrap().reads;
    assert_eq!(reads[0].key, "namespaces/fields/script/Sequence");
}

#[tokio::test]
async fn a_called_chaincode_shares_its_callers_transaction_and_needs_its_own_endorsers() {
    let both = network(BOTH).chaincode("other", "OR('Org2MSP.peer')", script::serve).start().await;
    let contract = contract(&both);
    submit(&contract, &["call", "other", "put", "k", "v"]).await.unwrap();
    assert_eq!(evaluate(&contract, &["call", "other", "get", "k"]).await.unwrap(), "v");
    let unknown = evaluate(&contract, &["call", "nope", "get", "k"]).await.unwrap_err();
    assert!(unknown.message().contains("INVOKE_CHAINCODE failed: transaction ID: "), "{unknown}");
    assert!(unknown.message().ends_with("chaincode nope not found"), "{unknown}");
    let itself = evaluate(&contract, &["call", "script", "get", "k"]).await.unwrap_err();
    assert!(itself.message().ends_with("(test) exists"), "{itself}");
}

#[tokio::test]
async fn private_data_are_not_there_and_say_so() {
    let network = network(BOTH).start().await;
    let refused = evaluate(&contract(&network), &["private", "k"]).await.unwrap_err();
    assert!(refused.message().ends_with("collection test/script/secrets could not be found"), "{refused}");
}

#[tokio::test]
async fn pages_and_writes_exclude_each_other() {
    let network = network(BOTH).start().await;
    let contract = contract(&network);
    for key in ["a", "b", "c"] {
        submit(&contract, &["put", key, "v"]).await.unwrap();
    }
    assert_eq!(evaluate(&contract, &["page", "", "", "2", ""]).await.unwrap(), "2,c");
    assert_eq!(evaluate(&contract, &["page", "", "", "2", "c"]).await.unwrap(), "1,");
    let refused = evaluate(&contract, &["put-page", "a"]).await.unwrap_err();
    assert!(refused.message().contains("unsuppored transaction. Paginated queries are supported only"), "{refused}");
}

#[tokio::test]
async fn a_chaincode_that_dies_fails_its_calls_at_once_and_serves_again_afterwards() {
    let network = network(BOTH).start().await;
    let contract = contract(&network);
    let started = std::time::Instant::now();
    let failed = submit(&contract, &["vanish"]).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(failed.code(), Code::Aborted);
    assert!(failed.details()[0].message.ends_with("error sending: chaincode stream terminated"), "{failed:?}");
    submit(&contract, &["put", "a", "1"]).await.unwrap();
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up() {
    let times = Times { execute: Duration::from_millis(200), ..Times::default() };
    let network = network(BOTH).times(times).start().await;
    let failed = submit(&contract(&network), &["sleep", "60000"]).await.unwrap_err();
    assert!(failed.details()[0].message.ends_with("error sending: timeout expired while executing transaction"));
}

#[tokio::test]
async fn a_chaincode_that_registers_under_another_name_is_never_ready() {
    let times = Times { startup: Duration::from_millis(200), ..Times::default() };
    let network = Network::of(&["Org1MSP"])
        .times(times)
        .chaincode("script", "OR('Org1MSP.peer')", |_, outgoing, incoming| {
            script::serve("another:id".into(), outgoing, incoming)
        })
        .start()
        .await;
    let failed = submit(&contract(&network), &["put", "a", "1"]).await.unwrap_err();
    let text = "could not launch chaincode script:in-process: timeout expired while starting chaincode script:in-process \
                for transaction";
    assert!(failed.details()[0].message.ends_with(text), "{failed:?}");
}

#[tokio::test]
async fn the_501st_open_call_is_turned_away() {
    let network = network(BOTH).start().await;
    let amy = network.identity("Org1MSP", "amy", "client");
    let gateway = Gateway::of(&network, "Org1MSP");
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..501 {
        let (gateway, amy) = (gateway.clone(), amy.clone());
        waiting.spawn(async move { gateway.status_in("test", "never", &amy).await });
    }
    let refused = waiting.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unknown);
    let text = "too many requests for /gateway.Gateway, exceeding concurrency limit (500)";
    assert_eq!(refused.message(), text);
}
