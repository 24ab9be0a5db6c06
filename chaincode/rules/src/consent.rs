//! Consents: what a patient permits or denies, to whom, for what, until when.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::identifier::{ConsentId, LinkId, MemberId, MspId};
use crate::purpose::Purpose;
use crate::role::Role;
use crate::time::LedgerTime;

/// A patient's permission or denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    /// Its id, chosen by the patient.
    pub id: ConsentId,
    /// Whose records it is about, and who granted it.
    pub patient: MemberId,
    /// What it says.
    pub terms: Terms,
    /// When it was granted.
    pub granted: LedgerTime,
    /// Whether it still stands.
    pub state: ConsentState,
}

/// What a consent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// To whom.
    pub grantee: Grantee,
    /// About which records.
    pub scope: Scope,
    /// For what.
    pub purposes: BTreeSet<Purpose>,
    /// From when; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LedgerTime>,
    /// Until when (that moment excluded); until revoked if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LedgerTime>,
    /// Permission or denial.
    pub effect: Effect,
}

/// To whom a consent is given. JSON: `{"member": "…"}`, `{"organisation": "…"}` or `{"role": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grantee {
    /// One person: envelopes are sealed to the person's key.
    Member(MemberId),
    /// The members of an organisation: envelopes are sealed to the organisation's key.
    Organisation(MspId),
    /// Everybody with a role, in any organisation: envelopes are sealed to their organisations' keys.
    Role(Role),
}

/// Which records a consent is about. JSON: `{"categories": […]}` or `{"links": […]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All links of these categories, also those published later. Restricted records only if `restricted` is named.
    Categories(BTreeSet<Category>),
    /// These links, at most 32.
    Links(BTreeSet<LinkId>),
}

/// Permission or denial. A denial wins over every permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Permits.
    Permit,
    /// Denies.
    Deny,
}

/// Whether a consent still stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ConsentState {
    /// Stands, within its period.
    Granted,
    /// Revoked by the patient.
    Revoked {
        /// When.
        at: LedgerTime,
    },
}

/// All of a patient's consents that stand, so that an opening reads them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsentBook {
    consents: BTreeMap<ConsentId, Terms>,
}
