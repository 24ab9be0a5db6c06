use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthchain_gateway::gateway::Patience;
use healthchain_gateway::ledger::LedgerFailure;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use super::ledger::When;
use super::world::{MAX_RECORD_BYTES, Organisation, PATIENCE, RECORD, World, own, problem};

async fn shared() -> (World, String) {
    let world = World::new().await;
    world.entitle_payer_at_publication();
    let link = world.published().await;
    (world, link)
}

fn rewrite(organisation: &Organisation, change: impl Fn(&mut Vec<u8>)) {
    let mut stored = std::fs::read(organisation.record()).unwrap();
    change(&mut stored);
    std::fs::write(organisation.record(), stored).unwrap();
}

#[tokio::test]
async fn a_permitted_opening_gives_the_published_bytes_in_either_organisation() {
    let (world, link) = shared().await;
    for organisation in [&world.hospital, &world.payer] {
        let response = world.open(organisation, &link).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], "application/fhir+json");
        assert_eq!(headers["cache-control"], "no-store, no-transform");
        let place = format!("/v1/openings/{}/content", headers["opening-transaction"].to_str().unwrap());
        assert_eq!(headers["content-location"], place.as_str());
        assert_eq!(headers["opening-transaction"].len(), 64);
        let digest = STANDARD.encode(openssl::sha::sha256(RECORD.as_bytes()));
        assert_eq!(headers["repr-digest"], format!("sha-256=:{digest}:"));
        assert_eq!(response.bytes().await.unwrap(), RECORD);
    }
}

#[tokio::test]
async fn a_denial_names_its_reason_and_the_opening_that_is_on_the_ledger() {
    let (world, link) = shared().await;
    world.ledger.state.lock().unwrap().permitted.remove(&world.payer.msp_id);
    let denied = problem(world.open(&world.payer, &link).await, 403, "consent-required").await;
    assert_eq!(denied["opening"].as_str().unwrap().len(), 64);
    assert_eq!(world.ledger.state.lock().unwrap().openings.len(), 1);
}

#[tokio::test]
async fn an_unknown_link_is_unknown() {
    let (world, _) = shared().await;
    problem(world.open(&world.payer, "nowhere").await, 404, "unknown-link").await;
}

#[tokio::test]
async fn one_changed_byte_in_the_store_is_noticed_by_whoever_opens() {
    let (world, link) = shared().await;
    rewrite(&world.hospital, |stored| *stored.last_mut().unwrap() ^= 1);
    for organisation in [&world.hospital, &world.payer] {
        let tampered = problem(world.open(organisation, &link).await, 502, "record-tampered").await;
        assert!(tampered["opening"].is_string(), "{tampered}");
    }
}

#[tokio::test]
async fn a_record_made_longer_or_shorter_is_noticed() {
    let (world, link) = shared().await;
    let original = std::fs::read(world.hospital.record()).unwrap();
    for change in [|stored: &mut Vec<u8>| stored.push(b'A'), |stored: &mut Vec<u8>| stored.truncate(9)] {
        rewrite(&world.hospital, change);
        for organisation in [&world.hospital, &world.payer] {
            problem(world.open(organisation, &link).await, 502, "record-tampered").await;
        }
        std::fs::write(world.hospital.record(), &original).unwrap();
    }
}

#[tokio::test]
async fn a_key_that_opens_the_published_ciphertext_to_another_record_than_was_committed_to_is_noticed() {
    let (world, link) = shared().await;
    // The hash of the ciphertext fits, and the key opens it; the commitment is to another plain text.
    let other = healthchain_gateway::content::ContentKey::generate().unwrap().commitment(b"another record").unwrap();
    world.ledger.state.lock().unwrap().links.values_mut().for_each(|link| {
        link.current.commitment = other.parse().unwrap();
    });
    for organisation in [&world.hospital, &world.payer] {
        let tampered = problem(world.open(organisation, &link).await, 502, "record-tampered").await;
        assert!(tampered["detail"].as_str().unwrap().contains("commitment"), "{tampered}");
    }
}

#[tokio::test]
async fn a_lost_record_is_told_from_a_tampered_one() {
    let (world, link) = shared().await;
    std::fs::remove_file(world.hospital.record()).unwrap();
    for organisation in [&world.hospital, &world.payer] {
        problem(world.open(organisation, &link).await, 502, "record-lost").await;
    }
}

#[tokio::test]
async fn a_publisher_that_is_down_is_told_with_the_opening() {
    let (mut world, link) = shared().await;
    world.hospital.running.take().unwrap().stop().await;
    let response = world.open(&world.payer, &link).await;
    assert!(response.headers().contains_key("retry-after"));
    let down = problem(response, 503, "publisher-unavailable").await;
    assert!(down["opening"].is_string() && down["detail"].as_str().unwrap().contains("HospitalMSP"), "{down}");
}

