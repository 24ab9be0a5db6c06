//! Access links: encrypted pointers to encrypted records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::identifier::{Commitment, ContentHash, KeyHash, LinkId, MediaType, MemberId, MspId, Reason, Sealed};
use crate::organisation::EncryptionKey;
use crate::time::LedgerTime;

/// An encrypted pointer to a record that is kept, encrypted, by its publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// Its id, chosen by the publisher.
    pub id: LinkId,
    /// Whose record it is.
    pub patient: MemberId,
    /// What kind of record.
    pub category: Category,
    /// The organisation that keeps the record.
    pub publisher: MspId,
    /// The version that an opening gives.
    pub current: Version,
    /// Whether it can be opened at all.
    pub state: LinkState,
}

/// One version of a link's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Counts from 1.
    pub number: u32,
    /// The encrypted content, as anybody may check it.
    pub content: Content,
    /// A keyed commitment to the plain content.
    pub commitment: Commitment,
    /// The member who published or proposed it.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
}

/// What anybody may know of the encrypted content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// SHA-256 of the ciphertext.
    pub hash: ContentHash,
    /// Length of the ciphertext in bytes.
    pub length: u64,
    /// Media type of the plain content.
    pub media_type: MediaType,
}

/// Whether a link can be opened at all; whether it is open *to somebody* is decided when asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LinkState {
    /// Can be opened by those entitled.
    Active,
    /// Taken back by its publisher: opens to nobody.
    Withdrawn {
        /// The member who withdrew it.
        by: MemberId,
        /// When.
        at: LedgerTime,
        /// Why.
        reason: Reason,
    },
}

/// Whose key an envelope is sealed to. JSON: `{"organisation": "…"}` or `{"member": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// An organisation's key, held by its gateways.
    Organisation(MspId),
    /// A person's key.
    Member(MemberId),
}

/// A link's payload, sealed (HPKE, RFC 9180) to one recipient's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Whose key it is sealed to.
    pub holder: Holder,
    /// The hash of that key.
    pub recipient_key_hash: KeyHash,
    /// The sealed payload.
    pub sealed: Sealed,
}

/// Somebody to seal an envelope to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recipient {
    /// Who.
    pub holder: Holder,
    /// The key, and its hash.
    #[serde(flatten)]
    pub key: EncryptionKey,
}
