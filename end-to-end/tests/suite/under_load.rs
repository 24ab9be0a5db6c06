//! Each part of the network is killed in turn while people work, and brought back.
//!
//! The table that the test prints is that of docs/faults.md.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use healthchain_end_to_end::{Answer, Person, World, until};
use healthchain_network::LedgerKind;
use healthchain_rules::{LinkId, MemberId, OrganisationKind};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use uuid::Uuid;

const RECORD: &[u8] = br#"{"resourceType":"DiagnosticReport"}"#;
/// How long a part stays away.
const AWAY: Duration = Duration::from_millis(1500);
/// How long the database stays locked: longer than a gateway waits for it twice. The request that is under way when the lock is taken
/// succeeds in the end, only its answer is not remembered; the next one fails.
const LOCKED: Duration = Duration::from_secs(12);
/// How long service may take to be back, counted from when the part is started again.
const BACK: Duration = Duration::from_secs(10);
const ALL: [Act; 3] = [Act::Publish, Act::Consent, Act::Open];

crate::promises![whatever_is_killed_under_load_nothing_acknowledged_is_lost_or_done_twice_and_service_is_back];

async fn whatever_is_killed_under_load_nothing_acknowledged_is_lost_or_done_twice_and_service_is_back(world: &World) {
    let load = Load::start(world).await;
    let mut table = vec![];
    for part in parts(world) {
        load.each_acknowledged_since(Instant::now(), Duration::from_secs(60)).await;
        load.log.errors.lock().unwrap().clear();
        let held = part.take_away(world).await;
        tokio::time::sleep(part.away()).await;
        let returning = Instant::now();
        part.bring_back(world, held).await;
        let back = load.each_acknowledged_since(returning, BACK).await;
        println!("{}: service is back after {:.1} s", part.described(), back.as_secs_f64());
        let errors = load.log.errors.lock().unwrap().clone();
        assert!(!errors.is_empty() || part.has_others(), "{}: nobody noticed", part.described());
        table.push(format!("| {} | {} | {:.1} s |", part.described(), told(&errors), back.as_secs_f64()));
    }
    let documented = load.publisher.get("/openapi.json").await.json().to_string();
    println!(
        "\n| killed or taken away | answers meanwhile | service back after |\n|---|---|---|\n{}",
        table.join("\n")
    );
    let Load { patient, consenting, log, clients, .. } = load;
    log.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    for code in log.all_codes.lock().unwrap().iter() {
        assert!(documented.contains(code.as_str()), "{code} is not in the documentation");
    }
    for act in ALL {
        let acknowledged = log.acknowledged_of(act);
        let distinct: BTreeSet<_> = acknowledged.iter().cloned().collect();
        assert_eq!(distinct.len(), acknowledged.len(), "{act:?}: one was acknowledged twice");
        until(&format!("{act:?}"), || async {
            let there = act.on_the_ledger(if act == Act::Consent { &consenting } else { &patient }).await;
            for id in &distinct {
                let times = there.iter().filter(|it| *it == id).count();
                assert!(times <= 1, "{act:?} {id} was done {times} times");
            }
            // What was begun was repeated until it was acknowledged, but for openings, which are begun anew each time.
            if act != Act::Open {
                assert!(there.iter().all(|it| distinct.contains(it)), "{act:?}: done, but never acknowledged");
            }
            let missing = distinct.iter().filter(|id| !there.contains(id)).count();
            if missing == 0 { Ok(()) } else { Err(format!("{missing} of {} are lost", distinct.len())) }
        })
        .await;
        println!("{act:?}: {} acknowledged, all there, each once", distinct.len());
    }
}

/// What is taken away: of the organisation whose clinician publishes, and the database of the one whose gateway remembers the consents'
/// keys.
enum Part {
    Process(&'static str),
    RecordStore,
    Database,
}

fn parts(world: &World) -> Vec<Part> {
    let processes: &[&'static str] = match world.network.ledger() {
        LedgerKind::Dev => &["process"],
        LedgerKind::Embedded => &["peer", "chaincode", "gateway"],
        LedgerKind::Fabric => &["peer", "orderer", "chaincode", "gateway"],
    };
    processes.iter().map(|part| Part::Process(part)).chain([Part::RecordStore, Part::Database]).collect()
}

impl Part {
    fn described(&self) -> String {
        match self {
            Part::Process(part) => format!("the publisher's {part}, killed"),
            Part::RecordStore => "the publisher's record store, gone".into(),
            Part::Database => "the patients' state database, locked".into(),
        }
    }

