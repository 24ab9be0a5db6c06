//! Port: the members whom this gateway serves, and the keys that it holds for them.

pub mod admission;
pub mod command;
pub mod folder;
pub mod judge;
pub mod key_store;
pub mod renewal;

use std::sync::Arc;

use fabric_msp::{Creator, SigningIdentity};
use futures::future::BoxFuture;
use healthchain_rules::MemberId;

use crate::failure::Failure;
use crate::sealing::DecryptionKey;

/// Finds members by what a caller's proof names: never by a name that the caller chose.
pub trait Wallet: Send + Sync {
    /// The member to whom exactly this TLS client certificate (DER) is bound.
    fn holder_of<'a>(&'a self, certificate: &'a [u8]) -> BoxFuture<'a, Option<Arc<WalletMember>>>;

    /// The member who signs with this key (SHA-256 of its SubjectPublicKeyInfo).
    fn signer_with<'a>(&'a self, key_hash: &'a [u8; 32]) -> BoxFuture<'a, Option<Arc<WalletMember>>>;

    /// The member of this id, to whom the configuration maps a caller.
    fn member<'a>(&'a self, id: &'a MemberId) -> BoxFuture<'a, Option<Arc<WalletMember>>>;
}

/// A member whom this gateway serves.
#[derive(Clone)]
pub struct WalletMember {
    /// The pseudonym, as in the wallet; the ledger knows the member by the signing key.
    pub id: MemberId,
    /// The member's keys.
    pub keys: Keys,
}

/// Where a member's keys are.
#[derive(Clone)]
pub enum Keys {
    /// With this gateway, which uses them on the member's behalf.
    Here {
        /// Signs the member's transactions.
        signer: SigningIdentity,
        /// Opens envelopes sealed to the person.
        encryption_key: Arc<dyn DecryptionKey>,
    },
    /// With the member alone: each transaction is signed, and each envelope opened, by the member.
    Elsewhere(Creator),
}

impl WalletMember {
    /// The member as the ledger knows it.
    pub fn creator(&self) -> &Creator {
        match &self.keys {
            Keys::Here { signer, .. } => signer.creator(),
            Keys::Elsewhere(creator) => creator,
        }
    }

    /// Signs on the member's behalf, if the key is here.
    pub fn signer(&self) -> Result<&SigningIdentity, Failure> {
        match &self.keys {
            Keys::Here { signer, .. } => Ok(signer),
            Keys::Elsewhere(_) => Err(Failure::KeyElsewhere),
        }
    }

    /// Opens envelopes on the member's behalf, if the key is here.
    pub fn encryption_key(&self) -> Option<&Arc<dyn DecryptionKey>> {
        match &self.keys {
            Keys::Here { encryption_key, .. } => Some(encryption_key),
            Keys::Elsewhere(_) => None,
        }
    }
}

impl std::fmt::Debug for WalletMember {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WalletMember").field("id", &self.id).finish_non_exhaustive()
    }
}
