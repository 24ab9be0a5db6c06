//! What is proposed to the endorsers.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use fabric_msp::Creator;
use fabric_protos::common::{ChannelHeader, Header, HeaderType, SignatureHeader};
use fabric_protos::protos::chaincode_spec::Type;
use fabric_protos::protos::{
    ChaincodeHeaderExtension, ChaincodeId, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload,
    ChaincodeSpec, Proposal as ProposalMessage,
};
use openssl::sha::Sha256;
use prost::Message;
use prost_types::Timestamp;

use crate::detached::{SignedProposal, UnsignedProposal};
use crate::{Contract, Endorsed, Error, Stage};

const NONCE_LENGTH: usize = 24;

/// A call that has its transaction id, but has not been sent.
#[derive(Debug, Clone)]
pub struct Proposal {
    contract: Contract,
    arguments: Vec<Vec<u8>>,
    transient: BTreeMap<String, Vec<u8>>,
    organisations: Vec<String>,
    nonce: Vec<u8>,
    timestamp: Timestamp,
    transaction_id: String,
}

impl Proposal {
    pub(crate) fn new(contract: Contract, creator: &Creator, function: &str, mut arguments: Vec<Vec<u8>>) -> Self {
        let mut nonce = vec![0; NONCE_LENGTH];
        openssl::rand::rand_bytes(&mut nonce).expect("the system has randomness");
        arguments.insert(0, function.as_bytes().to_vec());
        Self {
            transaction_id: transaction_id(&nonce, creator.serialized()),
            contract,
            arguments,
            transient: BTreeMap::new(),
            organisations: Vec::new(),
            nonce,
            timestamp: timestamp(SystemTime::now()),
        }
    }

    /// Proposes as of this time instead of now. Peers refuse what is further than `peer.authentication.timewindow` from their clocks.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.timestamp = timestamp(time);
        self
    }

    /// The id that the transaction will have: 64 hexadecimal digits.
    pub fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    /// Adds an input that endorsers see and the ledger does not. Name the [`endorsing_organisations`] too: else the gateway peer
    /// shows it to nobody outside its own organisation.
    ///
    /// [`endorsing_organisations`]: Self::endorsing_organisations
    pub fn transient(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.transient.insert(name.into(), value.into());
        self
    }

    /// Asks exactly these organisations (MSP ids), whatever the endorsement policy says. A question that names none is answered by any
    /// organisation's peer when the one that was asked fails.
    pub fn endorsing_organisations<I: Into<String>>(mut self, msp_ids: impl IntoIterator<Item = I>) -> Self {
        self.organisations = msp_ids.into_iter().map(Into::into).collect();
        self
    }

    /// Runs the chaincode on one peer and returns its answer; nothing is written.
    pub async fn evaluate(self) -> Result<Vec<u8>, Error> {
        self.signed(Stage::Evaluate).await?.evaluate().await
    }

    /// Collects the endorsements that the policy asks for.
    pub async fn endorse(self) -> Result<Endorsed, Error> {
        self.signed(Stage::Endorse).await?.endorse().await?.signed_here().await
    }

    async fn signed(self, stage: Stage) -> Result<SignedProposal, Error> {
        let creator = self.contract.client().identity.creator().clone();
        self.unsigned(creator).signed_here(stage).await
    }

    /// The bytes that the creator, who is the one that [`Proposal::new`] was given, has to sign.
    pub(crate) fn unsigned(self, creator: Creator) -> UnsignedProposal {
        let bytes = self.encoded(creator.serialized());
        UnsignedProposal::new(self.contract, creator, bytes, self.transaction_id, self.organisations)
    }

    fn encoded(&self, creator: &[u8]) -> Vec<u8> {
        let chaincode = ChaincodeId { name: self.contract.chaincode().to_owned(), ..ChaincodeId::default() };
        let channel_header = ChannelHeader {
            r#type: HeaderType::EndorserTransaction.into(),
            timestamp: Some(self.timestamp),
            channel_id: self.contract.channel().to_owned(),
            tx_id: self.transaction_id.clone(),
            extension: ChaincodeHeaderExtension { chaincode_id: Some(chaincode.clone()) }.encode_to_vec(),
            ..ChannelHeader::default()
        };
        let signature_header = SignatureHeader { creator: creator.to_vec(), nonce: self.nonce.clone() };
        let header = Header {
            channel_header: channel_header.encode_to_vec(),
            signature_header: signature_header.encode_to_vec(),
        };
        let input = ChaincodeInvocationSpec {
            chaincode_spec: Some(ChaincodeSpec {
                r#type: Type::Node.into(), // what the official clients write; no peer looks at it
                chaincode_id: Some(chaincode),
                input: Some(ChaincodeInput { args: self.arguments.clone(), ..ChaincodeInput::default() }),
                timeout: 0,
            }),
        }
        .encode_to_vec();
        let payload = ChaincodeProposalPayload { input, transient_map: self.transient.clone() };
        ProposalMessage { header: header.encode_to_vec(), payload: payload.encode_to_vec(), extension: Vec::new() }
            .encode_to_vec()
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since_1970.as_secs() as i64, nanos: since_1970.subsec_nanos() as i32 }
}

/// Hexadecimal SHA-256 of nonce and creator.
pub(crate) fn transaction_id(nonce: &[u8], creator: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(nonce);
    hash.update(creator);
    hex::encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use fabric_protos::msp::SerializedIdentity;

    use super::*;

    #[test]
    fn the_transaction_id_is_the_one_that_other_clients_compute() {
        assert!(transaction_id(b"nonce", b"creator").starts_with("709184f9d24f6ade"));
    }

    /// Made by the official Node client of the same inputs: golden/proposal.js.
    #[tokio::test]
    async fn the_bytes_are_those_of_the_official_node_client() {
        let mut golden = include_str!("../golden/proposal.hex").lines();
        let authority = fabric_msp::issue::Authority::create("ca", "Hospital").unwrap();
        let issued = authority.issue(&fabric_msp::issue::Request::signing("gateway", "client")).unwrap();
        let identity =
            fabric_msp::SigningIdentity::from_pem("HospitalMSP", issued.certificate_pem(), issued.key_pem()).unwrap();
        let channel = tonic::transport::Endpoint::from_static("http://peer").connect_lazy();
        let contract = crate::Client::new(crate::Connection::from_channel(channel), identity).contract("health", "ehr");
        let creator = SerializedIdentity { mspid: "HospitalMSP".to_owned(), id_bytes: b"certificate".to_vec() };
        let creator = creator.encode_to_vec();

        let mut proposal =
            contract.proposal("Links:open", vec![b"\"link-1\"".to_vec(), vec![0, 255]]).transient("key", b"secret");
        proposal.nonce = (0..24).collect();
        proposal.timestamp = Timestamp { seconds: 1_795_419_673, nanos: 42_000_000 };
        proposal.transaction_id = transaction_id(&proposal.nonce, &creator);

        assert_eq!(golden.next(), Some(proposal.transaction_id()));
        assert_eq!(golden.next(), Some(hex::encode(proposal.encoded(&creator)).as_str()));
    }
}
