use fabric_contract::Context;
use healthchain_rules::envelope::MayAddEnvelope;
use healthchain_rules::{Envelope, KeyHash, LinkId, Refusal};

use super::{Load, key, put};

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

pub(super) fn save(context: &mut Context, link: &LinkId, version: u32, envelope: &Envelope) -> Result<(), Refusal> {
    put(context, key::envelope(link, version, &envelope.recipient_key_hash), envelope)
}
