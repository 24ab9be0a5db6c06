//! Organisations: Fabric MSPs with a kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{GatewayUrl, KeyHash, MspId, PublicKey};
use crate::time::LedgerTime;

/// What an organisation is for; it bounds the roles of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrganisationKind {
    /// Hospitals and primary care.
    PrimaryCare,
    /// Secondary and chronic care.
    SecondaryCare,
    /// Health insurers.
    Payer,
    /// Pharmacies.
    Pharmacy,
    /// The patients' own organisation.
    PatientServices,
    /// Public health agencies.
    PublicHealth,
}

/// A public key to seal to, with its hash, which names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EncryptionKey {
    /// The key.
    pub public_key: PublicKey,
    /// SHA-256 of the key's SPKI DER.
    pub key_hash: KeyHash,
}

/// An organisation of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Organisation {
    /// Its membership service provider.
    pub msp_id: MspId,
    /// What it is for.
    pub kind: OrganisationKind,
    /// Whether it takes part yet.
    pub state: OrganisationState,
}

/// Whether an organisation takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OrganisationState {
    /// Named by the founders; has no key, gateway or member yet.
    Founded,
    /// Takes part.
    Active {
        /// The organisation's key, held by its gateways: envelopes for its members are sealed to it.
        encryption_key: EncryptionKey,
        /// Where its gateway is reached.
        gateway_url: GatewayUrl,
        /// The hash of its gateway's signing key: transactions signed with it act for the organisation as key custodian.
        gateway_key_hash: KeyHash,
        /// Since when.
        entered: LedgerTime,
    },
}

impl OrganisationKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::PrimaryCare,
        Self::SecondaryCare,
        Self::Payer,
        Self::Pharmacy,
        Self::PatientServices,
        Self::PublicHealth,
    ];

    /// Whether organisations of this kind care for patients, and so publish records.
    pub const fn is_care(self) -> bool {
        matches!(self, Self::PrimaryCare | Self::SecondaryCare)
    }
}

impl Organisation {
    /// The key that envelopes for this organisation are sealed to; none before it has entered.
    pub fn encryption_key(&self) -> Option<&EncryptionKey> {
        match &self.state {
            OrganisationState::Founded => None,
            OrganisationState::Active { encryption_key, .. } => Some(encryption_key),
        }
    }
}
