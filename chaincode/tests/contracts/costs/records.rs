//! Calls about links, who may open them, and what is left of it on the trails.

use healthchain_interface::*;
use healthchain_rules::emergency::Finding;
use healthchain_rules::standing_rule::RuleAnswer;
use healthchain_rules::*;

use super::Costs;
use crate::consortium::*;
use crate::{accounting, amendments, emergencies, envelopes, erasures, links, requests, resealing};

pub(super) async fn call_all(costs: &Costs) {
    let consortium = Consortium::new().await;
    publish_and_amend(costs, &consortium).await;
    call_consents(costs, &consortium).await;
    call_requests(costs, &consortium).await;
    let opening = open(costs, &consortium).await;
    call_audit(costs, &consortium, &opening).await;
    reseal_and_remove(costs, &consortium).await;
    call_emergencies(costs).await;
}

/// Link `l1` at version 2, and `l2`.
async fn publish_and_amend(costs: &Costs, consortium: &Consortium) {
    let publisher = LinksClient::new(costs.of(consortium, "carol"));
    let query = RecipientsQuery { patient: id("alice"), category: Category::Summary };
    publisher.recipients(&query).await.unwrap();
    publisher.publish(&consortium.publication("l1", Category::Summary).await).await.unwrap();
    consortium.publish("l2", Category::Summary).await;

    let carol = AmendmentsClient::new(costs.of(consortium, "carol"));
    let clara = AmendmentsClient::new(costs.of(consortium, "clara"));
    carol.propose(&amendments::proposal(consortium, "a1", "l1", 1).await).await.unwrap();
    clara.approve(&amendments::approval("a1")).await.unwrap();
    for amendment in ["a2", "a3"] {
        amendments::propose(consortium, amendment, 2).await;
    }
    clara.reject(&amendments::rejection("a2")).await.unwrap();
    carol.withdraw(&amendments::withdrawal("a3")).await.unwrap();
    clara.amendment(&id("a1")).await.unwrap();
    clara.of_link(&AmendmentsQuery { link: id("l1"), page_token: None, limit: None }).await.unwrap();

    let reader = LinksClient::new(costs.of(consortium, "clara"));
    reader.link(&id("l1")).await.unwrap();
    reader.version(&id("l1"), &1).await.unwrap();
    reader.versions(&amendments::versions("l1")).await.unwrap();
    reader.permitted(&links::query(Purpose::Treatment)).await.unwrap();
}

async fn call_consents(costs: &Costs, consortium: &Consortium) {
    let alice = ConsentsClient::new(costs.of(consortium, "alice"));
    alice.grant(&to_payer("c1", Effect::Permit)).await.unwrap();
    alice.of_patient(&id("alice")).await.unwrap();
    alice.consent(&ConsentQuery { patient: id("alice"), consent: id("c1") }).await.unwrap();
    let query = PatientConsentsQuery { patient: id("alice"), page_token: None, limit: None };
    alice.all_of_patient(&query).await.unwrap();
    alice.revoke(&revocation("c1")).await.unwrap();
}

async fn call_requests(costs: &Costs, consortium: &Consortium) {
    let pia = RequestsClient::new(costs.of(consortium, "pia"));
    let alice = RequestsClient::new(costs.of(consortium, "alice"));
    pia.ask(&requests::asking("r1")).await.unwrap();
    alice.answer(&requests::granting("r1", "c2")).await.unwrap();
    consortium.person("pia").requests().ask(&requests::asking("r2")).await.unwrap();
    pia.withdraw(&id("r2")).await.unwrap();
    pia.request(&id("r1")).await.unwrap();
    pia.of_requester(&OwnRequestsQuery::default()).await.unwrap();
    alice.of_patient(&requests::of_alice()).await.unwrap();
    alice.set_rule(&requests::rule("s1", RuleAnswer::Refuse)).await.unwrap();
    alice.rules(&id("alice")).await.unwrap();
    alice.remove_rule(&requests::removal("s1")).await.unwrap();
}

/// Pia opens what the answered request permits, which nobody sealed to the payer before.
async fn open(costs: &Costs, consortium: &Consortium) -> TransactionId {
    let pia = LinksClient::new(costs.of(consortium, "pia"));
    let call = OpenLink { link: id("l1"), purpose: Purpose::Payment, emergency: None };
    let opened = pia.open(&call).await.unwrap();
    let opening = &opened.opening.transaction;
    let gateway = LinksClient::new(costs.of(consortium, "gateway-hospital"));
    gateway.in_force(opening).await.unwrap();
    gateway.custodian_envelope(&id("l1"), &2).await.unwrap();
    consortium.name_custodian("clinic").await;
    gateway.replicable(&id("l1"), &1, &id("clinic")).await.unwrap();
    gateway.add_envelope(&envelopes::asked_for(&opened)).await.unwrap();
    pia.opening(opening).await.unwrap();
    assert!(pia.envelope(opening).await.unwrap().is_some());
    opened.opening.transaction
}

async fn call_audit(costs: &Costs, consortium: &Consortium, opening: &TransactionId) {
    let alice = AuditClient::new(costs.of(consortium, "alice"));
    let call = ReadTrail { trail: Trail::OfPatient(id("alice")), from: None, until: None };
    let reading = alice.read(&call).await.unwrap();
    let query = EntriesQuery { reading: reading.transaction.clone(), page_token: None, limit: None };
    alice.entries(&query).await.unwrap();
    let query = AccountingQuery { reading: reading.transaction, all: true, page_token: None, limit: None };
    let disclosures = alice.accounting(&query).await.unwrap().items;
    alice.replay(opening).await.unwrap();

    let pam = AuditClient::new(costs.of(consortium, "pam"));
    pam.hold(&accounting::place(disclosures[0].time.plus_days(7))).await.unwrap();
    pam.held(&id("h1")).await.unwrap();
    pam.release_hold(&id("h1")).await.unwrap();

    let gateway = AuditClient::new(costs.of(consortium, "gateway-patients"));
    let events = consortium.told().await;
    let known = gateway.known(&KnownQuery { member: id("alice"), events }).await.unwrap();
    assert!(known.contains(opening));
}

async fn reseal_and_remove(costs: &Costs, consortium: &Consortium) {
    resealing::rotate_alices_encryption_key(consortium).await;
    let gateway = LinksClient::new(costs.of(consortium, "gateway-hospital"));
    let list = gateway.to_reseal(&resealing::of_alice()).await.unwrap().items;
    let (link, envelope) = (list[0].link.clone(), envelope_for(&list[0].recipient));
    gateway.reseal(&Reseal { link, envelope }).await.unwrap();

    let carol = LinksClient::new(costs.of(consortium, "carol"));
    carol.withdraw(&links::withdrawal("l2")).await.unwrap();
    let pam = LinksClient::new(costs.of(consortium, "pam"));
    pam.erase(&erasures::erasure("l1")).await.unwrap();
    gateway.confirm_destruction(&id("l1")).await.unwrap();
    pam.erasure_receipt(&id("l1")).await.unwrap();
}

async fn call_emergencies(costs: &Costs) {
    let consortium = emergencies::with_olga().await;
    let carol = EmergenciesClient::new(costs.of(&consortium, "carol"));
    let emergency = carol.declare(&emergencies::of_alice()).await.unwrap();
    carol.end(&emergency.id).await.unwrap();
    let olga = EmergenciesClient::new(costs.of(&consortium, "olga"));
    olga.emergency(&emergency.id).await.unwrap();
    olga.to_review(&ToReviewQuery::default()).await.unwrap();
    olga.review(&emergencies::review(&emergency, Finding::Justified)).await.unwrap();
}
