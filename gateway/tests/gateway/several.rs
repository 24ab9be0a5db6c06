//! Two gateways of one organisation behind one port, which share a PostgreSQL database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use healthchain_gateway::callers::Callers;
use healthchain_gateway::configuration::{CallersConfiguration, ReplicasConfiguration};
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::replicas;
use healthchain_gateway::state::replicas::measure;
use healthchain_gateway::state::{State, StateKey, leases};
use healthchain_rules::LedgerTime;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::ledger::now;
use super::postgres;
use super::proofs::{Holder, now_text};
use super::replicas::HASTE;
use super::uploads::{is_known_as, metadata};
use super::world::{PACE, RECORD, Twin, World, answer, own, problem, root};

/// Both gateways, and the port that leads to them in turn.
struct Pair {
    world: World,
    gateways: Vec<Twin>,
    address: SocketAddr,
    door: JoinHandle<()>,
}

impl Pair {
    async fn new() -> Self {
        let world = World::new().await;
        let place = postgres::database().await;
        let key = world.hospital.folder.path().join("state.key");
        let state = async || State::open(&place, StateKey::in_file(&key).unwrap()).await.unwrap();
        let (one, other) = (state().await, state().await);
        let gateways = vec![
            world.hospital.twin(|gateway| remember_in(gateway, one, &world)).await,
            world.hospital.twin(|gateway| remember_in(gateway, other, &world)).await,
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = gateways.iter().map(|gateway: &Twin| gateway.running.address()).collect();
        Self { world, gateways, address, door: tokio::spawn(lead_in_turn(listener, behind)) }
    }

    fn at(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// The member, who takes a new connection for each request and so reaches the gateways in turn.
    fn member(&self) -> Client {
        let hospital = &self.world.hospital;
        let config = own(&hospital.member_tls).client(root(&hospital.tls_root)).unwrap();
        let client = Client::builder().tls_backend_preconfigured(config).no_proxy().pool_max_idle_per_host(0);
        client.build().unwrap()
    }

    async fn withdraw(&self, key: &str, prefer: &str) -> Response {
        let request = self.member().post(self.at("/v1/links/l1/withdrawal")).header("idempotency-key", key);
        request.header("prefer", prefer).json(&json!({"reason": "wrong"})).send().await.unwrap()
    }
}

/// Has a gateway of the hospital remember everything in this state, its callers too.
fn remember_in(gateway: &mut Gateway, state: State, world: &World) {
    let msp = Some(world.hospital.folder.path().join("msp"));
    let callers = CallersConfiguration { msp, ..CallersConfiguration::default() };
    let callers = Callers::new(&callers, world.hospital.msp_id.as_str(), &gateway.public_url, &state, PACE);
    gateway.callers = Arc::new(callers.unwrap());
    gateway.state = state;
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.door.abort();
    }
}

async fn lead_in_turn(listener: TcpListener, behind: Vec<SocketAddr>) {
    for address in behind.iter().copied().cycle() {
        let (mut outside, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut inside = TcpStream::connect(address).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        });
    }
}

fn is_replayed(response: &Response) -> bool {
    response.headers().contains_key("idempotency-replayed")
}

#[tokio::test]
async fn a_write_that_is_repeated_at_the_other_gateway_is_carried_out_once() {
    let pair = Pair::new().await;
    let answers =
        [pair.withdraw("key-1", "").await, pair.withdraw("key-1", "").await, pair.withdraw("key-1", "").await];
    assert_eq!(answers.each_ref().map(is_replayed), [false, true, true]);
    let [first, second, third] = answers;
    let first = answer(first).await;
    assert_eq!(first.0, 200);
    assert_eq!((&answer(second).await, &answer(third).await), (&first, &first));
    assert_eq!(pair.world.ledger.called("Links:withdraw"), 1);
}

#[tokio::test]
async fn of_many_that_come_at_once_one_is_carried_out_and_the_others_are_told_to_wait() {
    let pair = Pair::new().await;
    let let_go = pair.world.ledger.hold("Links:withdraw");
    let at_once = join_all((0..8).map(|_| pair.withdraw("key-1", "respond-async"))).await;
    let mut statuses: Vec<_> = at_once.iter().map(|response| response.status().as_u16()).collect();
    statuses.sort();
    assert_eq!(statuses, [202, 409, 409, 409, 409, 409, 409, 409]);
    let_go.add_permits(8);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pair.world.ledger.called("Links:withdraw"), 1);
}

