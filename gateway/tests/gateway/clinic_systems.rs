use std::path::PathBuf;

use healthchain_gateway::callers::Callers;
use healthchain_gateway::configuration::CallersConfiguration;
use healthchain_gateway::configuration::callers::ClientConfiguration;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use serde_json::{Value, json};

use super::documents::Documents;
use super::node;
use super::proofs::now;
use super::world::{PACE, World, answer, problem};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const LINK: &str = "/v1/links/unknown";

/// A clinic system `ehr` that may read, with an RSA and a P-384 key.
pub(crate) struct System {
    folder: tempfile::TempDir,
    /// What the P-384 key is called.
    id: &'static str,
    p384: PKey<Private>,
    rsa: PKey<Private>,
}

impl System {
    pub(crate) fn new() -> Self {
        Self::with("p384")
    }

    fn with(id: &'static str) -> Self {
        let curve = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
        let p384 = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let system = Self { folder: tempfile::tempdir().unwrap(), id, p384, rsa };
        std::fs::write(system.jwks(), system.keys().to_string()).unwrap();
        system
    }

    /// The public ones.
    fn keys(&self) -> Value {
        json!({"keys": [self.public(self.id, Algorithm::ES384), self.public("rsa", Algorithm::RS384)]})
    }

    fn jwks(&self) -> PathBuf {
        self.folder.path().join("jwks.json")
    }

    fn key(&self, algorithm: Algorithm) -> EncodingKey {
        match algorithm {
            Algorithm::ES384 => EncodingKey::from_ec_der(&self.p384.private_key_to_pkcs8().unwrap()),
            _ => EncodingKey::from_rsa_der(&self.rsa.rsa().unwrap().private_key_to_der().unwrap()),
        }
    }

    fn public(&self, id: &str, algorithm: Algorithm) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key(algorithm), algorithm).unwrap();
        jwk.common.key_id = Some(id.into());
        jwk
    }

    /// What the hospital is told of it.
    pub(crate) fn registration(&self, scopes: &[&str]) -> CallersConfiguration {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        registered(ClientConfiguration { scopes, jwks: Some(self.jwks()), ..client() })
    }

    pub(crate) fn assertion(&self, world: &World, id: &str, changed: &Value) -> String {
        let mut claims = json!({
            "iss": "ehr", "sub": "ehr", "aud": world.hospital.at("/v1/token"), "exp": now() + 240, "jti": id,
        });
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        let mut header = Header::new(Algorithm::ES384);
        header.kid = Some(self.id.into());
        encode(&header, &claims, &self.key(Algorithm::ES384)).unwrap()
    }
}

/// The clinic system, whose keys are nowhere yet.
fn client() -> ClientConfiguration {
    ClientConfiguration {
        client: "ehr".into(),
        member: "dr-grey".parse().unwrap(),
        scopes: vec!["system/*.rs".into()],
        jwks: None,
        jwks_url: None,
        tls_root: None,
    }
}

fn registered(client: ClientConfiguration) -> CallersConfiguration {
    CallersConfiguration { smart: vec![client], ..Default::default() }
}

/// The clinic system publishes its keys at an address.
fn at(documents: &Documents) -> CallersConfiguration {
    let url = format!("{}/keys", documents.url).parse().unwrap();
    registered(ClientConfiguration { jwks_url: Some(url), tls_root: Some(documents.root()), ..client() })
}

