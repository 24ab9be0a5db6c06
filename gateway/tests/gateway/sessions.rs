use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fabric_msp::SigningIdentity;
use fabric_msp::issue::{Authority, Request};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use serde_json::{Value, json};

use super::proofs::{Holder, challenge, now, now_text, open};
use super::world::{World, answer, problem};

const LINK: &str = "/v1/links/unknown";

fn code((status, body): &(u16, Value)) -> (u16, &str) {
    (*status, body["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_signed_challenge_gives_a_session_in_which_the_member_acts() {
    let world = World::new().await;
    let member = Holder::of(&world.hospital, "dr-grey");
    let (status, session) = member.try_session(&world.hospital).await;
    assert_eq!(
        (status, session["member"].as_str(), session["token_type"].as_str()),
        (201, Some("dr-grey"), Some("DPoP"))
    );
    let token = session["token"].as_str().unwrap();
    let get = |path: &str| member.request(&world.hospital, "GET", path, token).send();
    problem(get(LINK).await.unwrap(), 404, "unknown-link").await;
    // The query is no part of what a proof names.
    problem(get("/v1/links/unknown?no=such").await.unwrap(), 400, "malformed-query").await;
    assert_eq!(world.ledger.called("Links:link"), 1);
}

#[tokio::test]
async fn a_closed_session_counts_no_more() {
    let world = World::new().await;
    let member = Holder::of(&world.hospital, "dr-grey");
    let token = member.session(&world.hospital).await;
    let close = || member.request(&world.hospital, "DELETE", "/v1/sessions/current", &token);
    assert_eq!(close().send().await.unwrap().status(), 204);
    problem(close().send().await.unwrap(), 401, "token-unknown").await;
    let response = member.request(&world.hospital, "GET", LINK, &token).send().await.unwrap();
    problem(response, 401, "token-unknown").await;
    // Nothing to close without one.
    let response = world.hospital.member().delete(world.hospital.at("/v1/sessions/current")).send().await.unwrap();
    problem(response, 404, "no-session").await;
}

#[tokio::test]
async fn a_challenge_is_answered_once() {
    let world = World::new().await;
    let member = Holder::of(&world.hospital, "dr-grey");
    let (nonce, origin) = challenge(&world.hospital).await;
    let body = member.answer(&nonce, &origin, &now_text());
    let answers = futures::future::join_all((0..5).map(|_| open(&world.hospital, &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.0 == 201).count(), 1);
    assert!(answers.iter().all(|answer| answer.0 == 201 || code(answer) == (401, "challenge-used")));
}

#[tokio::test]
async fn an_answer_to_another_gateways_challenge_or_by_another_key_opens_nothing() {
    let world = World::new().await;
    let member = Holder::of(&world.hospital, "dr-grey");
    let (nonce, origin) = challenge(&world.payer).await;
    let forwarded = open(&world.hospital, &member.answer(&nonce, &origin, &now_text())).await;
    assert_eq!(code(&forwarded), (401, "challenge-unknown"));

    let (nonce, origin) = challenge(&world.hospital).await;
    let thief = Holder::new(member.certificate.clone(), &world.payer.wallet_file("officer-7", "key.pem"));
    let stolen = open(&world.hospital, &thief.answer(&nonce, &origin, &now_text())).await;
    assert_eq!(code(&stolen), (401, "possession-not-proven"));
    for time in ["yesterday", "2020-01-01T00:00:00Z"] {
        let late = open(&world.hospital, &member.answer(&nonce, &origin, time)).await;
        assert_eq!(code(&late), (401, "possession-not-proven"), "{time}");
    }
}

#[tokio::test]
async fn only_a_fit_signing_certificate_of_a_member_opens_a_session() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let issue = |authority: &Authority, request: Request| {
        let issued = authority.issue(&request).unwrap();
        Holder::new(issued.certificate_pem(), issued.key_pem())
    };
    let signing = |unit: &str| Request::signing("dr-grey", unit);
    let soon = Request { valid_days: 0, ..signing("client") };
    let expired = issue(&hospital.signing_root, soon);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let elsewhere = Authority::create("root", "HospitalMSP").unwrap();
    for (who, expected) in [
        (issue(&hospital.signing_root, signing("client")), "member-not-in-wallet"),
        (issue(&hospital.signing_root, signing("peer")), "signing-certificate-not-a-clients"),
        (issue(&elsewhere, signing("client")), "signing-certificate-not-trusted"),
        (issue(&hospital.tls_root, Request::tls("dr-grey", &[], &[])), "signing-certificate-not-trusted"),
        (expired, "signing-certificate-expired"),
        (Holder::of(&world.payer, "officer-7"), "signing-certificate-not-trusted"),
    ] {
        assert_eq!(code(&who.try_session(hospital).await), (403, expected));
    }
}

#[tokio::test]
async fn a_revoked_signing_certificate_acts_no_more_whatever_the_proof() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let member = Holder::of(hospital, "dr-grey");
    let token = member.session(hospital).await;
    let by_session = || member.request(hospital, "GET", LINK, &token);
    problem(by_session().send().await.unwrap(), 404, "unknown-link").await;
    problem(hospital.member().get(hospital.at(LINK)).send().await.unwrap(), 404, "unknown-link").await;

    let certificate = fabric_msp::Certificate::from_pem(&member.certificate).unwrap();
    hospital.revoke_signing(&[&certificate]);
    problem(by_session().send().await.unwrap(), 403, "signing-certificate-revoked").await;
    let by_certificate = hospital.member().get(hospital.at(LINK)).send().await.unwrap();
    problem(by_certificate, 403, "signing-certificate-revoked").await;
    assert_eq!(code(&member.try_session(hospital).await), (403, "signing-certificate-revoked"));
    assert_eq!(world.ledger.called("Links:link"), 2);
}

#[tokio::test]
async fn a_nodes_certificate_in_the_wallet_does_not_act_for_it() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let tls = hospital.add_member(&world.ledger, "dr-yang");
    let node = hospital.signing_root.issue(&Request::signing("dr-yang", "peer")).unwrap();
    let folder = hospital.wallet().join("dr-yang");
    std::fs::write(folder.join("certificate.pem"), node.certificate_pem()).unwrap();
    std::fs::write(folder.join("key.pem"), node.key_pem()).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let response = hospital.client(Some(&tls)).get(hospital.at(LINK)).send().await.unwrap();
    problem(response, 403, "signing-certificate-not-a-clients").await;
}

