//! Registration: how an administrator makes a person known to the ledger.

use crate::group::Groups;
use crate::identifier::{KeyHash, MemberId};
use crate::member::{Attestation, Caller, KeyHolder, Member, Standing};
use crate::organisation::EncryptionKey;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::rotation::key_taken;
use crate::time::LedgerTime;

/// Proof that the member may be registered.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRegister(());

/// A member to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its pseudonym.
    pub id: MemberId,
    /// What it is.
    pub role: Role,
    /// The hash of its certificate's public key.
    pub key_hash: KeyHash,
    /// Its encryption key.
    pub encryption_key: EncryptionKey,
}

/// Whether the caller may register this member; `existing` has its id, `key_holder` its key in the caller's organisation.
pub fn decide_registration(
    caller: &Caller,
    existing: Option<&Member>,
    key_holder: Option<&KeyHolder>,
    new: Registration,
    at: LedgerTime,
) -> Result<Outcome<Member, MayRegister>, Refusal> {
    let actor = caller.permitted_member(Permission::RegisterMember)?;
    if new.role == Role::Administrator {
        actor.require_administrator()?;
    }
    if new.role == Role::Agent {
        return Err(Refusal::new(RefusalCode::NotPermitted, "an agent needs a charter: deploy it with Agents:deploy"));
    }
    if !new.role.belongs_in(actor.organisation.kind) {
        return Err(Refusal::new(
            RefusalCode::NotPermitted,
            format!("an organisation of this kind has no members of role {}", new.role),
        ));
    }
    if let Some(existing) = existing {
        let is_same = existing.organisation == actor.organisation.msp_id
            && existing.role == new.role
            && existing.key_hash == new.key_hash
            && existing.encryption_key == new.encryption_key;
        return if is_same {
            Ok(Outcome::Repeated(existing.clone()))
        } else {
            Err(Refusal::new(RefusalCode::MemberExists, "the member's id is taken: choose another"))
        };
    }
    if key_holder.is_some() {
        return Err(key_taken());
    }
    let member = Member {
        id: new.id,
        organisation: actor.organisation.msp_id.clone(),
        role: new.role,
        key_hash: new.key_hash,
        encryption_key: new.encryption_key,
        attestation: Attestation { by: actor.member.id.clone(), at },
        standing: Standing::Active,
        groups: Groups::new(),
    };
    Ok(Outcome::Decided(member, MayRegister(())))
}
