//! Parts of the network that crash, and what must hold all the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use healthchain_end_to_end::{Person, World, until};
use healthchain_network::Organisation;
use healthchain_rules::{MemberId, OrganisationKind};
use uuid::Uuid;

const RECORD: &[u8] = br#"{"resourceType":"Encounter"}"#;
/// Publishing clients during a fault.
const CLIENTS: usize = 4;

crate::promises![
    a_peer_killed_under_load_loses_nothing_acknowledged_and_nothing_is_written_twice,
    a_killed_gateway_comes_back_with_its_records,
    up_again_is_harmless_and_goes_on_after_everything_was_killed,
];

crate::promises![STOPPING_PARTS:
    no_other_organisation_answers_in_place_of_the_own_chaincode,
    a_killed_chaincode_is_back_with_the_next_call_after_its_start,
];

crate::promises![FABRIC_PROMISES: whichever_orderer_is_killed_under_load_writes_go_on];

async fn a_peer_killed_under_load_loses_nothing_acknowledged_and_nothing_is_written_twice(world: &World) {
    let peer = world.component("peer", world.organisation(OrganisationKind::Payer));
    let load = Load::start(world);
    for _ in 0..2 {
        load.more(5).await;
        assert!(world.network.kill(&peer).await.unwrap());
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.network.start(&peer).await.unwrap();
    }
    load.more(5).await;
    let (patient, acknowledged, gap) = load.end().await;
    println!("{peer} was killed twice: {} links acknowledged, longest pause {gap:.1?}", acknowledged.len());
    assert_listed_once(&patient, &acknowledged).await;
}

/// Found by review: Fabric lets another organisation's peer answer a question when the own one fails, and the gateway took that answer.
async fn no_other_organisation_answers_in_place_of_the_own_chaincode(world: &World) {
    let hospital = world.hospital_clinician();
    let chaincode = world.component("chaincode", world.organisation(OrganisationKind::PrimaryCare));
    assert!(world.network.kill(&chaincode).await.unwrap());
    let unanswered = hospital.get("/v1/me").await;
    assert!(unanswered.problem().0 >= 500, "{}", unanswered.text());
    world.network.start(&chaincode).await.unwrap();
    assert_eq!(hospital.get("/v1/me").await.status, 200);
}

async fn a_killed_chaincode_is_back_with_the_next_call_after_its_start(world: &World) {
    let hospital = world.hospital_clinician();
    let patient = world.new_patient();
    let chaincode = world.component("chaincode", world.organisation(OrganisationKind::PrimaryCare));
    assert!(world.network.kill(&chaincode).await.unwrap());
    let failed = hospital.publish_as(&Uuid::new_v4().to_string(), patient.id(), "summary", RECORD).await;
    assert!(failed.problem().0 >= 500, "{}", failed.text());
    world.network.start(&chaincode).await.unwrap();
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    assert_eq!(patient.open(&link, "personal").await.body, RECORD);
}

async fn a_killed_gateway_comes_back_with_its_records(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let gateway = world.component("gateway", world.organisation(OrganisationKind::PrimaryCare));
    assert!(world.network.kill(&gateway).await.unwrap());
    world.network.start(&gateway).await.unwrap();
    assert_eq!(hospital.open(&link, "treatment").await.body, RECORD);
    assert_eq!(patient.open(&link, "personal").await.body, RECORD);
}

async fn up_again_is_harmless_and_goes_on_after_everything_was_killed(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let pids = || world.network.components().unwrap().iter().map(|name| world.network.pid(name)).collect::<Vec<_>>();
    let before = pids();
    world.network.up().await.unwrap();
    assert_eq!(pids(), before, "a second up restarts nothing");

    for component in world.network.components().unwrap() {
        world.network.kill(&component).await.unwrap();
    }
    world.network.up().await.unwrap();
    assert_eq!(patient.open(&link, "personal").await.body, RECORD);
}

