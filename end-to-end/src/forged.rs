use std::time::{SystemTime, UNIX_EPOCH};

use fabric_msp::SigningIdentity;
use fabric_protos::common::{ChannelHeader, Header, HeaderType, SignatureHeader};
use fabric_protos::gateway::gateway_client::GatewayClient;
use fabric_protos::gateway::{EndorseRequest, EvaluateRequest};
use fabric_protos::msp::SerializedIdentity;
use fabric_protos::protos::{
    ChaincodeHeaderExtension, ChaincodeId, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload,
    ChaincodeSpec, Proposal, SignedProposal,
};
use healthchain_network::{Consortium, MemberAccess, PeerAccess};
use prost::Message;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::peers::{identity, read};

/// A client that writes its proposals by hand: it signs with the member's own key, but says what it likes about who signs.
pub struct Forged {
    gateway: GatewayClient<Channel>,
    signer: SigningIdentity,
    channel: String,
    chaincode: String,
}

impl Forged {
    /// The member's own key, at this peer.
    pub fn new(peer: &PeerAccess, member: &MemberAccess, consortium: &Consortium) -> Self {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&peer.tls_root)));
        let endpoint = Endpoint::from_shared(peer.endpoint.clone()).expect("the network's endpoint is one");
        let channel = endpoint.tls_config(tls).expect("a TLS root is PEM").connect_lazy();
        Self {
            gateway: GatewayClient::new(channel),
            signer: identity(member),
            channel: consortium.channel.clone(),
            chaincode: consortium.chaincode.name.clone(),
        }
    }

    /// The signer's real certificate, PEM.
    pub fn certificate(&self) -> String {
        self.signer.certificate().pem()
    }

    /// What the chaincode answers to a function without arguments when this text stands for the signer's certificate.
    ///
    /// # Errors
    /// The peer's or the chaincode's refusal.
    pub async fn evaluate(&self, function: &str, certificate: &str) -> Result<Vec<u8>, Status> {
        let (transaction_id, proposal) = self.proposal(function, certificate);
        let request = EvaluateRequest {
            transaction_id,
            channel_id: self.channel.clone(),
            proposed_transaction: Some(proposal),
            target_organizations: vec![self.signer.msp_id().to_owned()],
        };
        let answer = self.gateway.clone().evaluate(request).await?.into_inner();
        Ok(answer.result.unwrap_or_default().payload)
    }

    /// Whether peers endorse the same as a transaction.
    ///
    /// # Errors
    /// The peers' or the chaincode's refusal.
    pub async fn endorse(&self, function: &str, certificate: &str) -> Result<(), Status> {
        let (transaction_id, proposal) = self.proposal(function, certificate);
        let request = EndorseRequest {
            transaction_id,
            channel_id: self.channel.clone(),
            proposed_transaction: Some(proposal),
            endorsing_organizations: Vec::new(),
        };
        self.gateway.clone().endorse(request).await.map(drop)
    }

    fn proposal(&self, function: &str, certificate: &str) -> (String, SignedProposal) {
        let creator =
            SerializedIdentity { mspid: self.signer.msp_id().to_owned(), id_bytes: certificate.as_bytes().to_vec() }
                .encode_to_vec();
        let mut nonce = vec![0; 24];
        openssl::rand::rand_bytes(&mut nonce).expect("the system has randomness");
        let transaction_id = hex::encode(openssl::sha::sha256(&[&nonce[..], &creator].concat()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let chaincode_id = Some(ChaincodeId { name: self.chaincode.clone(), ..ChaincodeId::default() });
        let channel_header = ChannelHeader {
            r#type: HeaderType::EndorserTransaction.into(),
            timestamp: Some(prost_types::Timestamp { seconds: now.as_secs().cast_signed(), nanos: 0 }),
            channel_id: self.channel.clone(),
            tx_id: transaction_id.clone(),
            extension: ChaincodeHeaderExtension { chaincode_id: chaincode_id.clone() }.encode_to_vec(),
            ..ChannelHeader::default()
        };
        let header = Header {
            channel_header: channel_header.encode_to_vec(),
            signature_header: SignatureHeader { creator, nonce }.encode_to_vec(),
        };
        let input = ChaincodeInput { args: vec![function.as_bytes().to_vec()], ..ChaincodeInput::default() };
        let spec = ChaincodeSpec { chaincode_id, input: Some(input), ..ChaincodeSpec::default() };
        let invocation = ChaincodeInvocationSpec { chaincode_spec: Some(spec) };
        let payload =
            ChaincodeProposalPayload { input: invocation.encode_to_vec(), ..ChaincodeProposalPayload::default() };
        let proposal_bytes =
            Proposal { header: header.encode_to_vec(), payload: payload.encode_to_vec(), ..Proposal::default() }
                .encode_to_vec();
        (
            transaction_id,
            SignedProposal {
                signature: self.signer.sign(&proposal_bytes).expect("a key in memory signs"),
                proposal_bytes,
            },
        )
    }
}
