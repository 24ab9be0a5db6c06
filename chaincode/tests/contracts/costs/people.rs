//! Calls about who takes part and who may act for whom.

use healthchain_interface::*;
use healthchain_rules::attestation::ProofingMethod;
use healthchain_rules::*;

use super::Costs;
use crate::consortium::*;
use crate::governance::{approval, notaries, proposal};
use crate::{agents, delegations, identities, recoveries};

pub(super) async fn call_all(costs: &Costs) {
    call_organisations(costs).await;
    call_members(costs).await;
    call_governance(costs).await;
    call_delegations(costs).await;
    call_recoveries(costs).await;
    call_agents(costs).await;
}

async fn call_organisations(costs: &Costs) {
    let consortium = Consortium::empty().await;
    let hospital = OrganisationsClient::new(costs.of(&consortium, "admin-hospital"));
    hospital.bootstrap(&founders()).await.unwrap();
    hospital.enter(&consortium.entry("hospital")).await.unwrap();
    hospital.organisation(&id("hospital")).await.unwrap();
    hospital.organisations().await.unwrap();
    let named = NameCustodians { organisation: id("hospital"), custodians: [id("clinic")].into() };
    consortium.person("admin-clinic").organisations().enter(&consortium.entry("clinic")).await.unwrap();
    hospital.name_custodians(&named).await.unwrap();
    hospital.custodians(&id("hospital")).await.unwrap();
    let nobody = NameCustodians { custodians: [].into(), ..named };
    consortium.person("admin-hospital").organisations().name_custodians(&nobody).await.unwrap();
    let clinic = OrganisationsClient::new(costs.of(&consortium, "gateway-clinic"));
    clinic.confirm_copies_destroyed(&id("hospital")).await.unwrap();
}

async fn call_members(costs: &Costs) {
    let (mut consortium, rotation) = identities::with_next_key().await;
    consortium.add("nina", "hospital", "client");
    let administrator = MembersClient::new(costs.of(&consortium, "admin-hospital"));
    administrator.register(&consortium.new_member("nina", Role::Clinician)).await.unwrap();
    let suspension = SuspendMember { member: id("nina"), reason: id("on leave") };
    administrator.suspend(&suspension).await.unwrap();
    administrator.reinstate(&id("nina")).await.unwrap();
    administrator.retire(&RetireMember { member: id("nina"), reason: id("left") }).await.unwrap();
    administrator.member(&id("carol")).await.unwrap();
    let query = OrganisationMembersQuery { organisation: id("hospital"), page_token: None, limit: None };
    administrator.of_organisation(&query).await.unwrap();

    let carol = MembersClient::new(costs.of(&consortium, "carol"));
    carol.attest(&AttestIdentity { member: id("alice"), method: ProofingMethod::InPerson }).await.unwrap();
    let query = AttestationsQuery { member: id("alice"), page_token: None, limit: None };
    carol.attestations(&query).await.unwrap();
    carol.me().await.unwrap();
    carol.rotate_key(&rotation).await.unwrap();
}

/// The vote that is counted is the one that carries.
async fn call_governance(costs: &Costs) {
    let consortium = Consortium::new().await;
    let hospital = GovernanceClient::new(costs.of(&consortium, "admin-hospital"));
    hospital.propose(&proposal("p1", notaries("notaries", &["pam"]))).await.unwrap();
    consortium.person("admin-clinic").governance().vote(&approval("p1")).await.unwrap();
    let payer = GovernanceClient::new(costs.of(&consortium, "admin-payer"));
    payer.vote(&approval("p1")).await.unwrap();
    hospital.proposal(&id("p1")).await.unwrap();
    hospital.proposals(&ProposalsQuery::default()).await.unwrap();
    hospital.settings().await.unwrap();
    hospital.group(&id("notaries")).await.unwrap();
    hospital.groups(&GroupsQuery::default()).await.unwrap();
    hospital.explain(&ExplainQuery { member: id("pam"), permission: Permission::Notarize }).await.unwrap();

    let change = Change::DissolveGroup { group: id("notaries") };
    consortium.person("admin-hospital").governance().propose(&proposal("p2", change)).await.unwrap();
    hospital.withdraw(&id("p2")).await.unwrap();
}

async fn call_delegations(costs: &Costs) {
    let consortium = delegations::with_guardians().await;
    let alice = DelegationsClient::new(costs.of(&consortium, "alice"));
    alice.delegate(&delegations::to("gina", "d1")).await.unwrap();
    alice.of_patient(&delegations::of_alice()).await.unwrap();
    let gina = DelegationsClient::new(costs.of(&consortium, "gina"));
    gina.of_guardian(&delegations::of_gina()).await.unwrap();
    gina.end(&EndDelegation { patient: id("alice"), guardian: id("gina") }).await.unwrap();
}

async fn call_recoveries(costs: &Costs) {
    let consortium = recoveries::with_next_key().await;
    let alice = RecoveriesClient::new(costs.of(&consortium, "alice"));
    alice.plan(&recoveries::plan()).await.unwrap();
    let carol = RecoveriesClient::new(costs.of(&consortium, "carol"));
    carol.begin(&recoveries::beginning(&consortium, "r1")).await.unwrap();
    alice.object(&recoveries::named("r1")).await.unwrap();

    let again = recoveries::beginning(&consortium, "r2");
    consortium.person("carol").recoveries().begin(&again).await.unwrap();
    let payer = RecoveriesClient::new(costs.of(&consortium, "admin-payer"));
    payer.approve(&recoveries::named("r2")).await.unwrap();
    let payer = RecoveriesClient::new(costs.of_later(&consortium, "admin-payer", 73));
    payer.complete(&recoveries::named("r2")).await.unwrap();
    let alice = RecoveriesClient::new(costs.of(&consortium, "alice-again"));
    alice.recovery(&id("alice")).await.unwrap();
}

async fn call_agents(costs: &Costs) {
    let mut consortium = Consortium::new().await;
    consortium.add("monitor", "pharmacy", "client");
    let administrator = AgentsClient::new(costs.of(&consortium, "admin-pharmacy"));
    administrator.deploy(&agents::monitor(&consortium)).await.unwrap();
    let phil = AgentsClient::new(costs.of(&consortium, "phil"));
    phil.agent(&id("monitor")).await.unwrap();
    phil.stop(&StopAgent { agent: id("monitor"), reason: id("odd answers") }).await.unwrap();
}
