//! Webhooks: what servers of members are told, and what becomes of what they do not take.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_msp::issue::{Authority, Request};
use futures::future::join_all;
use healthchain_gateway::configuration::WebhooksConfiguration;
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::http::connections::{self, Limits};
use healthchain_gateway::http::listener::TlsListener;
use healthchain_gateway::state::{Place, State, StateKey};
use healthchain_gateway::webhooks::delivery::{self, Pace};
use healthchain_gateway::webhooks::sender::Sender;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::postgres;
use super::world::{Twin, World, answer, own, problem};

/// Everything that takes hours in earnest takes moments.
const HASTE: Pace = Pace {
    look: Duration::from_millis(50),
    hold: Duration::from_secs(2),
    first: Duration::from_millis(20),
    most: Duration::from_millis(50),
    tries: 3,
    unheard: Duration::from_millis(50),
    known: Duration::from_millis(100),
    save: Duration::from_millis(200),
};

/// A server that a member has told of events.
pub(crate) struct Receiver {
    pub(crate) url: String,
    heard: Arc<Heard>,
    /// It ends with this.
    _stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Heard {
    /// How long it takes to answer.
    pause: Mutex<Duration>,
    /// What it answers next; 204 when nothing is said.
    answers: Mutex<VecDeque<u16>>,
    messages: Mutex<Vec<(HeaderMap, Bytes)>>,
}

impl Receiver {
    pub(crate) async fn start(authority: &Authority) -> Self {
        let local = ["127.0.0.1".parse().unwrap()];
        let certificate = authority.issue(&Request::tls("receiver", &["localhost"], &local)).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TlsListener::bind(any, own(&certificate).server().unwrap()).await.unwrap();
        let url = format!("https://localhost:{}/events", listener.address().port());
        let heard = Arc::new(Heard::default());
        let router = Router::new().fallback(hear).with_state(Arc::clone(&heard));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(connections::serve(listener, router, Limits::default(), stopped));
        Self { url, heard, _stop: stop }
    }

    pub(crate) fn answers(&self, statuses: &[u16]) {
        self.heard.answers.lock().unwrap().extend(statuses);
    }

    /// The links of the messages so far, after checking each message's signature.
    fn links(&self, secret: &str) -> Vec<String> {
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let messages = self.heard.messages.lock().unwrap();
        messages.iter().map(|(headers, body)| link(&secret, headers, body)).collect()
    }

    pub(crate) async fn hears(&self, secret: &str, links: &[&str]) {
        until(&format!("{links:?}"), || self.links(secret) == links).await;
    }
}

async fn hear(Shared(heard): Shared<Arc<Heard>>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    heard.messages.lock().unwrap().push((headers, body));
    let pause = *heard.pause.lock().unwrap();
    tokio::time::sleep(pause).await;
    let status = heard.answers.lock().unwrap().pop_front().unwrap_or(204);
    let elsewhere = HeaderMap::from_iter([("location".parse().unwrap(), "/elsewhere".parse().unwrap())]);
    (StatusCode::from_u16(status).unwrap(), elsewhere)
}

/// The link that a message is about.
fn link(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> String {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let key = PKey::hmac(secret).unwrap();
    let mac = Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(&signed).unwrap();
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac)));
    let message: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(message["type"], "link-withdrawn");
    assert_eq!(message["data"]["entry"]["transaction"], id.as_str());
    assert!(message["timestamp"].as_str().unwrap().ends_with('Z'), "{message}");
    message["data"]["entry"]["act"]["link"].as_str().unwrap().to_owned()
}

/// The hospital, whose gateway trusts the receivers' authority.
pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) authority: Authority,
    gateway: Arc<Gateway>,
    twin: Twin,
}

impl Office {
    async fn new() -> Self {
        Self::of(World::new().await, None).await
    }

