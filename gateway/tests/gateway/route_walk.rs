//! One walk over `openapi.json`: whoever is nobody here gets nothing, on no route. What is open to all stands in a list that may only shrink.

use fabric_msp::issue::{Authority, Request};
use healthchain_gateway::http::router::openapi_document;
use serde_json::{Value, json};

use super::proofs::{Holder, now};
use super::request_of::{Described, all};
use super::world::{Organisation, World};

/// Routes that ask nobody who he is.
const OPEN: &str = include_str!("open-routes.txt");
/// Routes between gateways: a member is nobody there.
const BETWEEN_GATEWAYS: &str = "between gateways";

fn open_routes() -> Vec<&'static str> {
    OPEN.lines().filter(|line| !line.starts_with('#')).collect()
}

fn line(request: &Described) -> String {
    format!("{} {}", request.method, request.route)
}

/// Every route that asks who calls, and whether it is one for members.
fn guarded() -> Vec<(Described, bool)> {
    let document = openapi_document();
    let open = open_routes();
    let requests = all(&document).into_iter().filter(|request| !open.contains(&line(request).as_str()));
    let guarded: Vec<_> = requests
        .map(|request| {
            let operation = &document["paths"][&request.route][request.method.to_lowercase()];
            let for_members = operation["tags"] != json!([BETWEEN_GATEWAYS]);
            (request, for_members)
        })
        .collect();
    assert!(guarded.len() >= 17, "{}", guarded.len());
    guarded
}

/// Status and code of what is answered.
async fn answered(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert!(status != 401 || response.headers().contains_key("www-authenticate"));
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// Whether an answer is the one expected. To HEAD, a status is all that can be answered.
fn is(request: &Described, found: &(u16, String), expected: (u16, &str)) -> bool {
    found.0 == expected.0 && (found.1 == expected.1 || request.method == "HEAD")
}

/// Sends every guarded route's request by `send`, and asserts that each is refused so, without a call of the ledger.
async fn refuses(world: &World, expected: &[(u16, &str)], send: impl Fn(&Described) -> reqwest::RequestBuilder) {
    let calls = world.ledger.state.lock().unwrap().calls.len();
    for (request, _) in guarded() {
        let found = answered(send(&request)).await;
        let is_expected = expected.iter().any(|expected| is(&request, &found, *expected));
        assert!(is_expected, "{}: {found:?}, not {expected:?}", line(&request));
    }
    let called = world.ledger.state.lock().unwrap().calls[calls..].to_vec();
    assert!(called.is_empty(), "{called:?}");
}

async fn refuses_certificate(world: &World, certificate: &fabric_msp::issue::Issued, expected: &[(u16, &str)]) {
    let client = world.hospital.client(Some(certificate));
    refuses(world, expected, |request| request.of(&client, &world.hospital.url)).await;
}

fn by_token(world: &World, request: &Described, authorization: &str) -> reqwest::RequestBuilder {
    let request = request.of(&world.hospital.client(None), &world.hospital.url);
    request.header("authorization", authorization)
}

fn by_session(
    organisation: &Organisation,
    holder: &Holder,
    token: &str,
    request: &Described,
) -> reqwest::RequestBuilder {
    let proof = holder.proof(&request.method, &organisation.at(request.path()), token, &json!({}));
    let request = request.of(&organisation.client(None), &organisation.url);
    request.header("authorization", format!("DPoP {token}")).header("dpop", proof)
}

#[test]
fn what_is_open_to_all_says_so_in_the_document_and_stands_in_the_list() {
    let document = openapi_document();
    let mut open: Vec<_> = all(&document)
        .iter()
        .filter(|request| document["paths"][&request.route][request.method.to_lowercase()]["security"] == json!([]))
        .map(line)
        .collect();
    open.sort();
    assert_eq!(open, open_routes(), "no route is opened to all by accident; a route that is no more leaves the list");
}

#[tokio::test]
async fn every_route_refuses_who_shows_nothing() {
    let world = World::new().await;
    let stranger = world.hospital.client(None);
    let expected = [(401, "client-certificate-missing")];
    refuses(&world, &expected, |request| request.of(&stranger, &world.hospital.url)).await;
}

#[tokio::test]
async fn every_route_refuses_another_organisations_member() {
    let world = World::new().await;
    refuses_certificate(&world, &world.payer.member_tls, &[(401, "client-certificate-not-trusted")]).await;
    let officer = Holder::of(&world.payer, "officer-7");
    let token = officer.session(&world.payer).await;
    let expected = [(401, "token-unknown"), (401, "client-certificate-missing")];
    refuses(&world, &expected, |request| by_session(&world.hospital, &officer, &token, request)).await;
}

#[tokio::test]
async fn every_route_refuses_certificates_that_are_unknown_unbound_revoked_or_expired() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let elsewhere = Authority::create("tls root", "HospitalMSP").unwrap();
    let forged = elsewhere.issue(&Request::tls("dr-grey", &[], &[])).unwrap();
    refuses_certificate(&world, &forged, &[(401, "client-certificate-not-trusted")]).await;
    let unbound = hospital.tls_root.issue(&Request::tls("dr-grey", &[], &[])).unwrap();
    let expected = [(403, "client-certificate-not-bound"), (403, "not-a-gateway")];
    refuses_certificate(&world, &unbound, &expected).await;
    let expired = Request { valid_days: 0, ..Request::tls("dr-grey", &[], &[]) };
    let expired = hospital.tls_root.issue(&expired).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    refuses_certificate(&world, &expired, &[(401, "client-certificate-expired")]).await;

    let certificate = String::from_utf8(hospital.wallet_file("dr-grey", "certificate.pem")).unwrap();
    hospital.revoke_signing(&[&fabric_msp::Certificate::from_pem(certificate).unwrap()]);
    let expected = [(403, "signing-certificate-revoked"), (403, "not-a-gateway")];
    refuses_certificate(&world, &hospital.member_tls, &expected).await;
    let revoked = hospital.tls_root.revocation_list(&[hospital.member_tls.certificate()], 2).unwrap();
    std::fs::write(hospital.crl(), revoked).unwrap();
    refuses_certificate(&world, &hospital.member_tls, &[(401, "client-certificate-revoked")]).await;
}

