use fabric_contract::{Context, contract};
use healthchain_rules::governance::{Choice, Proposal};
use healthchain_rules::group::{Explanation, Group};
use healthchain_rules::{Change, GroupId, MemberId, Permission, ProposalId, Reason, Refusal, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// A change to propose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeChange {
    /// The proposal's id, chosen by the caller, so that a retry is recognised.
    pub proposal: ProposalId,
    /// The change.
    pub change: Change,
}

/// The vote of the caller's organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CastVote {
    /// On which proposal.
    pub proposal: ProposalId,
    /// For or against.
    pub choice: Choice,
    /// Why; stays on the ledger for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Asks for the proposals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalsQuery {
    /// Only those that wait for votes.
    #[serde(default)]
    pub open: bool,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Asks for the permission groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupsQuery {
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Asks why a member may do something, or may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// Who.
    pub member: MemberId,
    /// Do what.
    pub permission: Permission,
}

/// How the organisations decide on organisations, groups and settings: each active organisation has one vote, and a change that more
/// than half of all organisations that have not left approve is carried out in the transaction of the vote that decides. An organisation
/// that was named and has not entered yet counts among them. An only organisation decides at once.
#[contract(name = "Governance")]
pub trait Governance {
    /// Proposes a change, which is its organisation's approval. For administrators. Repeating it with the same change is harmless,
    /// whatever became of the proposal.
    #[submit]
    async fn propose(&self, context: &mut Context, call: ProposeChange) -> Result<Proposal, Refusal>;

    /// Casts the vote of the caller's organisation, which has one, and carries out the change if that decides. For administrators.
    /// Repeating it is harmless; to vote otherwise is refused. So is a vote that would carry what cannot be carried out any more,
    /// or would overwrite a group, settings or an organisation's gateway and keys that were changed since the proposal.
    #[submit]
    async fn vote(&self, context: &mut Context, call: CastVote) -> Result<Proposal, Refusal>;

    /// Takes a proposal of the caller's organisation back, before it is decided. For administrators. Repeating it is harmless.
    #[submit]
    async fn withdraw(&self, context: &mut Context, proposal: ProposalId) -> Result<Proposal, Refusal>;

    /// One proposal with its votes; for every active member and gateway.
    #[evaluate]
    async fn proposal(&self, context: &Context, proposal: ProposalId) -> Result<Proposal, Refusal>;

    /// The proposals, newest first; for every active member and gateway.
    #[evaluate]
    async fn proposals(&self, context: &Context, query: ProposalsQuery) -> Result<Page<Proposal>, Refusal>;

    /// The channel's settings; for every active member and gateway.
    #[evaluate]
    async fn settings(&self, context: &Context) -> Result<Settings, Refusal>;

    /// One permission group, also a dissolved one; for every active member and gateway.
    #[evaluate]
    async fn group(&self, context: &Context, group: GroupId) -> Result<Group, Refusal>;

    /// The permission groups, also dissolved ones, by id; for every active member and gateway.
    #[evaluate]
    async fn groups(&self, context: &Context, query: GroupsQuery) -> Result<Page<Group>, Refusal>;

    /// Why a member may do something, or may not: by its role, or by a group. For the member itself, and for administrators and
    /// privacy officers of its organisation.
    #[evaluate]
    async fn explain(&self, context: &Context, query: ExplainQuery) -> Result<Explanation, Refusal>;
}