async fn whichever_orderer_is_killed_under_load_writes_go_on(world: &World) {
    let load = Load::start(world);
    load.more(5).await;
    let orderers: Vec<&Organisation> = world.network.consortium().orderers().collect();
    for organisation in orderers {
        let orderer = world.component("orderer", organisation);
        assert!(world.network.kill(&orderer).await.unwrap());
        let killed = Instant::now();
        load.more(1).await;
        println!("{orderer} killed: the next publication was acknowledged after {:.1?}", killed.elapsed());
        load.more(10).await;
        world.network.start(&orderer).await.unwrap();
        until("the orderer has caught up", || caught_up(world, &orderer)).await;
    }
    let (patient, acknowledged, gap) = load.end().await;
    println!("{} links acknowledged, longest pause {gap:.1?}", acknowledged.len());
    assert_listed_once(&patient, &acknowledged).await;
}

/// Whether an orderer has as many blocks as the others had when it was asked.
async fn caught_up(world: &World, orderer: &str) -> Result<(), String> {
    let status = world.network.status().await.map_err(|error| error.to_string())?;
    let orderers = status.iter().filter(|component| component.name.starts_with("orderer."));
    let (own, others): (Vec<_>, Vec<_>) = orderers.partition(|component| component.name == orderer);
    let highest = others.iter().filter_map(|component| component.blocks).max();
    let behind = || format!("{} of {highest:?} blocks", own[0].blocks.unwrap_or(0));
    if own[0].blocks >= highest { Ok(()) } else { Err(behind()) }
}

/// Clients that publish one record after the other; each repeats a request under its key until it is acknowledged.
struct Load {
    patient: Person,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<std::sync::Mutex<Vec<(Instant, String)>>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(world: &World) -> Self {
        let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let clients = (0..CLIENTS)
            .map(|_| {
                let parts = (hospital.clone(), patient.id().clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
                tokio::spawn(publish_until(parts.0, parts.1, parts.2, parts.3))
            })
            .collect();
        Self { patient, stop, acknowledged, clients }
    }

    /// Waits until so many more are acknowledged; fails after a minute.
    async fn more(&self, count: usize) {
        let wanted = self.count() + count;
        let begun = Instant::now();
        while self.count() < wanted {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is acknowledged any more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Ends the clients; gives the patient, the acknowledged links and the longest pause between two acknowledgements.
    async fn end(self) -> (Person, BTreeSet<String>, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let longest = acknowledged.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default();
        let links: BTreeSet<_> = acknowledged.iter().map(|(_, link)| link.clone()).collect();
        assert_eq!(links.len(), acknowledged.len(), "a link was acknowledged under two keys");
        (self.patient, links, longest)
    }
}

async fn publish_until(
    publisher: Person,
    patient: MemberId,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<std::sync::Mutex<Vec<(Instant, String)>>>,
) {
    while !stop.load(Ordering::Relaxed) {
        let key = Uuid::new_v4().to_string();
        let begun = Instant::now();
        let link = loop {
            match publisher.try_publish(&key, &patient, "encounter-note", RECORD).await {
                Ok(answer) if answer.is_success() => break answer.link(),
                Ok(answer) => assert!(answer.status >= 500, "a fault is no fault of the request: {}", answer.text()),
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "not acknowledged within a minute");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        acknowledged.lock().unwrap().push((Instant::now(), link.to_string()));
    }
}

/// Fails unless the patient's links are these, each once, as soon as the patient's own peer is level with the others.
async fn assert_listed_once(patient: &Person, acknowledged: &BTreeSet<String>) {
    until("the patient's links", || async {
        let listed = all_links(patient).await;
        assert!(listed.is_subset(acknowledged), "written, but never acknowledged: {listed:?}");
        if listed.len() == acknowledged.len() {
            Ok(())
        } else {
            Err(format!("{} of {}", listed.len(), acknowledged.len()))
        }
    })
    .await;
}

/// All links of a patient, page by page; fails when one is listed twice.
async fn all_links(patient: &Person) -> BTreeSet<String> {
    let mut links = BTreeSet::new();
    let mut query = String::from("purpose=personal&limit=100");
    loop {
        let answer = patient.get(&format!("/v1/patients/{}/links?{query}", patient.id())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json();
        for item in page["items"].as_array().into_iter().flatten() {
            let link = item["link"].as_str().expect("an item names its link").to_owned();
            assert!(links.insert(link.clone()), "{link} is listed twice");
        }
        match page["next_page_token"].as_str() {
            Some(token) => query = format!("purpose=personal&limit=100&page_token={token}"),
            None => return links,
        }
    }
}
