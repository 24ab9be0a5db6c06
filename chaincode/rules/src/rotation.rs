//! Key rotation: a member gets another signing key, another encryption key, or both. Who signed with the old key is unknown from the
//! next transaction on, and nobody else ever gets that key.

use crate::identifier::KeyHash;
use crate::member::{Actor, Caller, KeyHolder, Member, Standing};
use crate::organisation::EncryptionKey;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};

/// The keys that a member is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKeys {
    /// The hash of its next certificate's public key; its present one if only the encryption key changes.
    pub key_hash: KeyHash,
    /// Its encryption key; the present one if only the signing key changes.
    pub encryption_key: EncryptionKey,
}

/// A member before and after its keys changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The member with its new keys.
    pub member: Member,
    /// The hash of the signing key that it had.
    pub former: KeyHash,
    /// What the new signing key is registered as.
    pub holder: KeyHolder,
}

/// What the ledger holds of what a rotation names.
#[derive(Clone, Copy, Debug)]
pub struct RotationState<'a> {
    /// The member.
    pub member: Option<&'a Member>,
    /// What the member's present signing key is registered as.
    pub present: Option<&'a KeyHolder>,
    /// What the new signing key is registered as in the member's organisation.
    pub taken: Option<&'a KeyHolder>,
}

/// Proof that the member may have these keys.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRotate(());

/// Whether the caller may give this member these keys: the member itself; the owner of an agent; and for others than patients and
/// guardians an administrator of the organisation. A patient who lost the key has it replaced by recovery alone.
pub fn decide_rotation(
    caller: &Caller,
    state: RotationState<'_>,
    keys: NewKeys,
) -> Result<Outcome<Rotation, MayRotate>, Refusal> {
    let actor = caller.active_member()?;
    let member = state.member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))?;
    require_key_keeper(caller, actor, member, state.present)?;
    rotate(member, state.present, state.taken, keys)
}

/// The rotation itself, whoever decided on it.
pub(crate) fn rotate(
    member: &Member,
    present: Option<&KeyHolder>,
    taken: Option<&KeyHolder>,
    keys: NewKeys,
) -> Result<Outcome<Rotation, MayRotate>, Refusal> {
    if matches!(member.standing, Standing::Retired { .. }) {
        return Err(Refusal::new(RefusalCode::StandingConflict, "the member is retired: its keys stay as they are"));
    }
    let unchanged = Rotation::none(member, present);
    let NewKeys { key_hash, encryption_key } = keys;
    if key_hash == member.key_hash && encryption_key == member.encryption_key {
        return Ok(Outcome::Repeated(unchanged));
    }
    if key_hash != member.key_hash && taken.is_some() {
        return Err(key_taken());
    }
    let member = Member { key_hash, encryption_key, ..member.clone() };
    Ok(Outcome::Decided(Rotation { member, ..unchanged }, MayRotate(())))
}

impl Rotation {
    /// None: the member as it is.
    pub(crate) fn none(member: &Member, present: Option<&KeyHolder>) -> Self {
        let holder = present.cloned().unwrap_or_else(|| KeyHolder::Member(member.id.clone()));
        Self { member: member.clone(), former: member.key_hash.clone(), holder }
    }
}

/// The refusal of a key that somebody of the organisation has, or once had.
pub(crate) fn key_taken() -> Refusal {
    Refusal::new(
        RefusalCode::KeyTaken,
        "the certificate's key is, or once was, registered in the organisation: issue one with a new key",
    )
}

fn require_key_keeper(
    caller: &Caller,
    actor: &Actor,
    member: &Member,
    present: Option<&KeyHolder>,
) -> Result<(), Refusal> {
    let is_owner = matches!(present, Some(KeyHolder::Agent { owner, .. }) if *owner == actor.member.id);
    if member.id == actor.member.id || is_owner {
        return Ok(());
    }
    if member.role == Role::Administrator || actor.agent.is_some() {
        actor.require_administrator()?;
    }
    let administrator = caller.permitted_member(Permission::ReplaceKey)?;
    if member.organisation != administrator.organisation.msp_id {
        return Err(Refusal::new(
            RefusalCode::OtherOrganisation,
            "another organisation's member: ask an administrator there",
        ));
    }
    match member.role {
        Role::Patient => Err(Refusal::new(
            RefusalCode::NotPermitted,
            "a patient's lost key is replaced by those whom the patient named for it: begin a recovery",
        )),
        Role::Guardian => Err(Refusal::new(
            RefusalCode::NotPermitted,
            "a guardian's lost key is not replaced: register the guardian anew, for the patient to name again",
        )),
        Role::Administrator
        | Role::Maintainer
        | Role::Clinician
        | Role::Pharmacist
        | Role::PayerOfficer
        | Role::PrivacyOfficer
        | Role::Analyst
        | Role::Agent => Ok(()),
    }
}
