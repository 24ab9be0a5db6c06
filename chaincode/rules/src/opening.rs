//! Openings: whether somebody may open a link now, and the fact that it was asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::identifier::{ConsentId, LinkId, MemberId, MspId, TransactionId};
use crate::link::{Content, Recipient};
use crate::purpose::Purpose;
use crate::time::LedgerTime;

/// The fact that somebody asked to open a link, and what was decided. Named by its transaction; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Opening {
    /// The transaction, which names the opening.
    pub transaction: TransactionId,
    /// When.
    pub time: LedgerTime,
    /// Which link.
    pub link: LinkId,
    /// Its version at the time.
    pub version: u32,
    /// What kind of record.
    pub category: Category,
    /// Whose record.
    pub patient: MemberId,
    /// The organisation that keeps the record.
    pub publisher: MspId,
    /// Who asked.
    pub opener: MemberId,
    /// The opener's organisation.
    pub organisation: MspId,
    /// For what.
    pub purpose: Purpose,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// The opener may have this content.
    Permitted {
        /// By which provision.
        provision: Provision,
        /// Whose key the envelope for this opening is sealed to. When there is no such envelope yet, the publisher's gateway seals
        /// one to this key.
        recipient: Recipient,
        /// What the opener must receive.
        content: Content,
    },
    /// The opener may not.
    Denied {
        /// Why.
        reason: Denial,
        /// The provision that denies, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provision: Option<Provision>,
    },
}

/// What an opening rests on. JSON: `{"rule": "…"}` or `{"consent": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provision {
    /// A rule of the network.
    Rule(Rule),
    /// A consent of the patient.
    Consent(ConsentId),
}

/// The network's rules under which a link opens without a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Patients open their own records (45 CFR 164.524).
    OwnAccess,
    /// Clinicians of care organisations open records for treatment (45 CFR 164.506), but no restricted ones (42 CFR Part 2).
    DirectTreatment,
    /// Pharmacists open medication and allergy records for treatment.
    PharmacyTreatment,
}

/// Why a link does not open. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// The opener is suspended.
    MemberSuspended,
    /// The opener is retired.
    MemberRetired,
    /// The publisher withdrew the link.
    LinkWithdrawn,
    /// The opener's role never opens records for this purpose.
    PurposeNotPermitted,
    /// The patient denies it.
    PatientDenied,
    /// A restricted record (42 CFR Part 2) needs a consent that names it, for treatment too.
    RestrictedWithoutConsent,
    /// Needs a consent, and none in force covers it.
    ConsentRequired,
}

impl Denial {
    /// The stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemberSuspended => "member-suspended",
            Self::MemberRetired => "member-retired",
            Self::LinkWithdrawn => "link-withdrawn",
            Self::PurposeNotPermitted => "purpose-not-permitted",
            Self::PatientDenied => "patient-denied",
            Self::RestrictedWithoutConsent => "restricted-without-consent",
            Self::ConsentRequired => "consent-required",
        }
    }
}
