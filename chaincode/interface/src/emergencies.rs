use fabric_contract::{Context, contract};
use healthchain_rules::emergency::{Emergency, Finding};
use healthchain_rules::{MemberId, Reason, Refusal, TransactionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Declares an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclareEmergency {
    /// Whose records are needed.
    pub patient: MemberId,
    /// Why. The patient reads it.
    pub reason: Reason,
    /// For how many hours, at least one; as long as the channel's settings allow if absent, and never longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
}

/// Closes the review of an emergency access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewEmergency {
    /// Which.
    pub emergency: TransactionId,
    /// What was found.
    pub finding: Finding,
    /// In the officer's words. Patient and clinician read it.
    pub note: Reason,
}

/// Emergency accesses that wait for their reviews.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToReviewQuery {
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Emergency accesses (break-glass) and their reviews.
#[contract(name = "Emergencies")]
pub trait Emergencies {
    /// Declares an emergency of a patient, as a clinician: until it is over, the caller opens all of the patient's records for treatment,
    /// denied and restricted ones, too (42 CFR 2.51), naming it. Its id is the transaction's, so that a repeated call declares another
    /// one. Refused while a review is overdue, or 8 wait.
    #[submit]
    async fn declare(&self, context: &mut Context, call: DeclareEmergency) -> Result<Emergency, Refusal>;

    /// Ends an emergency before its time, as the clinician who declared it. Harmless when it is over.
    #[submit]
    async fn end(&self, context: &mut Context, emergency: TransactionId) -> Result<Emergency, Refusal>;

    /// Closes the review of an emergency, and ends it, as a privacy officer of another organisation than the clinician's. Harmless when
    /// repeated with the same finding and note.
    #[submit]
    async fn review(&self, context: &mut Context, call: ReviewEmergency) -> Result<Emergency, Refusal>;

    /// An emergency, for the patient, the clinician, the clinician's organisation's auditors, and privacy officers.
    #[evaluate]
    async fn emergency(&self, context: &Context, emergency: TransactionId) -> Result<Emergency, Refusal>;

    /// The emergencies of other organisations that wait for their reviews, for privacy officers; the first due first.
    #[evaluate]
    async fn to_review(&self, context: &Context, query: ToReviewQuery) -> Result<Page<Emergency>, Refusal>;
}
