//! What a gateway needs beside the ledger, away for a while and back: a PostgreSQL server, an S3 server. (docs/faults.md has what a network's
//! own parts do.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::state::{State, StateKey};
use serde_json::Value;
use uuid::Uuid;

use super::world::{RECORD, Twin, World, answer};
use super::{postgres, s3};

/// How long a server is away: longer than a request waits for it.
const AWAY: Duration = Duration::from_secs(7);
/// How long service may take to be back.
const BACK: Duration = Duration::from_secs(10);
const CLIENTS: usize = 4;

/// Clients that publish one record after the other; each repeats a request under its key until it is acknowledged.
struct Load {
    acknowledged: Mutex<Vec<(Instant, String)>>,
    /// How often each answer came.
    failed: Mutex<BTreeMap<(u16, String), usize>>,
    longest: Mutex<Duration>,
    stop: AtomicBool,
}

impl Load {
    fn new() -> Self {
        Self { acknowledged: Mutex::default(), failed: Mutex::default(), longest: Mutex::default(), stop: false.into() }
    }

    async fn publish(&self, world: &World, twin: &Twin) {
        let member = world.hospital.member();
        while !self.stop.load(Ordering::Relaxed) {
            let key = Uuid::new_v4().to_string();
            loop {
                let request = member.post(twin.at("/v1/links?patient=anna&category=summary"));
                let request = request.header("idempotency-key", &key).header("content-type", "application/fhir+json");
                let begun = Instant::now();
                let (status, body) = answer(request.body(RECORD).send().await.unwrap()).await;
                self.took(begun.elapsed());
                if status == 201 || status == 200 {
                    self.acknowledged.lock().unwrap().push((Instant::now(), text(&body["id"])));
                    break;
                }
                *self.failed.lock().unwrap().entry((status, text(&body["code"]))).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn took(&self, time: Duration) {
        let mut longest = self.longest.lock().unwrap();
        *longest = time.max(*longest);
    }

    /// Waits until something is acknowledged that ended after a moment; gives how long after it.
    async fn acknowledged_since(&self, moment: Instant) -> Duration {
        loop {
            let last = self.acknowledged.lock().unwrap().iter().find(|(at, _)| *at > moment).map(|(at, _)| *at);
            if let Some(at) = last {
                return at - moment;
            }
            assert!(moment.elapsed() < BACK, "service is not back: {:?}", self.failed.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Publishes at the gateway while `away` takes something from it and `back` brings it again. Every failure must be `code`, nothing
/// acknowledged may be lost, and nothing done twice.
async fn outage(world: &World, twin: &Twin, code: &str, away: impl AsyncFnOnce(), back: impl AsyncFnOnce()) {
    let load = Arc::new(Load::new());
    let clients = join_all((0..CLIENTS).map(|_| load.publish(world, twin)));
    let story = async {
        load.acknowledged_since(Instant::now()).await;
        away().await;
        tokio::time::sleep(AWAY).await;
        let returning = Instant::now();
        back().await;
        let waited = load.acknowledged_since(returning).await;
        load.stop.store(true, Ordering::Relaxed);
        waited
    };
    let (_, waited) = tokio::join!(clients, story);
    let (failed, longest) = (load.failed.lock().unwrap().clone(), *load.longest.lock().unwrap());
    println!("{failed:?}; the longest answer took {longest:.1?}; service is back after {waited:.1?}");
    assert_eq!(failed.keys().collect::<Vec<_>>(), [&(503, code.to_owned())]);
    assert!(longest < BACK, "somebody waited {longest:?} for an answer");
    let acknowledged: Vec<_> = load.acknowledged.lock().unwrap().iter().map(|(_, link)| link.clone()).collect();
    let distinct: BTreeSet<_> = acknowledged.iter().cloned().collect();
    assert_eq!(distinct.len(), acknowledged.len(), "one was acknowledged twice");
    let on_the_ledger: BTreeSet<_> = world.ledger.state.lock().unwrap().links.keys().map(ToString::to_string).collect();
    assert_eq!(on_the_ledger, distinct);
    let member = world.hospital.member();
    for link in &distinct {
        let request = member.post(twin.at(&format!("/v1/links/{link}/openings")));
        let request = request.header("content-type", "application/json").body(r#"{"purpose":"treatment"}"#);
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), RECORD);
    }
}

#[tokio::test]
async fn while_postgresql_is_down_each_error_says_so_and_afterwards_nothing_acknowledged_is_lost_or_done_twice() {
    let (world, server) = (World::new().await, postgres::Server::start().await);
    let place = server.database().await;
    let server = Mutex::new(server);
    let key = StateKey::in_file(&world.hospital.folder.path().join("state.key")).unwrap();
    let state = State::open(&place, key).await.unwrap();
    let twin = world.hospital.twin(|gateway| gateway.state = state).await;
    let crash = async || server.lock().unwrap().crash();
    outage(&world, &twin, "state-unavailable", crash, async || server.lock().unwrap().start_again()).await;
}

#[tokio::test]
async fn while_the_s3_server_is_down_each_error_says_so_and_afterwards_nothing_acknowledged_is_lost_or_done_twice() {
    let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
    let server = tokio::sync::Mutex::new(s3::Server::start(folder.path()).await);
    let records = Arc::new(server.lock().await.store(s3::SECRET));
    let twin = world.hospital.twin(|gateway: &mut Gateway| gateway.records = records).await;
    let crash = async || server.lock().await.crash().await;
    outage(&world, &twin, "record-store-unavailable", crash, async || server.lock().await.start_again().await).await;
}
