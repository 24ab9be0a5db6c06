//! Copies that custodians keep: how they are made, who is given them, and when they go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use healthchain_gateway::configuration::ReplicasConfiguration;
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::replicas::{self, Pace};
use healthchain_gateway::state::State;
use healthchain_gateway::state::replicas::{Measure, measure};
use healthchain_rules::{Decision, Denial, Destruction, LinkId, MspId};
use serde_json::json;
use tokio::task::JoinHandle;

use super::ledger::transaction;
use super::world::{Organisation, RECORD, World, problem};

/// Nothing waits long.
pub(crate) const HASTE: Pace = Pace {
    pause: Duration::from_millis(50),
    longest_pause: Duration::from_millis(200),
    check: Duration::from_millis(300),
};

fn keep_with(gateway: &Arc<Gateway>, configuration: ReplicasConfiguration) -> JoinHandle<()> {
    tokio::spawn(replicas::run(Arc::clone(gateway), configuration, HASTE))
}

/// The organisation's operator lets it keep copies for the hospital.
fn keep(organisation: &Organisation) -> JoinHandle<()> {
    keep_with(&organisation.gateway, for_hospital())
}

fn for_hospital() -> ReplicasConfiguration {
    ReplicasConfiguration { keep_for: vec!["HospitalMSP".into()], ..ReplicasConfiguration::default() }
}

fn stored(organisation: &Organisation) -> Vec<PathBuf> {
    std::fs::read_dir(organisation.records()).unwrap().map(|file| file.unwrap().path()).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

async fn until_measured(organisation: &Organisation, kept: u64, pending: u64) {
    let mut found = Measure::default();
    for _ in 0..200 {
        found = measure(&organisation.gateway.state).await.unwrap();
        if (found.kept, found.pending) == (kept, pending) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{found:?}");
}

/// A record of the hospital's with an envelope for the payer; clinic and pharmacy are custodians.
async fn published() -> (World, String) {
    published_as(RECORD).await
}

async fn published_as(record: &'static str) -> (World, String) {
    let world = World::with_custodians().await;
    world.entitle_payer_at_publication();
    let (status, published) = world.publish("key-1", record).await;
    assert_eq!(status, 201, "{published}");
    let link = published["id"].as_str().unwrap().to_owned();
    world.ledger.tell_published(&link);
    (world, link)
}

/// A record in parts.
fn large_record() -> &'static str {
    Box::leak("0123456789".repeat(250_000).into_boxed_str())
}

async fn copy_to(custodian: &Organisation) {
    let task = keep(custodian);
    until_measured(custodian, 1, 0).await;
    task.abort();
}

/// The same, copied to both.
async fn copied() -> (World, String) {
    let (world, link) = published().await;
    for custodian in &world.others {
        copy_to(custodian).await;
    }
    (world, link)
}

async fn fetch(of: &Organisation, as_gateway_of: &Organisation, path: &str) -> reqwest::Response {
    of.client(Some(&as_gateway_of.gateway_tls)).get(of.at(path)).send().await.unwrap()
}

#[tokio::test]
async fn what_is_published_is_copied_as_it_lies_with_the_publisher_under_another_name() {
    let (world, _) = copied().await;
    let original = world.hospital.record();
    for custodian in &world.others {
        let copy = custodian.record();
        assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&original).unwrap());
        assert_ne!(copy.file_name(), original.file_name());
    }
}

#[tokio::test]
async fn whoever_is_named_later_copies_what_was_there_before() {
    let (world, _) = published().await;
    let (hospital, clinic) = (&world.hospital.msp_id, &world.others[0]);
    world.ledger.name_custodians(hospital, &[]);
    let task = keep(clinic);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(measure(&clinic.gateway.state).await.unwrap(), Measure::default(), "nobody asked for it");
    world.ledger.name_custodians(hospital, &[&clinic.msp_id]);
    until_measured(clinic, 1, 0).await;
    task.abort();
}

#[tokio::test]
async fn nothing_is_kept_for_those_for_whom_the_operator_keeps_none() {
    let (world, _) = published().await;
    let clinic = &world.others[0];
    let task = keep_with(&clinic.gateway, ReplicasConfiguration::default());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(stored(clinic).is_empty());
    task.abort();
    let task = keep(clinic);
    until_measured(clinic, 1, 0).await;
    task.abort();
    let task = keep_with(&clinic.gateway, ReplicasConfiguration::default());
    until("the copy to go with the agreement", || stored(clinic).is_empty()).await;
    task.abort();
}

