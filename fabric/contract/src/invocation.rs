//! What a transaction brings with it: the function and its arguments, and what the client's signed proposal says.

use std::collections::BTreeMap;

use fabric_protos::common::{ChannelHeader, Header, SignatureHeader};
use fabric_protos::protos::{ChaincodeInput, ChaincodeMessage, ChaincodeProposalPayload, Proposal};
use prost::Message;

use crate::identity::ClientIdentity;

#[derive(Debug)]
pub(crate) struct Invocation {
    /// `Contract:function`, as the client wrote it; empty if it wrote none.
    pub(crate) function: String,
    pub(crate) arguments: Vec<Vec<u8>>,
    pub(crate) caller: ClientIdentity,
    pub(crate) transient: BTreeMap<String, Vec<u8>>,
    /// Seconds and nanoseconds since 1970, as the client wrote them.
    pub(crate) time: (i64, i32),
}

impl Invocation {
    /// Reads a TRANSACTION or INIT message. The peer has checked the proposal's signature.
    pub(crate) fn read(message: &ChaincodeMessage) -> Result<Self, String> {
        let mut arguments = part::<ChaincodeInput>("input", &message.payload)?.args;
        let function = if arguments.is_empty() { Vec::new() } else { arguments.remove(0) };
        let function = String::from_utf8(function).map_err(|_| "the function's name is not UTF-8".to_owned())?;

        let signed = message.proposal.as_ref().ok_or("the message carries no proposal")?;
        let proposal: Proposal = part("proposal", &signed.proposal_bytes)?;
        let header: Header = part("header", &proposal.header)?;
        let channel_header: ChannelHeader = part("channel header", &header.channel_header)?;
        let signature_header: SignatureHeader = part("signature header", &header.signature_header)?;
        let payload: ChaincodeProposalPayload = part("payload", &proposal.payload)?;
        let time = channel_header.timestamp.ok_or("the proposal has no timestamp")?;

        Ok(Self {
            function,
            arguments,
            caller: ClientIdentity::read(&signature_header.creator)?,
            transient: payload.transient_map,
            time: (time.seconds, time.nanos),
        })
    }
}

fn part<M: Message + Default>(name: &str, bytes: &[u8]) -> Result<M, String> {
    M::decode(bytes).map_err(|error| format!("the proposal's {name} cannot be read: {error}"))
}