#[tokio::test]
async fn a_stolen_token_is_worthless_without_the_key() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let (member, thief) = (Holder::of(hospital, "dr-grey"), Holder::of(&world.payer, "officer-7"));
    let token = member.session(hospital).await;
    let with =
        |authorization: String| hospital.client(None).get(hospital.at(LINK)).header("authorization", authorization);
    problem(with(format!("Bearer {token}")).send().await.unwrap(), 401, "dpop-proof-missing").await;
    problem(with(format!("DPoP {token}")).send().await.unwrap(), 401, "dpop-proof-missing").await;
    let response = thief.request(hospital, "GET", LINK, &token).send().await.unwrap();
    assert!(response.headers()["www-authenticate"].to_str().unwrap().contains("invalid_dpop_proof"));
    problem(response, 401, "dpop-proof-invalid").await;
    assert_eq!(world.ledger.called("Links:link"), 0);
}

#[tokio::test]
async fn a_proof_counts_once_for_its_request_its_time_and_its_token() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let member = Holder::of(hospital, "dr-grey");
    let token = member.session(hospital).await;
    let send = |proof: String| {
        let request = hospital.client(None).get(hospital.at(LINK)).header("authorization", format!("DPoP {token}"));
        request.header("dpop", proof).send()
    };
    let proof = |changed: Value| member.proof("GET", &hospital.at(LINK), &token, &changed);
    let once = proof(json!({}));
    problem(send(once.clone()).await.unwrap(), 404, "unknown-link").await;
    problem(send(once).await.unwrap(), 401, "dpop-proof-replayed").await;
    for changed in [
        json!({"htm": "POST"}),
        json!({"htu": hospital.at("/v1/links")}),
        json!({"htu": world.payer.at(LINK)}),
        json!({"iat": now() - 120}),
        json!({"iat": now() + 120}),
        json!({"ath": "AAAA"}),
        json!({"jti": "x".repeat(200)}),
    ] {
        problem(send(proof(changed)).await.unwrap(), 401, "dpop-proof-invalid").await;
    }
    // Two proofs in one request are none.
    let twice = hospital.client(None).get(hospital.at(LINK)).header("authorization", format!("DPoP {token}"));
    let twice = twice.header("dpop", proof(json!({}))).header("dpop", proof(json!({})));
    problem(twice.send().await.unwrap(), 400, "authorization-malformed").await;
}

