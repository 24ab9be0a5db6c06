use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use healthchain_gateway::configuration::CallersConfiguration;
use healthchain_gateway::configuration::callers::ProviderConfiguration;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::{Value, json};

use super::node::Provider;
use super::proofs::{Holder, now};
use super::world::{PACE, World, problem};

const AUDIENCE: &str = "https://hospital.example/api";
const LINK: &str = "/v1/links/unknown";

/// What the hospital is told of a provider: one of its subjects is dr-grey.
fn told_of(provider: &Provider) -> CallersConfiguration {
    let subjects = provider.folder.path().join("subjects.toml");
    std::fs::write(&subjects, "\"portal-of-dr-grey\" = \"dr-grey\"\n\"dr-grey\" = \"no-such-member\"\n").unwrap();
    let provider = ProviderConfiguration {
        issuer: provider.issuer.parse().unwrap(),
        audience: AUDIENCE.into(),
        algorithms: vec!["ES256".into(), "RS256".into()],
        types: vec!["at+jwt".into()],
        tls_root: Some(provider.root()),
        subjects,
    };
    CallersConfiguration { oidc: vec![provider], ..Default::default() }
}

async fn with(world: &World, token: &str) -> reqwest::Response {
    let request = world.hospital.client(None).get(world.hospital.at(LINK));
    request.header("authorization", format!("Bearer {token}")).send().await.unwrap()
}