    /// With its state at this place.
    pub(crate) async fn of(world: World, state: Option<State>) -> Self {
        let authority = Authority::create("receivers", "Anywhere").unwrap();
        let sender = sender(&world, &authority, true);
        let mut gateway = Gateway { webhooks: sender, ..(*world.hospital.gateway).clone() };
        gateway.state = state.unwrap_or(gateway.state);
        let twin = world.hospital.twin(|twin| *twin = gateway.clone()).await;
        Self { world, authority, gateway: Arc::new(gateway), twin }
    }

    pub(crate) fn deliver(&self) -> JoinHandle<()> {
        self.deliver_at(HASTE)
    }

    fn deliver_at(&self, pace: Pace) -> JoinHandle<()> {
        tokio::spawn(delivery::run(Arc::clone(&self.gateway), pace))
    }

    pub(crate) fn withdraw(&self) -> String {
        self.world.ledger.withdraw("dr-grey", "anna")
    }

    async fn create(&self, body: Value) -> reqwest::Response {
        let request = self.world.hospital.member().post(self.twin.at("/v1/webhooks"));
        request.json(&body).send().await.unwrap()
    }

    /// A new webhook's path and secret.
    pub(crate) async fn hook(&self, receiver: &Receiver) -> (String, String) {
        let (status, made) = answer(self.create(json!({"url": receiver.url, "after": "0:0"})).await).await;
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (format!("/v1/webhooks/{}", text("id")), text("secret"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, found) = answer(self.world.hospital.member().get(self.twin.at(path)).send().await.unwrap()).await;
        assert_eq!(status, 200, "{found}");
        found
    }

    pub(crate) async fn dead_letters(&self, hook: &str) -> Vec<(String, String)> {
        let found = self.get(&format!("{hook}/dead-letters")).await;
        let text = |letter: &Value, name: &str| letter[name].as_str().unwrap().to_owned();
        let items = found["items"].as_array().unwrap().iter();
        items.map(|letter| (text(letter, "transaction"), text(letter, "reason"))).collect()
    }

    async fn post(&self, path: &str) -> reqwest::Response {
        self.world.hospital.member().post(self.twin.at(path)).send().await.unwrap()
    }
}

fn sender(world: &World, authority: &Authority, allow_private: bool) -> Arc<Sender> {
    let file = world.hospital.folder.path().join("receivers.pem");
    std::fs::write(&file, authority.certificate().pem()).unwrap();
    let configuration = WebhooksConfiguration { allow_private, tls_root: Some(file), ..Default::default() };
    Arc::new(Sender::new(&configuration).unwrap())
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

/// Long enough for something to happen that must not.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn a_members_server_is_told_in_order_what_the_member_may_know_and_nothing_else() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let first = office.withdraw();
    let (hook, secret) = office.hook(&receiver).await;
    let _task = office.deliver();
    office.world.ledger.withdraw("dr-yang", "officer-7");
    let (second, third) = (office.withdraw(), office.withdraw());
    receiver.hears(&secret, &[&first, &second, &third]).await;
    office.world.ledger.withdraw("dr-yang", "officer-7");
    a_while().await;
    assert_eq!(receiver.links(&secret).len(), 3);
    // Behind what others did, too.
    until_place(&office, &hook, "4:1").await;
}

#[tokio::test]
async fn what_a_receiver_does_not_take_is_tried_again_before_anything_else_is_told() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    receiver.answers(&[500, 302]);
    let (hook, secret) = office.hook(&receiver).await;
    let _task = office.deliver();
    let (first, second) = (office.withdraw(), office.withdraw());
    receiver.hears(&secret, &[&first, &first, &first, &second]).await;
    assert!(office.dead_letters(&hook).await.is_empty());
}

