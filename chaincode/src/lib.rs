//! Healthchain's chaincode: each contract function loads, asks the rules, and saves.
//!
//! What a function may do is decided in `healthchain_rules`; how state lies on the ledger is known in `storage` alone.

mod agents;
mod amendments;
mod audit;
mod caller;
mod consents;
mod delegations;
mod emergencies;
mod encryption_key;
mod governance;
mod grounds;
mod links;
mod members;
mod notarizations;
mod organisations;
mod page_token;
mod recoveries;
mod requests;
mod rewards;
mod statistics;
mod storage;
mod subscriptions;
mod transaction;

use fabric_contract::Chaincode;
use healthchain_interface as interface;

/// The chaincode with its contracts, ready to be served.
pub fn chaincode() -> Chaincode {
    Chaincode::new()
        .contract(interface::LinksDispatcher::new(links::LinkContract))
        .contract(interface::AmendmentsDispatcher::new(amendments::AmendmentContract))
        .contract(interface::OrganisationsDispatcher::new(organisations::OrganisationContract))
        .contract(interface::GovernanceDispatcher::new(governance::GovernanceContract))
        .contract(interface::MembersDispatcher::new(members::MemberContract))
        .contract(interface::DelegationsDispatcher::new(delegations::DelegationContract))
        .contract(interface::RecoveriesDispatcher::new(recoveries::RecoveryContract))
        .contract(interface::ConsentsDispatcher::new(consents::ConsentContract))
        .contract(interface::NotarizationsDispatcher::new(notarizations::NotarizationContract))
        .contract(interface::SubscriptionsDispatcher::new(subscriptions::SubscriptionContract))
        .contract(interface::AuditDispatcher::new(audit::AuditContract))
        .contract(interface::AgentsDispatcher::new(agents::AgentContract))
        .contract(interface::RequestsDispatcher::new(requests::RequestContract))
        .contract(interface::EmergenciesDispatcher::new(emergencies::EmergencyContract))
        .contract(interface::StatisticsDispatcher::new(statistics::StatisticsContract))
        .contract(interface::RewardsDispatcher::new(rewards::RewardContract))
}
