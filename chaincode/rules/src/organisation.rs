//! Organisations: Fabric MSPs with a kind. How they are founded and enter.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::group::Groups;
use crate::identifier::{GatewayUrl, KeyHash, Malformed, MemberId, MspId, PublicKey};
use crate::limit;
use crate::member::{Attestation, KeyHolder, Member, Signer, Standing};
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Role;
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
    /// Whether it takes part.
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
    /// Takes part no more: its members and its gateway may do nothing. It can be admitted again.
    Left {
        /// Since when.
        at: LedgerTime,
    },
}

/// What is done to organisations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum OrganisationAct {
    /// The consortium's organisations were named.
    OrganisationsFounded {
        /// Which.
        organisations: Vec<MspId>,
    },
    /// An organisation entered with its first administrator, who acted.
    OrganisationEntered,
    /// An organisation named its custodians, in place of the former ones.
    CustodiansNamed {
        /// Which.
        custodians: BTreeSet<MspId>,
    },
    /// The gateway of an organisation that is no custodian any more destroyed all its copies.
    CopiesDestroyed {
        /// Of whose records.
        publisher: MspId,
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
    /// The key that envelopes for this organisation are sealed to; none before it has entered, nor after it left.
    pub fn encryption_key(&self) -> Option<&EncryptionKey> {
        match &self.state {
            OrganisationState::Founded | OrganisationState::Left { .. } => None,
            OrganisationState::Active { encryption_key, .. } => Some(encryption_key),
        }
    }

    /// The hash of its gateway's signing key; none before it has entered, nor after it left.
    pub fn gateway_key_hash(&self) -> Option<&KeyHash> {
        match &self.state {
            OrganisationState::Founded | OrganisationState::Left { .. } => None,
            OrganisationState::Active { gateway_key_hash, .. } => Some(gateway_key_hash),
        }
    }

    /// Whether it takes part: it has entered and not left.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, OrganisationState::Active { .. })
    }

    /// Whether it took part, or was named, and does no more.
    pub(crate) const fn has_left(&self) -> bool {
        matches!(self.state, OrganisationState::Left { .. })
    }

    /// Refuses organisations that do not take part.
    pub(crate) fn require_active(&self) -> Result<(), Refusal> {
        if self.is_active() {
            Ok(())
        } else {
            Err(Refusal::new(
                RefusalCode::OrganisationNotActive,
                "the organisation does not take part: it has not entered yet, or has left",
            ))
        }
    }
}

/// Proof that the consortium may be founded so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayFound(());

/// Proof that the organisation may enter so, with its first administrator.
#[derive(Debug, PartialEq, Eq)]
pub struct MayEnter(());

/// What an organisation brings when it enters; its administrator's key is the signer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The organisation's key.
    pub encryption_key: EncryptionKey,
    /// Where its gateway is reached.
    pub gateway_url: GatewayUrl,
    /// The hash of its gateway's signing key.
    pub gateway_key_hash: KeyHash,
    /// The first administrator's pseudonym.
    pub administrator: MemberId,
    /// The first administrator's encryption key.
    pub administrator_encryption_key: EncryptionKey,
}

/// What the ledger holds already of what an entry names.
#[derive(Clone, Copy, Debug)]
pub struct EntryState<'a> {
    /// The signer's organisation.
    pub organisation: Option<&'a Organisation>,
    /// The member with the administrator's id.
    pub administrator: Option<&'a Member>,
    /// Whose key the signer's is in its organisation.
    pub signing_key: Option<&'a KeyHolder>,
    /// Whose key the gateway's is in that organisation.
    pub gateway_key: Option<&'a KeyHolder>,
}