#[tokio::test]
async fn what_is_never_taken_becomes_a_dead_letter_and_can_be_redelivered() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    receiver.answers(&[500, 503, 500, 410]);
    let (hook, secret) = office.hook(&receiver).await;
    let _task = office.deliver();
    let (first, gone, third) = (office.withdraw(), office.withdraw(), office.withdraw());
    receiver.hears(&secret, &[&first, &first, &first, &gone, &third]).await;
    let letters = office.dead_letters(&hook).await;
    let reasons: Vec<_> = letters.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["answered 500", "answered 410 (gone)"]);

    let redelivery = |letter: usize| format!("{hook}/dead-letters/{}/redelivery", letters[letter].0);
    receiver.answers(&[500]);
    problem(office.post(&redelivery(0)).await, 502, "webhook-not-taken").await;
    assert_eq!(office.dead_letters(&hook).await.len(), 2);
    assert_eq!(office.post(&redelivery(0)).await.status(), 204);
    assert_eq!(receiver.links(&secret)[5..], [first.clone(), first]);
    assert_eq!(office.dead_letters(&hook).await, letters[1..]);
    problem(office.post(&redelivery(0)).await, 404, "dead-letter-not-found").await;

    let first_of_page = office.get(&format!("{hook}/dead-letters?limit=1")).await;
    assert_eq!(first_of_page["items"][0]["transaction"], letters[1].0.as_str());
}

#[tokio::test]
async fn a_receiver_that_is_never_there_holds_up_no_other() {
    let office = Office::new().await;
    let there = Receiver::start(&office.authority).await;
    let away = json!({"url": "https://localhost:1/", "after": "0:0"});
    assert_eq!(office.create(away).await.status(), 201);
    let (_, secret) = office.hook(&there).await;
    let _task = office.deliver_at(Pace { first: Duration::from_secs(3600), most: Duration::from_secs(3600), ..HASTE });
    let links = [office.withdraw(), office.withdraw()];
    there.hears(&secret, &links.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn a_gateway_that_starts_anew_goes_on_where_the_last_one_was() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let (hook, secret) = office.hook(&receiver).await;
    let task = office.deliver();
    let mut links = vec![office.withdraw()];
    receiver.hears(&secret, &[&links[0]]).await;
    until_place(&office, &hook, "0:1").await;
    task.abort();
    links.extend([office.withdraw(), office.withdraw()]);
    let _task = office.deliver();
    let links: Vec<_> = links.iter().map(String::as_str).collect();
    receiver.hears(&secret, &links).await;
}

/// Until everything before this place is dealt with.
async fn until_place(office: &Office, hook: &str, place: &str) {
    for _ in 0..100 {
        if office.get(hook).await["place"] == place {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{hook} is not at {place}");
}

#[tokio::test]
async fn gateways_that_share_a_state_tell_each_event_once_and_take_over_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::File(folder.path().join("state.sqlite")), postgres::database().await] {
        let key = folder.path().join("state.key");
        let state = State::open(&place, StateKey::in_file(&key).unwrap()).await.unwrap();
        let office = Office::of(World::new().await, Some(state)).await;
        let receiver = Receiver::start(&office.authority).await;
        let (_, secret) = office.hook(&receiver).await;
        let mut tasks = vec![office.deliver(), office.deliver(), office.deliver()];
        let mut links: Vec<String> = (0..5).map(|_| office.withdraw()).collect();
        receiver.hears(&secret, &links.iter().map(String::as_str).collect::<Vec<_>>()).await;
        a_while().await;
        assert_eq!(receiver.links(&secret), links, "none is told twice");
        for task in tasks.drain(..2) {
            task.abort();
        }
        links.push(office.withdraw());
        until("the last gateway takes over", || receiver.links(&secret) == links).await;
        tasks.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test]
async fn a_suspended_members_server_is_told_nothing_while_the_member_is() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let (hook, secret) = office.hook(&receiver).await;
    let _task = office.deliver();
    let first = office.withdraw();
    receiver.hears(&secret, &[&first]).await;
    office.world.ledger.state.lock().unwrap().suspended.insert("dr-grey".parse().unwrap());
    let second = office.withdraw();
    a_while().await;
    assert_eq!(receiver.links(&secret).len(), 1);
    problem(office.create(json!({"url": receiver.url})).await, 403, "member-suspended").await;
    let letters = office.world.hospital.member().get(office.twin.at(&format!("{hook}/dead-letters")));
    problem(letters.send().await.unwrap(), 403, "member-suspended").await;
    office.world.ledger.state.lock().unwrap().suspended.clear();
    receiver.hears(&secret, &[&first, &second]).await;
}

/// The ledger was asked about several events at once, and the first may take hours.
#[tokio::test]
async fn a_member_suspended_while_one_event_is_being_delivered_is_not_told_the_next() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    *receiver.heard.pause.lock().unwrap() = Duration::from_millis(300);
    let (_, secret) = office.hook(&receiver).await;
    let (first, second) = (office.withdraw(), office.withdraw());
    let _task = office.deliver();
    receiver.hears(&secret, &[&first]).await;
    office.world.ledger.state.lock().unwrap().suspended.insert("dr-grey".parse().unwrap());
    a_while().await;
    assert_eq!(receiver.links(&secret), [first.as_str()]);
    office.world.ledger.state.lock().unwrap().suspended.clear();
    receiver.hears(&secret, &[&first, &second]).await;
}