    /// Whether others do its work when it is gone.
    fn has_others(&self) -> bool {
        matches!(self, Part::Process("orderer"))
    }

    fn away(&self) -> Duration {
        if matches!(self, Part::Database) { LOCKED } else { AWAY }
    }

    /// A connection that holds the database's lock stays with the caller.
    async fn take_away(&self, world: &World) -> Option<SqliteConnection> {
        match self {
            Part::Process(part) => {
                let component = world.component(part, world.organisation(OrganisationKind::PrimaryCare));
                assert!(world.network.kill(&component).await.unwrap());
            }
            Part::RecordStore => {
                std::fs::rename(records(world), aside(&records(world))).unwrap();
                std::fs::write(records(world), "a file where the folder was").unwrap();
            }
            Part::Database => {
                let url = format!("sqlite://{}", database(world).display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                return Some(connection);
            }
        }
        None
    }

    async fn bring_back(&self, world: &World, held: Option<SqliteConnection>) {
        match self {
            Part::Process(part) => {
                let component = world.component(part, world.organisation(OrganisationKind::PrimaryCare));
                world.network.start(&component).await.unwrap();
            }
            Part::RecordStore => {
                std::fs::remove_file(records(world)).unwrap();
                std::fs::rename(aside(&records(world)), records(world)).unwrap();
            }
            Part::Database => {
                let mut connection = held.expect("the lock was taken");
                sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}

fn records(world: &World) -> PathBuf {
    let publisher = world.organisation(OrganisationKind::PrimaryCare);
    world.network.layout().organisation(&publisher.name).records()
}

fn database(world: &World) -> PathBuf {
    let patients = world.organisation(OrganisationKind::PatientServices);
    world.network.layout().organisation(&patients.name).records().with_file_name("state.sqlite")
}

fn aside(folder: &Path) -> PathBuf {
    folder.with_extension("aside")
}

/// What people do all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Publish,
    Consent,
    Open,
}

impl Act {
    /// Everything of this kind that the ledger has of the patient.
    async fn on_the_ledger(self, patient: &Person) -> Vec<String> {
        match self {
            Act::Publish => {
                let links = pages(patient, &format!("/v1/patients/{}/links?purpose=personal", patient.id())).await;
                let mine = links.iter().filter(|link| link["category"] == "encounter-note");
                mine.filter_map(|link| Some(link["link"].as_str()?.to_owned())).collect()
            }
            Act::Consent => {
                let consents = patient.get(&format!("/v1/patients/{}/consents", patient.id())).await.json();
                let consents = consents.as_array().or(consents["items"].as_array()).cloned().unwrap_or_default();
                consents.iter().filter_map(|consent| Some(consent["id"].as_str()?.to_owned())).collect()
            }
            Act::Open => {
                let entries = pages(patient, &format!("/v1/patients/{}/audit?", patient.id())).await;
                let opened = entries.iter().filter(|entry| entry["act"]["act"] == "link-opened");
                opened.filter_map(|entry| Some(entry["transaction"].as_str()?.to_owned())).collect()
            }
        }
    }
}

/// All items of a list, page by page.
async fn pages(person: &Person, path: &str) -> Vec<Value> {
    let (mut items, mut next) = (vec![], String::new());
    loop {
        let answer = person.get(&format!("{path}&limit=100{next}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json();
        items.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next_page_token"].as_str() {
            Some(token) => next = format!("&page_token={token}"),
            None => return items,
        }
    }
}

/// People who go on with their work; whatever fails they repeat until it is acknowledged.
struct Load {
    patient: Person,
    /// Somebody else: who opens while the patient's consents change is told to come again, again and again.
    consenting: Person,
    publisher: Person,
    log: Arc<Log>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Log {
    stop: AtomicBool,
    acknowledged: Mutex<Vec<(Act, Instant, String)>>,
    /// How often each answer came since the last part was taken away.
    errors: Mutex<BTreeMap<String, usize>>,
    all_codes: Mutex<BTreeSet<String>>,
}

impl Log {
    fn acknowledged_of(&self, act: Act) -> Vec<String> {
        let all = self.acknowledged.lock().unwrap();
        all.iter().filter(|(kind, _, _)| *kind == act).map(|(_, _, id)| id.clone()).collect()
    }

    fn failed(&self, answer: &reqwest::Result<Answer>) {
        let told = match answer {
            Ok(answer) => {
                let (status, code) = answer.problem();
                assert!(status >= 500 || status == 409, "a fault is no fault of the request: {}", answer.text());
                self.all_codes.lock().unwrap().insert(code.clone());
                format!("{status} {code}")
            }
            Err(error) if error.is_connect() => "no connection".into(),
            Err(_) => "connection lost".into(),
        };
        *self.errors.lock().unwrap().entry(told).or_default() += 1;
    }
}

impl Load {
    async fn start(world: &World) -> Self {
        let (publisher, opener) = (world.hospital_clinician(), world.clinic_clinician());
        let (patient, consenting) = (world.new_patient(), world.new_patient());
        let link = publisher.publish(patient.id(), "summary", RECORD).await;
        let log = Arc::new(Log::default());
        let clients = [
            (Act::Publish, &publisher, &patient),
            (Act::Publish, &publisher, &patient),
            (Act::Consent, &consenting, &consenting),
            (Act::Open, &opener, &patient),
        ];
        let clients = clients.map(|(act, who, patient)| {
            let (who, patient, log) = (who.clone(), patient.id().clone(), Arc::clone(&log));
            tokio::spawn(Client { act, who, patient, link: link.clone(), log }.work())
        });
        Self { patient, consenting, publisher, log, clients: clients.into() }
    }

    /// Waits until each kind of work has been acknowledged that ended after a moment; gives how long after it the last did.
    async fn each_acknowledged_since(&self, moment: Instant, patience: Duration) -> Duration {
        loop {
            let first = |act: Act| {
                let all = self.log.acknowledged.lock().unwrap();
                all.iter().find(|(kind, at, _)| *kind == act && *at > moment).map(|(_, at, _)| *at - moment)
            };
            let each: Vec<_> = ALL.into_iter().filter_map(first).collect();
            if each.len() == ALL.len() {
                return each.into_iter().max().unwrap_or_default();
            }
            let waiting: Vec<_> = ALL.into_iter().filter(|act| first(*act).is_none()).collect();
            let errors = self.log.errors.lock().unwrap().clone();
            assert!(
                moment.elapsed() < patience,
                "{waiting:?} is not acknowledged after {patience:?}; meanwhile: {}",
                told(&errors)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One of the people.
struct Client {
    act: Act,
    who: Person,
    patient: MemberId,
    link: LinkId,
    log: Arc<Log>,
}

impl Client {
    fn work(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            while !self.log.stop.load(Ordering::Relaxed) {
                let (key, begun) = (Uuid::new_v4().to_string(), Instant::now());
                loop {
                    let answer = self.attempt(&key).await;
                    match &answer {
                        Ok(answer) if answer.is_success() => {
                            let id = match self.act {
                                Act::Publish => answer.link().to_string(),
                                Act::Consent => key.clone(),
                                Act::Open => answer.opening().to_string(),
                            };
                            self.log.acknowledged.lock().unwrap().push((self.act, Instant::now(), id));
                            break;
                        }
                        _ => self.log.failed(&answer),
                    }
                    assert!(
                        begun.elapsed() < Duration::from_secs(60),
                        "{:?} is not acknowledged in a minute",
                        self.act
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        })
    }

    async fn attempt(&self, key: &str) -> reqwest::Result<Answer> {
        let patient = &self.patient;
        let (path, body) = match self.act {
            Act::Publish => return self.who.try_publish(key, patient, "encounter-note", RECORD).await,
            Act::Consent => {
                let consent = json!({
                    "consent": key, "patient": patient, "grantee": { "role": "payer-officer" },
                    "scope": { "categories": ["claim"] }, "purposes": ["payment"], "effect": "permit",
                });
                ("/v1/consents".to_owned(), consent)
            }
            Act::Open => (format!("/v1/links/{}/openings", self.link), json!({ "purpose": "treatment" })),
        };
        let with = |request: RequestBuilder| match self.act {
            Act::Consent => request.header("Idempotency-Key", key).json(&body),
            _ => request.json(&body),
        };
        self.who.try_request(Method::POST, &path, with).await
    }
}

/// Each answer with how often it came.
fn told(errors: &BTreeMap<String, usize>) -> String {
    let each: Vec<_> = errors.iter().map(|(error, times)| format!("{times} × {error}")).collect();
    if each.is_empty() { "none failed".into() } else { each.join(", ") }
}
