//! What clients and chaincodes send a peer of the embedded ledger, and what a peer sends a chaincode.

use std::sync::{LazyLock, Mutex, PoisonError};

use fabric_client::{Client, Connection, Contract, UnsignedProposal};
use fabric_contract::Chaincode;
use fabric_embedded::testing::{CHANNEL, Network};
use fabric_msp::SigningIdentity;
use fabric_protos::common::Envelope;
use fabric_protos::gateway::gateway_client::GatewayClient;
use fabric_protos::gateway::{EvaluateRequest, SubmitRequest};
use fabric_protos::protos::chaincode_message::Type;
use fabric_protos::protos::{
    ChaincodeEvent, ChaincodeId, ChaincodeInput, ChaincodeMessage, DelState, GetHistoryForKey, GetQueryResult,
    GetState, GetStateByRange, GetStateMetadata, GetStateMultiple, PutState, PutStateMetadata, QueryStateNext,
    Response, SignedProposal, StateMetadata, WriteBatchState, WriteRecord,
};
use prost::Message;
use tokio::sync::mpsc;
use tonic::transport::Channel;

use crate::background::{RUNTIME, run};

const HOSPITAL: &str = "HospitalMSP";
const POLICY: &str = "OR('HospitalMSP.peer')";
/// Its chaincode answers each call as it should.
const HONEST: &str = "honest";
/// Its chaincode first says what is in [`SAID`].
const DISHONEST: &str = "dishonest";

static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A network with a client.
struct Ledger {
    channel: Channel,
    signer: SigningIdentity,
    client: Client,
    _network: Network,
}

static LEDGER: LazyLock<Ledger> = LazyLock::new(|| run(Ledger::start()));

impl Ledger {
    async fn start() -> Self {
        let network = Network::of(&[HOSPITAL])
            .chaincode(HONEST, POLICY, |id, outgoing, incoming| serve(id, outgoing, incoming, Vec::new))
            .chaincode(DISHONEST, POLICY, |id, outgoing, incoming| serve(id, outgoing, incoming, said))
            .start()
            .await;
        let (channel, signer) = (network.connect(HOSPITAL), network.identity(HOSPITAL, "amy", "client"));
        let client = Client::new(Connection::from_channel(channel.clone()), signer.clone());
        Self { channel, signer, client, _network: network }
    }

    fn contract(&self, chaincode: &str) -> Contract {
        self.client.contract(CHANNEL, chaincode)
    }

    fn proposal(&self) -> (UnsignedProposal, Vec<u8>) {
        let proposal = self.contract(HONEST).unsigned_proposal(self.signer.creator(), "f", vec![b"x".to_vec()]);
        let signature = self.signer.sign(proposal.bytes()).expect("a key in memory signs");
        (proposal, signature)
    }
}

fn said() -> Vec<u8> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A chaincode that answers each call with success, after a message of somebody else's making.
async fn serve(
    id: String,
    outgoing: mpsc::Sender<ChaincodeMessage>,
    mut incoming: mpsc::Receiver<ChaincodeMessage>,
    says: fn() -> Vec<u8>,
) {
    let register = ChaincodeId { name: id, ..ChaincodeId::default() }.encode_to_vec();
    let mut next = Some(message(Type::Register, register));
    loop {
        if let Some(message) = next.take()
            && outgoing.send(message).await.is_err()
        {
            return;
        }
        let Some(call) = incoming.recv().await else { return };
        if call.r#type() != Type::Transaction {
            continue;
        }
        let of_this_call = |message: ChaincodeMessage| ChaincodeMessage {
            txid: call.txid.clone(),
            channel_id: call.channel_id.clone(),
            ..message
        };
        let says = says();
        if let (false, Ok(message)) = (says.is_empty(), ChaincodeMessage::decode(says.as_slice()))
            && outgoing.send(of_this_call(message)).await.is_err()
        {
            return;
        }
        let response = Response { status: 200, ..Response::default() };
        next = Some(of_this_call(message(Type::Completed, response.encode_to_vec())));
    }
}

