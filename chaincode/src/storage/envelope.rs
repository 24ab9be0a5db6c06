use fabric_contract::Context;
use healthchain_rules::envelope::MayAddEnvelope;
use healthchain_rules::resealing::MayReseal;
use healthchain_rules::{Envelope, KeyHash, LinkId, Refusal};

use super::{Load, key, ledger, put};

pub(crate) fn load_envelope(link: &LinkId, version: u32, recipient_key_hash: &KeyHash) -> Load<Envelope> {
    Load::at(key::envelope(link, version, recipient_key_hash))
}

pub(crate) fn save_added(
    context: &mut Context,
    link: &LinkId,
    version: u32,
    envelope: &Envelope,
    _: MayAddEnvelope,
) -> Result<(), Refusal> {
    save(context, link, version, envelope)
}

/// Where all envelopes of a link lie, of all its versions.
pub(crate) struct EnvelopeKeys(Vec<String>);

impl EnvelopeKeys {
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

pub(crate) async fn load_envelope_keys(context: &Context, link: &LinkId) -> Result<EnvelopeKeys, Refusal> {
    let found = context.partial_composite(key::ENVELOPE, &[link.as_str()]).collect().await.map_err(ledger)?;
    Ok(EnvelopeKeys(found.into_iter().map(|(key, _)| key).collect()))
}

pub(super) fn delete_all(context: &mut Context, keys: EnvelopeKeys) {
    keys.0.into_iter().for_each(|key| context.delete(key));
}

pub(crate) fn save_resealed(
    context: &mut Context,
    link: &LinkId,
    version: u32,
    envelope: &Envelope,
    _: MayReseal,
) -> Result<(), Refusal> {
    save(context, link, version, envelope)
}

pub(super) fn save(context: &mut Context, link: &LinkId, version: u32, envelope: &Envelope) -> Result<(), Refusal> {
    put(context, key::envelope(link, version, &envelope.recipient_key_hash), envelope)
}
