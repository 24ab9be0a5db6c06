//! Being told what happens, by programs that others wrote: the npm packages eventsource and standardwebhooks.

use std::path::Path;

use healthchain_end_to_end::{Person, World};
use healthchain_rules::{LinkId, OrganisationKind};
use serde_json::{Value, json};

use crate::program::Program;

const RECORD: &[u8] = br#"{"resourceType":"Bundle","type":"collection","entry":[]}"#;

crate::promises![a_patient_is_told_what_is_done_with_the_own_records_and_nobody_else_is];

crate::promises![STOPPING_PARTS:
    who_follows_misses_nothing_when_the_gateway_is_killed,
    a_patients_server_is_told_and_nothing_is_lost_when_the_gateway_is_killed,
];

async fn a_patient_is_told_what_is_done_with_the_own_records_and_nobody_else_is(world: &World) {
    let (hospital, patient, other) = (world.hospital_clinician(), world.new_patient(), world.new_patient());
    let (mut told, mut told_other) = (Listener::follow(&patient).await, Listener::follow(&other).await);
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    assert_eq!(told.next_told().await, published(&link));
    hospital.open(&link, "treatment").await;
    assert_eq!(told.next_told().await, opened(&link));

    // The next event that the other patient is told is the own one.
    let of_other = hospital.publish(other.id(), "summary", RECORD).await;
    assert_eq!(told_other.next_told().await, published(&of_other));

    // Who comes later reads the same, page by page.
    let page = patient.get("/v1/events?after=0:0&events=link-published,link-opened&limit=100").await.json();
    let told: Vec<_> = page["items"].as_array().unwrap().iter().map(happened).collect();
    assert_eq!(told, [published(&link), opened(&link)]);
}

async fn who_follows_misses_nothing_when_the_gateway_is_killed(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let mut told = Listener::follow(&patient).await;
    let first = hospital.publish(patient.id(), "summary", RECORD).await;
    assert_eq!(told.next_told().await, published(&first));

    let gateway = world.component("gateway", world.organisation(OrganisationKind::PatientServices));
    assert!(world.network.kill(&gateway).await.unwrap());
    let between = hospital.publish(patient.id(), "summary", RECORD).await;
    world.network.start(&gateway).await.unwrap();
    assert_eq!(told.next_told().await, published(&between));
    hospital.open(&between, "treatment").await;
    assert_eq!(told.next_told().await, opened(&between));
}

async fn a_patients_server_is_told_and_nothing_is_lost_when_the_gateway_is_killed(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let mut receiver = Listener::receive(&patient);
    let url = receiver.program.next().await["url"].clone();
    let names = json!(["link-published", "link-opened"]);
    let made = patient.post("/v1/webhooks", &json!({"url": url, "events": names})).await.json();
    receiver.program.tell(made["secret"].as_str().unwrap()).await;

    // The receiver does not take the first message at once.
    let first = hospital.publish(patient.id(), "summary", RECORD).await;
    hospital.open(&first, "treatment").await;
    assert_eq!(receiver.next_message().await, published(&first));
    assert_eq!(receiver.next_message().await, opened(&first));

    let gateway = world.component("gateway", world.organisation(OrganisationKind::PatientServices));
    assert!(world.network.kill(&gateway).await.unwrap());
    let between = hospital.publish(patient.id(), "summary", RECORD).await;
    world.network.start(&gateway).await.unwrap();
    let mut message = receiver.next_message().await;
    if message == opened(&first) {
        // Killed before it had put down that this one was taken.
        message = receiver.next_message().await;
    }
    assert_eq!(message, published(&between));

    let hook = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    assert_eq!(patient.get(&format!("{hook}/dead-letters")).await.json()["items"], json!([]));
    let other = world.new_patient();
    assert_eq!(other.get(&hook).await.problem(), (404, "webhook-not-found".to_owned()));
}

/// What happened to which link.
type Happened = (String, String);

fn published(link: &LinkId) -> Happened {
    ("link-published".into(), link.to_string())
}

fn opened(link: &LinkId) -> Happened {
    ("link-opened".into(), link.to_string())
}

fn happened(told: &Value) -> Happened {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
    (text(&told["event"]), text(&told["entry"]["act"]["link"]))
}

/// A program that is told what happens.
struct Listener {
    program: Program,
    /// What came last.
    last: Option<Happened>,
}

impl Listener {
    /// Follows in a stream, from now on.
    async fn follow(person: &Person) -> Self {
        let access = person.access();
        let mut command = Program::node("events-client", "follow.mjs");
        command.env("GATEWAY", &access.gateway_url).env("TLS_ROOT", &access.tls_root);
        command.env("TLS_CERTIFICATE", &access.tls.certificate).env("TLS_KEY", &access.tls.key);
        let mut program = Program::start(command);
        let place = program.next().await;
        assert!(place["place"].is_string(), "{place}");
        Self { program, last: None }
    }

    /// Receives webhooks, with the certificate for `localhost` of the person's gateway.
    fn receive(person: &Person) -> Self {
        let wallet = person.access().identity.key.parent().and_then(Path::parent);
        let gateway = wallet.and_then(Path::parent).expect("a wallet is in its gateway's folder");
        let mut command = Program::node("events-client", "receive.mjs");
        command.env("TLS_CERTIFICATE", gateway.join("tls-certificate.pem"));
        command.env("TLS_KEY", gateway.join("tls-key.pem"));
        Self { program: Program::start(command), last: None }
    }

    /// The next event of the stream that is not the last one again; places, and that the stream broke, are passed over.
    async fn next_told(&mut self) -> Happened {
        loop {
            let line = self.program.next().await;
            let Some(told) = line.get("told") else { continue };
            let of_link = told["event"].as_str().is_some_and(|event| event.starts_with("link-"));
            if of_link && self.last != Some(happened(told)) {
                self.last = Some(happened(told));
                return happened(told);
            }
        }
    }

    /// The next message that the receiver verified.
    async fn next_message(&mut self) -> Happened {
        let line = self.program.next().await;
        let message = line.get("message").unwrap_or_else(|| panic!("{line}"));
        assert_eq!(line["id"], message["data"]["entry"]["transaction"], "{line}");
        happened(&message["data"])
    }
}
