//! What the ledger reads out of an envelope.

use fabric_protos::common::{ChannelHeader, Envelope, HeaderType, Payload, SignatureHeader};
use fabric_protos::protos::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEvent, ProposalResponsePayload, Transaction,
};
use openssl::sha::Sha256;
use prost::Message;
use prost_types::Timestamp;

/// An envelope's header and content.
pub(super) struct Content {
    /// As in the channel header; computed from nonce and creator where that is empty.
    pub(super) transaction_id: String,
    /// `common.HeaderType`.
    pub(super) header_type: i32,
    /// The client's time.
    pub(super) timestamp: Option<Timestamp>,
    data: Vec<u8>,
}

impl Content {
    /// Decodes an encoded `common.Envelope` as far as its headers; `None` if they are unreadable.
    pub(super) fn decode(envelope: &[u8]) -> Option<Self> {
        let payload = Payload::decode(Envelope::decode(envelope).ok()?.payload.as_slice()).ok()?;
        let header = payload.header?;
        let channel = ChannelHeader::decode(header.channel_header.as_slice()).ok()?;
        let transaction_id = match channel.tx_id.is_empty() {
            true => computed_id(&header.signature_header)?,
            false => channel.tx_id,
        };
        let (header_type, timestamp) = (channel.r#type, channel.timestamp);
        Some(Self { transaction_id, header_type, timestamp, data: payload.data })
    }

    /// Whether this is a chaincode's transaction.
    pub(super) fn is_endorser_transaction(&self) -> bool {
        self.header_type == HeaderType::EndorserTransaction as i32
    }

    /// What the chaincode did, of a chaincode's transaction; `None` if it is unreadable.
    pub(super) fn action(&self) -> Option<ChaincodeAction> {
        let transaction = Transaction::decode(self.data.as_slice()).ok()?;
        let action = ChaincodeActionPayload::decode(transaction.actions.first()?.payload.as_slice()).ok()?.action?;
        let response = ProposalResponsePayload::decode(action.proposal_response_payload.as_slice()).ok()?;
        ChaincodeAction::decode(response.extension.as_slice()).ok()
    }
}

/// The event of an action, if it has a readable one.
pub(super) fn event(action: &ChaincodeAction) -> Option<ChaincodeEvent> {
    match action.events.is_empty() {
        true => None,
        false => ChaincodeEvent::decode(action.events.as_slice()).ok(),
    }
}

/// Hexadecimal SHA-256(nonce ‖ creator).
fn computed_id(signature_header: &[u8]) -> Option<String> {
    let header = SignatureHeader::decode(signature_header).ok()?;
    let mut hash = Sha256::new();
    hash.update(&header.nonce);
    hash.update(&header.creator);
    Some(hex::encode(hash.finish()))
}
