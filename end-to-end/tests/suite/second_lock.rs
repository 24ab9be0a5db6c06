//! The second lock: what the publisher's gateway hands out to another organisation's gateway, and what it does not.

use std::time::{Duration, SystemTime};

use healthchain_end_to_end::{Answer, Person, World, sha256};
use healthchain_interface::{OpenLink, Opened};
use healthchain_rules::{Decision, LinkId, Purpose, TransactionId};

const RECORD: &[u8] = br#"{"resourceType":"DiagnosticReport"}"#;

crate::promises![
    a_permitted_opening_of_this_link_by_this_organisation_opens_the_second_lock,
    without_an_opening_nothing_is_handed_out,
    a_denied_opening_hands_out_nothing,
    somebody_elses_opening_hands_out_nothing,
    an_opening_of_another_link_or_version_hands_out_nothing,
    an_old_opening_hands_out_nothing,
    members_cannot_fetch_content,
];

async fn a_permitted_opening_of_this_link_by_this_organisation_opens_the_second_lock(world: &World) {
    let (publisher, clinic, link) = published(world).await;
    let opened = open(world, &clinic, &link).await;
    let Decision::Permitted { content, .. } = &opened.opening.decision else { panic!("treatment is permitted") };
    let answer = fetch(&clinic_gateway(world, &publisher), &link, 1, &opened.opening.transaction).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(sha256(&answer.body), content.hash.as_str());
    assert!(!answer.text().contains("resourceType"));
}

async fn without_an_opening_nothing_is_handed_out(world: &World) {
    let (publisher, _, link) = published(world).await;
    let gateway = clinic_gateway(world, &publisher);
    let without = gateway.get(&format!("/v1/contents/{link}/1")).await;
    assert_eq!(without.problem(), (403, "not-a-custodian".to_owned()), "custodians alone need none");
    let malformed = gateway.get(&format!("/v1/contents/{link}/1?opening=none")).await;
    assert_eq!(malformed.problem(), (400, "malformed-query".to_owned()));
    let invented = sha256(b"no transaction").parse().unwrap();
    assert_eq!(fetch(&gateway, &link, 1, &invented).await.problem(), (403, "opening-not-found".to_owned()));
}

async fn a_denied_opening_hands_out_nothing(world: &World) {
    let (publisher, _, link) = published(world).await;
    let payer = world.payer_officer();
    let denied = payer.open(&link, "payment").await;
    assert_eq!(denied.problem(), (403, "consent-required".to_owned()));
    let gateway = gateway_of(world, &payer, &publisher);
    assert_eq!(fetch(&gateway, &link, 1, &denied.opening()).await.problem(), (403, "opening-denied".to_owned()));
}

async fn somebody_elses_opening_hands_out_nothing(world: &World) {
    let (publisher, clinic, link) = published(world).await;
    let opened = open(world, &clinic, &link).await;
    let gateway = gateway_of(world, &world.payer_officer(), &publisher);
    let answer = fetch(&gateway, &link, 1, &opened.opening.transaction).await;
    assert_eq!(answer.problem(), (403, "opening-of-another-organisation".to_owned()));
}

async fn an_opening_of_another_link_or_version_hands_out_nothing(world: &World) {
    let (publisher, clinic, link) = published(world).await;
    let (_, _, other) = published(world).await;
    let opened = open(world, &clinic, &link).await.opening.transaction;
    let gateway = clinic_gateway(world, &publisher);
    let answer = fetch(&gateway, &other, 1, &opened).await;
    assert_eq!(answer.problem(), (403, "opening-of-another-link".to_owned()));
    let answer = fetch(&gateway, &link, 2, &opened).await;
    assert_eq!(answer.problem(), (403, "opening-of-another-version".to_owned()));
}

/// The ledger takes transaction times up to five minutes past; so an opening can be made that is old some seconds later.
async fn an_old_opening_hands_out_nothing(world: &World) {
    let (publisher, clinic, link) = published(world).await;
    let almost_too_old = SystemTime::now() - Duration::from_secs(5 * 60 - 4);
    let call =
        serde_json::to_vec(&OpenLink { link: link.clone(), purpose: Purpose::Treatment, emergency: None }).unwrap();
    let proposal = world.chain(&clinic).contract.proposal("Links:open", vec![call]).at(almost_too_old);
    let opened = proposal.endorse().await.unwrap().commit().await.unwrap();
    let opened: Opened = serde_json::from_slice(opened.result()).unwrap();
    let gateway = clinic_gateway(world, &publisher);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let answer = fetch(&gateway, &link, 1, &opened.opening.transaction).await;
    assert_eq!(answer.problem(), (403, "opening-too-old".to_owned()));
}

async fn members_cannot_fetch_content(world: &World) {
    let (publisher, clinic, link) = published(world).await;
    let opened = open(world, &clinic, &link).await.opening.transaction;
    assert_eq!(fetch(&publisher, &link, 1, &opened).await.problem(), (403, "not-a-gateway".to_owned()));
    let stranger = publisher.showing(Some(clinic.access()));
    assert_eq!(fetch(&stranger, &link, 1, &opened).await.problem(), (401, "client-certificate-not-trusted".to_owned()));
    let nobody = publisher.showing(None);
    assert_eq!(fetch(&nobody, &link, 1, &opened).await.problem(), (401, "client-certificate-missing".to_owned()));
}

/// The publishing clinician, another organisation's clinician, and a link of the former.
async fn published(world: &World) -> (Person, Person, LinkId) {
    let hospital = world.hospital_clinician();
    let link = hospital.publish(world.new_patient().id(), "laboratory", RECORD).await;
    (hospital, world.clinic_clinician(), link)
}

async fn open(world: &World, person: &Person, link: &LinkId) -> Opened {
    let call = OpenLink { link: link.clone(), purpose: Purpose::Treatment, emergency: None };
    world.chain(person).links().open(&call).await.unwrap()
}

fn clinic_gateway(world: &World, publisher: &Person) -> Person {
    gateway_of(world, &world.clinic_clinician(), publisher)
}

/// The gateway of a person's organisation, as it comes to the publisher's gateway.
fn gateway_of(world: &World, person: &Person, publisher: &Person) -> Person {
    let organisations = &world.network.consortium().organisations;
    let organisation = organisations.iter().find(|organisation| organisation.msp_id == person.access().msp_id).unwrap();
    let records = world.network.layout().organisation(&organisation.name).records();
    let folder = records.parent().unwrap();
    publisher.showing_files(&folder.join("tls-certificate.pem"), &folder.join("tls-key.pem"))
}

async fn fetch(gateway: &Person, link: &LinkId, version: u32, opening: &TransactionId) -> Answer {
    gateway.get(&format!("/v1/contents/{link}/{version}?opening={opening}")).await
}
