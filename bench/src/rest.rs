//! What clinic software sees of the gateways: REST calls in turn with the bare puts and gets of Fabric's official Node client, in the same
//! run, on the same network, under the same endorsement policy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use healthchain_end_to_end::{Answer, Person, World, ledger_kind, until};
use healthchain_network::LedgerKind;
use healthchain_rules::LinkId;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use uuid::Uuid;

use crate::bare;
use crate::measured::{Measured, cpu_of, measure, milliseconds, percentile};
use crate::node_client::NodeClient;

const RECORD: &[u8] = include_bytes!("../../network/samples/invented-patient.json");
/// Links of the patient whose page is asked for: the page is full.
const PAGE: usize = 20;
const SUBMITS: [Act; 3] = [Act::Publish, Act::Open, Act::Consent];
const EVALUATES: [Act; 2] = [Act::Link, Act::Page];

/// REST publish, open, consent, link and permitted page beside the official Node client's bare puts and gets
#[derive(Args)]
pub(crate) struct Options {
    /// Callers at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100])]
    callers: Vec<usize>,
    /// Seconds of each round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds of each kind of call.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Publish,
    Open,
    Consent,
    Link,
    Page,
}

pub(crate) async fn run(options: &Options) {
    assert!(ledger_kind() != LedgerKind::Dev, "the bare contract needs a chaincode process: embedded or fabric");
    let callers = options.callers.iter().copied().max().unwrap_or(1);
    let world = crate::network(callers + 1).await;
    let _servers = bare::in_place_of_the_chaincode(&world).await;
    let mut node = NodeClient::start(&world, &world.hospital_clinician()).await;
    let bench = Bench::prepare(&world, callers).await;
    for callers in &options.callers {
        println!(
            "\n{} ledger, {callers} callers at once, {} × {} s each:\n",
            ledger_kind(),
            options.rounds,
            options.seconds
        );
        println!(
            "| call | a second | ratio | p50 | p99 | CPU of a call | ratio | failed |\n|---|---|---|---|---|---|---|---|"
        );
        for (bare, acts) in [("put", &SUBMITS[..]), ("get", &EVALUATES)] {
            bench.compare(&mut node, bare, acts, *callers, options).await;
        }
    }
    world.network.clean().await.unwrap();
}

/// People, and what they call about.
struct Bench {
    hospital: Person,
    clinic: Person,
    /// One for each caller, for a patient's consents wait for each other.
    patients: Vec<(Person, Consenting)>,
    /// Somebody with a full page of links.
    documented: Person,
    link: LinkId,
    gateways: Vec<u32>,
}

/// Whether a patient's consent stands: it is granted and revoked in turn.
#[derive(Default)]
struct Consenting(AtomicBool, std::sync::Mutex<String>);

impl Bench {
    async fn prepare(world: &World, callers: usize) -> Self {
        let (hospital, clinic) = (world.hospital_clinician(), world.clinic_clinician());
        let documented = world.new_patient();
        let mut link = None;
        for _ in 0..PAGE {
            let key = Uuid::new_v4().to_string();
            link = Some(
                until("a publication", || async {
                    let answer = hospital.publish_as(&key, documented.id(), "summary", RECORD).await;
                    if answer.is_success() { Ok(answer.link()) } else { Err(answer.text()) }
                })
                .await,
            );
        }
        let components = world.network.components().unwrap();
        let gateways = components.iter().filter(|name| name.starts_with("gateway."));
        let gateways = gateways.map(|name| world.network.pid(name).unwrap()).collect();
        let patients = (0..callers).map(|_| (world.new_patient(), Consenting::default())).collect();
        Self { hospital, clinic, patients, documented, link: link.unwrap(), gateways }
    }

    /// Does each kind of call in turn with the bare one, and tells how they compare.
    async fn compare(&self, node: &mut NodeClient, bare: &str, acts: &[Act], callers: usize, options: &Options) {
        let time = Duration::from_secs(options.seconds);
        let (mut theirs, mut ours) = (Measured::default(), vec![Measured::default(); acts.len()]);
        for _ in 0..options.rounds {
            theirs.add(node.measure(bare, callers, time).await);
            for (act, ours) in acts.iter().zip(&mut ours) {
                let before = cpu_of(&self.gateways);
                let measured = measure(callers, time, |caller| async move { self.act(*act, caller).await }).await;
                ours.add(Measured { cpu: cpu_of(&self.gateways) - before, ..measured });
            }
        }
        tell(&format!("Node client, bare {bare}"), &theirs, &theirs);
        for (act, ours) in acts.iter().zip(&ours) {
            tell(&format!("REST {act:?}").to_lowercase().replace("rest", "REST"), ours, &theirs);
        }
    }

    /// Whether the call succeeded. A denied opening would be no success.
    async fn act(&self, act: Act, caller: usize) -> bool {
        let (patient, consenting) = &self.patients[caller];
        let answer = match act {
            Act::Publish => {
                self.hospital.try_publish(&Uuid::new_v4().to_string(), patient.id(), "encounter-note", RECORD).await
            }
            Act::Open => {
                let body = json!({ "purpose": "treatment" });
                let path = format!("/v1/links/{}/openings", self.link);
                self.clinic.try_request(Method::POST, &path, |request| request.json(&body)).await
            }
            Act::Consent => return consenting.change(patient).await,
            Act::Link => {
                let path = format!("/v1/links/{}", self.link);
                self.clinic.try_request(Method::GET, &path, |request| request).await
            }
            Act::Page => {
                let path = format!("/v1/patients/{}/links?purpose=treatment&limit={PAGE}", self.documented.id());
                self.clinic.try_request(Method::GET, &path, |request| request).await
            }
        };
        succeeded(answer)
    }
}

impl Consenting {
    /// Grants a consent, or revokes the one that stands.
    async fn change(&self, patient: &Person) -> bool {
        let stands = self.0.load(Ordering::Relaxed);
        let answer = if stands {
            let path = format!("/v1/patients/{}/consents/{}/revocation", patient.id(), self.1.lock().unwrap());
            patient.try_request(Method::POST, &path, |request| request).await
        } else {
            let key = Uuid::new_v4().to_string();
            let body = json!({
                "consent": key, "patient": patient.id(), "grantee": { "role": "payer-officer" },
                "scope": { "categories": ["claim"] }, "purposes": ["payment"], "effect": "permit",
            });
            *self.1.lock().unwrap() = key.clone();
            let with = |request: RequestBuilder| request.header("Idempotency-Key", key).json(&body);
            patient.try_request(Method::POST, "/v1/consents", with).await
        };
        let succeeded = succeeded(answer);
        self.0.store(stands != succeeded, Ordering::Relaxed);
        succeeded
    }
}

fn succeeded(answer: reqwest::Result<Answer>) -> bool {
    match answer {
        Ok(answer) if answer.is_success() => true,
        Ok(answer) => {
            eprintln!("{}", answer.text());
            false
        }
        Err(error) => {
            eprintln!("{error}");
            false
        }
    }
}

/// A line of the table.
fn tell(call: &str, measured: &Measured, beside: &Measured) {
    let (cpu, cpu_beside) = (measured.cpu_per_call(), beside.cpu_per_call());
    println!(
        "| {call} | {:.0} | {:.2} | {} | {} | {} | {:.2} | {} |",
        measured.rate(),
        measured.rate() / beside.rate(),
        milliseconds(percentile(&measured.times, 50)),
        milliseconds(percentile(&measured.times, 99)),
        milliseconds(cpu),
        cpu.as_secs_f64() / cpu_beside.as_secs_f64(),
        measured.failed,
    );
}
