//! Reading proposals and transactions back from their bytes.

use fabric_msp::Creator;
use fabric_protos::common::{ChannelHeader, Header, HeaderType, Payload, SignatureHeader};
use fabric_protos::protos::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeHeaderExtension, ChaincodeInvocationSpec,
    ChaincodeProposalPayload, Proposal as ProposalMessage, ProposalResponsePayload, Transaction,
};
use fabric_protos::rwset::TxReadWriteSet;
use prost::{DecodeError, Message};

use crate::Contract;
use crate::proposal::transaction_id;

/// Bytes that are no proposal or transaction, or another one than is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub(crate) String);

/// What a proposal says; its transaction must repeat it.
#[derive(Debug, Clone)]
pub(crate) struct Proposed {
    pub(crate) transaction_id: String,
    channel: String,
    chaincode: String,
    creator: Vec<u8>,
    header: Header,
    /// What the chaincode is asked.
    input: Vec<u8>,
}

/// What an endorsed transaction says.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) proposed: Proposed,
    pub(crate) result: Vec<u8>,
    pub(crate) writes_private_data: bool,
}

impl Proposed {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let proposal = ProposalMessage::decode(bytes)?;
        let header = Header::decode(proposal.header.as_slice())?;
        let payload = ChaincodeProposalPayload::decode(proposal.payload.as_slice())?;
        Self::of(header, payload.input)
    }

    fn of(header: Header, input: Vec<u8>) -> Result<Self, Unreadable> {
        let channel_header = ChannelHeader::decode(header.channel_header.as_slice())?;
        let signature_header = SignatureHeader::decode(header.signature_header.as_slice())?;
        let extension = ChaincodeHeaderExtension::decode(channel_header.extension.as_slice())?;
        // A transaction has the same beginning as its proposal; what the chaincode is asked tells them apart.
        let asked = ChaincodeInvocationSpec::decode(input.as_slice())?.chaincode_spec.unwrap_or_default();
        let chaincode = extension.chaincode_id.unwrap_or_default().name;
        if asked.chaincode_id.unwrap_or_default().name != chaincode {
            return Err("its header and its input name different chaincodes".into());
        }
        if channel_header.r#type != i32::from(HeaderType::EndorserTransaction) {
            return Err("this is no call of a chaincode".into());
        }
        if channel_header.tx_id != transaction_id(&signature_header.nonce, &signature_header.creator) {
            return Err("the transaction id is not that of nonce and creator".into());
        }
        Ok(Self {
            transaction_id: channel_header.tx_id,
            channel: channel_header.channel_id,
            chaincode,
            creator: signature_header.creator,
            header,
            input,
        })
    }

    pub(crate) fn must_be(&self, contract: &Contract, creator: &Creator) -> Result<(), Unreadable> {
        if self.channel != contract.channel() || self.chaincode != contract.chaincode() {
            return Err("this is a call of another chaincode".into());
        }
        if self.creator != creator.serialized() {
            return Err("this is somebody else's call".into());
        }
        Ok(())
    }
}

impl Prepared {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let payload = Payload::decode(bytes)?;
        let header = payload.header.ok_or("the prepared transaction has no header")?;
        let transaction = Transaction::decode(payload.data.as_slice())?;
        let [action] = transaction.actions.as_slice() else {
            let actions = transaction.actions.len();
            return Err(format!("the prepared transaction has {actions} actions, one is asked for").into());
        };
        if action.header != header.signature_header {
            return Err("the prepared transaction names two creators".into());
        }
        let payload = ChaincodeActionPayload::decode(action.payload.as_slice())?;
        let proposal = ChaincodeProposalPayload::decode(payload.chaincode_proposal_payload.as_slice())?;
        let endorsed = payload.action.ok_or("the prepared transaction has no endorsed action")?;
        let response = ProposalResponsePayload::decode(endorsed.proposal_response_payload.as_slice())?;
        let action = ChaincodeAction::decode(response.extension.as_slice())?;
        Ok(Self {
            proposed: Proposed::of(header, proposal.input)?,
            writes_private_data: writes_private_data(&action)?,
            result: action.response.ok_or("the prepared transaction has no chaincode response")?.payload,
        })
    }

    /// A peer that slips in another transaction gets no signature.
    pub(crate) fn must_be_of(&self, proposed: &Proposed) -> Result<(), Unreadable> {
        let same = self.proposed.header == proposed.header && self.proposed.input == proposed.input;
        let refusal = "the peer prepared another transaction than was proposed; it was not signed";
        if same { Ok(()) } else { Err(refusal.into()) }
    }
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        Self(format!("a message within it cannot be decoded: {error}"))
    }
}

impl From<&str> for Unreadable {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<String> for Unreadable {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

fn writes_private_data(action: &ChaincodeAction) -> Result<bool, DecodeError> {
    let sets = TxReadWriteSet::decode(action.results.as_slice())?;
    let mut collections = sets.ns_rwset.iter().flat_map(|namespace| &namespace.collection_hashed_rwset);
    Ok(collections.any(|collection| !collection.pvt_rwset_hash.is_empty()))
}
