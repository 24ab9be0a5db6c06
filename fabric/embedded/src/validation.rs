//! What makes a transaction invalid before the ledger looks at its reads (Fabric: `core/common/validation`,
//! `core/committer/txvalidator/v20`). The first hit decides.

use std::collections::BTreeSet;

use fabric_msp::{
    Identity,
    policy::{self, Signed},
};
use fabric_protos::{
    common::{ChannelHeader, Envelope, Header, HeaderType, Payload, SignatureHeader, SignaturePolicyEnvelope},
    kvrwset::KvrwSet,
    protos::{
        ChaincodeAction, ChaincodeActionPayload, ChaincodeEndorsedAction, ChaincodeEvent, ChaincodeHeaderExtension,
        ProposalResponsePayload, Transaction, TxValidationCode as Code,
    },
    rwset::TxReadWriteSet,
};
use prost::Message;

use crate::{
    channel::Channel,
    ledger::{LedgerError, VALIDATION_PARAMETER},
    proposal::{hash_of, transaction_id},
};

/// A key by namespace and name.
type Key = (String, String);

/// The codes of a block's envelopes.
pub(crate) fn validate(channel: &Channel, envelopes: &[Vec<u8>]) -> Result<Vec<Code>, LedgerError> {
    let mut relabelled = BTreeSet::new();
    let mut codes = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        codes.push(match check(channel, envelope, &relabelled) {
            Ok(labels) => {
                relabelled.extend(labels);
                Code::Valid
            }
            Err(Invalid::Because(code)) => code,
            Err(Invalid::Unknown(error)) => return Err(error),
        });
    }
    Ok(codes)
}

/// Why a transaction does not pass.
enum Invalid {
    Because(Code),
    /// The ledger could not be asked.
    Unknown(LedgerError),
}

/// Decodes, or refuses with this code.
fn decode<M: Message + Default>(bytes: &[u8], code: Code) -> Result<M, Invalid> {
    M::decode(bytes).map_err(|_| Invalid::Because(code))
}

fn refuse_unless(holds: bool, code: Code) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::Because(code)) }
}

