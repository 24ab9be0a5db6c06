//! Access tokens that are bound to a key (RFC 7800): whoever steals one alone can do nothing with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fabric_msp::issue::{Authority, Issued, Request};
use healthchain_gateway::configuration::CallersConfiguration;
use healthchain_gateway::configuration::callers::ProviderConfiguration;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::documents::Documents;
use super::proofs::{Holder, now};
use super::world::{Organisation, World, problem};

const AUDIENCE: &str = "https://hospital.example/api";
const LINK: &str = "/v1/links/unknown";

/// An OpenID provider that binds its tokens as the test wants; its subject `portal` is dr-grey.
struct Provider {
    documents: Documents,
    key: EncodingKey,
}

impl Provider {
    async fn start() -> Self {
        let documents = Documents::start().await;
        let issued = Authority::create("keys", "Provider").unwrap().issue(&Request::signing("key", "client")).unwrap();
        let key = EncodingKey::from_ec_pem(issued.key_pem()).unwrap();
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("key-1".into());
        let discovery = json!({"issuer": documents.url, "jwks_uri": format!("{}/keys", documents.url)});
        documents.put("/.well-known/openid-configuration", 200, discovery);
        documents.put("/keys", 200, json!({"keys": [jwk]}));
        Self { documents, key }
    }

    async fn world(&self) -> World {
        let subjects = self.documents.root().with_file_name("subjects.toml");
        std::fs::write(&subjects, "\"portal\" = \"dr-grey\"\n").unwrap();
        let provider = ProviderConfiguration {
            issuer: self.documents.url.parse().unwrap(),
            audience: AUDIENCE.into(),
            algorithms: vec!["ES256".into()],
            types: vec!["at+jwt".into()],
            tls_root: Some(self.documents.root()),
            subjects,
        };
        World::called_by(CallersConfiguration { oidc: vec![provider], ..Default::default() }).await
    }