#[tokio::test]
async fn two_proofs_must_name_the_same_member_and_both_be_good() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let member = Holder::of(hospital, "dr-grey");
    let colleague = hospital.add_member(&world.ledger, "dr-yang");
    let token = member.session(hospital).await;
    let unbound = hospital.tls_root.issue(&Request::tls("dr-grey", &[], &[])).unwrap();
    for (certificate, status, expected) in [
        (&hospital.member_tls, 404, "unknown-link"),
        (&colleague, 403, "proofs-disagree"),
        (&unbound, 403, "client-certificate-not-bound"),
        (&world.payer.gateway_tls, 403, "not-a-member"),
        (&world.payer.member_tls, 401, "client-certificate-not-trusted"),
    ] {
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let proof = member.proof("GET", &hospital.at(LINK), &token, &json!({}));
        let request = hospital.client(Some(certificate)).get(hospital.at(LINK));
        let request = request.header("authorization", format!("DPoP {token}")).header("dpop", proof);
        problem(request.send().await.unwrap(), status, expected).await;
    }
}

#[tokio::test]
async fn tokens_are_not_ambient_so_that_another_sites_page_may_send_its_own() {
    let world = World::new().await;
    let member = Holder::of(&world.hospital, "dr-grey");
    let token = member.session(&world.hospital).await;
    let request = member.request(&world.hospital, "DELETE", "/v1/sessions/current", &token);
    assert_eq!(request.header("sec-fetch-site", "cross-site").send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_member_removed_from_the_wallet_has_no_session_any_more() {
    let world = World::new().await;
    let member = Holder::of(&world.hospital, "dr-grey");
    let token = member.session(&world.hospital).await;
    let request = member.request(&world.hospital, "GET", LINK, &token);
    std::fs::remove_dir_all(world.hospital.wallet().join("dr-grey")).unwrap();
    problem(request.send().await.unwrap(), 403, "member-not-in-wallet").await;
}

#[tokio::test]
async fn a_session_ends_after_its_time_and_is_one_gateways_only() {
    let world = World::new().await;
    let member = Holder::of(&world.hospital, "dr-grey");
    let token = member.session(&world.hospital).await;
    let elsewhere = member.request(&world.payer, "GET", LINK, &token);
    problem(elsewhere.send().await.unwrap(), 401, "token-unknown").await;
    let state = world.hospital.gateway.state.pool();
    sqlx::query("UPDATE caller_tokens SET expires_at = $1").bind((now() * 1000) as i64).execute(state).await.unwrap();
    let late = member.request(&world.hospital, "GET", LINK, &token).send().await.unwrap();
    problem(late, 401, "token-expired").await;
}

#[tokio::test]
async fn what_is_no_token_is_told_so() {
    let world = World::new().await;
    for (authorization, status, expected) in [
        ("Bearer abc", 401, "token-not-trusted"),
        ("Bearer hca_abc", 401, "token-unknown"),
        ("DPoP hcs_abc", 401, "token-unknown"),
        ("Basic YTpi", 400, "authorization-malformed"),
        ("Bearer a b", 400, "authorization-malformed"),
    ] {
        let request = world.hospital.member().get(world.hospital.at(LINK)).header("authorization", authorization);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
        problem(response, status, expected).await;
    }
}

#[tokio::test]
async fn a_malformed_answer_is_told_what_is_wrong() {
    let world = World::new().await;
    let (nonce, _) = challenge(&world.hospital).await;
    let body = json!({"certificate": "none", "nonce": nonce, "time": now_text(), "signature": "AAAA"});
    assert_eq!(code(&open(&world.hospital, &body).await), (401, "possession-not-proven"));
    assert_eq!(code(&open(&world.hospital, &json!({"nonce": nonce})).await), (400, "malformed-body"));
    let huge = world.hospital.client(None).post(world.hospital.at("/v1/sessions")).body("x".repeat(100_000));
    let (status, _) = answer(huge.header("content-type", "application/json").send().await.unwrap()).await;
    assert_eq!(status, 413);
}

fn key_on(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

/// A member of the hospital who keeps this key.
async fn keeper_of(world: &World, key: &PKey<Private>) -> Holder {
    let hospital = &world.hospital;
    let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
    let certificate = hospital.signing_root.certify(&Request::signing("dr-yang", "client"), &public).unwrap().pem();
    hospital.add_member(&world.ledger, "dr-yang");
    let entry = hospital.wallet().join("dr-yang");
    std::fs::write(entry.join("certificate.pem"), &certificate).unwrap();
    std::fs::remove_file(entry.join("key.pem")).unwrap();
    // The wallet looks for new members once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    Holder::new(certificate, &key.private_key_to_pem_pkcs8().unwrap())
}

/// Asks for what is to be signed, with a session's token.
async fn to_sign(world: &World, member: &Holder, token: &str) -> Value {
    let request = member.request(&world.hospital, "GET", "/v1/proposals?open=true", token);
    let (status, awaited) = answer(request.header("healthchain-signing", "detached").send().await.unwrap()).await;
    assert_eq!(status, 202, "{awaited}");
    awaited
}

#[tokio::test]
async fn a_key_of_p_384_opens_a_session_makes_its_proofs_and_signs_for_the_ledger() {
    let world = World::new().await;
    let key = key_on(Nid::SECP384R1);
    let member = keeper_of(&world, &key).await;
    let identity = SigningIdentity::from_pem(
        world.hospital.msp_id.as_str(),
        &member.certificate,
        key.private_key_to_pem_pkcs8().unwrap(),
    );
    world.ledger.register("dr-yang", &world.hospital.msp_id, &identity.unwrap());
    let (status, session) = member.try_session(&world.hospital).await;
    assert_eq!((status, session["member"].as_str()), (201, Some("dr-yang")), "{session}");
    assert_eq!(session["thumbprint"], member.thumbprint());

    let token = session["token"].as_str().unwrap();
    let awaited = to_sign(&world, &member, token).await;
    let bytes = URL_SAFE_NO_PAD.decode(awaited["bytes"].as_str().unwrap()).unwrap();
    let path = awaited["signature_to"].as_str().unwrap();
    let give = async |digest: MessageDigest| {
        let signature = URL_SAFE_NO_PAD.encode(member.sign(digest, &bytes));
        let request = member.request(&world.hospital, "POST", path, token);
        request.json(&json!({"signature": signature})).send().await.unwrap()
    };
    // Whatever the curve, Fabric's signatures are over SHA-256.
    problem(give(MessageDigest::sha384()).await, 422, "signature-refused").await;
    assert_eq!(answer(give(MessageDigest::sha256()).await).await, (200, json!([{"open": true}])));
}

#[tokio::test]
async fn a_session_of_a_p_384_key_is_opened_over_no_weaker_digest_and_lent_to_no_other_key() {
    let world = World::new().await;
    let member = keeper_of(&world, &key_on(Nid::SECP384R1)).await;
    let (nonce, origin) = challenge(&world.hospital).await;
    let weaker = member.answer_over(MessageDigest::sha256(), &nonce, &origin, &now_text());
    assert_eq!(code(&open(&world.hospital, &weaker).await), (401, "possession-not-proven"));

    let token = member.session(&world.hospital).await;
    let pem = key_on(Nid::SECP384R1).private_key_to_pem_pkcs8().unwrap();
    for thief in [Holder::new(member.certificate.clone(), &pem), Holder::of(&world.hospital, "dr-grey")] {
        let response = thief.request(&world.hospital, "GET", LINK, &token).send().await.unwrap();
        problem(response, 401, "dpop-proof-invalid").await;
    }
    assert!(world.ledger.state.lock().unwrap().calls.is_empty());
    to_sign(&world, &member, &token).await;
}

#[tokio::test]
async fn keys_of_other_curves_and_algorithms_open_no_session_although_the_authority_certified_them() {
    let world = World::new().await;
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    for (key, digest) in [
        (key_on(Nid::SECP521R1), MessageDigest::sha512()),
        (key_on(Nid::SECP256K1), MessageDigest::sha256()),
        (key_on(Nid::SECP224R1), MessageDigest::sha256()),
        (rsa, MessageDigest::sha256()),
    ] {
        let member = keeper_of(&world, &key).await;
        let (nonce, origin) = challenge(&world.hospital).await;
        let answered = open(&world.hospital, &member.answer_over(digest, &nonce, &origin, &now_text())).await;
        assert_eq!(code(&answered), (401, "possession-not-proven"));
    }
}