/// Checks one envelope. `relabelled` are the keys whose metadata earlier transactions of the block change; answers those
/// that this one changes.
fn check(channel: &Channel, envelope: &[u8], relabelled: &BTreeSet<Key>) -> Result<Vec<Key>, Invalid> {
    let envelope: Envelope = decode(envelope, Code::InvalidOtherReason)?;
    let payload: Payload = decode(&envelope.payload, Code::BadPayload)?;
    let header = payload.header.ok_or(Invalid::Because(Code::BadCommonHeader))?;
    let channel_header: ChannelHeader = decode(&header.channel_header, Code::BadCommonHeader)?;
    let signature_header: SignatureHeader = decode(&header.signature_header, Code::BadCommonHeader)?;
    let kind = HeaderType::try_from(channel_header.r#type).unwrap_or(HeaderType::Message);
    let known = matches!(kind, HeaderType::EndorserTransaction | HeaderType::Config | HeaderType::ConfigUpdate);
    let complete = !signature_header.nonce.is_empty() && !signature_header.creator.is_empty();
    refuse_unless(known && channel_header.epoch == 0 && complete, Code::BadCommonHeader)?;

    let creator = channel.members.identify(&signature_header.creator).ok();
    let signed = creator.is_some_and(|creator| creator.verify(&envelope.payload, &envelope.signature).is_ok());
    refuse_unless(signed, Code::BadCreatorSignature)?;
    match kind {
        HeaderType::EndorserTransaction => {}
        HeaderType::Config => return Err(Invalid::Because(Code::InvalidConfigTransaction)),
        _ => return Err(Invalid::Because(Code::UnsupportedTxPayload)),
    }
    refuse_unless(channel_header.tx_id == transaction_id(&signature_header), Code::BadProposalTxid)?;
    let endorsed = endorsed_action(&header, &payload.data)?;
    let known = channel.ledger.transaction_location(&channel_header.tx_id).map_err(Invalid::Unknown)?;
    refuse_unless(known.is_none(), Code::DuplicateTxid)?;
    check_action(channel, &channel_header, &endorsed, relabelled)
}

/// The transaction's one action, if it is what was proposed.
fn endorsed_action(header: &Header, data: &[u8]) -> Result<ChaincodeEndorsedAction, Invalid> {
    const CODE: Code = Code::InvalidEndorserTransaction;
    let transaction: Transaction = decode(data, CODE)?;
    let [action] = &transaction.actions[..] else { return Err(Invalid::Because(CODE)) };
    let signature_header: SignatureHeader = decode(&action.header, CODE)?;
    refuse_unless(!signature_header.nonce.is_empty() && !signature_header.creator.is_empty(), CODE)?;
    let payload: ChaincodeActionPayload = decode(&action.payload, CODE)?;
    let endorsed = payload.action.ok_or(Invalid::Because(CODE))?;
    let response: ProposalResponsePayload = decode(&endorsed.proposal_response_payload, CODE)?;
    let hash = hash_of(&header.channel_header, &action.header, &payload.chaincode_proposal_payload);
    refuse_unless(response.proposal_hash == hash, CODE)?;
    Ok(endorsed)
}

fn check_action(
    channel: &Channel,
    header: &ChannelHeader,
    endorsed: &ChaincodeEndorsedAction,
    relabelled: &BTreeSet<Key>,
) -> Result<Vec<Key>, Invalid> {
    let extension: ChaincodeHeaderExtension = decode(&header.extension, Code::BadHeaderExtension)?;
    let response: ProposalResponsePayload = decode(&endorsed.proposal_response_payload, Code::BadResponsePayload)?;
    let action: ChaincodeAction = decode(&response.extension, Code::BadResponsePayload)?;
    let set: TxReadWriteSet = decode(&action.results, Code::BadRwset)?;
    let mut namespaces = Vec::new();
    for part in set.ns_rwset {
        namespaces.push((part.namespace, decode::<KvrwSet>(&part.rwset, Code::BadRwset)?));
    }
    let (Some(invoked), Some(ran)) = (extension.chaincode_id, action.chaincode_id) else {
        return Err(Invalid::Because(Code::InvalidOtherReason));
    };
    let named = !invoked.name.is_empty() && invoked.name == ran.name && !ran.version.is_empty();
    refuse_unless(named, Code::InvalidChaincode)?;
    if !action.events.is_empty() {
        let event: ChaincodeEvent = decode(&action.events, Code::InvalidOtherReason)?;
        refuse_unless(event.chaincode_id == invoked.name, Code::InvalidOtherReason)?;
    }
    let mut seen = BTreeSet::new();
    refuse_unless(namespaces.iter().all(|(name, _)| seen.insert(name.clone())), Code::IllegalWriteset)?;
    namespaces.retain(|(name, set)| *name == invoked.name || !set.writes.is_empty() || !set.metadata_writes.is_empty());
    if !namespaces.iter().any(|(name, _)| *name == invoked.name) {
        namespaces.push((invoked.name, KvrwSet::default()));
    }

    let payload = &endorsed.proposal_response_payload;
    let messages: Vec<_> = endorsed.endorsements.iter().map(|one| [&payload[..], &one.endorser[..]].concat()).collect();
    let signers = channel.members.signers(endorsed.endorsements.iter().zip(&messages).map(|(one, message)| Signed {
        identity: &one.endorser,
        message,
        signature: &one.signature,
    }));
    let mut labels = Vec::new();
    for (namespace, set) in namespaces {
        let policy = channel.policy(&namespace).ok_or(Invalid::Because(Code::InvalidChaincode))?;
        check_endorsements(channel, &namespace, &set, policy, &signers, relabelled)?;
        labels.extend(set.metadata_writes.into_iter().map(|write| (namespace.clone(), write.key)));
    }
    Ok(labels)
}

/// Each written key needs its own policy's endorsers, or the chaincode's where it has none; no write, the chaincode's.
fn check_endorsements(
    channel: &Channel,
    namespace: &str,
    set: &KvrwSet,
    policy: &SignaturePolicyEnvelope,
    signers: &[Identity],
    relabelled: &BTreeSet<Key>,
) -> Result<(), Invalid> {
    let written = set.writes.iter().map(|write| &write.key).chain(set.metadata_writes.iter().map(|write| &write.key));
    let mut needs_chaincode_policy = true;
    let mut any_without_own = false;
    for key in written.collect::<BTreeSet<_>>() {
        let label = (namespace.to_owned(), key.clone());
        refuse_unless(!relabelled.contains(&label), Code::EndorsementPolicyFailure)?;
        let state = channel.ledger.state(namespace, key).map_err(Invalid::Unknown)?;
        let metadata = state.map(|state| state.metadata).unwrap_or_default();
        match metadata.into_iter().find(|entry| entry.name == VALIDATION_PARAMETER) {
            Some(own) => {
                let own: SignaturePolicyEnvelope = decode(&own.value, Code::EndorsementPolicyFailure)?;
                refuse_unless(policy::evaluate(&own, signers), Code::EndorsementPolicyFailure)?;
                needs_chaincode_policy = false;
            }
            None => any_without_own = true,
        }
    }
    let satisfied = !(needs_chaincode_policy || any_without_own) || policy::evaluate(policy, signers);
    refuse_unless(satisfied, Code::EndorsementPolicyFailure)
}