fn message(kind: Type, payload: Vec<u8>) -> ChaincodeMessage {
    ChaincodeMessage { r#type: kind.into(), payload, ..ChaincodeMessage::default() }
}

/// Only a proposal that its creator signed is evaluated.
pub(crate) fn proposal(data: &[u8]) {
    let Ok(signed) = SignedProposal::decode(data) else { return };
    let bytes = signed.proposal_bytes.clone();
    let request = EvaluateRequest {
        channel_id: CHANNEL.into(),
        proposed_transaction: Some(signed),
        ..EvaluateRequest::default()
    };
    if run(GatewayClient::new(LEDGER.channel.clone()).evaluate(request)).is_ok() {
        let seed = SignedProposal::decode(proposal_seeds()[0].as_slice()).expect("what was encoded is decoded");
        assert_eq!(bytes, seed.proposal_bytes, "a proposal was forged");
    }
}

pub(crate) fn proposal_seeds() -> Vec<Vec<u8>> {
    static SEED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let (proposal, signature) = LEDGER.proposal();
        SignedProposal { proposal_bytes: proposal.bytes().to_vec(), signature }.encode_to_vec()
    });
    vec![SEED.clone()]
}

/// Only an envelope that its creator signed is ordered.
pub(crate) fn envelope(data: &[u8]) {
    let Ok(envelope) = Envelope::decode(data) else { return };
    let payload = envelope.payload.clone();
    let request =
        SubmitRequest { channel_id: CHANNEL.into(), prepared_transaction: Some(envelope), ..SubmitRequest::default() };
    if run(GatewayClient::new(LEDGER.channel.clone()).submit(request)).is_ok() {
        let seed = Envelope::decode(envelope_seeds()[0].as_slice()).expect("what was encoded is decoded");
        assert_eq!(payload, seed.payload, "an envelope was forged");
    }
}

pub(crate) fn envelope_seeds() -> Vec<Vec<u8>> {
    static SEED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let (proposal, signature) = LEDGER.proposal();
        let proposal = proposal.sign(&signature).expect("it is its creator's signature");
        let transaction = run(proposal.endorse()).expect("the peer endorses");
        let signature = LEDGER.signer.sign(transaction.bytes()).expect("a key in memory signs");
        Envelope { payload: transaction.bytes().to_vec(), signature }.encode_to_vec()
    });
    vec![SEED.clone()]
}

/// Whatever a chaincode says in the middle of a call, the call ends, and the next one succeeds.
pub(crate) fn to_peer(data: &[u8]) {
    data.clone_into(&mut SAID.lock().unwrap_or_else(PoisonError::into_inner));
    // It may say that the call failed.
    let _ = run(LEDGER.contract(DISHONEST).evaluate("f", Vec::new()));
    SAID.lock().unwrap_or_else(PoisonError::into_inner).clear();
    run(LEDGER.contract(DISHONEST).evaluate("f", Vec::new())).expect("the next call succeeds");
}