#[tokio::test]
async fn the_publisher_is_called_where_the_ledger_says_whatever_host_the_envelope_names() {
    let (world, link) = shared().await;
    // The envelope names the hospital's gateway, the ledger another address.
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", elsewhere.local_addr().unwrap().port());
    world.ledger.state.lock().unwrap().gateway_urls.insert(world.hospital.msp_id.clone(), url);
    let called = async {
        drop(elsewhere.accept().await.unwrap());
        drop(elsewhere);
    };
    let (response, ()) = tokio::join!(world.open(&world.payer, &link), called);
    problem(response, 503, "publisher-unavailable").await;
    assert_eq!(world.ledger.called("Links:opening"), 0, "the hospital's gateway was not asked");
}

#[tokio::test]
async fn a_content_longer_than_the_largest_record_is_not_even_asked_for() {
    let (world, link) = shared().await;
    let largest = healthchain_gateway::content::content_bytes_at_most(MAX_RECORD_BYTES);
    for length in [largest + 1, 4 << 30] {
        let mut links = world.ledger.state.lock().unwrap().links.clone();
        links.values_mut().for_each(|link| link.current.content.length = length);
        world.ledger.state.lock().unwrap().links = links;
        let refused = problem(world.open(&world.payer, &link).await, 502, "record-beyond-limit").await;
        assert!(refused["opening"].is_string(), "{refused}");
    }
    assert_eq!(world.ledger.called("Links:opening"), 0, "the hospital's gateway was not asked");
}

#[tokio::test]
async fn a_publisher_that_sends_a_byte_now_and_then_is_given_up_in_time() {
    let patience = Patience { transfer: Duration::from_millis(700), ..PATIENCE };
    let world = World::with_patience(patience).await;
    world.entitle_payer_at_publication();
    let link = world.published().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    world.ledger.state.lock().unwrap().gateway_urls.insert(world.hospital.msp_id.clone(), url);
    let acceptor = TlsAcceptor::from(Arc::new(own(&world.hospital.gateway_tls).server().unwrap()));
    let dripping = tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await.unwrap();
        while stream.write_all(b"e").await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let late = problem(world.open(&world.payer, &link).await, 503, "publisher-unavailable").await;
    assert!(late["opening"].is_string(), "{late}");
    tokio::time::timeout(Duration::from_secs(5), dripping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_publisher_whose_peer_is_down_is_unavailable_not_refusing() {
    let (world, link) = shared().await;
    // Only the publisher's gateway asks whether an opening is in force.
    world.ledger.fail_next("Links:inForce", When::Before, LedgerFailure::Unreachable("down".into()));
    problem(world.open(&world.payer, &link).await, 503, "publisher-unavailable").await;
}

#[tokio::test]
async fn a_publisher_that_nobody_configured_is_named() {
    let (world, link) = shared().await;
    {
        let mut state = world.ledger.state.lock().unwrap();
        state.links.values_mut().for_each(|link| link.publisher = "ClinicMSP".parse().unwrap());
    }
    let unknown = problem(world.open(&world.payer, &link).await, 502, "publisher-not-configured").await;
    assert!(unknown["detail"].as_str().unwrap().contains("ClinicMSP"), "{unknown}");
}

#[tokio::test]
async fn an_envelope_of_another_link_or_organisation_does_not_open() {
    let (world, first) = shared().await;
    let second = world.publish("key-2", RECORD).await.1["id"].as_str().unwrap().to_owned();
    let swap = |state: &mut super::ledger::State| {
        let of_payer = state.recipient_of[&world.payer.msp_id].holder.clone();
        let mut envelopes = state.envelopes.iter_mut().filter(|(_, envelope)| envelope.holder == of_payer);
        let (one, other) = (envelopes.next().unwrap(), envelopes.next().unwrap());
        std::mem::swap(&mut one.1, &mut other.1);
    };
    swap(&mut world.ledger.state.lock().unwrap());
    problem(world.open(&world.payer, &first).await, 502, "envelope-does-not-open").await;
    problem(world.open(&world.payer, &second).await, 502, "envelope-does-not-open").await;
    swap(&mut world.ledger.state.lock().unwrap());
    assert_eq!(world.open(&world.payer, &first).await.status(), 200);

    {
        // The ledger hands the hospital's envelope to the payer.
        let mut state = world.ledger.state.lock().unwrap();
        let of_hospital = state.recipient_of[&world.hospital.msp_id].clone();
        state.recipient_of.insert(world.payer.msp_id.clone(), of_hospital);
    }
    problem(world.open(&world.payer, &first).await, 502, "envelope-does-not-open").await;
}

#[tokio::test]
async fn an_envelope_that_nobody_seals_is_not_waited_for_without_end() {
    let patience = Patience { envelope: Duration::from_millis(300), opening: Duration::ZERO, ..PATIENCE };
    let world = World::with_patience(patience).await;
    let link = world.published().await;
    let response = world.open(&world.payer, &link).await;
    assert!(response.headers().contains_key("retry-after"));
    let waiting = problem(response, 503, "envelope-not-yet-sealed").await;
    assert!(waiting["opening"].is_string(), "{waiting}");
}