#[tokio::test]
async fn no_more_bytes_are_kept_than_the_operator_allows() {
    let (world, _) = published().await;
    let clinic = &world.others[0];
    let task = keep_with(&clinic.gateway, ReplicasConfiguration { max_bytes: 10, ..for_hospital() });
    until_measured(clinic, 0, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(stored(clinic).is_empty());
    task.abort();
    let task = keep(clinic);
    until_measured(clinic, 1, 0).await;
    task.abort();
}

#[tokio::test]
async fn what_could_not_be_copied_while_the_publisher_was_down_is_copied_when_it_is_back() {
    let (mut world, _) = published().await;
    world.stop_hospital().await;
    let task = keep(&world.others[0]);
    until_measured(&world.others[0], 0, 1).await;
    // A restart in the meantime loses nothing.
    task.abort();
    let task = keep(&world.others[0]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(stored(&world.others[0]).is_empty());
    world.restart_hospital().await;
    until_measured(&world.others[0], 1, 0).await;
    task.abort();
}

#[tokio::test]
async fn what_is_not_the_published_content_is_not_kept() {
    let (world, _) = published().await;
    let original = std::fs::read(world.hospital.record()).unwrap();
    let clinic = &world.others[0];
    let task = keep(clinic);
    until_measured(clinic, 1, 0).await;
    for change in [
        |stored: &mut Vec<u8>| stored[40] ^= 1,
        |stored: &mut Vec<u8>| stored.push(b'A'),
        |stored: &mut Vec<u8>| stored.truncate(9),
    ] {
        let mut changed = original.clone();
        change(&mut changed);
        std::fs::write(world.hospital.record(), changed).unwrap();
        std::fs::remove_file(clinic.record()).unwrap();
        until_measured(clinic, 0, 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(stored(clinic).is_empty());
        std::fs::write(world.hospital.record(), &original).unwrap();
        until_measured(clinic, 1, 0).await;
    }
    task.abort();
}

#[tokio::test]
async fn a_record_opens_from_a_copy_when_its_publisher_is_down() {
    let (mut world, link) = copied().await;
    world.stop_hospital().await;
    for _ in 0..2 {
        let response = world.open(&world.payer, &link).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.bytes().await.unwrap(), RECORD);
    }
    let clinic = &world.others[0];
    world.ledger.state.lock().unwrap().permitted.insert(clinic.msp_id.clone());
    let recipient = world.ledger.state.lock().unwrap().recipient_of[&world.payer.msp_id].clone();
    world.ledger.state.lock().unwrap().recipient_of.insert(clinic.msp_id.clone(), recipient);
    let denied = world.open(clinic, &link).await;
    assert_ne!(denied.status(), 200, "a custodian has the copy and no key");
}

#[tokio::test]
async fn a_range_is_read_from_a_copy_too() {
    let record = large_record();
    let (mut world, link) = published_as(record).await;
    copy_to(&world.others[1]).await;
    world.stop_hospital().await;
    let opened = world.open(&world.payer, &link).await;
    assert_eq!(opened.status(), 200);
    let place = opened.headers()["content-location"].to_str().unwrap().to_owned();
    assert_eq!(opened.bytes().await.unwrap(), record);
    let range = world.payer.member().get(world.payer.at(&place)).header("range", "bytes=2000005-2000014");
    let range = range.send().await.unwrap();
    assert_eq!(range.status(), 206);
    assert_eq!(range.bytes().await.unwrap(), record[2_000_005..2_000_015]);
}

#[tokio::test]
async fn bytes_that_a_custodian_changed_are_refused_and_the_next_one_is_asked() {
    let (mut world, link) = copied().await;
    world.stop_hospital().await;
    let spoil = |custodian: &Organisation| {
        let mut copy = std::fs::read(custodian.record()).unwrap();
        *copy.last_mut().unwrap() ^= 1;
        std::fs::write(custodian.record(), copy).unwrap();
    };
    spoil(&world.others[0]);
    let response = world.open(&world.payer, &link).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap(), RECORD);
    spoil(&world.others[1]);
    let refused = world.open(&world.payer, &link).await;
    assert_eq!(refused.status().as_u16() / 100, 5);
    assert!(!refused.text().await.unwrap().contains("resourceType"));
}

#[tokio::test]
async fn a_content_that_its_publisher_has_lost_or_spoilt_is_read_from_a_copy_by_either_organisation() {
    for spoil in [|path: PathBuf| std::fs::remove_file(path).unwrap(), |path| std::fs::write(path, "spoilt").unwrap()] {
        let (world, link) = copied().await;
        spoil(world.hospital.record());
        for reader in [&world.hospital, &world.payer] {
            let response = world.open(reader, &link).await;
            assert_eq!(response.status(), 200, "{}", reader.msp_id);
            assert_eq!(response.bytes().await.unwrap(), RECORD);
        }
    }
}

#[tokio::test]
async fn a_custodians_own_members_read_from_the_own_copy_under_the_same_lock() {
    let (mut world, link) = copied().await;
    let hospital = world.hospital.msp_id.clone();
    world.ledger.name_custodians(&hospital, &[&world.payer.msp_id.clone()]);
    let task = keep(&world.payer);
    until_measured(&world.payer, 1, 0).await;
    task.abort();
    world.stop_hospital().await;
    assert_eq!(world.open(&world.payer, &link).await.bytes().await.unwrap(), RECORD);
    world.ledger.state.lock().unwrap().permitted.remove(&world.payer.msp_id);
    let place = format!("/v1/openings/{}/content", transaction(0));
    let again = world.payer.member().get(world.payer.at(&place)).send().await.unwrap();
    problem(again, 403, "opening-not-in-force").await;
}

#[tokio::test]
async fn a_stranger_gets_nothing_of_publisher_or_custodian_without_an_opening() {
    let (world, link) = copied().await;
    let path = format!("/v1/contents/{link}/1");
    let clinic = &world.others[0];
    problem(fetch(&world.hospital, &world.payer, &path).await, 403, "not-a-custodian").await;
    problem(fetch(clinic, &world.payer, &path).await, 404, "unknown-link").await;
    problem(fetch(clinic, &world.others[1], &path).await, 404, "unknown-link").await;
    let member = clinic.client(Some(&clinic.member_tls)).get(clinic.at(&path)).send().await.unwrap();
    assert!(matches!(member.status().as_u16(), 401 | 403), "{}", member.status());
    assert_eq!(fetch(&world.hospital, clinic, &path).await.status(), 200);
    assert_eq!(fetch(clinic, &world.hospital, &path).await.status(), 200);
}

#[tokio::test]
async fn a_custodians_gateway_holds_the_publishers_lock() {
    let (world, link) = copied().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 200);
    let clinic = &world.others[0];
    let path = |opening: u64| format!("/v1/contents/{link}/1?opening={}", transaction(opening));
    assert_eq!(fetch(clinic, &world.payer, &path(0)).await.status(), 200);
    problem(fetch(clinic, &world.payer, &path(99)).await, 403, "opening-not-found").await;
    problem(fetch(clinic, &world.others[1], &path(0)).await, 403, "opening-of-another-organisation").await;
    let change = |change: &dyn Fn(&mut healthchain_rules::Opening)| {
        change(world.ledger.state.lock().unwrap().openings.get_mut(&transaction(0)).unwrap());
    };
    change(&|opening| opening.publisher = world.payer.msp_id.clone());
    problem(fetch(clinic, &world.payer, &path(0)).await, 404, "not-the-publisher").await;
    change(&|opening| opening.publisher = world.hospital.msp_id.clone());
    world.ledger.state.lock().unwrap().permitted.remove(&world.payer.msp_id);
    problem(fetch(clinic, &world.payer, &path(0)).await, 403, "opening-not-in-force").await;
    change(&|opening| {
        opening.decision = Decision::Denied { reason: Denial::PatientDenied, exception: None, provision: None };
    });
    problem(fetch(clinic, &world.payer, &path(0)).await, 403, "opening-denied").await;
}

