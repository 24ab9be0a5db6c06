//! A signed proposal, taken apart and checked in the order and with the words of a peer (Fabric:
//! `core/endorser/msgvalidation.go`, `core/handlers/auth/filter`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fabric_msp::{Certificate, Identity};
use fabric_protos::{
    common::{ChannelHeader, Header, HeaderType, SignatureHeader},
    msp::SerializedIdentity,
    protos::{
        ChaincodeHeaderExtension, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload, Proposal,
        SignedProposal,
    },
};
use openssl::sha::{Sha256, sha256};
use prost::Message;

use crate::access::{self, Members};

/// A proposal whose parts have been decoded.
pub(crate) struct Unpacked {
    pub(crate) signed: SignedProposal,
    pub(crate) channel: ChannelHeader,
    pub(crate) signature: SignatureHeader,
    /// The chaincode that is invoked: the one that the header names.
    pub(crate) chaincode: String,
    pub(crate) input: ChaincodeInput,
    /// What endorsers sign of the proposal.
    pub(crate) hash: [u8; 32],
}

impl Unpacked {
    /// Decodes everything that a peer needs.
    pub(crate) fn new(signed: SignedProposal) -> Result<Self, String> {
        let proposal: Proposal = decode("Proposal", &signed.proposal_bytes)?;
        let header: Header = decode("Header", &proposal.header)?;
        let channel: ChannelHeader = decode("ChannelHeader", &header.channel_header)?;
        let signature: SignatureHeader = decode("SignatureHeader", &header.signature_header)?;
        let extension: ChaincodeHeaderExtension = decode("ChaincodeHeaderExtension", &channel.extension)?;
        let chaincode = extension.chaincode_id.ok_or("ChaincodeHeaderExtension.ChaincodeId is nil")?.name;
        if chaincode.is_empty() {
            return Err("ChaincodeHeaderExtension.ChaincodeId.Name is empty".into());
        }
        let payload: ChaincodeProposalPayload = decode("ChaincodeProposalPayload", &proposal.payload)?;
        let spec: ChaincodeInvocationSpec = decode("ChaincodeInvocationSpec", &payload.input)?;
        let input = spec
            .chaincode_spec
            .ok_or("chaincode invocation spec did not contain chaincode spec")?
            .input
            .ok_or("chaincode input did not contain any input")?;
        let hash = proposal_hash(&header, payload);
        Ok(Self { signed, channel, signature, chaincode, input, hash })
    }

    /// The checks of the proposal itself and of who made it.
    pub(crate) fn validate(&self, members: &Members) -> Result<Identity, String> {
        self.validated(members).map_err(|reason| format!("error validating proposal: {reason}"))
    }

    fn validated(&self, members: &Members) -> Result<Identity, String> {
        let (channel, signature) = (&self.channel, &self.signature);
        let kind = channel.r#type;
        if kind != HeaderType::EndorserTransaction as i32 && kind != HeaderType::Config as i32 {
            let name = HeaderType::try_from(kind).map_or(kind.to_string(), |kind| kind.as_str_name().to_owned());
            return Err(format!("invalid header type {name}"));
        }
        if channel.epoch != 0 {
            return Err("epoch is non-zero".into());
        }
        if signature.nonce.is_empty() {
            return Err("nonce is empty".into());
        }
        if signature.creator.is_empty() {
            return Err("creator is empty".into());
        }
        let expected = transaction_id(signature);
        if channel.tx_id != expected {
            return Err(format!("incorrectly computed txid '{}' -- expected '{expected}'", channel.tx_id));
        }
        if self.signed.signature.is_empty() {
            return Err("empty signature bytes".into());
        }
        let creator = members.identify(&signature.creator).map_err(|refusal| match refusal {
            access::Stranger::Unknown => {
                format!("access denied: channel [{}] creator org unknown, creator is malformed", channel.channel_id)
            }
            access::Stranger::Invalid(msp_id) => denied(&channel.channel_id, &msp_id),
        })?;
        creator
            .verify(&self.signed.proposal_bytes, &self.signed.signature)
            .map_err(|_| denied(&channel.channel_id, creator.msp_id()))?;
        Ok(creator)
    }
}

fn denied(channel: &str, msp_id: &str) -> String {
    format!("access denied: channel [{channel}] creator org [{msp_id}]")
}

/// What a peer's filters refuse before anything else: an expired certificate, a clock too far off.
pub(crate) fn filter(signed: &SignedProposal, window: Duration) -> Result<(), String> {
    let Ok(proposal) = Proposal::decode(&signed.proposal_bytes[..]) else { return Err(malformed("Proposal")) };
    let Ok(header) = Header::decode(&proposal.header[..]) else { return Err(malformed("Header")) };
    let Ok(signature) = SignatureHeader::decode(&header.signature_header[..]) else {
        return Err(malformed("SignatureHeader"));
    };
    if expired(&signature.creator) {
        return Err("proposal client identity expired".into());
    }
    let Ok(channel) = ChannelHeader::decode(&header.channel_header[..]) else { return Err(malformed("ChannelHeader")) };
    within(&channel, window)
}

fn malformed(what: &str) -> String {
    format!("failed parsing {what}")
}

/// Whether the certificate of a serialized identity is no longer valid. What cannot be parsed passes.
pub(crate) fn expired(serialized: &[u8]) -> bool {
    let Ok(identity) = SerializedIdentity::decode(serialized) else { return false };
    let Ok(certificate) = Certificate::from_pem(&identity.id_bytes) else { return false };
    access::seconds(SystemTime::now()) > certificate.not_after()
}

fn within(channel: &ChannelHeader, window: Duration) -> Result<(), String> {
    let stamp = channel.timestamp.unwrap_or_default();
    let proposed = Duration::new(stamp.seconds.max(0).unsigned_abs(), stamp.nanos.max(0).unsigned_abs());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if proposed.abs_diff(now) <= window {
        return Ok(());
    }
    Err(format!(
        "request unauthorized due to incorrect timestamp {}, peer time {}, peer.authentication.timewindow {}",
        rfc3339(proposed),
        rfc3339(now),
        go_duration(window)
    ))
}

/// The id that a creator and its nonce give a transaction.
pub(crate) fn transaction_id(signature: &SignatureHeader) -> String {
    hex::encode(sha256(&[&signature.nonce[..], &signature.creator[..]].concat()))
}

/// The hash that endorsers sign: both headers as received, and the payload without what is transient.
pub(crate) fn proposal_hash(header: &Header, payload: ChaincodeProposalPayload) -> [u8; 32] {
    let public = ChaincodeProposalPayload { input: payload.input, ..Default::default() };
    hash_of(&header.channel_header, &header.signature_header, &public.encode_to_vec())
}

pub(crate) fn hash_of(channel_header: &[u8], signature_header: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(channel_header);
    hash.update(signature_header);
    hash.update(payload);
    hash.finish()
}

/// Decodes a message; the error has Fabric's beginning.
pub(crate) fn decode<M: Message + Default>(name: &str, bytes: &[u8]) -> Result<M, String> {
    M::decode(bytes).map_err(|error| format!("error unmarshalling {name}: {error}"))
}

/// As Go prints a duration of whole seconds.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn rfc3339(since_1970: Duration) -> String {
    time::OffsetDateTime::from_unix_timestamp(i64::try_from(since_1970.as_secs()).unwrap_or_default())
        .ok()
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}
