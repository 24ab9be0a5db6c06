use std::sync::Arc;
use std::time::Duration;

use fabric_msp::issue::{Authority, Request};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};

use super::world::{World, client, problem, provider, root};

const LINK: &str = "/v1/links/unknown";
const CONTENT: &str = "/v1/contents/unknown/1?opening=0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test]
async fn a_bound_certificate_names_its_member() {
    let world = World::new().await;
    let response = world.hospital.member().get(world.hospital.at(LINK)).send().await.unwrap();
    problem(response, 404, "unknown-link").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let world = World::new().await;
    let elsewhere = Authority::create("tls root", "HospitalMSP").unwrap();
    for name in ["dr-grey", "gateway"] {
        let forged = elsewhere.issue(&Request::tls(name, &[], &[])).unwrap();
        for path in [LINK, CONTENT] {
            let response = world.hospital.client(Some(&forged)).get(world.hospital.at(path)).send().await.unwrap();
            problem(response, 401, "client-certificate-not-trusted").await;
        }
    }
}

#[tokio::test]
async fn an_expired_certificate_is_told_from_a_foreign_one() {
    let world = World::new().await;
    for (authority, path) in [(&world.hospital.tls_root, LINK), (&world.payer.tls_root, CONTENT)] {
        let request = Request { valid_days: 0, ..Request::tls("gateway", &[], &[]) };
        let expired = authority.issue(&request).unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let response = world.hospital.client(Some(&expired)).get(world.hospital.at(path)).send().await.unwrap();
        problem(response, 401, "client-certificate-expired").await;
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_from_the_next_request_on() {
    let world = World::new().await;
    let hospital = &world.hospital;
    let colleague = hospital.client(Some(&hospital.add_member(&world.ledger, "dr-yang")));
    let member = hospital.member();
    problem(member.get(hospital.at(LINK)).send().await.unwrap(), 404, "unknown-link").await;

    let revoked = hospital.tls_root.revocation_list(&[hospital.member_tls.certificate()], 2).unwrap();
    std::fs::write(hospital.crl(), revoked).unwrap();
    problem(member.get(hospital.at(LINK)).send().await.unwrap(), 401, "client-certificate-revoked").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    problem(colleague.get(hospital.at(LINK)).send().await.unwrap(), 404, "unknown-link").await;

    // Neither a list that cannot be read nor a lost one makes a revoked certificate good.
    std::fs::write(hospital.crl(), "no list").unwrap();
    problem(member.get(hospital.at(LINK)).send().await.unwrap(), 401, "client-certificate-revoked").await;
    std::fs::remove_file(hospital.crl()).unwrap();
    problem(member.get(hospital.at(LINK)).send().await.unwrap(), 401, "client-certificate-revoked").await;
    problem(colleague.get(hospital.at(LINK)).send().await.unwrap(), 404, "unknown-link").await;
}

#[tokio::test]
async fn a_revocation_list_of_another_authority_revokes_nothing_and_is_not_enough() {
    let world = World::new().await;
    let strangers = Authority::create("tls root", "Elsewhere").unwrap();
    let list = strangers.revocation_list(&[world.hospital.member_tls.certificate()], 2).unwrap();
    std::fs::write(world.hospital.crl(), list).unwrap();
    let response = world.hospital.member().get(world.hospital.at(LINK)).send().await.unwrap();
    problem(response, 401, "client-certificate-not-trusted").await;
}

#[tokio::test]
async fn a_member_removed_from_the_wallet_is_refused_from_the_next_request_on() {
    let world = World::new().await;
    let member = world.hospital.member();
    problem(member.get(world.hospital.at(LINK)).send().await.unwrap(), 404, "unknown-link").await;
    std::fs::remove_dir_all(world.hospital.wallet().join("dr-grey")).unwrap();
    problem(member.get(world.hospital.at(LINK)).send().await.unwrap(), 403, "client-certificate-not-bound").await;
}

#[tokio::test]
async fn a_trusted_certificate_that_is_bound_to_nobody_is_refused() {
    let world = World::new().await;
    // Also with a member's name: what counts is the certificate, not what it calls itself.
    for name in ["dr-grey", "gateway"] {
        let unbound = world.hospital.tls_root.issue(&Request::tls(name, &[], &[])).unwrap();
        let response = world.hospital.client(Some(&unbound)).get(world.hospital.at(LINK)).send().await.unwrap();
        problem(response, 403, "client-certificate-not-bound").await;
    }
}

#[tokio::test]
async fn another_organisations_gateway_is_no_member() {
    let world = World::new().await;
    let payer = world.hospital.client(Some(&world.payer.gateway_tls));
    problem(payer.get(world.hospital.at(LINK)).send().await.unwrap(), 403, "not-a-member").await;
}

#[tokio::test]
async fn a_member_is_no_gateway() {
    let world = World::new().await;
    let response = world.hospital.member().get(world.hospital.at(CONTENT)).send().await.unwrap();
    problem(response, 403, "not-a-gateway").await;
}

#[tokio::test]
async fn another_organisations_member_is_neither_member_nor_gateway_here() {
    let world = World::new().await;
    for path in [LINK, CONTENT] {
        let member = world.hospital.client(Some(&world.payer.member_tls));
        let response = member.get(world.hospital.at(path)).send().await.unwrap();
        problem(response, 401, "client-certificate-not-trusted").await;
    }
}

#[tokio::test]
async fn a_member_that_the_ledger_does_not_know_is_told_so() {
    let world = World::new().await;
    let elsewhere = super::ledger::MemoryLedger::new();
    let unknown = world.hospital.add_member(&elsewhere, "dr-new");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let response = world.hospital.client(Some(&unknown)).get(world.hospital.at(LINK)).send().await.unwrap();
    problem(response, 403, "unknown-caller").await;
}

#[tokio::test]
async fn a_member_added_to_the_wallet_is_known_without_a_restart() {
    let world = World::new().await;
    let added = world.hospital.add_member(&world.ledger, "dr-yang");
    std::fs::create_dir(world.hospital.wallet().join("not-a-member")).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let response = world.hospital.client(Some(&added)).get(world.hospital.at(LINK)).send().await.unwrap();
    problem(response, 404, "unknown-link").await;
}

#[tokio::test]
async fn another_sites_page_cannot_make_a_members_browser_write_or_read() {
    let world = World::new().await;
    let path = "/v1/patients/anna/consents/c1/revocation";
    for site in ["cross-site", "same-site", "anything"] {
        let request = world.hospital.member().post(world.hospital.at(path)).header("sec-fetch-site", site);
        problem(request.send().await.unwrap(), 403, "cross-site-request").await;
    }
    let request = world.hospital.member().get(world.hospital.at(LINK)).header("sec-fetch-site", "cross-site");
    problem(request.send().await.unwrap(), 403, "cross-site-request").await;
    assert!(world.ledger.state.lock().unwrap().calls.is_empty());
}

/// Presents a certificate with a key that is not its own.
#[derive(Debug)]
struct Thief(Arc<CertifiedKey>);

impl ResolvesClientCert for Thief {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_copied_certificate_without_its_key_does_not_pass_the_handshake() {
    let world = World::new().await;
    let certificate = CertificateDer::from_pem_slice(world.hospital.member_tls.certificate_pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(world.payer.member_tls.key_pem()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let thief = Thief(Arc::new(CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key))));
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(root(&world.hospital.tls_root))
            .with_client_cert_resolver(Arc::new(thief));
        assert!(client(config).get(world.hospital.at(LINK)).send().await.is_err(), "{version:?}");
    }
}
