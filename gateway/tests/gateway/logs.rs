//! What is told of a gateway's work at its most talkative: no secret, and nobody's name or number.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fabric_msp::issue::Request;
use healthchain_gateway::telemetry::Telemetry;
use healthchain_gateway::wallet::Wallet as _;
use healthchain_gateway::wallet::command::WalletCommand;
use openssl::pkey::PKey;
use serde_json::{Value, json};
use tokio::process::Command;

use super::clinic_systems::{System, ask_with};
use super::collector::Collector;
use super::patient_index::knows;
use super::proofs::Holder;
use super::wallet::{ENCRYPTED, Hospital, PASSPHRASE};
use super::webhooks::{Office, Receiver};
use super::world::{Organisation, World, answer, problem};

/// Stands before the line that says what is looked for.
const WATCHED: &str = "watched: ";
/// A request's id, which is for the log.
const HARMLESS: &str = "harmless-4711";
const RECORD: &str =
    r#"{"resourceType":"Patient","name":[{"family":"Oberhuber-Zwettler"}],"identifier":[{"value":"MRN-908172"}]}"#;
const NUMBER: &str = "7700-4242-11";
/// Set where the work is done: in a process of its own, for a process has one log.
const WORKS: &str = "HEALTHCHAIN_TEST_TALKS";
const ITSELF: &str = "logs::the_log_at_its_most_talkative_and_the_traces_hold_no_secret_and_nobodys_name_or_number";
const PASSWORD: &str = "p12-pässword-of-yang";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_at_its_most_talkative_and_the_traces_hold_no_secret_and_nobodys_name_or_number() {
    if std::env::var_os(WORKS).is_some() {
        return everything_that_has_to_do_with_secrets().await;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", ITSELF, "--nocapture"]).kill_on_drop(true);
    let output = again.env(WORKS, "yes").env("RUST_LOG", "trace").output().await.unwrap();
    let (told, said) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}");
    let watched = said.lines().find_map(|line| line.split_once(WATCHED)).expect("it says what is looked for").1;
    let watched: Vec<(String, Vec<String>)> = serde_json::from_str(watched).unwrap();
    assert!(watched.len() >= 14, "{}", watched.len());

    // It was as talkative as it can be: about each part, of libraries too, and what is to be found is found.
    for marker in [
        HARMLESS,
        "TRACE hyper",
        "DEBUG ",
        "/v1/sessions",
        "/v1/token",
        "/v1/links/{link}/openings",
        "/v1/patient-index/searches",
        "/v1/webhooks",
        "open_link",
        "spans that a collector was sent",
    ] {
        assert!(told.contains(marker), "nothing is told of {marker}");
    }
    for (name, forms) in watched {
        for form in forms {
            let Some(at) = told.find(&form) else { continue };
            let line = told[..at].rsplit('\n').next().unwrap_or_default();
            panic!("{name} is told: {line}…");
        }
    }
}

