use fabric_contract::Context;
use healthchain_rules::member::{MayChangeStanding, MayRegister};
use healthchain_rules::{KeyHash, KeyHolder, Member, MemberId, MspId, Refusal};

use super::{Load, key, put};

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

pub(super) fn save_with_key(context: &mut Context, member: &Member) -> Result<(), Refusal> {
    let holder = KeyHolder::Member(member.id.clone());
    put(context, key::key_holder(&member.organisation, &member.key_hash), &holder)?;
    put(context, key::member(&member.id), member)
}