#[tokio::test]
async fn a_custodian_that_is_struck_off_gets_nothing_more_and_destroys_what_it_has() {
    let (world, link) = copied().await;
    let [clinic, pharmacy] = &world.others[..] else { panic!("two custodians") };
    world.ledger.name_custodians(&world.hospital.msp_id, &[&pharmacy.msp_id]);
    let path = format!("/v1/contents/{link}/1");
    problem(fetch(&world.hospital, clinic, &path).await, 403, "not-a-custodian").await;
    let tasks = [keep(clinic), keep(pharmacy)];
    until("the copy to go", || stored(clinic).is_empty()).await;
    until("the ledger to hear of it", || may_hold(&world).is_empty()).await;
    assert_eq!(stored(pharmacy).len(), 1);
    assert_eq!(measure(&clinic.gateway.state).await.unwrap(), Measure::default());
    tasks.iter().for_each(JoinHandle::abort);
    assert_eq!(world.ledger.called("Organisations:confirmCopiesDestroyed"), 1);
}

/// Who was struck off and has not said that its copies are destroyed.
fn may_hold(world: &World) -> Vec<MspId> {
    let state = world.ledger.state.lock().unwrap();
    state.former.get(&world.hospital.msp_id).into_iter().flatten().cloned().collect()
}