/// What is looked for, and in which forms.
#[derive(Default)]
struct Watched(Vec<(&'static str, Vec<String>)>);

impl Watched {
    fn text(&mut self, name: &'static str, text: &str) {
        assert!(text.len() >= 4, "{name}: {text}");
        self.bytes(name, text.as_bytes());
        self.0.push((name, vec![text.to_owned()]));
    }

    /// As bytes are written in logs: base64, hexadecimal, a list of numbers.
    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        let list = format!("{:?}", &bytes[..bytes.len().min(12)]);
        let list = list.trim_matches(['[', ']']).to_owned();
        let start = STANDARD.encode(bytes);
        let forms =
            vec![start.trim_end_matches('=').to_owned(), URL_SAFE_NO_PAD.encode(bytes), hex::encode(bytes), list];
        self.0.push((name, forms));
    }

    /// A private key: the number itself, and each whole line of its file.
    fn key(&mut self, name: &'static str, pem: &[u8]) {
        let key = PKey::private_key_from_pem(pem).unwrap();
        self.bytes(name, &key.ec_key().unwrap().private_key().to_vec());
        let pem = std::str::from_utf8(pem).unwrap();
        // The first line is the same in every key of the curve.
        let lines = pem.lines().filter(|line| !line.starts_with('-')).skip(1);
        self.0.push((name, lines.map(str::to_owned).collect()));
    }
}

async fn everything_that_has_to_do_with_secrets() {
    let (collector, hospital) = (Collector::default(), Hospital::new());
    let traces = format!("[telemetry]\notlp_endpoint = \"http://{}\"", collector.listen());
    let telemetry = Telemetry::start(&hospital.configuration(ENCRYPTED, &traces)).unwrap();
    let mut watched = Watched::default();
    import(&hospital, &mut watched).await;

    let system = System::new();
    let world = World::called_by(system.registration(&["system/*.rs"])).await;
    knows(&world, "clinician");
    world.entitle_payer_at_publication();
    for (name, organisation, member) in
        [("the clinician's key", &world.hospital, "dr-grey"), ("the officer's key", &world.payer, "officer-7")]
    {
        watched.key(name, &organisation.wallet_file(member, "key.pem"));
    }
    session(&world, &mut watched).await;
    access_token(&world, &system, &mut watched).await;
    opening(&world, &mut watched).await;
    numbers(&world.hospital, &mut watched).await;
    webhook(world, &mut watched).await;

    telemetry.stop().await;
    eprintln!("spans that a collector was sent: {}", collector.text());
    println!("{WATCHED}{}", json!(watched.0));
}

/// A key comes in from a PKCS#12 file, and the wallet is opened with its passphrase; both also with wrong ones.
async fn import(hospital: &Hospital, watched: &mut Watched) {
    watched.text("the wallet's passphrase", PASSPHRASE);
    watched.text("the password of a PKCS#12 file", PASSWORD);
    watched.text("a wrong password", "not-the-password-either");
    let configuration = hospital.configuration(ENCRYPTED, "");
    WalletCommand::Encrypt.run(&configuration).await.unwrap();
    let yang = hospital.authority.issue(&Request::signing("dr-yang", "client")).unwrap();
    watched.key("an imported key", yang.key_pem());
    let bound = hospital.tls.issue(&Request::tls("dr-yang", &[], &[])).unwrap();
    std::fs::write(hospital.file("yang.p12"), hospital.p12(&yang, PASSWORD)).unwrap();
    std::fs::write(hospital.file("yang-tls.pem"), bound.certificate_pem()).unwrap();
    for (password, good) in [("not-the-password-either", false), (PASSWORD, true)] {
        std::fs::write(hospital.file("password"), password).unwrap();
        let command = WalletCommand::Import {
            p12: hospital.file("yang.p12"),
            member: "dr-yang".parse().unwrap(),
            password_file: Some(hospital.file("password")),
            tls_certificate: Some(hospital.file("yang-tls.pem")),
        };
        let done = command.run(&configuration).await;
        assert_eq!(done.is_ok(), good);
        // As the program says it.
        eprintln!("{}", done.unwrap_or_else(|error| format!("healthchain-gateway: {error}")));
    }
    let wallet = hospital.wallet(&configuration).unwrap();
    let member = wallet.holder_of(bound.certificate().der()).await.unwrap();
    eprintln!("{member:?}");
    std::fs::write(hospital.file("wrong"), "not-the-password-either").unwrap();
    let wrong = hospital.configuration("passphrase_file = \"wrong\"", "");
    eprintln!("{} {wrong:?}", hospital.wallet(&wrong).err().unwrap());
}

/// A session is opened, used, used wrongly and closed.
async fn session(world: &World, watched: &mut Watched) {
    let (hospital, member) = (&world.hospital, Holder::of(&world.hospital, "dr-grey"));
    let token = member.session(hospital).await;
    watched.text("a session's token", token.strip_prefix("hcs_").unwrap());
    let get = |path: &str| member.request(hospital, "GET", path, &token);
    let marked = get("/v1/links/unknown").header("x-request-id", HARMLESS).send().await.unwrap();
    problem(marked, 404, "unknown-link").await;
    // Where it does not belong: as somebody's bearer token, in an address, in a body, twice.
    let bearing = hospital.client(None).get(hospital.at("/v1/links/unknown"));
    let bearing = bearing.header("authorization", format!("Bearer {token}")).send().await.unwrap();
    problem(bearing, 401, "dpop-proof-missing").await;
    let in_the_address = hospital.member().get(hospital.at(&format!("/v1/links/unknown?access_token={token}")));
    problem(in_the_address.send().await.unwrap(), 400, "malformed-query").await;
    let in_the_path = hospital.member().get(hospital.at(&format!("/v1/sessions/{token}"))).send().await.unwrap();
    problem(in_the_path, 404, "route-not-found").await;
    let in_a_body = hospital.member().post(hospital.at("/v1/sessions")).json(&json!({"nonce": 1, "token": token}));
    problem(in_a_body.send().await.unwrap(), 400, "malformed-body").await;
    let twice = format!("DPoP {token}");
    let twice = get("/v1/links/unknown").header("authorization", twice).send().await.unwrap();
    problem(twice, 400, "authorization-malformed").await;
    let close = member.request(hospital, "DELETE", "/v1/sessions/current", &token).send().await.unwrap();
    assert_eq!(close.status(), 204);
}

/// A clinic system gets a token and reads with it.
async fn access_token(world: &World, system: &System, watched: &mut Watched) {
    let assertion = system.assertion(world, "once", &json!({}));
    watched.text("an assertion's signature", assertion.rsplit('.').next().unwrap());
    let (status, given) = ask_with(world, &assertion, "system/*.rs").await;
    assert_eq!(status, 200, "{given}");
    assert_eq!(ask_with(world, &assertion, "system/*.rs").await.0, 400);
    let token = given["access_token"].as_str().unwrap();
    watched.text("an access token", token.strip_prefix("hca_").unwrap());
    let request = world.hospital.client(None).get(world.hospital.at("/v1/links/unknown"));
    let response = request.header("authorization", format!("Bearer {token}")).send().await.unwrap();
    problem(response, 404, "unknown-link").await;
}

/// A record with a name and a number is published, and opened by another organisation.
async fn opening(world: &World, watched: &mut Watched) {
    watched.text("a name in a record", "Oberhuber");
    watched.text("a number in a record", "MRN-908172");
    let (status, link) = world.publish("key-1", RECORD).await;
    assert_eq!(status, 201, "{link}");
    let opened = world.open(&world.payer, link["id"].as_str().unwrap()).await;
    assert_eq!(opened.text().await.unwrap(), RECORD);
}

/// A record number is entered, searched for, and sent in ways that are refused.
async fn numbers(hospital: &Organisation, watched: &mut Watched) {
    watched.text("a record number", NUMBER);
    watched.text("a record number as a number", "908070605");
    watched.text("a record number of blanks", "553311 ");
    let identifier = |value: Value| json!({"system": "urn:oid:2.999.1", "value": value});
    let post = async |path: &str, body: Value| {
        let response = hospital.member().post(hospital.at(path)).json(&body).send().await.unwrap();
        let (status, said) = answer(response).await;
        (status, said["code"].as_str().map(str::to_owned))
    };
    let entry = json!({"identifier": identifier(NUMBER.into()), "patient": "anna"});
    assert_eq!(post("/v1/patient-index", entry).await, (201, None));
    for value in [json!(908_070_605), json!("553311 "), json!([NUMBER]), json!({NUMBER: NUMBER})] {
        for (path, body) in [
            ("/v1/patient-index", json!({"identifier": identifier(value.clone()), "patient": "anna"})),
            ("/v1/patient-index/searches", json!({"identifier": identifier(value.clone())})),
            ("/v1/patient-index/searches", json!({"patient": value.clone()})),
            ("/v1/patient-index/removals", identifier(value.clone())),
        ] {
            assert_eq!(post(path, body).await, (400, Some("malformed-body".to_owned())), "{path} {value}");
        }
    }
    assert_eq!(post("/v1/patient-index/searches", json!({"identifier": identifier(NUMBER.into())})).await.0, 200);
    assert_eq!(post("/v1/patient-index/removals", json!({"identifier": identifier(NUMBER.into())})).await.0, 200);
    let in_the_address = hospital.member().get(hospital.at(&format!("/v1/patient-index?value={NUMBER}")));
    assert_eq!(in_the_address.send().await.unwrap().status(), 405);
}

/// A member's server does not take what it is told, at an address that holds a secret of its own.
async fn webhook(world: World, watched: &mut Watched) {
    watched.text("a secret in a webhook's address", "capability-in-the-address");
    let office = Office::of(world, None).await;
    let mut receiver = Receiver::start(&office.authority).await;
    receiver.url.push_str("?key=capability-in-the-address");
    receiver.answers(&[500, 500, 500]);
    let (hook, secret) = office.hook(&receiver).await;
    watched.text("a webhook's secret", secret.strip_prefix("whsec_").unwrap());
    watched.bytes("a webhook's secret", &STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap());
    let delivery = office.deliver();
    let (first, second) = (office.withdraw(), office.withdraw());
    receiver.hears(&secret, &[&first, &first, &first, &second]).await;
    assert_eq!(office.dead_letters(&hook).await.len(), 1);
    delivery.abort();
}
