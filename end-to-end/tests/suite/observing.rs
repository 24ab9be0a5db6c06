//! What an operator sees of a gateway, and what nobody sees.

#[path = "../../../gateway/tests/gateway/collector.rs"]
mod collector;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use healthchain_end_to_end::{Person, World, until};
use healthchain_rules::OrganisationKind;
use serde_json::Value;
use tokio::process::{Child, Command};
use uuid::Uuid;

use self::collector::Collector;

const RECORD: &[u8] = br#"{"resourceType":"Observation"}"#;
const DASHBOARD: &str = include_str!("../../../docs/grafana/healthchain.json");
/// A trace that a caller began.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

crate::promises![STOPPING_PARTS:
    a_trace_leads_to_each_stage_of_the_transaction_and_every_metric_of_the_dashboard_is_there,
    a_configuration_is_checked_without_serving,
    no_log_of_a_gateway_names_a_person_or_a_key,
];

/// The hospital's gateway, run by hand with what the environment adds to its configuration.
pub(crate) struct ByHand {
    name: String,
    pub(crate) program: Child,
    log: PathBuf,
}

impl ByHand {
    pub(crate) async fn start(world: &World, environment: &[(&str, String)]) -> Self {
        let name = world.component("gateway", world.organisation(OrganisationKind::PrimaryCare));
        world.network.stop(&name).await.unwrap();
        let log = std::env::temp_dir().join(format!("healthchain-observing-{}.log", std::process::id()));
        let mut command = gateway(world, &[]);
        command.envs(environment.iter().map(|(name, value)| (name, value.as_str()))).kill_on_drop(true);
        let program = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        let ready = world.hospital_clinician();
        until("the gateway is ready", || async {
            let answer = ready.try_request(reqwest::Method::GET, "/readyz", |request| request).await;
            answer.map_err(|error| error.to_string())?.is_success().then_some(()).ok_or_else(|| "not ready".to_owned())
        })
        .await;
        Self { name, program, log }
    }

    /// Asks it to end as a service manager does.
    pub(crate) async fn terminate(&self) {
        let pid = self.program.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// Asks it to end, and waits until it has.
    async fn end(self, world: &World) -> String {
        self.terminate().await;
        self.ended(world).await
    }

    /// Waits until it has ended, as it was asked to, and has the network's own run again; gives its log.
    pub(crate) async fn ended(mut self, world: &World) -> String {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.program.wait()).await;
        assert!(ended.expect("it ends in seconds").unwrap().success(), "a polite end is no failure");
        world.network.start(&self.name).await.unwrap();
        let log = std::fs::read_to_string(&self.log).unwrap();
        std::fs::remove_file(&self.log).unwrap();
        log
    }
}

/// The gateway's program, or a command of it, with the hospital's configuration.
pub(crate) fn gateway(world: &World, command: &[&str]) -> Command {
    let hospital = world.organisation(OrganisationKind::PrimaryCare);
    let folder = world.network.layout().organisation(&hospital.name).records();
    let mut program = Command::new(std::env::current_exe().unwrap().with_file_name("healthchain-gateway"));
    program.args(command).arg("--config").arg(folder.with_file_name("gateway.toml")).stdout(Stdio::piped());
    program
}