#[tokio::test]
async fn a_job_of_one_gateway_is_known_at_the_other() {
    let pair = Pair::new().await;
    let begun = pair.withdraw("key-1", "respond-async").await;
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    let mut seen: Vec<Value> = Vec::new();
    while seen.iter().filter(|job| job["status"] == "done").count() < 2 {
        let (status, job) = answer(pair.member().get(pair.at(&location)).send().await.unwrap()).await;
        assert_eq!(status, 200, "{job}");
        seen.push(job);
        assert!(seen.len() < 500, "{seen:?}");
    }
    assert_eq!(seen.pop().unwrap()["answer"]["status"], 200);
}

#[tokio::test]
async fn what_a_gateway_has_begun_when_it_is_stopped_it_ends_and_the_other_knows() {
    let mut pair = Pair::new().await;
    let (first, second) = (pair.gateways.remove(0), pair.gateways.remove(0));
    let let_go = pair.world.ledger.hold("Links:withdraw");
    let member = pair.member();
    let begin = member.post(first.at("/v1/links/l1/withdrawal")).header("prefer", "respond-async");
    let begun = begin.json(&json!({"reason": "wrong"})).send().await.unwrap();
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    let stopped = tokio::spawn(first.running.stop());
    let ask = async || answer(member.get(second.at(&location)).send().await.unwrap()).await.1["status"].clone();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ask().await, "running");
    let_go.add_permits(1);
    stopped.await.unwrap();
    assert_eq!(ask().await, "done");
}

#[tokio::test]
async fn a_session_is_good_at_both_gateways_and_its_proofs_count_once_and_it_ends_at_both() {
    let pair = Pair::new().await;
    let (hospital, one, other) = (&pair.world.hospital, &pair.gateways[0], &pair.gateways[1]);
    let (member, client) = (Holder::of(hospital, "dr-grey"), hospital.client(None));
    let post = async |at: String, body: Value| answer(client.post(at).json(&body).send().await.unwrap()).await;

    // The challenge of one gateway is answered at the other, and at neither again.
    let (_, challenge) = post(one.at("/v1/sessions/challenges"), json!({})).await;
    let [nonce, origin] = ["nonce", "origin"].map(|name| challenge[name].as_str().unwrap());
    let answered = member.answer(nonce, origin, &now_text());
    let (status, session) = post(other.at("/v1/sessions"), answered.clone()).await;
    assert_eq!(status, 201, "{session}");
    let (status, again) = post(one.at("/v1/sessions"), answered).await;
    assert_eq!((status, &again["code"]), (401, &json!("challenge-used")));

    // A proof names the address that the organisation's gateways have in common.
    let token = session["token"].as_str().unwrap();
    let prove = |method: &str, path: &str| member.proof(method, &hospital.at(path), token, &json!({}));
    let send = async |gateway: &Twin, method: Method, path: &str, proof: &str| {
        let request = client.request(method, gateway.at(path)).header("authorization", format!("DPoP {token}"));
        request.header("dpop", proof).send().await.unwrap()
    };
    let link = "/v1/links/unknown";
    for (first, second) in [(one, other), (other, one)] {
        let proof = prove("GET", link);
        problem(send(first, Method::GET, link, &proof).await, 404, "unknown-link").await;
        problem(send(second, Method::GET, link, &proof).await, 401, "dpop-proof-replayed").await;
    }
    let current = "/v1/sessions/current";
    assert_eq!(send(other, Method::DELETE, current, &prove("DELETE", current)).await.status(), 204);
    for gateway in [one, other] {
        problem(send(gateway, Method::GET, link, &prove("GET", link)).await, 401, "token-unknown").await;
    }
    assert_eq!(pair.world.ledger.called("Links:link"), 2);
}

