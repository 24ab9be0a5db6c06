use fabric_contract::Context;
use healthchain_rules::attestation::{IdentityAttestation, MayAttest};
use healthchain_rules::registration::MayRegister;
use healthchain_rules::rotation::{MayRotate, Rotation};
use healthchain_rules::standing::{MayChangeStanding, MayListMembers};
use healthchain_rules::{KeyHash, KeyHolder, Member, MemberId, MspId, Refusal};

use super::{Load, decode, fetch, key, last_attribute, ledger, put};

pub(crate) fn load_member(id: &MemberId) -> Load<Member> {
    Load::at(key::member(id))
}

/// Whose a signing key is under this organisation's certificates. Nobody proves to have a key that is registered, so that what one
/// organisation registers says nothing about a key of another.
pub(crate) fn load_key_holder(msp_id: &MspId, key_hash: &KeyHash) -> Load<KeyHolder> {
    Load::at(key::key_holder(msp_id, key_hash))
}

pub(crate) fn save_registered(context: &mut Context, member: &Member, _: MayRegister) -> Result<(), Refusal> {
    save_with_key(context, member)
}

pub(crate) fn save_standing(context: &mut Context, member: &Member, _: MayChangeStanding) -> Result<(), Refusal> {
    save(context, member)
}

pub(super) fn save(context: &mut Context, member: &Member) -> Result<(), Refusal> {
    put(context, key::member(&member.id), member)
}

/// Some of an organisation's members, by signing key, and the key hash where they go on. For queries only.
pub(crate) async fn load_members_of(
    context: &Context,
    organisation: &MspId,
    from: Option<&KeyHash>,
    limit: u32,
    _: MayListMembers,
) -> Result<(Vec<Member>, Option<KeyHash>), Refusal> {
    let from = from.map(|from| key::key_holder(organisation, from));
    let attributes = [organisation.as_str()];
    let page = context.composite_page(key::KEY_HOLDER, &attributes, limit, from.as_deref()).await.map_err(ledger)?;
    let holders = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<Vec<KeyHolder>, _>>()?;
    let members =
        fetch(context, holders.iter().filter_map(KeyHolder::member).map(load_member).collect::<Vec<_>>()).await?;
    let next = page.bookmark.map(|bookmark| last_attribute(&bookmark)).transpose()?;
    Ok((members, next))
}

/// What this attester attested of the member's identity.
pub(crate) fn load_attestation(member: &MemberId, attester: &MemberId) -> Load<IdentityAttestation> {
    Load::at(key::attestation(member, attester))
}

/// Some attestations of a member's identity, by attester, and the attester where they go on. For queries only.
pub(crate) async fn load_attestations(
    context: &Context,
    member: &MemberId,
    from: Option<&MemberId>,
    limit: u32,
) -> Result<(Vec<IdentityAttestation>, Option<MemberId>), Refusal> {
    let from = from.map(|from| key::attestation(member, from));
    let attributes = [member.as_str()];
    let page = context.composite_page(key::ATTESTATION, &attributes, limit, from.as_deref()).await.map_err(ledger)?;
    let attestations = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| last_attribute(&bookmark)).transpose()?;
    Ok((attestations, next))
}

pub(crate) fn save_attestation(
    context: &mut Context,
    attestation: &IdentityAttestation,
    _: MayAttest,
) -> Result<(), Refusal> {
    put(context, key::attestation(&attestation.member, &attestation.by), attestation)
}

pub(crate) fn save_rotated(context: &mut Context, rotation: &Rotation, _: MayRotate) -> Result<(), Refusal> {
    save_keys(context, rotation)
}

/// Saves the member with its new keys; its former signing key stays taken.
pub(super) fn save_keys(context: &mut Context, rotation: &Rotation) -> Result<(), Refusal> {
    let Rotation { member, former, holder } = rotation;
    if *former != member.key_hash {
        put(context, key::key_holder(&member.organisation, former), &KeyHolder::Former(member.id.clone()))?;
        put(context, key::key_holder(&member.organisation, &member.key_hash), holder)?;
    }
    put(context, key::member(&member.id), member)
}

pub(super) fn save_with_key(context: &mut Context, member: &Member) -> Result<(), Refusal> {
    let holder = KeyHolder::Member(member.id.clone());
    put(context, key::key_holder(&member.organisation, &member.key_hash), &holder)?;
    put(context, key::member(&member.id), member)
}
