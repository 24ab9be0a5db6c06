//! Requests made by hand, so that each part of them can be wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use fabric_embedded::testing::{CHANNEL, Network};
use fabric_msp::SigningIdentity;
use fabric_protos::{
    common::{ChannelHeader, Envelope, Header, Payload, SignatureHeader},
    gateway::{
        ChaincodeEventsRequest, ChaincodeEventsResponse, CommitStatusRequest, CommitStatusResponse, EndorseRequest,
        ErrorDetail, EvaluateRequest, SignedChaincodeEventsRequest, SignedCommitStatusRequest, SubmitRequest,
        gateway_client::GatewayClient,
    },
    google::rpc,
    protos::{
        ChaincodeAction, ChaincodeActionPayload, ChaincodeHeaderExtension, ChaincodeId, ChaincodeInput,
        ChaincodeInvocationSpec, ChaincodeProposalPayload, ChaincodeSpec, Proposal, ProposalResponsePayload, Response,
        SignedProposal, Transaction, TxValidationCode,
    },
    rwset::TxReadWriteSet,
};
use openssl::sha::sha256;
use prost::Message;
use tonic::{Status, Streaming, transport::Channel};

/// A proposal before it is encoded and signed.
pub(crate) struct Draft {
    pub(crate) creator: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) header: ChannelHeader,
    pub(crate) chaincode: String,
    pub(crate) arguments: Vec<Vec<u8>>,
}

impl Draft {
    pub(crate) fn new(identity: &SigningIdentity, arguments: &[&str]) -> Self {
        static NONCES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let nonce = NONCES.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_be_bytes().to_vec();
        let creator = identity.serialized().to_vec();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let header = ChannelHeader {
            r#type: 3,
            channel_id: CHANNEL.into(),
            tx_id: hex::encode(sha256(&[&nonce[..], &creator].concat())),
            timestamp: Some(prost_types::Timestamp { seconds: now.as_secs() as i64, nanos: 0 }),
            ..Default::default()
        };
        let arguments = arguments.iter().map(|text| text.as_bytes().to_vec()).collect();
        Self { creator, nonce, header, chaincode: "script".into(), arguments }
    }

    pub(crate) fn sign(&self, identity: &SigningIdentity) -> SignedProposal {
        let chaincode_id = Some(ChaincodeId { name: self.chaincode.clone(), ..Default::default() });
        let extension = ChaincodeHeaderExtension { chaincode_id: chaincode_id.clone() }.encode_to_vec();
        let header = Header {
            channel_header: ChannelHeader { extension, ..self.header.clone() }.encode_to_vec(),
            signature_header: SignatureHeader { creator: self.creator.clone(), nonce: self.nonce.clone() }
                .encode_to_vec(),
        };
        let input = Some(ChaincodeInput { args: self.arguments.clone(), ..Default::default() });
        let spec = ChaincodeSpec { chaincode_id, input, ..Default::default() };
        let payload = ChaincodeProposalPayload {
            input: ChaincodeInvocationSpec { chaincode_spec: Some(spec) }.encode_to_vec(),
            ..Default::default()
        };
        let proposal =
            Proposal { header: header.encode_to_vec(), payload: payload.encode_to_vec(), ..Default::default() };
        let proposal_bytes = proposal.encode_to_vec();
        SignedProposal { signature: identity.sign(&proposal_bytes).unwrap(), proposal_bytes }
    }
}

/// A gateway as it is on the wire.
#[derive(Clone)]
pub(crate) struct Gateway(GatewayClient<Channel>);

impl Gateway {
    pub(crate) fn of(network: &Network, msp_id: &str) -> Self {
        Self(GatewayClient::new(network.connect(msp_id)))
    }