async fn a_trace_leads_to_each_stage_of_the_transaction_and_every_metric_of_the_dashboard_is_there(world: &World) {
    let collector = Collector::default();
    let operations = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = ByHand::start(
        world,
        &[
            ("HEALTHCHAIN_GATEWAY__TELEMETRY__OTLP_ENDPOINT", format!("http://{}", collector.listen())),
            ("HEALTHCHAIN_GATEWAY__OPERATIONS__LISTEN", operations.to_string()),
            ("HEALTHCHAIN_GATEWAY__LOG__FORMAT", "json".into()),
        ],
    )
    .await;
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let path = format!("/v1/links?patient={}&category=summary", patient.id());
    let published = hospital.request(reqwest::Method::POST, &path, |request| {
        let request = request.header("Idempotency-Key", Uuid::new_v4().to_string()).body(RECORD.to_vec());
        let request = request.header("Content-Type", "application/fhir+json");
        request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
    });
    let link = published.await.link();

    let submit = ["POST /v1/links", "share_link", "ledger submit"];
    until("the trace arrives", || async {
        let paths = collector.paths(TRACE);
        let missing = ["fabric endorse", "fabric submit", "fabric commit-status"].into_iter().find(|stage| {
            let expected = [submit.as_slice(), &[*stage]].concat();
            !paths.iter().any(|path| path == &expected)
        });
        missing.map_or(Ok(()), |stage| Err(format!("no {stage} in {paths:#?}")))
    })
    .await;
    assert!(collector.has_child_of(CALLER), "the caller's own span is not the parent");
    for personal in [patient.id().as_str(), hospital.id().as_str(), link.as_str()] {
        assert!(!collector.text().contains(personal), "{personal} is in a trace");
    }

    let named = names(DASHBOARD);
    assert!(named.len() > 8, "{named:?}");
    until("the metrics of the dashboard", || async {
        let metrics = reqwest::get(format!("http://{operations}/metrics")).await.unwrap().text().await.unwrap();
        let known = names(&metrics);
        let missing: Vec<_> = named.difference(&known).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} of the dashboard is not in\n{metrics}")) }
    })
    .await;

    let log = gateway.end(world).await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect();
    assert!(lines.iter().any(|line| line["message"] == "stopping"), "{log}");
}

async fn a_configuration_is_checked_without_serving(world: &World) {
    let good = gateway(world, &[]).arg("--check").output().await.unwrap();
    let told = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success(), "{told}");
    assert!(told.contains("ok       the peer answers") && !told.contains("WRONG"), "{told}");

    let wrong = gateway(world, &[])
        .arg("--check")
        .env("HEALTHCHAIN_GATEWAY__IDENTITY__KEY", "no-such-key.pem")
        .env("HEALTHCHAIN_GATEWAY__PEER__ENDPOINT", "https://localhost:1")
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(wrong.stdout).unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{told}");
    assert!(told.contains("WRONG    [identity] certificate and key") && told.contains("no-such-key.pem"), "{told}");
    assert!(told.contains("ok       wallet") && told.contains("missing  the peer answers"), "{told}");
}

/// After whatever stories ran before, and one of its own.
async fn no_log_of_a_gateway_names_a_person_or_a_key(world: &World) {
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    let link = hospital.publish(patient.id(), "claim", RECORD).await;
    payer.open(&link, "payment").await;
    let consent = patient.permit(payer.access().msp_id.as_str(), "claim", "payment").await;
    until("the record opens", || async {
        let answer = payer.open(&link, "payment").await;
        if answer.body == RECORD { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    patient.revoke(&consent).await;
    for (person, path) in [
        (&patient, format!("/v1/patients/{}/audit", patient.id())),
        (&hospital, format!("/v1/members/{}", patient.id())),
        (&payer, format!("/v1/patients/{}/links?purpose=payment", patient.id())),
        (&payer, "/v1/members/nobody%0Aknown".into()),
    ] {
        person.get(&path).await;
    }

    let consortium = world.network.consortium();
    let members = consortium.organisations.iter().flat_map(|organisation| &organisation.members);
    let mut secrets: BTreeSet<String> = members.map(|member| member.id.to_string()).collect();
    secrets.extend([hospital.showing(None), payer].iter().flat_map(keys));
    for organisation in &consortium.organisations {
        let name = world.component("gateway", organisation);
        let log = std::fs::read_to_string(world.network.log(&name).unwrap()).unwrap();
        assert!(log.contains("route="), "{name}'s log is not read right: {log}");
        for secret in &secrets {
            let line = log.lines().find(|line| names_it(line, secret));
            assert_eq!(line, None, "{secret} is in the log of {name}");
        }
    }
}

/// Lines of a member's private keys.
fn keys(person: &Person) -> Vec<String> {
    let files = [&person.access().identity.key, &person.access().encryption_key];
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap_or_default()).concat();
    texts.lines().filter(|line| !line.starts_with("---") && line.len() > 16).map(str::to_owned).collect()
}

/// As a word of its own: `e2e-patient-1` is not in `e2e-patient-10`.
fn names_it(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let around = [line[..at].chars().next_back(), line[at + word.len()..].chars().next()];
        around.into_iter().flatten().all(|letter| !letter.is_ascii_alphanumeric() && letter != '-')
    })
}

/// The names of our metrics in a text, without the endings that histograms give theirs.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("healthchain_") || word.starts_with("fabric_client_"));
    ours.map(|word| ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word))
        .collect()
}
