//! The contracts as callers see them: one trait per contract, and what its functions take and give.
//!
//! Every argument is one JSON text and every result is JSON. The types of `healthchain_rules` that a caller needs are
//! re-exported here.

mod agents;
mod amendments;
mod audit;
mod consents;
mod delegations;
mod emergencies;
mod governance;
mod links;
mod members;
mod notarizations;
mod organisations;
mod page;
mod recoveries;
mod requests;
mod rewards;
mod statistics;
mod subscriptions;

pub use healthchain_rules as rules;

use fabric_contract::metadata::ContractMetadata;
use schemars::SchemaGenerator;

pub use agents::{Agent, Agents, AgentsClient, AgentsDispatcher, DeployAgent, StopAgent};
pub use amendments::{
    Amendments, AmendmentsClient, AmendmentsDispatcher, AmendmentsQuery, ApproveAmendment, ProposeAmendment,
    RejectAmendment, WithdrawAmendment,
};
pub use audit::{AccountingQuery, Audit, AuditClient, AuditDispatcher, EntriesQuery, KnownQuery, PlaceHold, ReadTrail};
pub use consents::{
    ConsentQuery, Consents, ConsentsClient, ConsentsDispatcher, GrantConsent, PatientConsentsQuery, RevokeConsent,
};
pub use delegations::{
    Delegate, Delegations, DelegationsClient, DelegationsDispatcher, EndDelegation, GuardianDelegationsQuery,
    PatientDelegationsQuery,
};
pub use emergencies::{
    DeclareEmergency, Emergencies, EmergenciesClient, EmergenciesDispatcher, ReviewEmergency, ToReviewQuery,
};
pub use governance::{
    CastVote, ExplainQuery, Governance, GovernanceClient, GovernanceDispatcher, GroupsQuery, ProposalsQuery,
    ProposeChange,
};
pub use links::{
    AddEnvelope, EraseLink, Links, LinksClient, LinksDispatcher, OpenLink, Opened, PermittedLink, PermittedQuery,
    PublishLink, RecipientsQuery, Reseal, ResealQuery, ToReseal, VersionsQuery, WithdrawLink,
};
pub use members::{
    AttestIdentity, AttestationsQuery, Me, Members, MembersClient, MembersDispatcher, NewMember,
    OrganisationMembersQuery, RetireMember, RotateKey, SuspendMember,
};
pub use notarizations::{
    Notarizations, NotarizationsClient, NotarizationsDispatcher, NotarizationsQuery, Notarize, RevokeNotarization,
    VerifyQuery,
};
pub use organisations::{
    EnterOrganisation, Founder, Founders, NameCustodians, Organisations, OrganisationsClient, OrganisationsDispatcher,
};
pub use page::{Page, PageLimit, PageToken};
pub use recoveries::{
    BeginRecovery, NamedRecovery, PlanRecovery, Recoveries, RecoveriesClient, RecoveriesDispatcher, RecoveryStatus,
};
pub use requests::{
    AnswerRequest, AskForAccess, OwnRequestsQuery, PatientRequestsQuery, RemoveStandingRule, Requests, RequestsClient,
    RequestsDispatcher, SetStandingRule,
};
pub use rewards::{
    AccountQuery, AttestTarget, DefineProgram, Enrol, LeaveProgram, ProgramsQuery, RedeemPoints, Rewards,
    RewardsClient, RewardsDispatcher,
};
pub use statistics::{
    ClosePeriod, ContributeCounts, DefineMeasure, EndMeasure, ReleaseStatistics, ReleasesQuery, Statistics,
    StatisticsClient, StatisticsDispatcher, TableQuery,
};
pub use subscriptions::{
    CancelOrder, DueRemindersQuery, MakePlan, OrderSubscription, PlansQuery, RemindSubscriber, Statement,
    StatementQuery, Subscriptions, SubscriptionsClient, SubscriptionsDispatcher,
};

/// All contracts, in the order in which the chaincode serves them. What their functions share goes into `schemas`.
pub fn contracts(schemas: &mut SchemaGenerator) -> Vec<ContractMetadata> {
    vec![
        LinksClient::describe(schemas),
        AmendmentsClient::describe(schemas),
        OrganisationsClient::describe(schemas),
        GovernanceClient::describe(schemas),
        MembersClient::describe(schemas),
        DelegationsClient::describe(schemas),
        RecoveriesClient::describe(schemas),
        ConsentsClient::describe(schemas),
        NotarizationsClient::describe(schemas),
        SubscriptionsClient::describe(schemas),
        AuditClient::describe(schemas),
        AgentsClient::describe(schemas),
        RequestsClient::describe(schemas),
        EmergenciesClient::describe(schemas),
        StatisticsClient::describe(schemas),
        RewardsClient::describe(schemas),
    ]
}
