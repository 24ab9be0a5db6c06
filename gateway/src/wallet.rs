//! Port: the members whose keys this gateway holds.

pub mod folder;

use std::sync::Arc;

use fabric_msp::SigningIdentity;
use futures::future::BoxFuture;
use healthchain_rules::MemberId;

use crate::sealing::DecryptionKey;

/// Finds members by the TLS client certificate that is bound to them.
pub trait Wallet: Send + Sync {
    /// The member to whom exactly this certificate (DER) is bound.
    fn holder_of<'a>(&'a self, certificate: &'a [u8]) -> BoxFuture<'a, Option<Arc<WalletMember>>>;
}

/// A member with the keys that this gateway uses on its behalf.
#[derive(Clone)]
pub struct WalletMember {
    /// The pseudonym, as in the wallet; the ledger knows the member by the signing key.
    pub id: MemberId,
    /// Signs the member's transactions.
    pub signer: SigningIdentity,
    /// Opens envelopes sealed to the person.
    pub encryption_key: Arc<dyn DecryptionKey>,
}

impl std::fmt::Debug for WalletMember {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WalletMember").field("id", &self.id).finish_non_exhaustive()
    }
}
