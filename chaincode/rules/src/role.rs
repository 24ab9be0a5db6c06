//! What a member is, and what the role lets it do: the permission table, as data.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::opening::Rule;
use crate::organisation::OrganisationKind;
use crate::purpose::Purpose;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Registers and suspends its organisation's members.
    Administrator,
    /// Keeps plans, programs and settings; never reads records.
    Maintainer,
    /// Owns consents and the own audit trail.
    Patient,
    /// Acts for a patient, within what the patient allows.
    Guardian,
    /// Publishes and opens records for treatment.
    Clinician,
    /// Opens medication and allergy records for treatment.
    Pharmacist,
    /// Queries and opens permitted links for payment and operations.
    PayerOfficer,
    /// Reads its organisation's audit.
    PrivacyOfficer,
    /// Releases population statistics; never a record.
    Analyst,
    /// A program with a bounded purpose.
    Agent,
}

/// What a contract function asks before it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Register members of the own organisation.
    RegisterMember,
    /// Suspend and reinstate members of the own organisation.
    SuspendMember,
    /// Publish access links.
    PublishLink,
    /// Withdraw the own organisation's links.
    WithdrawLink,
    /// List and open permitted links.
    OpenLink,
    /// Grant and revoke consents over the own records.
    GrantConsent,
    /// Read the trail of the own records.
    ReadPatientAudit,
    /// Read the trail of the own organisation's members.
    ReadOrganisationAudit,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 10] = [
        Self::Administrator,
        Self::Maintainer,
        Self::Patient,
        Self::Guardian,
        Self::Clinician,
        Self::Pharmacist,
        Self::PayerOfficer,
        Self::PrivacyOfficer,
        Self::Analyst,
        Self::Agent,
    ];

    /// The permission table's row: what this role may do.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::*;
        match self {
            Self::Administrator => &[RegisterMember, SuspendMember, ReadOrganisationAudit],
            Self::Maintainer => &[],
            Self::Patient => &[OpenLink, GrantConsent, ReadPatientAudit],
            Self::Guardian => &[OpenLink],
            Self::Clinician => &[PublishLink, WithdrawLink, OpenLink],
            Self::Pharmacist => &[OpenLink],
            Self::PayerOfficer => &[OpenLink],
            Self::PrivacyOfficer => &[ReadOrganisationAudit],
            Self::Analyst => &[],
            Self::Agent => &[],
        }
    }

    /// Whether the table permits it.
    pub fn may(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// The purposes that this role may ever open a record for; which records is for consents and [`Role::direct_access`] to say.
    pub const fn purposes(self) -> &'static [Purpose] {
        use Purpose::*;
        match self {
            Self::Patient | Self::Guardian => &[Personal],
            Self::Clinician => &[Treatment, Operations, Research, PublicHealth],
            Self::Pharmacist => &[Treatment],
            Self::PayerOfficer => &[Payment, Operations],
            Self::Administrator | Self::Maintainer | Self::PrivacyOfficer | Self::Analyst | Self::Agent => &[],
        }
    }

    /// The rule by which this role opens records of a category without a consent (fig. 2 of the paper: direct access), if there is
    /// one: for treatment only, and never a restricted record.
    pub const fn direct_access(self, category: Category, purpose: Purpose) -> Option<Rule> {
        use Category::*;
        if !matches!(purpose, Purpose::Treatment) {
            return None;
        }
        match (self, category) {
            (_, Restricted) => None,
            (
                Self::Clinician,
                Summary | EncounterNote | Laboratory | Imaging | Medication | Immunization | Allergy | Claim,
            ) => Some(Rule::DirectTreatment),
            (Self::Pharmacist, Medication | Allergy) => Some(Rule::PharmacyTreatment),
            (Self::Pharmacist, Summary | EncounterNote | Laboratory | Imaging | Immunization | Claim) => None,
            (
                Self::Administrator
                | Self::Maintainer
                | Self::Patient
                | Self::Guardian
                | Self::PayerOfficer
                | Self::PrivacyOfficer
                | Self::Analyst
                | Self::Agent,
                _,
            ) => None,
        }
    }

    /// Whether an organisation of this kind may have members of this role.
    pub const fn belongs_in(self, kind: OrganisationKind) -> bool {
        use OrganisationKind::*;
        match self {
            Self::Administrator | Self::Maintainer | Self::PrivacyOfficer | Self::Agent => true,
            Self::Patient | Self::Guardian => matches!(kind, PatientServices),
            Self::Clinician => matches!(kind, PrimaryCare | SecondaryCare),
            Self::Pharmacist => matches!(kind, Pharmacy),
            Self::PayerOfficer => matches!(kind, Payer),
            Self::Analyst => matches!(kind, PublicHealth),
        }
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Maintainer => "maintainer",
            Self::Patient => "patient",
            Self::Guardian => "guardian",
            Self::Clinician => "clinician",
            Self::Pharmacist => "pharmacist",
            Self::PayerOfficer => "payer-officer",
            Self::PrivacyOfficer => "privacy-officer",
            Self::Analyst => "analyst",
            Self::Agent => "agent",
        }
    }
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 8] = [
        Self::RegisterMember,
        Self::SuspendMember,
        Self::PublishLink,
        Self::WithdrawLink,
        Self::OpenLink,
        Self::GrantConsent,
        Self::ReadPatientAudit,
        Self::ReadOrganisationAudit,
    ];
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