async fn ask(world: &World, fields: &[(&str, &str)]) -> (u16, Value) {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = world.hospital.client(None).post(world.hospital.at("/v1/token")).body(form);
    let response = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

pub(crate) async fn ask_with(world: &World, assertion: &str, scope: &str) -> (u16, Value) {
    let grant = ("grant_type", "client_credentials");
    ask(world, &[grant, ("scope", scope), ("client_assertion_type", ASSERTION), ("client_assertion", assertion)]).await
}

async fn with(world: &World, token: &str, method: &str, path: &str) -> reqwest::Response {
    let request = world.hospital.client(None).request(method.parse().unwrap(), world.hospital.at(path));
    request.header("authorization", format!("Bearer {token}")).send().await.unwrap()
}

#[tokio::test]
async fn a_client_that_others_wrote_gets_a_token_and_reads_with_either_algorithm() {
    let system = System::new();
    let world = World::called_by(system.registration(&["system/*.rs"])).await;
    let root = system.folder.path().join("root.pem");
    std::fs::write(&root, world.hospital.tls_root.certificate().pem()).unwrap();
    for (algorithm, pem) in [
        ("ES384", system.p384.private_key_to_pem_pkcs8().unwrap()),
        ("RS384", system.rsa.private_key_to_pem_pkcs8().unwrap()),
    ] {
        let file = system.folder.path().join("key.pem");
        std::fs::write(&file, pem).unwrap();
        let kid = if algorithm == "ES384" { "p384" } else { "rsa" };
        let (url, file) = (world.hospital.url.as_str(), file.to_str().unwrap());
        let arguments = [url, "ehr", algorithm, kid, file, "system/*.rs", LINK, "POST:/v1/consents"];
        let said = node::run("smart-client.mjs", &root, &arguments).await;
        assert_eq!(said["granted"], "system/*.rs", "{said}");
        assert_eq!((said["expires_in"].as_u64(), said["token_type"].as_str()), (Some(300), Some("bearer")), "{said}");
        assert_eq!(said["answers"][0], json!({"status": 404, "code": "unknown-link"}), "{said}");
        assert_eq!(said["answers"][1], json!({"status": 403, "code": "scope-insufficient"}), "{said}");
        assert_eq!(said["metadata"]["token_endpoint"], world.hospital.at("/v1/token"));
    }
    let wrong = system.folder.path().join("key.pem");
    let arguments = [&world.hospital.url, "another", "RS384", "rsa", wrong.to_str().unwrap(), "system/*.rs", LINK];
    assert_eq!(node::run("smart-client.mjs", &root, &arguments).await["error"], "invalid_client");
}

#[tokio::test]
async fn a_scope_is_what_both_sides_say_and_limits_each_request() {
    let system = System::new();
    let world = World::called_by(system.registration(&["system/*.rs"])).await;
    let (status, given) = ask_with(&world, &system.assertion(&world, "1", &json!({})), "system/*.cruds").await;
    assert_eq!((status, given["scope"].as_str()), (200, Some("system/*.rs")));
    let token = given["access_token"].as_str().unwrap();
    problem(with(&world, token, "GET", LINK).await, 404, "unknown-link").await;
    for (method, path) in [
        ("POST", "/v1/links?patient=anna&category=summary"),
        ("POST", "/v1/consents"),
        ("DELETE", "/v1/sessions/current"),
    ] {
        let response = with(&world, token, method, path).await;
        assert!(response.headers()["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
        problem(response, 403, "scope-insufficient").await;
    }
    let (_, given) = ask_with(&world, &system.assertion(&world, "2", &json!({})), "system/*.s").await;
    let narrow = given["access_token"].as_str().unwrap();
    problem(with(&world, narrow, "GET", LINK).await, 403, "scope-insufficient").await;
    assert_eq!(world.ledger.called("Links:link"), 1);
    for (id, scope) in
        [("3", "system/*.cud"), ("4", "system/Patient.rs"), ("5", "user/*.rs"), ("6", ""), ("7", "openid")]
    {
        let (status, refused) = ask_with(&world, &system.assertion(&world, id, &json!({})), scope).await;
        assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_scope")), "{scope}");
    }
}

#[tokio::test]
async fn an_assertion_counts_once_for_its_client_this_endpoint_and_five_minutes() {
    let system = System::new();
    let world = World::called_by(system.registration(&["system/*.rs"])).await;
    let once = system.assertion(&world, "once", &json!({}));
    let tries = futures::future::join_all((0..4).map(|_| ask_with(&world, &once, "system/*.rs"))).await;
    assert_eq!(tries.iter().filter(|(status, _)| *status == 200).count(), 1, "{tries:?}");
    for (number, changed) in [
        json!({"aud": world.hospital.at("/")}),
        json!({"aud": world.payer.at("/v1/token")}),
        json!({"iss": "another", "sub": "another"}),
        json!({"sub": "another"}),
        json!({"exp": now() + 500}),
        json!({"exp": now() - 100}),
        json!({"nbf": now() + 200}),
        json!({"iat": now() + 200}),
        json!({"jti": ""}),
        json!({"jti": null}),
        json!({"exp": null}),
    ]
    .iter()
    .enumerate()
    {
        let assertion = system.assertion(&world, &format!("id-{number}"), changed);
        let (status, refused) = ask_with(&world, &assertion, "system/*.rs").await;
        assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_client")), "{changed}");
    }
}

#[tokio::test]
async fn what_is_no_request_of_a_registered_client_gets_no_token() {
    let system = System::new();
    let world = World::called_by(system.registration(&["system/*.rs"])).await;
    let good = system.assertion(&world, "good", &json!({}));
    let other = System::new().assertion(&world, "other", &json!({}));
    let stripped = format!("{}.", good.rsplit_once('.').unwrap().0);
    let secret = std::fs::read(system.jwks()).unwrap();
    let mut header = Header::new(Algorithm::HS384);
    header.kid = Some("p384".into());
    let claims =
        json!({"iss": "ehr", "sub": "ehr", "aud": world.hospital.at("/v1/token"), "exp": now() + 60, "jti": "h"});
    let confused = encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
    for assertion in [other.as_str(), &stripped, &confused, "", "a.b.c", &"a".repeat(10_000)] {
        let (status, refused) = ask_with(&world, assertion, "system/*.rs").await;
        assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_client")), "{assertion}");
    }
    let (grant, kind) = (("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION));
    for (fields, error) in [
        (&[("grant_type", "password"), kind, ("client_assertion", good.as_str())][..], "unsupported_grant_type"),
        (&[grant, ("client_assertion", &good)], "invalid_request"),
        (&[grant, grant, kind, ("client_assertion", &good)], "invalid_request"),
        (&[grant, kind, ("client_assertion", &good), ("client_id", "another")], "invalid_client"),
        (&[], "invalid_request"),
    ] {
        let (status, refused) = ask(&world, fields).await;
        assert_eq!((status, refused["error"].as_str()), (400, Some(error)), "{fields:?}");
    }
}

#[tokio::test]
async fn where_no_client_is_registered_there_is_nothing_to_discover() {
    let world = World::new().await;
    let path = world.hospital.at("/.well-known/smart-configuration");
    problem(world.hospital.client(None).get(path).send().await.unwrap(), 404, "clients-not-offered").await;
    let (status, refused) = ask_with(&world, "a.b.c", "system/*.rs").await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_client")));
}

#[tokio::test]
async fn a_script_of_the_documentation_opens_a_session_uses_it_and_closes_it() {
    let world = World::new().await;
    let folder = world.hospital.folder.path();
    let root = folder.join("root.pem");
    std::fs::write(&root, world.hospital.tls_root.certificate().pem()).unwrap();
    let file = |name: &str| folder.join("wallet/dr-grey").join(name).display().to_string();
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let said = node::run("session.mjs", &root, &[&world.hospital.url, &certificate, &key]).await;
    let expected = json!({"member": "dr-grey", "answered": "unknown-link", "closed": 204, "after": "token-unknown"});
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_token_past_its_time_is_refused() {
    let system = System::new();
    let world = World::called_by(system.registration(&["system/*.rs"])).await;
    let (_, given) = ask_with(&world, &system.assertion(&world, "1", &json!({})), "system/*.rs").await;
    let state = world.hospital.gateway.state.pool();
    sqlx::query("UPDATE caller_tokens SET expires_at = $1").bind((now() * 1000) as i64).execute(state).await.unwrap();
    let response = with(&world, given["access_token"].as_str().unwrap(), "GET", LINK).await;
    let (_, body) = answer(response).await;
    assert_eq!(body["code"], "token-expired");
}

#[tokio::test]
async fn keys_at_an_address_are_fetched_once_and_again_for_a_key_that_is_new() {
    let (documents, system) = (Documents::start().await, System::new());
    documents.put("/keys", 200, system.keys());
    let world = World::called_by(at(&documents)).await;
    let ask = async |system: &System, id: &str| {
        let (status, said) = ask_with(&world, &system.assertion(&world, id, &json!({})), "system/*.rs").await;
        (status, said["error"].as_str().map(str::to_owned))
    };
    for id in ["1", "2", "3"] {
        assert_eq!(ask(&system, id).await, (200, None));
    }
    assert_eq!(documents.asked("/keys"), 1);

    // The next key takes the place of this one.
    let next = System::with("next");
    documents.put("/keys", 200, next.keys());
    tokio::time::sleep(PACE.least).await;
    assert_eq!(ask(&next, "4").await, (200, None));
    assert_eq!(ask(&system, "5").await, (400, Some("invalid_client".to_owned())));
    // Of the same name and not the same key.
    assert_eq!(ask(&System::with("next"), "6").await, (400, Some("invalid_client".to_owned())));

    let (begun, asked) = (std::time::Instant::now(), documents.asked("/keys"));
    for number in 0..40 {
        let unknown = ask(&system, &format!("flood-{number}")).await;
        assert_eq!(unknown, (400, Some("invalid_client".to_owned())));
    }
    let most = begun.elapsed().as_millis() / PACE.least.as_millis() + 1;
    let asked = documents.asked("/keys") - asked;
    assert!(asked as u128 <= most, "{asked} in {:?}", begun.elapsed());
}

#[tokio::test]
async fn keys_that_their_address_does_not_give_are_told_from_a_bad_assertion() {
    let (documents, system) = (Documents::start().await, System::new());
    documents.put("/elsewhere", 200, system.keys());
    let world = World::called_by(at(&documents)).await;
    let mut tried = 0;
    let mut ask = async || {
        tried += 1;
        let assertion = system.assertion(&world, &format!("id-{tried}"), &json!({}));
        let (status, said) = ask_with(&world, &assertion, "system/*.rs").await;
        // Keys are asked for again only after a while.
        tokio::time::sleep(PACE.least).await;
        (status, said["error"].as_str().map(str::to_owned))
    };
    let too_long = format!("{{\"keys\": [], \"more\": \"{}\"}}", "x".repeat(300_000));
    for (status, text) in [
        (500, system.keys().to_string()),
        (302, format!("{}/elsewhere", documents.url)),
        (200, String::new()),
        (200, "{}".to_owned()),
        (200, too_long),
    ] {
        documents.put("/keys", status, &text);
        assert_eq!(ask().await, (503, Some("temporarily_unavailable".to_owned())), "{status} {text:.40}");
    }
    assert_eq!((documents.asked("/keys"), documents.asked("/elsewhere")), (5, 0));
    documents.put("/keys", 200, json!({"keys": []}));
    assert_eq!(ask().await, (400, Some("invalid_client".to_owned())));
    documents.put("/keys", 200, system.keys());
    assert_eq!(ask().await, (200, None));
}

#[tokio::test]
async fn keys_are_taken_from_nobody_but_whom_the_named_authority_vouches_for() {
    let (documents, other, system) = (Documents::start().await, Documents::start().await, System::new());
    documents.put("/keys", 200, system.keys());
    let mut configuration = at(&documents);
    configuration.smart[0].tls_root = Some(other.root());
    let world = World::called_by(configuration).await;
    let (status, refused) = ask_with(&world, &system.assertion(&world, "1", &json!({})), "system/*.rs").await;
    assert_eq!((status, refused["error"].as_str()), (503, Some("temporarily_unavailable")));
    assert_eq!(documents.asked("/keys"), 0);
}

#[tokio::test]
async fn a_client_with_its_keys_at_no_place_at_two_or_at_an_open_one_starts_no_gateway() {
    let world = World::new().await;
    let (url, state) = (world.hospital.url.parse().unwrap(), &world.hospital.gateway.state);
    let file = Some(System::new().jwks());
    let address = |text: &str| Some(text.parse().unwrap());
    for (jwks, jwks_url) in [
        (None, None),
        (file, address("https://ehr.example/keys")),
        (None, address("http://ehr.example/keys")),
        (None, address("file:///keys.json")),
    ] {
        let configuration = registered(ClientConfiguration { jwks, jwks_url: jwks_url.clone(), ..client() });
        let refused = Callers::new(&configuration, "HospitalMSP", &url, state, PACE).err().unwrap().to_string();
        assert!(refused.contains("ehr") && refused.contains("jwks_url (https)"), "{jwks_url:?}: {refused}");
    }
}
