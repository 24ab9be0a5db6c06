//! What callers show a gateway: tokens, proofs, assertions, answers to challenges. Nobody without a key makes one that counts.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use healthchain_gateway::callers::scope::Act;
use healthchain_gateway::callers::sessions::{Answer, rfc3339};
use healthchain_gateway::callers::smart::{TokenRefusal, TokenRequest};
use healthchain_gateway::callers::{Callers, Pace, Presented, Unproven};
use healthchain_gateway::configuration::callers::CallersConfiguration;
use healthchain_gateway::state::State;
use healthchain_gateway::wallet::{Keys, Wallet, WalletMember};
use healthchain_rules::MemberId;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::Private;
use serde_json::{Value, json};

use crate::background::run;
use crate::ledger::{PERSON, SIGNER, write_own_msp};

const GATEWAY: &str = "https://hospital.example";
const ISSUER: &str = "https://localhost:1";
const PATH: &str = "/v1/links";

/// A gateway's doorkeeper, with one member, one clinic system and one OpenID provider (which does not answer).
pub struct Door {
    callers: Callers,
    wallet: OneMember,
    session: String,
    assertions: EcKey<Private>,
}

/// What everybody comes to.
pub static DOOR: LazyLock<Door> = LazyLock::new(|| run(Door::new()));

struct OneMember(Arc<WalletMember>);

impl Wallet for OneMember {
    fn holder_of<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, Option<Arc<WalletMember>>> {
        Box::pin(async { None })
    }

    fn signer_with<'a>(&'a self, key: &'a [u8; 32]) -> BoxFuture<'a, Option<Arc<WalletMember>>> {
        let is_it = self.0.creator().certificate().key_hash() == *key;
        Box::pin(async move { is_it.then(|| Arc::clone(&self.0)) })
    }

    fn member<'a>(&'a self, id: &'a MemberId) -> BoxFuture<'a, Option<Arc<WalletMember>>> {
        Box::pin(async move { (self.0.id == *id).then(|| Arc::clone(&self.0)) })
    }
}

impl Door {
    async fn new() -> Self {
        let assertions = clinic_system();
        let folder = tempfile::tempdir().expect("the system has room");
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: String| std::fs::write(at(name), text).expect("the system has room");
        write_own_msp(&at("msp"));
        write("keys.json", json!({ "keys": [jwk(&assertions)] }).to_string());
        write("subjects.toml", "amy = \"amy\"".into());
        let client = json!({
            "client": "system", "member": "amy", "scopes": ["system/*.cruds"], "jwks": at("keys.json"),
        });
        let provider = json!({ "issuer": ISSUER, "audience": GATEWAY, "subjects": at("subjects.toml") });
        let configuration = json!({ "msp": at("msp"), "smart": [client], "oidc": [provider] });
        let configuration: CallersConfiguration = serde_json::from_value(configuration).expect("it is one");
        let state = State::in_memory().await.expect("a state is made");
        let (url, long) = (GATEWAY.parse().expect("it is a URL"), Duration::from_secs(1 << 20));
        let pace = Pace { least: long, usual: long, most: long };
        let callers = Callers::new(&configuration, "HospitalMSP", &url, &state, pace).expect("they are ready");
        // The system's keys are read with its first assertion, and then no file is needed any more.
        callers.grant(&request(&signed_assertion(&assertions, "first"))).await.unwrap_or_else(|refusal| {
            panic!("a good assertion is refused: {refusal:?}");
        });
        let id = "amy".parse().expect("it is an id");
        let wallet = OneMember(Arc::new(WalletMember { id, keys: Keys::Elsewhere(SIGNER.creator().clone()) }));
        let answer = good_answer(&callers);
        let answer = Answer {
            certificate: text(&answer, "certificate"),
            nonce: text(&answer, "nonce"),
            time: text(&answer, "time"),
            signature: text(&answer, "signature"),
        };
        let session = callers.open_session(&answer, &wallet).await.expect("it opens").token;
        Self { callers, wallet, session, assertions }
    }

