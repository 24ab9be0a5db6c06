use fabric_msp::issue::{Authority, Request};
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