#[tokio::test]
async fn a_former_custodian_says_that_its_copies_are_destroyed_only_when_they_are() {
    let (world, _) = copied().await;
    let [clinic, pharmacy] = &world.others[..] else { panic!("two custodians") };
    world.ledger.name_custodians(&world.hospital.msp_id, &[&pharmacy.msp_id]);
    let (folder, away) = (clinic.records(), clinic.folder.path().join("unmounted"));
    std::fs::rename(&folder, &away).unwrap();
    let task = keep(clinic);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.ledger.called("Organisations:confirmCopiesDestroyed"), 0);
    std::fs::rename(&away, &folder).unwrap();
    until("the ledger to hear of it", || may_hold(&world).is_empty()).await;
    assert!(stored(clinic).is_empty());
    task.abort();
}

/// Its copies have names that follow from what they are copies of.
#[tokio::test]
async fn a_former_custodian_that_has_lost_its_state_finds_its_copies_and_one_that_keeps_none_says_so_too() {
    for configuration in [for_hospital(), ReplicasConfiguration::default()] {
        let (world, _) = copied().await;
        let [clinic, pharmacy] = &world.others[..] else { panic!("two custodians") };
        world.ledger.name_custodians(&world.hospital.msp_id, &[&pharmacy.msp_id]);
        let organisation = json!([{"msp_id": "HospitalMSP", "kind": "primary-care", "state": {"state": "founded"}}]);
        world.ledger.state.lock().unwrap().answers.insert("Organisations:organisations".into(), organisation);
        let state = State::in_memory().await.unwrap();
        let gateway = Arc::new(Gateway { state, ..Gateway::clone(&clinic.gateway) });
        let task = keep_with(&gateway, configuration);
        until("the ledger to hear of it", || may_hold(&world).is_empty()).await;
        assert!(stored(clinic).is_empty());
        task.abort();
    }
}

#[tokio::test]
async fn whoever_is_named_again_after_it_said_that_its_copies_are_destroyed_copies_everything_again() {
    let (world, _) = copied().await;
    let (hospital, clinic) = (&world.hospital.msp_id, &world.others[0]);
    let task = keep(clinic);
    world.ledger.name_custodians(hospital, &[]);
    until("the ledger to hear of it", || !may_hold(&world).contains(&clinic.msp_id)).await;
    assert!(stored(clinic).is_empty());
    world.ledger.name_custodians(hospital, &[&clinic.msp_id]);
    until_measured(clinic, 1, 0).await;
    task.abort();
}

/// A peer that was set up anew does not know yet who is a custodian.
#[tokio::test]
async fn nothing_is_destroyed_while_the_peer_knows_less_than_was_read_before() {
    let (world, _) = copied().await;
    let clinic = &world.others[0];
    world.ledger.state.lock().unwrap().height = 0;
    world.ledger.state.lock().unwrap().custodians.clear();
    let task = keep(clinic);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(stored(clinic).len(), 1);
    world.ledger.state.lock().unwrap().height = 1_000_000;
    until("the copy to go", || stored(clinic).is_empty()).await;
    task.abort();
}