#[tokio::test]
async fn of_many_gateways_one_takes_a_lease_and_another_when_it_has_ended() {
    let (place, folder) = (postgres::database().await, tempfile::tempdir().unwrap());
    let key = || StateKey::in_file(&folder.path().join("state.key")).unwrap();
    let states = join_all((0..3).map(|_| State::open(&place, key()))).await;
    let states: Vec<State> = states.into_iter().map(Result::unwrap).collect();
    let (begun, length) = (now(), Duration::from_secs(15));
    let take = async |holder: usize, at| {
        leases::take(&states[holder % states.len()], "agent", &holder.to_string(), at, length).await.unwrap()
    };
    let taken = join_all((0..12).map(|holder| take(holder, begun))).await;
    let winners: Vec<_> = (0..12).filter(|holder| taken[*holder]).collect();
    let [winner] = winners.as_slice() else { panic!("{taken:?}") };
    let later = |seconds: u64| LedgerTime::from_milliseconds(begun.milliseconds() + 1000 * seconds);
    // Renewed in time it is nobody else's, whichever gateway it is renewed at.
    assert!(take(*winner, later(10)).await);
    assert!(!take(winner + 1, later(20)).await);
    assert!(take(winner + 1, later(25)).await);
    assert!(!take(*winner, later(26)).await);
}

#[tokio::test]
async fn two_gateways_of_a_custodian_keep_one_copy_of_each_record() {
    let world = World::with_custodians().await;
    let (clinic, place) = (&world.others[0], postgres::database().await);
    let key = clinic.folder.path().join("state.key");
    let keep_for = ReplicasConfiguration { keep_for: vec!["HospitalMSP".into()], ..ReplicasConfiguration::default() };
    let mut tasks = Vec::new();
    let mut states = Vec::new();
    for _ in 0..2 {
        let state = State::open(&place, StateKey::in_file(&key).unwrap()).await.unwrap();
        states.push(state.clone());
        let gateway = Gateway { under_way: TaskTracker::new(), state, ..(*clinic.gateway).clone() };
        tasks.push(tokio::spawn(replicas::run(Arc::new(gateway), keep_for.clone(), HASTE)));
    }
    for key in ["one", "two", "three", "four", "five"] {
        let (status, link) = world.publish(key, RECORD).await;
        assert_eq!(status, 201, "{link}");
        world.ledger.tell_published(link["id"].as_str().unwrap());
    }
    let stored = || std::fs::read_dir(clinic.records()).unwrap().count();
    let mut seen = Vec::new();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen = join_all(states.iter().map(async |state| measure(state).await.unwrap())).await;
        if seen.iter().all(|one| (one.kept, one.pending) == (5, 0)) && stored() == 5 {
            break;
        }
    }
    assert!(seen.iter().all(|one| (one.kept, one.pending) == (5, 0)), "{seen:?}");
    assert_eq!(stored(), 5);
    tasks.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn an_upload_goes_on_at_whichever_gateway_is_asked_and_a_quota_counts_at_both() {
    let pair = Pair::new().await;
    is_known_as(&pair.world, "clinician");
    let tus = |method, path: &str| pair.member().request(method, pair.at(path)).header("tus-resumable", "1.0.0");
    let begin = |length: u64| {
        let request = tus(Method::POST, "/v1/uploads").header("upload-length", length);
        request.header("upload-metadata", metadata("text/plain")).send()
    };
    let begun = join_all((0..12).map(|_| begin(60))).await;
    let begun: Vec<_> = begun.into_iter().map(|response| response.unwrap()).filter(|one| one.status() == 201).collect();
    assert_eq!(begun.len(), 8, "as many as one member may have");
    let upload = begun[0].headers()["location"].to_str().unwrap().to_owned();
    let record = "a record that comes bit by bit, now here and now over there. ";
    for (number, bytes) in record.as_bytes()[..60].chunks(10).enumerate() {
        let request = tus(Method::PATCH, &upload).header("upload-offset", number * 10);
        let request = request.header("content-type", "application/offset+octet-stream").body(bytes.to_vec());
        assert_eq!(request.send().await.unwrap().status(), 204);
    }
    let id = upload.rsplit('/').next().unwrap();
    let publish = tus(Method::POST, &format!("/v1/links?patient=anna&category=summary&upload={id}"));
    let (status, link) = answer(publish.header("idempotency-key", "scan").send().await.unwrap()).await;
    assert_eq!(status, 201, "{link}");
    let opened = pair.world.open(&pair.world.hospital, link["id"].as_str().unwrap()).await;
    assert_eq!(opened.text().await.unwrap(), record[..60]);
}