    pub(crate) async fn evaluate(&self, signed: SignedProposal, organisations: &[&str]) -> Result<Response, Status> {
        let request = EvaluateRequest {
            proposed_transaction: Some(signed),
            target_organizations: organisations.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        Ok(self.0.clone().evaluate(request).await?.into_inner().result.unwrap())
    }

    pub(crate) async fn endorse(&self, signed: SignedProposal, organisations: &[&str]) -> Result<Envelope, Status> {
        let request = EndorseRequest {
            proposed_transaction: Some(signed),
            endorsing_organizations: organisations.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        Ok(self.0.clone().endorse(request).await?.into_inner().prepared_transaction.unwrap())
    }

    pub(crate) async fn submit(&self, envelope: Envelope) -> Result<(), Status> {
        self.submit_to(CHANNEL, envelope).await
    }

    pub(crate) async fn submit_to(&self, channel: &str, envelope: Envelope) -> Result<(), Status> {
        let request =
            SubmitRequest { channel_id: channel.into(), prepared_transaction: Some(envelope), ..Default::default() };
        self.0.clone().submit(request).await.map(drop)
    }

    pub(crate) async fn status_in(
        &self,
        channel: &str,
        transaction: &str,
        identity: &SigningIdentity,
    ) -> Result<CommitStatusResponse, Status> {
        let request = CommitStatusRequest {
            transaction_id: transaction.into(),
            channel_id: channel.into(),
            identity: identity.serialized().to_vec(),
        };
        let request = request.encode_to_vec();
        let signature = identity.sign(&request).unwrap();
        let answer = self.0.clone().commit_status(SignedCommitStatusRequest { request, signature }).await?;
        Ok(answer.into_inner())
    }

    /// The events of `script` after this transaction.
    pub(crate) async fn events_after(
        &self,
        transaction: &str,
        identity: &SigningIdentity,
    ) -> Streaming<ChaincodeEventsResponse> {
        let request = ChaincodeEventsRequest {
            channel_id: CHANNEL.into(),
            chaincode_id: "script".into(),
            identity: identity.serialized().to_vec(),
            start_position: None,
            after_transaction_id: transaction.into(),
        };
        let request = request.encode_to_vec();
        let signature = identity.sign(&request).unwrap();
        let signed = SignedChaincodeEventsRequest { request, signature };
        self.0.clone().chaincode_events(signed).await.unwrap().into_inner()
    }

    /// The code of a transaction, once it is committed.
    pub(crate) async fn status(&self, transaction: &str, identity: &SigningIdentity) -> TxValidationCode {
        self.status_in(CHANNEL, transaction, identity).await.unwrap().result()
    }
}

/// A prepared transaction with its creator's signature.
pub(crate) fn signed(mut envelope: Envelope, identity: &SigningIdentity) -> Envelope {
    envelope.signature = identity.sign(&envelope.payload).unwrap();
    envelope
}

/// A prepared transaction that claims another creator, signed by it.
pub(crate) fn recreated(envelope: &Envelope, identity: &SigningIdentity) -> Envelope {
    let mut payload = Payload::decode(&envelope.payload[..]).unwrap();
    let creator = identity.serialized().to_vec();
    payload.header.as_mut().unwrap().signature_header = SignatureHeader { creator, nonce: vec![1] }.encode_to_vec();
    signed(Envelope { payload: payload.encode_to_vec(), signature: Vec::new() }, identity)
}

/// A prepared transaction whose action was changed.
pub(crate) fn changed(envelope: &Envelope, change: impl FnOnce(&mut ChaincodeActionPayload)) -> Envelope {
    let mut payload = Payload::decode(&envelope.payload[..]).unwrap();
    let mut transaction = Transaction::decode(&payload.data[..]).unwrap();
    let mut action = ChaincodeActionPayload::decode(&transaction.actions[0].payload[..]).unwrap();
    change(&mut action);
    transaction.actions[0].payload = action.encode_to_vec();
    payload.data = transaction.encode_to_vec();
    Envelope { payload: payload.encode_to_vec(), signature: Vec::new() }
}

/// The endorsed action of a prepared transaction.
pub(crate) fn action(envelope: &Envelope) -> ChaincodeActionPayload {
    let mut found = None;
    changed(envelope, |action| found = Some(action.clone()));
    found.unwrap()
}

/// The read-write set of a prepared transaction.
pub(crate) fn read_write_set(envelope: &Envelope) -> TxReadWriteSet {
    let payload = action(envelope).action.unwrap().proposal_response_payload;
    let payload = ProposalResponsePayload::decode(&payload[..]).unwrap();
    TxReadWriteSet::decode(&ChaincodeAction::decode(&payload.extension[..]).unwrap().results[..]).unwrap()
}

/// The details of a status: organisation and message.
pub(crate) fn details(status: &Status) -> Vec<(String, String)> {
    rpc::Status::decode(status.details())
        .unwrap()
        .details
        .iter()
        .map(|any| ErrorDetail::decode(&any.value[..]).unwrap())
        .map(|detail| (detail.msp_id, detail.message))
        .collect()
}