#[tokio::test]
async fn an_erased_links_copies_are_destroyed_and_the_receipt_says_by_whom() {
    let (world, link) = copied().await;
    let kept = world.publish("key-2", "another record").await.1["id"].as_str().unwrap().to_owned();
    world.ledger.tell_published(&kept);
    let [clinic, pharmacy] = &world.others[..] else { panic!("two custodians") };
    // Nobody keeps copies while it is erased: the custodian hears of it late.
    world.ledger.erase(&link);
    let task = keep(clinic);
    let confirmed = |custodian: &Organisation| {
        let state = world.ledger.state.lock().unwrap();
        let receipt = &state.receipts[&link.parse().unwrap()];
        (receipt.copies[&custodian.msp_id], receipt.content)
    };
    until("the receipt", || matches!(confirmed(clinic).0, Destruction::Confirmed { .. })).await;
    assert_eq!(confirmed(pharmacy), (Destruction::Ordered, Destruction::Ordered), "nobody speaks for others");
    until_measured(clinic, 1, 0).await;
    assert_eq!(stored(clinic).len(), 1, "the other record's");
    assert_eq!(stored(pharmacy).len(), 1);
    task.abort();
}

#[tokio::test]
async fn an_erased_links_copy_is_found_by_its_hash_when_the_state_is_lost() {
    let (world, link) = copied().await;
    let clinic = &world.others[0];
    let state = State::in_memory().await.unwrap();
    let gateway = Arc::new(Gateway { state, ..Gateway::clone(&clinic.gateway) });
    world.ledger.erase(&link);
    let task = keep_with(&gateway, for_hospital());
    until("the copy to go", || stored(clinic).is_empty()).await;
    task.abort();
}

#[tokio::test]
async fn what_is_copied_again_after_the_state_was_lost_leaves_nothing_behind() {
    let (world, link) = copied().await;
    let clinic = &world.others[0];
    let state = State::in_memory().await.unwrap();
    let gateway = Arc::new(Gateway { state, ..Gateway::clone(&clinic.gateway) });
    let task = keep_with(&gateway, for_hospital());
    let kept = async || measure(&gateway.state).await.unwrap().kept;
    for _ in 0..200 {
        if kept().await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((kept().await, stored(clinic).len()), (1, 1), "it lies where it lay");
    world.ledger.erase(&link);
    until("the copy to go", || stored(clinic).is_empty()).await;
    task.abort();
}

#[tokio::test]
async fn a_lost_copy_is_made_again() {
    let (world, _) = copied().await;
    let clinic = &world.others[0];
    std::fs::remove_file(clinic.record()).unwrap();
    let task = keep(clinic);
    until("the copy to be made again", || stored(clinic).len() == 1).await;
    assert_eq!(std::fs::read(clinic.record()).unwrap(), std::fs::read(world.hospital.record()).unwrap());
    task.abort();
}

#[tokio::test]
async fn a_record_that_the_publisher_has_lost_comes_back_from_a_custodian_whose_copy_is_the_right_one() {
    let (world, link) = copied().await;
    let lost = world.hospital.record();
    let content = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    std::fs::write(world.others[0].record(), "spoilt").unwrap();
    let place = healthchain_gateway::use_cases::collect_records::learn;
    let link_id = link.parse().unwrap();
    place(&world.hospital.gateway, healthchain_gateway::content::parts::Place { link: &link_id, version: 1 })
        .await
        .unwrap();
    let task = keep_with(&world.hospital.gateway, ReplicasConfiguration::default());
    until("the record to come back", || lost.exists()).await;
    assert_eq!(std::fs::read(&lost).unwrap(), content);
    task.abort();
}

/// As the publisher's own state knows what lies in its store.
fn look_after_hospital(world: &World) -> JoinHandle<()> {
    keep_with(&world.hospital.gateway, ReplicasConfiguration::default())
}

#[tokio::test]
async fn a_record_found_lost_or_spoilt_when_somebody_opens_it_is_mended_from_the_custodian_that_has_it_right() {
    let spoil = [
        |path: PathBuf| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, "spoilt").unwrap(),
        |path| std::fs::write(&path, [std::fs::read(&path).unwrap(), b"A".to_vec()].concat()).unwrap(),
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        for reader in ["hospital", "payer"] {
            let (world, link) = copied().await;
            let own = world.hospital.record();
            let content = std::fs::read(&own).unwrap();
            spoil(own.clone());
            std::fs::write(world.others[0].record(), "spoilt").unwrap();
            // Nothing is looked at by the clock.
            let pace = Pace { check: Duration::from_secs(3600), ..HASTE };
            let gateway = Arc::clone(&world.hospital.gateway);
            let task = tokio::spawn(replicas::run(gateway, ReplicasConfiguration::default(), pace));
            let reader = if reader == "payer" { &world.payer } else { &world.hospital };
            let response = world.open(reader, &link).await;
            assert_eq!(response.bytes().await.unwrap(), RECORD, "{number}");
            until("the record to be mended", || std::fs::read(&own).is_ok_and(|held| held == content)).await;
            task.abort();
        }
    }
}