    /// A token for a while; `more` are further claims.
    fn token(&self, more: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        (header.typ, header.kid) = (Some("at+jwt".into()), Some("key-1".into()));
        let mut claims = json!({
            "iss": self.documents.url, "aud": AUDIENCE, "sub": "portal", "iat": now(), "exp": now() + 300,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        encode(&header, &claims, &self.key).unwrap()
    }

    fn bound(&self, confirmation: &Value) -> String {
        self.token(&json!({"cnf": confirmation}))
    }
}

/// How a token names a TLS client certificate (RFC 8705).
fn certificate_hash(certificate: &Issued) -> String {
    URL_SAFE_NO_PAD.encode(openssl::sha::sha256(certificate.certificate().der()))
}

async fn bearing(hospital: &Organisation, certificate: Option<&Issued>, token: &str) -> reqwest::Response {
    let request = hospital.client(certificate).get(hospital.at(LINK));
    request.header("authorization", format!("Bearer {token}")).send().await.unwrap()
}

/// With a proof of a key, over a connection with this certificate.
async fn proving(
    hospital: &Organisation,
    certificate: Option<&Issued>,
    holder: &Holder,
    token: &str,
) -> reqwest::Response {
    let proof = holder.proof("GET", &hospital.at(LINK), token, &json!({}));
    let request = hospital.client(certificate).get(hospital.at(LINK)).header("dpop", proof);
    request.header("authorization", format!("DPoP {token}")).send().await.unwrap()
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_counts_with_a_proof_of_that_key_only() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    let hospital = &world.hospital;
    // Of a portal's own: it need be no member's.
    let portal = Holder::of(&world.payer, "officer-7");
    let token = provider.bound(&json!({"jkt": portal.thumbprint()}));
    problem(proving(hospital, None, &portal, &token).await, 404, "unknown-link").await;

    problem(bearing(hospital, None, &token).await, 401, "dpop-proof-missing").await;
    // Not even by the member itself, whose certificate says who calls.
    problem(bearing(hospital, Some(&hospital.member_tls), &token).await, 401, "dpop-proof-missing").await;
    let thief = Holder::of(hospital, "dr-grey");
    problem(proving(hospital, None, &thief, &token).await, 401, "dpop-proof-invalid").await;
    let other = provider.bound(&json!({"jkt": thief.thumbprint()}));
    problem(proving(hospital, None, &portal, &other).await, 401, "dpop-proof-invalid").await;

    let proof = portal.proof("GET", &hospital.at(LINK), &token, &json!({}));
    let send = || hospital.client(None).get(hospital.at(LINK)).header("dpop", &proof);
    let send = || send().header("authorization", format!("DPoP {token}")).send();
    problem(send().await.unwrap(), 404, "unknown-link").await;
    problem(send().await.unwrap(), 401, "dpop-proof-replayed").await;
    assert_eq!(world.ledger.called("Links:link"), 2);
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_counts_over_a_connection_with_it_only() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    let hospital = &world.hospital;
    let own = &hospital.member_tls;
    let token = provider.bound(&json!({"x5t#S256": certificate_hash(own)}));
    problem(bearing(hospital, Some(own), &token).await, 404, "unknown-link").await;

    problem(bearing(hospital, None, &token).await, 401, "token-certificate-missing").await;
    let colleague = hospital.add_member(&world.ledger, "dr-yang");
    let again = hospital.tls_root.issue(&Request::tls("dr-grey", &[], &[])).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    problem(bearing(hospital, Some(&colleague), &token).await, 401, "token-certificate-missing").await;
    problem(bearing(hospital, Some(&again), &token).await, 403, "client-certificate-not-bound").await;
    // What is bound to a certificate that names nobody here, or somebody else, serves nobody.
    for (certificate, status, code) in [
        (&world.payer.member_tls, 401, "client-certificate-not-trusted"),
        (&again, 403, "client-certificate-not-bound"),
        (&colleague, 403, "proofs-disagree"),
    ] {
        let token = provider.bound(&json!({"x5t#S256": certificate_hash(certificate)}));
        problem(bearing(hospital, Some(certificate), &token).await, status, code).await;
    }
    assert_eq!(world.ledger.called("Links:link"), 1);
}

#[tokio::test]
async fn a_token_that_is_bound_to_both_needs_both() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    let hospital = &world.hospital;
    let (own, portal) = (&hospital.member_tls, Holder::of(&world.payer, "officer-7"));
    let token = provider.bound(&json!({"x5t#S256": certificate_hash(own), "jkt": portal.thumbprint()}));
    problem(proving(hospital, Some(own), &portal, &token).await, 404, "unknown-link").await;
    problem(proving(hospital, None, &portal, &token).await, 401, "token-certificate-missing").await;
    problem(bearing(hospital, Some(own), &token).await, 401, "dpop-proof-missing").await;
    assert_eq!(world.ledger.called("Links:link"), 1);
}

#[tokio::test]
async fn a_confirmation_that_is_not_understood_is_not_passed_over() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    let holder = Holder::of(&world.hospital, "dr-grey");
    for (confirmation, why) in [
        (json!({}), "cnf"),
        (json!({"jkt": null}), "cnf"),
        (json!(null), "claims"),
        (json!("text"), "claims"),
        (json!({"jkt": 5}), "claims"),
        (json!({"kid": "somebody's"}), "claims"),
        (json!({"jwk": {"kty": "EC"}}), "claims"),
        (json!({"jkt": holder.thumbprint(), "kid": "and another"}), "claims"),
    ] {
        let token = provider.bound(&confirmation);
        let proven = proving(&world.hospital, Some(&world.hospital.member_tls), &holder, &token).await;
        for refused in [bearing(&world.hospital, None, &token).await, proven] {
            let refused = problem(refused, 401, "token-not-trusted").await;
            assert!(refused["detail"].as_str().unwrap().contains(why), "{confirmation}: {refused}");
        }
    }
    let unbound = provider.token(&json!({}));
    let proven = proving(&world.hospital, None, &holder, &unbound).await;
    problem(proven, 401, "token-not-trusted").await;
    assert_eq!(world.ledger.called("Links:link"), 0);
    problem(bearing(&world.hospital, None, &unbound).await, 404, "unknown-link").await;
}
