//! Members: persons and programs, each with a certificate of its organisation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{KeyHash, MemberId, MspId, Reason};
use crate::organisation::{EncryptionKey, Organisation};
use crate::role::Role;
use crate::time::LedgerTime;

/// A person or program of an organisation, under a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its pseudonym.
    pub id: MemberId,
    /// Its organisation.
    pub organisation: MspId,
    /// What it is.
    pub role: Role,
    /// The hash of its certificate's public key: who signs with that key is this member.
    pub key_hash: KeyHash,
    /// The key that what is meant for this person alone is sealed to.
    pub encryption_key: EncryptionKey,
    /// Who vouched for its identity, and when.
    pub attestation: Attestation,
    /// Whether it may act.
    pub standing: Standing,
}

/// Who vouched for a member's identity, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attestation {
    /// The administrator; an organisation's first administrator is vouched for by its certificate and names itself.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
}

/// Whether a member may act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// May act.
    Active,
    /// May not act until reinstated.
    Suspended {
        /// The administrator who suspended it.
        by: MemberId,
        /// When.
        at: LedgerTime,
        /// Why.
        reason: Reason,
    },
    /// Will not act again.
    Retired {
        /// When.
        at: LedgerTime,
    },
}

/// Who signed the transaction, as the ledger knows it by the certificate's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A member of an organisation.
    Member(Box<Actor>),
    /// An organisation's gateway, as custodian of the organisation's key.
    Custodian(Organisation),
}

/// A member with its organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The member.
    pub member: Member,
    /// Its organisation.
    pub organisation: Organisation,
}