#[tokio::test]
async fn the_ledger_is_not_asked_about_events_that_a_webhook_does_not_ask_for() {
    let office = Office::new().await;
    let events = json!({"url": "https://localhost:1/", "events": ["consent-granted"], "after": "0:0"});
    let (_, made) = answer(office.create(events).await).await;
    let asked = office.world.ledger.called("Audit:known");
    let _task = office.deliver();
    office.withdraw();
    office.withdraw();
    until_place(&office, &format!("/v1/webhooks/{}", made["id"].as_str().unwrap()), "1:1").await;
    assert_eq!(office.world.ledger.called("Audit:known"), asked);
}

#[tokio::test]
async fn the_server_of_a_member_whose_certificate_was_revoked_is_told_nothing() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let (_, secret) = office.hook(&receiver).await;
    let _task = office.deliver();
    let first = office.withdraw();
    receiver.hears(&secret, &[&first]).await;
    let hospital = &office.world.hospital;
    let certificate = String::from_utf8(hospital.wallet_file("dr-grey", "certificate.pem")).unwrap();
    hospital.revoke_signing(&[&fabric_msp::Certificate::from_pem(certificate).unwrap()]);
    office.withdraw();
    a_while().await;
    assert_eq!(receiver.links(&secret).len(), 1);
}

#[tokio::test]
async fn a_webhook_that_was_taken_away_tells_nothing_more() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let (hook, secret) = office.hook(&receiver).await;
    let _task = office.deliver();
    let first = office.withdraw();
    receiver.hears(&secret, &[&first]).await;
    let remove = async || {
        let request = office.world.hospital.member().delete(office.twin.at(&hook));
        request.send().await.unwrap()
    };
    assert_eq!(remove().await.status(), 204);
    problem(remove().await, 404, "webhook-not-found").await;
    office.withdraw();
    a_while().await;
    assert_eq!(receiver.links(&secret).len(), 1);
    assert_eq!(office.get("/v1/webhooks").await["items"], json!([]));
}

#[tokio::test]
async fn a_secret_is_shown_once_and_repeated_only_to_who_repeats_the_request() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let create = async |key: &str| {
        let request = office.world.hospital.member().post(office.twin.at("/v1/webhooks"));
        let request = request.header("idempotency-key", key).json(&json!({"url": receiver.url}));
        answer(request.send().await.unwrap()).await
    };
    let (first, again, other) = (create("k1").await, create("k1").await, create("k2").await);
    assert_eq!(first, again);
    assert_ne!(first.1["secret"], other.1["secret"]);
    let listed = office.get("/v1/webhooks").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains("whsec_"), "{listed}");
}

#[tokio::test]
async fn a_webhook_is_its_members_alone() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let (hook, _) = office.hook(&receiver).await;
    let colleague = office.world.colleague().await;
    for path in [hook.clone(), format!("{hook}/dead-letters")] {
        problem(colleague.get(office.twin.at(&path)).send().await.unwrap(), 404, "webhook-not-found").await;
    }
    problem(colleague.delete(office.twin.at(&hook)).send().await.unwrap(), 404, "webhook-not-found").await;
    let (_, listed) = answer(colleague.get(office.twin.at("/v1/webhooks")).send().await.unwrap()).await;
    assert_eq!(listed["items"], json!([]));
    assert_eq!(office.get(&hook).await["url"], receiver.url.as_str());
}