    /// Why a token, which is no token of this gateway's, is not taken.
    pub fn refuses_token(&self, token: &str) -> Option<Unproven> {
        let shown = Presented { with_proof: false, token, proof: None, ..self.shown() };
        run(self.callers.member(&shown, &self.wallet)).err()
    }

    /// Why a proof is not taken for a GET of links within the member's session.
    pub fn refuses_proof(&self, proof: &str) -> Option<Unproven> {
        let shown = Presented { proof: Some(proof), ..self.shown() };
        run(self.callers.member(&shown, &self.wallet)).err()
    }

    /// Why a clinic system gets no access token for an assertion.
    pub fn refuses_assertion(&self, assertion: &str) -> Option<TokenRefusal> {
        run(self.callers.grant(&request(assertion))).err()
    }

    /// Why no session is opened for the answer to a challenge, four texts.
    pub fn refuses_answer(&self, [certificate, nonce, time, signature]: [&str; 4]) -> Option<Unproven> {
        let answer = Answer { certificate, nonce, time, signature };
        run(self.callers.open_session(&answer, &self.wallet)).err()
    }

    fn shown(&self) -> Presented<'_> {
        let (token, act) = (self.session.as_str(), Act::Read);
        Presented { with_proof: true, token, proof: None, method: "GET", path: PATH, act, certificate: None }
    }
}

pub(crate) fn token(data: &[u8]) {
    let token = String::from_utf8_lossy(data);
    assert!(DOOR.refuses_token(&token).is_some(), "a token was forged: {token}");
}

pub(crate) fn token_seeds() -> Vec<Vec<u8>> {
    let claims = json!({ "iss": ISSUER, "aud": GATEWAY, "sub": "amy", "exp": now() + 600, "iat": now() });
    let header = json!({ "alg": "ES384", "typ": "at+jwt", "kid": "1" });
    let confirmed = json!({ "iss": ISSUER, "aud": [GATEWAY], "sub": "amy", "exp": now() + 600, "iat": now(), "cnf": { "jkt": "x" } });
    let mut seeds = [claims, confirmed].map(|claims| signed(&header, &claims, &DOOR.assertions).into_bytes()).to_vec();
    seeds.extend([DOOR.session.clone(), format!("hca_{}", "A".repeat(43))].map(String::into_bytes));
    seeds
}

pub(crate) fn proof(data: &[u8]) {
    static SEED: LazyLock<Vec<u8>> = LazyLock::new(|| proof_seeds().remove(0));
    if DOOR.refuses_proof(&String::from_utf8_lossy(data)).is_none() {
        assert_eq!(data, SEED.as_slice(), "a proof was forged");
    }
}

pub(crate) fn proof_seeds() -> Vec<Vec<u8>> {
    static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let key = EcKey::private_key_from_pem(PERSON.key_pem()).expect("the key is an EC key");
        let other = EcKey::generate(&group(Nid::X9_62_PRIME256V1)).expect("a key is made");
        let claims = json!({
            "jti": "1", "htm": "GET", "htu": format!("{GATEWAY}{PATH}"), "iat": now(),
            "ath": URL_SAFE_NO_PAD.encode(openssl::sha::sha256(DOOR.session.as_bytes())),
        });
        let proof = |key: &EcKey<Private>| {
            let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(key) });
            signed(&header, &claims, key).into_bytes()
        };
        vec![proof(&key), proof(&other)]
    });
    SEEDS.clone()
}

pub(crate) fn assertion(data: &[u8]) {
    if DOOR.refuses_assertion(&String::from_utf8_lossy(data)).is_none() {
        assert!(assertion_seeds().iter().any(|seed| seed == data), "an assertion was forged");
    }
}

pub(crate) fn assertion_seeds() -> Vec<Vec<u8>> {
    static SEEDS: LazyLock<Vec<Vec<u8>>> =
        LazyLock::new(|| ["1", "2"].map(|id| signed_assertion(&DOOR.assertions, id).into_bytes()).to_vec());
    SEEDS.clone()
}