#[tokio::test]
async fn every_route_refuses_tokens_that_are_forged_stolen_or_expired() {
    let world = World::new().await;
    let missing = (401, "client-certificate-missing");
    for (authorization, expected) in [
        ("Bearer hca_AAAA", "token-unknown"),
        ("DPoP hcs_AAAA", "token-unknown"),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", "token-not-trusted"),
    ] {
        refuses(&world, &[(401, expected), missing], |request| by_token(&world, request, authorization)).await;
    }
    let (member, thief) = (Holder::of(&world.hospital, "dr-grey"), Holder::of(&world.payer, "officer-7"));
    let token = member.session(&world.hospital).await;
    let bearer = format!("Bearer {token}");
    refuses(&world, &[(401, "dpop-proof-missing"), missing], |request| by_token(&world, request, &bearer)).await;
    let expected = [(401, "dpop-proof-invalid"), missing];
    refuses(&world, &expected, |request| by_session(&world.hospital, &thief, &token, request)).await;
    let state = world.hospital.gateway.state.pool();
    sqlx::query("UPDATE caller_tokens SET expires_at = $1").bind((now() * 1000) as i64).execute(state).await.unwrap();
    let expected = [(401, "token-expired"), missing];
    refuses(&world, &expected, |request| by_session(&world.hospital, &member, &token, request)).await;
}

#[tokio::test]
async fn every_members_route_refuses_another_organisations_gateway_and_each_of_the_others_members() {
    let world = World::new().await;
    let (gateway, member) = (world.hospital.client(Some(&world.payer.gateway_tls)), world.hospital.member());
    for (request, for_members) in guarded() {
        let (who, expected) = if for_members { (&gateway, "not-a-member") } else { (&member, "not-a-gateway") };
        let found = answered(request.of(who, &world.hospital.url)).await;
        assert!(is(&request, &found, (403, expected)), "{}: {found:?}", line(&request));
    }
}

#[tokio::test]
async fn no_route_that_writes_is_open_to_other_sites_pages() {
    let world = World::new().await;
    let member = world.hospital.member();
    for (request, _) in guarded().into_iter().filter(|(request, for_members)| *for_members && request.method != "GET") {
        let sent = request.of(&member, &world.hospital.url).header("sec-fetch-site", "cross-site");
        let found = answered(sent).await;
        assert!(is(&request, &found, (403, "cross-site-request")), "{}: {found:?}", line(&request));
    }
}