/// Whether the signer may found the consortium with these organisations; `existing` are those on the ledger.
pub fn decide_founding(
    signer: &Signer,
    existing: &[Organisation],
    founders: Vec<(MspId, OrganisationKind)>,
) -> Result<Outcome<Vec<Organisation>, MayFound>, Refusal> {
    require_administrator_certificate(signer)?;
    let count = founders.len();
    let founders: BTreeMap<MspId, OrganisationKind> = founders.into_iter().collect();
    if founders.len() != count || !(1..=limit::ORGANISATIONS).contains(&count) {
        return Err(Malformed::new("the founders' list", "1 to 64 different organisations").into());
    }
    if !founders.contains_key(&signer.msp_id) {
        return Err(Refusal::new(
            RefusalCode::NotPermitted,
            "only an organisation of the list may found the consortium",
        ));
    }
    if existing.is_empty() {
        let organisations = founders
            .into_iter()
            .map(|(msp_id, kind)| Organisation { msp_id, kind, state: OrganisationState::Founded })
            .collect();
        return Ok(Outcome::Decided(organisations, MayFound(())));
    }
    let founded: BTreeMap<MspId, OrganisationKind> =
        existing.iter().map(|organisation| (organisation.msp_id.clone(), organisation.kind)).collect();
    if founded == founders {
        Ok(Outcome::Repeated(existing.to_vec()))
    } else {
        Err(Refusal::new(
            RefusalCode::AlreadyFounded,
            "the consortium was founded with other organisations: ask for them",
        ))
    }
}

/// Whether the signer may bring its organisation in, as its first administrator.
pub fn decide_entry(
    signer: &Signer,
    state: EntryState<'_>,
    entry: Entry,
    at: LedgerTime,
) -> Result<Outcome<(Organisation, Member), MayEnter>, Refusal> {
    require_administrator_certificate(signer)?;
    let organisation = state.organisation.ok_or_else(|| {
        Refusal::new(
            RefusalCode::UnknownOrganisation,
            format!("{} is not of the consortium: have it admitted", signer.msp_id),
        )
    })?;
    if organisation.has_left() {
        return Err(Refusal::new(RefusalCode::OrganisationLeft, "the organisation left: have it admitted again"));
    }
    let entered = Organisation {
        state: OrganisationState::Active {
            encryption_key: entry.encryption_key,
            gateway_url: entry.gateway_url,
            gateway_key_hash: entry.gateway_key_hash.clone(),
            entered: organisation.entered().unwrap_or(at),
        },
        ..organisation.clone()
    };
    let since = state.administrator.map_or(at, |existing| existing.attestation.at);
    let administrator = Member {
        id: entry.administrator.clone(),
        organisation: organisation.msp_id.clone(),
        role: Role::Administrator,
        key_hash: signer.key_hash.clone(),
        encryption_key: entry.administrator_encryption_key,
        attestation: Attestation { by: entry.administrator, at: since },
        standing: Standing::Active,
        groups: Groups::new(),
    };
    if organisation.entered().is_some() {
        return if entered == *organisation && state.administrator == Some(&administrator) {
            Ok(Outcome::Repeated((entered, administrator)))
        } else {
            Err(Refusal::new(RefusalCode::AlreadyEntered, "the organisation entered with other facts: ask for them"))
        };
    }
    if state.administrator.is_some() {
        return Err(Refusal::new(RefusalCode::MemberExists, "the administrator's id is taken: choose another"));
    }
    if state.signing_key.is_some() || state.gateway_key.is_some() || signer.key_hash == entry.gateway_key_hash {
        return Err(Refusal::new(
            RefusalCode::KeyTaken,
            "administrator and gateway each need a key that nobody else of the organisation has",
        ));
    }
    Ok(Outcome::Decided((entered, administrator), MayEnter(())))
}

impl Organisation {
    pub(crate) fn entered(&self) -> Option<LedgerTime> {
        match self.state {
            OrganisationState::Founded | OrganisationState::Left { .. } => None,
            OrganisationState::Active { entered, .. } => Some(entered),
        }
    }
}

fn require_administrator_certificate(signer: &Signer) -> Result<(), Refusal> {
    if signer.is_administrator {
        Ok(())
    } else {
        Err(Refusal::new(RefusalCode::NotPermitted, "sign with an administrator's certificate (OU=admin)"))
    }
}