pub(crate) fn to_peer_seeds() -> Vec<Vec<u8>> {
    let key = || "key".to_owned();
    let write = WriteRecord { key: key(), value: b"v".to_vec(), r#type: 1, ..WriteRecord::default() };
    let metadata = StateMetadata { metakey: "VALIDATION_PARAMETER".into(), value: b"v".to_vec() };
    let range = GetStateByRange { start_key: "a".into(), end_key: "z".into(), ..GetStateByRange::default() };
    let other = ChaincodeId { name: HONEST.into(), ..ChaincodeId::default() };
    let other = fabric_protos::protos::ChaincodeSpec { chaincode_id: Some(other), ..Default::default() };
    let event = ChaincodeEvent { event_name: "e".into(), ..ChaincodeEvent::default() };
    let mut messages = vec![
        message(Type::GetState, GetState { key: key(), ..GetState::default() }.encode_to_vec()),
        message(Type::PutState, PutState { key: key(), value: b"v".to_vec(), ..PutState::default() }.encode_to_vec()),
        message(Type::DelState, DelState { key: key(), ..DelState::default() }.encode_to_vec()),
        message(Type::GetStateByRange, range.encode_to_vec()),
        message(Type::GetQueryResult, GetQueryResult { query: "{}".into(), ..Default::default() }.encode_to_vec()),
        message(Type::QueryStateNext, QueryStateNext { id: "1".into() }.encode_to_vec()),
        message(Type::GetHistoryForKey, GetHistoryForKey { key: key() }.encode_to_vec()),
        message(Type::GetStateMetadata, GetStateMetadata { key: key(), ..Default::default() }.encode_to_vec()),
        message(
            Type::PutStateMetadata,
            PutStateMetadata { key: key(), metadata: Some(metadata), ..Default::default() }.encode_to_vec(),
        ),
        message(Type::GetStateMultiple, GetStateMultiple { keys: vec![key()], ..Default::default() }.encode_to_vec()),
        message(Type::WriteBatchState, WriteBatchState { rec: vec![write] }.encode_to_vec()),
        message(Type::InvokeChaincode, other.encode_to_vec()),
        message(Type::Completed, Response { status: 200, ..Response::default() }.encode_to_vec()),
        message(Type::Error, b"no".to_vec()),
    ];
    messages.push(ChaincodeMessage { chaincode_event: Some(event), ..messages[messages.len() - 2].clone() });
    messages.iter().map(Message::encode_to_vec).collect()
}

/// Whatever a peer says in the middle of a call, the chaincode ends when the stream does.
pub(crate) fn to_chaincode(data: &[u8]) {
    static CHAINCODE: LazyLock<Chaincode> = LazyLock::new(healthchain_chaincode::chaincode);
    let Ok(said) = ChaincodeMessage::decode(data) else { return };
    run(async {
        let (to_chaincode, incoming) = mpsc::channel(8);
        let (outgoing, mut from_chaincode) = mpsc::channel(8);
        let serving = RUNTIME.spawn(CHAINCODE.clone().serve_channel("health:1", outgoing, incoming));
        from_chaincode.recv().await.expect("it registers");
        for message in [message(Type::Registered, vec![]), message(Type::Ready, vec![]), call()] {
            to_chaincode.send(message).await.expect("it listens");
        }
        from_chaincode.recv().await.expect("it asks for something");
        to_chaincode.send(said).await.expect("it listens");
        drop(to_chaincode);
        while from_chaincode.recv().await.is_some() {}
        serving.await.expect("the chaincode does not panic");
    });
}

/// A call that has the chaincode ask for something.
fn call() -> ChaincodeMessage {
    let input = ChaincodeInput { args: vec![b"Links:link".to_vec(), br#""l1""#.to_vec()], ..ChaincodeInput::default() };
    let (proposal, signature) = LEDGER.proposal();
    let proposal = SignedProposal { proposal_bytes: proposal.bytes().to_vec(), signature };
    ChaincodeMessage {
        txid: "t".into(),
        channel_id: CHANNEL.into(),
        proposal: Some(proposal),
        ..message(Type::Transaction, input.encode_to_vec())
    }
}

pub(crate) fn to_chaincode_seeds() -> Vec<Vec<u8>> {
    let of_the_call =
        |kind, payload| ChaincodeMessage { txid: "t".into(), channel_id: CHANNEL.into(), ..message(kind, payload) };
    let messages = [
        call(),
        ChaincodeMessage { txid: "u".into(), ..call() },
        of_the_call(Type::Response, br#"{"id":"l1"}"#.to_vec()),
        of_the_call(Type::Error, b"no".to_vec()),
        message(Type::Keepalive, vec![]),
        message(Type::Ready, vec![]),
    ];
    messages.iter().map(Message::encode_to_vec).collect()
}
