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
    /// Keeps plans, programs and measures; never reads records.
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

macro_rules! permissions {
    ($($(#[doc = $meaning:literal])+ $name:ident)+) => {
        /// What a contract function asks before it acts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Permission {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];
        }
    };
}

permissions! {
    // Governance.
    /// Propose changes of organisations, groups and settings, and vote on them.
    ProposeChange
    /// Name the custodians that keep copies of what the own organisation publishes.
    NameCustodians
    // Members.
    /// Register members of the own organisation.
    RegisterMember
    /// Suspend, reinstate and retire members of the own organisation.
    SuspendMember
    /// Replace the lost key of a member of the own organisation, other than a patient's.
    ReplaceKey
    /// Attest that a member is who it says.
    AttestIdentity
    /// Give agents of the own organisation a charter, and take it back.
    DeployAgent
    // Delegations and recovery.
    /// Let a guardian act, and name those who may recover the own key.
    Delegate
    // Links, amendments, emergencies.
    /// Publish access links.
    PublishLink
    /// Withdraw the own organisation's links.
    WithdrawLink
    /// Erase the own organisation's links.
    EraseLink
    /// Propose the next version of the own organisation's links.
    AmendLink
    /// Approve or reject other organisations' amendments.
    ApproveAmendment
    /// List and open permitted links.
    OpenLink
    /// Declare an emergency, which opens what was denied.
    DeclareEmergency
    /// Review other organisations' emergency accesses.
    ReviewEmergency
    // Consents and requests.
    /// Grant and revoke consents over the own records, and answer requests.
    GrantConsent
    /// Ask patients for access.
    RequestAccess
    // Subscriptions.
    /// Make and withdraw subscription plans.
    MakePlan
    /// Order subscriptions: patients for themselves, payers for patients.
    OrderSubscription
    /// Remind the own organisation's patients that their subscriptions end.
    RemindSubscriber
    /// Read what the own organisation is charged.
    ReadStatement
    // Notarizations, statistics, rewards.
    /// Notarize document hashes and immunization statuses.
    Notarize
    /// Define measures of population statistics, and close their periods.
    DefineMeasure
    /// Contribute the own organisation's counts.
    ContributeCounts
    /// Read and release population statistics.
    ReleaseStatistics
    /// Define and end reward programs.
    SponsorProgram
    /// Attest that a patient met the target of a program.
    AttestTarget
    /// Enrol in reward programs and redeem points.
    CollectRewards
    // The audit.
    /// Read the trail of the own records.
    ReadPatientAudit
    /// Read the trail of the own organisation and its members.
    ReadOrganisationAudit
    /// Hold back disclosures from a patient's accounting for a time.
    HoldAccounting
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
            Self::Administrator => &[
                ProposeChange,
                NameCustodians,
                RegisterMember,
                SuspendMember,
                ReplaceKey,
                AttestIdentity,
                DeployAgent,
                ReadStatement,
                ReadOrganisationAudit,
            ],
            Self::Maintainer => &[MakePlan, RemindSubscriber, DefineMeasure, ContributeCounts, SponsorProgram],
            Self::Patient => &[Delegate, OpenLink, GrantConsent, OrderSubscription, CollectRewards, ReadPatientAudit],
            Self::Guardian => &[OpenLink],
            Self::Clinician => &[
                AttestIdentity,
                PublishLink,
                WithdrawLink,
                AmendLink,
                ApproveAmendment,
                OpenLink,
                DeclareEmergency,
                RequestAccess,
                Notarize,
                AttestTarget,
            ],
            Self::Pharmacist => &[OpenLink, RequestAccess, Notarize],
            Self::PayerOfficer => {
                &[AttestIdentity, OpenLink, RequestAccess, OrderSubscription, ReadStatement, SponsorProgram]
            }
            Self::PrivacyOfficer => &[EraseLink, ReviewEmergency, ReadOrganisationAudit, HoldAccounting],
            Self::Analyst => &[ReleaseStatistics],
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

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