/// A token with any header and claims, the signature of another one or none.
fn forged(header: &Value, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn a_real_providers_token_names_the_member_that_its_subject_is_mapped_to() {
    let mut provider = Provider::start(AUDIENCE);
    let world = World::called_by(told_of(&provider)).await;
    let token = provider.token("portal-of-dr-grey", AUDIENCE).await;
    problem(with(&world, &token).await, 404, "unknown-link").await;
    problem(with(&world, &token).await, 404, "unknown-link").await;
    assert_eq!((world.ledger.called("Links:link"), provider.fetched()), (2, 1));

    let nobody = provider.token("portal-of-nobody", AUDIENCE).await;
    problem(with(&world, &nobody).await, 403, "subject-not-mapped").await;
    // The payer's gateway was told of no provider.
    let elsewhere =
        world.payer.client(None).get(world.payer.at(LINK)).header("authorization", format!("Bearer {token}"));
    problem(elsewhere.send().await.unwrap(), 401, "token-not-trusted").await;
    // A mapping that is taken away counts at once.
    std::fs::write(provider.folder.path().join("subjects.toml"), "").unwrap();
    problem(with(&world, &token).await, 403, "subject-not-mapped").await;
}

#[tokio::test]
async fn a_new_key_is_found_and_unknown_keys_do_not_hammer_the_provider() {
    let mut provider = Provider::start(AUDIENCE);
    let world = World::called_by(told_of(&provider)).await;
    let before = provider.token("portal-of-dr-grey", AUDIENCE).await;
    problem(with(&world, &before).await, 404, "unknown-link").await;
    provider.rotate();
    let after = provider.token("portal-of-dr-grey", AUDIENCE).await;
    tokio::time::sleep(PACE.least).await;
    problem(with(&world, &after).await, 404, "unknown-link").await;
    problem(with(&world, &before).await, 404, "unknown-link").await;

    let (begun, fetched) = (std::time::Instant::now(), provider.fetched());
    let claims = json!({"iss": provider.issuer, "sub": "portal-of-dr-grey"}).to_string();
    for number in 0..60 {
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": format!("flood-{number}")});
        problem(with(&world, &forged(&header, &claims, "AAAA")).await, 401, "token-not-trusted").await;
    }
    let most = begun.elapsed().as_millis() / PACE.least.as_millis() + 1;
    assert!(u128::from(provider.fetched() - fetched) <= most, "{} in {:?}", provider.fetched(), begun.elapsed());

    // Keys that are known outlive the provider for a while.
    provider.stop();
    problem(with(&world, &after).await, 404, "unknown-link").await;
}

#[tokio::test]
async fn a_real_providers_token_that_is_bound_to_a_key_is_worthless_without_it() {
    let provider = Provider::start(AUDIENCE);
    let world = World::called_by(told_of(&provider)).await;
    let portal = Holder::of(&world.payer, "officer-7");
    let token = provider.bound_token("portal-of-dr-grey", AUDIENCE, &portal).await;
    problem(with(&world, &token).await, 401, "dpop-proof-missing").await;
    let thief = Holder::of(&world.hospital, "dr-grey");
    let stolen = thief.request(&world.hospital, "GET", LINK, &token).send().await.unwrap();
    problem(stolen, 401, "dpop-proof-invalid").await;
    let own = portal.request(&world.hospital, "GET", LINK, &token).send().await.unwrap();
    problem(own, 404, "unknown-link").await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_told_from_a_bad_token() {
    let mut provider = Provider::start(AUDIENCE);
    let world = World::called_by(told_of(&provider)).await;
    let token = provider.token("portal-of-dr-grey", AUDIENCE).await;
    provider.stop();
    for _ in 0..2 {
        let response = with(&world, &token).await;
        assert!(response.headers().contains_key("retry-after"));
        problem(response, 503, "identity-provider-unavailable").await;
    }
}

#[tokio::test]
async fn a_token_for_another_audience_or_past_its_time_is_refused() {
    let provider = Provider::start(AUDIENCE);
    let world = World::called_by(told_of(&provider)).await;
    let other = provider.token("portal-of-dr-grey", "https://clinic.example/api").await;
    let refused = problem(with(&world, &other).await, 401, "token-not-trusted").await;
    assert!(refused["detail"].as_str().unwrap().contains("aud"), "{refused}");
}

/// A provider in a file would be no provider; this one has a key of the test's own.
#[tokio::test]
async fn what_a_provider_did_not_sign_is_refused_however_it_is_forged() {
    let provider = Provider::start(AUDIENCE);
    let world = World::called_by(told_of(&provider)).await;
    let token = provider.token("portal-of-dr-grey", AUDIENCE).await;
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let decoded = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (claims_text, header_value): (String, Value) =
        (decoded(claims), serde_json::from_str(&decoded(header)).unwrap());
    let headed = |name: &str, value: Value| {
        let mut header = header_value.clone();
        header[name] = value;
        header
    };
    let said = |name: &str, value: Value| {
        let mut claims: Value = serde_json::from_str(&claims_text).unwrap();
        claims[name] = value;
        claims.to_string()
    };
    let thief =
        PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap()).unwrap();
    let thief = EncodingKey::from_ec_der(&thief.private_key_to_pkcs8().unwrap());
    let stolen = |algorithm: Algorithm, key: &EncodingKey| {
        let mut header = Header::new(algorithm);
        (header.typ, header.kid) = (Some("at+jwt".into()), header_value["kid"].as_str().map(str::to_owned));
        encode(&header, &serde_json::from_str::<Value>(&claims_text).unwrap(), key).unwrap()
    };
    let twice = claims_text.replacen('{', "{\"sub\":\"portal-of-nobody\",", 1);
    let none = headed("alg", json!("none"));
    for (forged, why) in [
        (forged(&none, &claims_text, ""), "alg"),
        (forged(&headed("alg", json!("NONE")), &claims_text, ""), "alg"),
        (forged(&none, &claims_text, signature), "alg"),
        (stolen(Algorithm::HS256, &EncodingKey::from_secret(b"the published key")), "alg"),
        (forged(&headed("alg", json!("HS256")), &claims_text, signature), "alg"),
        (forged(&headed("alg", json!("ES384")), &claims_text, signature), "alg"),
        (forged(&headed("alg", json!("RS256")), &claims_text, signature), "kid"),
        (stolen(Algorithm::ES256, &thief), "signature"),
        (forged(&header_value, &said("sub", json!("dr-grey")), signature), "signature"),
        (forged(&header_value, &said("exp", json!(now() + 9999)), signature), "signature"),
        (forged(&headed("typ", json!("JWT")), &claims_text, signature), "typ"),
        (forged(&headed("kid", json!("another")), &claims_text, signature), "kid"),
        (forged(&headed("crit", json!(["b64"])), &claims_text, signature), "crit"),
        (forged(&header_value, &said("iss", json!("https://elsewhere.example")), signature), "iss"),
        (forged(&header_value, &twice, signature), "signature"),
        (forged(&header_value, "{}", signature), "claims"),
        (forged(&json!([1]), &claims_text, signature), "header"),
        (format!("{header}.{claims}"), "three parts"),
        (format!("{header}.{claims}."), "signature"),
        (format!("{token}.x"), "three parts"),
        (format!("{header}.{claims}.{}", "A".repeat(7000)), "signature"),
    ] {
        let refused = problem(with(&world, &forged).await, 401, "token-not-trusted").await;
        assert!(refused["detail"].as_str().unwrap().contains(why), "{why}: {refused}");
    }
    assert_eq!(world.ledger.called("Links:link"), 0);
    problem(with(&world, &token).await, 404, "unknown-link").await;
    let oversized = with(&world, &"a".repeat(9000)).await;
    problem(oversized, 400, "authorization-malformed").await;
}