#[tokio::test]
async fn a_member_has_ten_webhooks_and_no_more() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    for _ in 0..10 {
        office.hook(&receiver).await;
    }
    problem(office.create(json!({"url": receiver.url})).await, 409, "too-many-webhooks").await;
}

#[tokio::test]
async fn a_member_that_asks_for_many_webhooks_at_once_has_ten_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::File(folder.path().join("state.sqlite")), postgres::database().await] {
        let state = State::open(&place, StateKey::generate()).await.unwrap();
        let office = Office::of(World::new().await, Some(state)).await;
        let asked = (0..30).map(|_| office.create(json!({"url": "https://localhost:1/"})));
        let statuses = join_all(asked).await.into_iter().map(|response| response.status().as_u16());
        let (made, refused): (Vec<_>, Vec<_>) = statuses.partition(|status| *status == 201);
        assert_eq!(made.len(), 10, "{place:?}: {refused:?}");
        assert!(refused.iter().all(|status| *status == 409), "{place:?}: {refused:?}");
    }
}

#[tokio::test]
async fn only_servers_on_the_public_internet_are_called_unless_the_operator_allows_others() {
    let office = Office::new().await;
    for (url, code) in [
        ("http://receiver.example/", "webhook-url-refused"),
        ("ftp://receiver.example/", "webhook-url-refused"),
        ("https://user@receiver.example/", "webhook-url-refused"),
        ("https://:secret@receiver.example/", "webhook-url-refused"),
        ("https://receiver.example/#part", "webhook-url-refused"),
        ("events", "webhook-url-refused"),
        ("", "webhook-url-refused"),
    ] {
        problem(office.create(json!({"url": url})).await, 422, code).await;
    }
    problem(office.create(json!({})).await, 400, "malformed-body").await;
    let unknown = json!({"url": "https://a.example", "events": ["link-openend"]});
    problem(office.create(unknown).await, 400, "unknown-event").await;
    let strict = sender(&office.world, &office.authority, false);
    let strict = office.world.hospital.twin(|twin| twin.webhooks = strict).await;
    for host in ["127.0.0.1", "localhost:8443", "10.0.0.7", "169.254.169.254", "[::1]", "[::ffff:10.0.0.7]", "0x7f.1"] {
        let request = office.world.hospital.member().post(strict.at("/v1/webhooks"));
        let request = request.json(&json!({"url": format!("https://{host}/")}));
        let refused = problem(request.send().await.unwrap(), 422, "webhook-url-refused").await;
        assert!(refused["detail"].as_str().unwrap().contains("public internet"), "{host}: {refused}");
    }
}

/// A name may lead elsewhere when it is called than when the webhook was made.
#[tokio::test]
async fn an_address_is_judged_when_it_is_called() {
    let office = Office::new().await;
    let receiver = Receiver::start(&office.authority).await;
    let (hook, secret) = office.hook(&receiver).await;
    let strict = sender(&office.world, &office.authority, false);
    let strict = Gateway { webhooks: strict, ..(*office.gateway).clone() };
    let _task = tokio::spawn(delivery::run(Arc::new(strict), HASTE));
    office.withdraw();
    for _ in 0..100 {
        let letters = office.dead_letters(&hook).await;
        if let [(_, reason)] = letters.as_slice() {
            assert_eq!(reason, "not reached");
            assert!(receiver.links(&secret).is_empty());
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there is no dead letter");
}

#[tokio::test]
async fn a_receiver_whose_certificate_nobody_vouches_for_is_told_nothing() {
    let office = Office::new().await;
    let receiver = Receiver::start(&Authority::create("somebody", "Elsewhere").unwrap()).await;
    let (hook, secret) = office.hook(&receiver).await;
    let _task = office.deliver();
    office.withdraw();
    for _ in 0..100 {
        if office.dead_letters(&hook).await.len() == 1 {
            return assert!(receiver.links(&secret).is_empty());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there is no dead letter");
}