/// An answer counts once, and whoever has it may spell the same certificate and signature otherwise: nobody signs another one.
pub(crate) fn answer(data: &[u8]) {
    static SEED: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_slice(&answer_seeds()[0]).expect("what was written is read"));
    let Ok(answer) = serde_json::from_slice::<Value>(data) else { return };
    let texts = ["certificate", "nonce", "time", "signature"].map(|name| text(&answer, name));
    if DOOR.refuses_answer(texts).is_none() {
        assert_eq!((&answer["nonce"], &answer["time"]), (&SEED["nonce"], &SEED["time"]), "an answer was forged");
    }
}

pub(crate) fn answer_seeds() -> Vec<Vec<u8>> {
    static SEED: LazyLock<Vec<u8>> = LazyLock::new(|| good_answer(&DOOR.callers).to_string().into_bytes());
    vec![SEED.clone()]
}

/// What the one member answers to a challenge.
fn good_answer(callers: &Callers) -> Value {
    let challenge = callers.challenge().expect("there are sessions");
    let time = rfc3339(now());
    let text =
        format!("Healthchain session v1\norigin: {}\nnonce: {}\ntime: {time}\n", challenge.origin, challenge.nonce);
    let signature = URL_SAFE_NO_PAD.encode(SIGNER.sign(text.as_bytes()).expect("a key in memory signs"));
    json!({ "certificate": PERSON.certificate_pem(), "nonce": challenge.nonce, "time": time, "signature": signature })
}

fn signed_assertion(key: &EcKey<Private>, id: &str) -> String {
    let header = json!({ "alg": "ES384", "typ": "JWT", "kid": "1" });
    let claims = json!({
        "iss": "system", "sub": "system", "aud": format!("{GATEWAY}/v1/token"), "jti": id, "exp": now() + 240,
    });
    signed(&header, &claims, key)
}

fn request(assertion: &str) -> TokenRequest {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    serde_json::from_value(json!({
        "grant_type": "client_credentials", "scope": "system/*.r",
        "client_assertion_type": kind, "client_assertion": assertion,
    }))
    .expect("it is a request")
}

/// A JWT (RFC 7519), well signed.
fn signed(header: &Value, claims: &Value, key: &EcKey<Private>) -> String {
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let length = width(key);
    let digest = if length == 48 { MessageDigest::sha384() } else { MessageDigest::sha256() };
    let digest = hash(digest, message.as_bytes()).expect("it is hashed");
    let signature = EcdsaSig::sign(&digest, key).expect("it is signed");
    let number = |number: &openssl::bn::BigNumRef| number.to_vec_padded(length as i32).expect("it fits");
    let signature = [number(signature.r()), number(signature.s())].concat();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The public key (RFC 7517).
fn jwk(key: &EcKey<Private>) -> Value {
    let (mut x, mut y) = (BigNum::new().expect("a number"), BigNum::new().expect("a number"));
    let mut context = BigNumContext::new().expect("a context");
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).expect("it is a point");
    let length = width(key);
    let number = |number: &BigNum| URL_SAFE_NO_PAD.encode(number.to_vec_padded(length as i32).expect("it fits"));
    let curve = if length == 48 { "P-384" } else { "P-256" };
    json!({ "kty": "EC", "crv": curve, "kid": "1", "x": number(&x), "y": number(&y) })
}

/// Bytes of a coordinate.
fn width(key: &EcKey<Private>) -> usize {
    key.group().degree() as usize / 8
}

/// The clinic system's key: 01 02 … 30, so that there can be vectors.
fn clinic_system() -> EcKey<Private> {
    let group = group(Nid::SECP384R1);
    let number = BigNum::from_slice(&(1..=48).collect::<Vec<u8>>()).expect("a number");
    let mut public = EcPoint::new(&group).expect("a point");
    public.mul_generator2(&group, &number, &mut BigNumContext::new().expect("a context")).expect("it is multiplied");
    EcKey::from_private_components(&group, &number, &public).expect("it is a key")
}

fn group(curve: Nid) -> EcGroup {
    EcGroup::from_curve_name(curve).expect("OpenSSL knows the curve")
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_default()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
