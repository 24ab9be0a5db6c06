use std::collections::BTreeSet;

use fabric_contract::{Context, contract};
use healthchain_rules::delegation::{Delegation, Power};
use healthchain_rules::{Category, DelegationId, LedgerTime, MemberId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Lets a guardian act for a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    /// The delegation's id, chosen by the patient, so that a retry is recognised.
    pub delegation: DelegationId,
    /// For whom.
    pub patient: MemberId,
    /// Who may act.
    pub guardian: MemberId,
    /// What the guardian may do: at least one thing.
    pub powers: BTreeSet<Power>,
    /// With which records, at least one category if the guardian may open some; restricted ones only if `restricted` is named.
    pub categories: BTreeSet<Category>,
    /// From when; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LedgerTime>,
    /// Until when (that moment excluded): later than its beginning, and at most two years ahead.
    pub until: LedgerTime,
}

/// Ends what a guardian may do for a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndDelegation {
    /// For whom.
    pub patient: MemberId,
    /// Who may act no longer.
    pub guardian: MemberId,
}

/// Asks for a patient's delegations, also those that have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientDelegationsQuery {
    /// Whose.
    pub patient: MemberId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Asks for a guardian's delegations, also those that have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardianDelegationsQuery {
    /// Whose.
    pub guardian: MemberId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// What guardians may do for patients, and until when.
#[contract(name = "Delegations")]
pub trait Delegations {
    /// Lets a guardian act for the patient, within what the delegation says. For the patient. There is one delegation a patient and
    /// guardian: one with another id replaces it. Repeating it with the same content is harmless; an id with other content is refused.
    #[submit]
    async fn delegate(&self, context: &mut Context, call: Delegate) -> Result<Delegation, Refusal>;

    /// Ends a delegation: from the next transaction on the guardian may not act for the patient. For the patient and the guardian.
    /// Repeating it is harmless.
    #[submit]
    async fn end(&self, context: &mut Context, call: EndDelegation) -> Result<Delegation, Refusal>;

    /// The delegations of a patient, by guardian. For the patient.
    #[evaluate]
    async fn of_patient(&self, context: &Context, query: PatientDelegationsQuery) -> Result<Page<Delegation>, Refusal>;

    /// The delegations of a guardian, by patient. For the guardian.
    #[evaluate]
    async fn of_guardian(
        &self,
        context: &Context,
        query: GuardianDelegationsQuery,
    ) -> Result<Page<Delegation>, Refusal>;
}
