use std::collections::BTreeSet;

use fabric_contract::{Context, contract};
use healthchain_rules::request::{AccessRequest, Answer, RequestFor};
use healthchain_rules::standing_rule::{RuleAnswer, StandingRules};
use healthchain_rules::{
    Category, Grantee, LedgerTime, MemberId, Purpose, Reason, Refusal, RequestId, Scope, StandingRuleId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Asks a patient for access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskForAccess {
    /// The request's id, chosen by the caller, so that a retry is recognised. No other request has it.
    pub request: RequestId,
    /// Whose records.
    pub patient: MemberId,
    /// For whom: the caller, or all of its organisation.
    #[serde(rename = "for")]
    pub beneficiary: RequestFor,
    /// Which records: at least one category, or 1 to 32 links.
    pub scope: Scope,
    /// For what: at least one purpose, and only such as the caller's role ever opens records for.
    pub purposes: BTreeSet<Purpose>,
    /// From when; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LedgerTime>,
    /// Until when (that moment excluded); until revoked if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LedgerTime>,
    /// Why. The patient reads it.
    pub reason: Reason,
}

/// Answers an access request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// Which.
    pub request: RequestId,
    /// Who was asked.
    pub patient: MemberId,
    /// The answer.
    pub answer: Answer,
}

/// Requests to a patient, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientRequestsQuery {
    /// The patient.
    pub patient: MemberId,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// The caller's own requests, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnRequestsQuery {
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// How the patient's requests of a kind are answered at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetStandingRule {
    /// The rule's id, chosen by the patient, so that a retry is recognised.
    pub rule: StandingRuleId,
    /// Whose rule: the caller.
    pub patient: MemberId,
    /// By whom a request is made.
    pub grantee: Grantee,
    /// For which purposes at most: at least one.
    pub purposes: BTreeSet<Purpose>,
    /// About which categories at most: at least one. Restricted records only if `restricted` is named.
    pub categories: BTreeSet<Category>,
    /// The answer.
    pub answer: RuleAnswer,
}

/// Removes a standing rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveStandingRule {
    /// Which.
    pub rule: StandingRuleId,
    /// Whose: the caller.
    pub patient: MemberId,
}

/// Access requests, their answers, and the standing rules that answer at once.
#[contract(name = "Requests")]
pub trait Requests {
    /// Asks a patient for access. It waits for 30 days, 32 requests of an organisation to one patient at most, unless a standing rule of
    /// the patient answers at once. Whether links that it names exist, the caller does not learn. Repeating it is harmless.
    #[submit]
    async fn ask(&self, context: &mut Context, call: AskForAccess) -> Result<AccessRequest, Refusal>;

    /// Answers a request, as the patient or a guardian whom the patient lets do it. Granting it makes the consent in the same
    /// transaction. Repeating the same answer is harmless.
    #[submit]
    async fn answer(&self, context: &mut Context, call: AnswerRequest) -> Result<AccessRequest, Refusal>;

    /// Takes the caller's own request back while it waits. Harmless on a withdrawn one.
    #[submit]
    async fn withdraw(&self, context: &mut Context, request: RequestId) -> Result<AccessRequest, Refusal>;

    /// A request, for the patient, guardians who answer for the patient, and the requester's organisation.
    #[evaluate]
    async fn request(&self, context: &Context, request: RequestId) -> Result<AccessRequest, Refusal>;

    /// The requests to a patient, for the patient and guardians who answer for the patient; newest first.
    #[evaluate]
    async fn of_patient(&self, context: &Context, query: PatientRequestsQuery) -> Result<Page<AccessRequest>, Refusal>;

    /// The caller's own requests; newest first.
    #[evaluate]
    async fn of_requester(&self, context: &Context, query: OwnRequestsQuery) -> Result<Page<AccessRequest>, Refusal>;

    /// Sets a standing rule over the caller's own records, 32 at most; gives all of them, by id. Refusing rules win over granting ones,
    /// and links that a request names one by one are always left to the patient. Repeating it is harmless while the rule stands.
    #[submit]
    async fn set_rule(&self, context: &mut Context, call: SetStandingRule) -> Result<StandingRules, Refusal>;

    /// Removes a standing rule of the caller; gives those that are left. Consents that it made stand until they end or are revoked.
    /// Harmless when there is no such rule.
    #[submit]
    async fn remove_rule(&self, context: &mut Context, call: RemoveStandingRule) -> Result<StandingRules, Refusal>;

    /// The standing rules of the patient, who is the caller; by id.
    #[evaluate]
    async fn rules(&self, context: &Context, patient: MemberId) -> Result<StandingRules, Refusal>;
}