#[tokio::test]
async fn a_large_record_that_turns_out_spoilt_on_its_way_breaks_off_and_is_whole_the_next_time() {
    let record = large_record();
    let (world, link) = published_as(record).await;
    copy_to(&world.others[0]).await;
    let own = world.hospital.record();
    let content = std::fs::read(&own).unwrap();
    let mut spoilt = content.clone();
    *spoilt.iter_mut().rev().nth(40).unwrap() ^= 1;
    std::fs::write(&own, spoilt).unwrap();
    let task = look_after_hospital(&world);
    let broken = world.open(&world.hospital, &link).await;
    assert_eq!(broken.status(), 200);
    assert!(broken.bytes().await.is_err(), "the last part is held back");
    until("the record to be mended", || std::fs::read(&own).unwrap() == content).await;
    assert_eq!(world.open(&world.hospital, &link).await.bytes().await.unwrap(), record);
    task.abort();
}

#[tokio::test]
async fn a_custodians_copy_found_spoilt_when_it_is_given_out_is_made_again() {
    let (mut world, link) = copied().await;
    let clinic = &world.others[0];
    let content = std::fs::read(clinic.record()).unwrap();
    std::fs::write(clinic.record(), "spoilt").unwrap();
    world.stop_hospital().await;
    assert_eq!(world.open(&world.payer, &link).await.bytes().await.unwrap(), RECORD);
    world.restart_hospital().await;
    let clinic = &world.others[0];
    let gateway = Arc::clone(&clinic.gateway);
    let pace = Pace { check: Duration::from_secs(3600), ..HASTE };
    let task = tokio::spawn(replicas::run(gateway, for_hospital(), pace));
    until("the copy to be made again", || std::fs::read(clinic.record()).unwrap() == content).await;
    until_measured(clinic, 1, 0).await;
    task.abort();
}

/// A wrong key or commitment does not mean that the store has spoilt anything.
#[tokio::test]
async fn what_is_as_it_was_published_is_left_as_it_is_whoever_suspects_it() {
    use std::os::unix::fs::MetadataExt as _;
    let (world, link) = copied().await;
    let id: LinkId = link.parse().unwrap();
    let other = healthchain_gateway::content::ContentKey::generate().unwrap().commitment(b"another record").unwrap();
    world.ledger.state.lock().unwrap().links.get_mut(&id).unwrap().current.commitment = other.parse().unwrap();
    let places = || [&world.hospital, &world.others[0]].map(|one| std::fs::metadata(one.record()).unwrap().ino());
    let before = places();
    let tasks = [look_after_hospital(&world), keep(&world.others[0])];
    problem(world.open(&world.hospital, &link).await, 502, "record-tampered").await;
    let place = healthchain_gateway::content::parts::Place { link: &id, version: 1 };
    world.others[0].gateway.suspects.note(place);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(places(), before);
    tasks.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_content_that_cannot_be_copied_holds_up_no_others() {
    let world = World::with_custodians().await;
    let mut links = Vec::new();
    for (key, spoil) in [("key-1", true), ("key-2", false), ("key-3", true), ("key-4", false)] {
        let before = stored(&world.hospital);
        links.push(world.publish(key, RECORD).await.1["id"].as_str().unwrap().to_owned());
        let new = stored(&world.hospital).into_iter().find(|path| !before.contains(path)).unwrap();
        match (spoil, key) {
            (true, "key-1") => std::fs::remove_file(new).unwrap(),
            (true, _) => std::fs::write(new, "spoilt").unwrap(),
            (false, _) => {}
        }
    }
    for link in &links {
        world.ledger.tell_published(link);
    }
    let task = keep(&world.others[0]);
    until_measured(&world.others[0], 2, 2).await;
    // Nor those that come later.
    let later = world.publish("key-5", RECORD).await.1["id"].as_str().unwrap().to_owned();
    world.ledger.tell_published(&later);
    until_measured(&world.others[0], 3, 2).await;
    task.abort();
}
