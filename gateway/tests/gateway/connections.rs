//! Connections that take up room and ask for nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use healthchain_gateway::http::connections::Limits;
use healthchain_gateway::http::listener::TlsListener;
use healthchain_gateway::server::{Running, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::world::{World, own, root};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The hospital's gateway once more, with other limits.
async fn limited(world: &World, limits: Limits) -> Running {
    let config = own(&world.hospital.gateway_tls).server().unwrap();
    let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap(), config).await.unwrap();
    serve(Arc::clone(&world.hospital.gateway), listener, limits)
}

async fn connect(world: &World, running: &Running) -> TlsStream<TcpStream> {
    let config = own(&world.hospital.member_tls).client(root(&world.hospital.tls_root)).unwrap();
    let stream = TcpStream::connect(running.address()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

/// Whether the other side closes within two seconds, whatever it says before.
async fn is_closed(stream: &mut TlsStream<TcpStream>) -> bool {
    tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut Vec::new())).await.is_ok()
}

async fn is_healthy(stream: &mut TlsStream<TcpStream>) -> bool {
    let mut answer = [0; 12];
    stream.write_all(HEALTH).await.is_ok()
        && stream.flush().await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && &answer == b"HTTP/1.1 200"
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let world = World::new().await;
    let address = world.hospital.running.as_ref().unwrap().address();
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let began = Instant::now();
    let response = world.hospital.client(None).get(world.hospital.at("/healthz")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_connection_whose_request_does_not_come_is_closed() {
    let world = World::new().await;
    let running = limited(&world, Limits { head: Duration::from_millis(300), ..Limits::default() }).await;
    for begun in [&b""[..], b"GET /healthz HTTP/1.1\r\nHost: loc"] {
        let mut stream = connect(&world, &running).await;
        stream.write_all(begun).await.unwrap();
        stream.flush().await.unwrap();
        assert!(is_closed(&mut stream).await, "{}", begun.len());
    }
    let mut idle = connect(&world, &running).await;
    assert!(is_healthy(&mut idle).await);
    assert!(is_closed(&mut idle).await, "between two requests");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_and_a_freed_place_is_given_again() {
    let world = World::new().await;
    let running = limited(&world, Limits { connections: 2, ..Limits::default() }).await;
    let mut first = connect(&world, &running).await;
    let mut second = connect(&world, &running).await;
    assert!(is_healthy(&mut first).await && is_healthy(&mut second).await);
    assert!(!is_healthy(&mut connect(&world, &running).await).await);
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(is_healthy(&mut connect(&world, &running).await).await);
}

#[tokio::test]
async fn a_connection_ends_after_its_lifetime_however_busy_it_is() {
    let world = World::new().await;
    let limits = Limits { lifetime: Duration::from_millis(400), ..Limits::default() };
    let running = limited(&world, limits).await;
    let mut stream = connect(&world, &running).await;
    let began = Instant::now();
    while stream.write_all(HEALTH).await.is_ok() && stream.flush().await.is_ok() {
        let mut answer = [0; 4096];
        if !matches!(stream.read(&mut answer).await, Ok(1..)) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(3));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn stopping_closes_idle_connections_at_once() {
    let world = World::new().await;
    let running = limited(&world, Limits::default()).await;
    let mut idle = connect(&world, &running).await;
    assert!(is_healthy(&mut idle).await);
    tokio::time::timeout(Duration::from_secs(2), running.stop()).await.unwrap();
    assert!(is_closed(&mut idle).await);
}

/// What SIGTERM does (`server::Running::stop`).
#[tokio::test]
async fn who_is_waiting_for_an_answer_when_the_gateway_is_stopped_gets_it_and_nobody_new_is_let_in() {
    let world = World::new().await;
    let running = limited(&world, Limits::default()).await;
    let address = running.address();
    let let_go = world.ledger.hold("Links:withdraw");
    let withdrawal =
        world.hospital.member().post(format!("https://localhost:{}/v1/links/l1/withdrawal", address.port()));
    let asked = tokio::spawn(withdrawal.json(&serde_json::json!({"reason": "wrong"})).send());
    for _ in 0..500 {
        if world.ledger.called("Links:withdraw") > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stopped = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!asked.is_finished() && !stopped.is_finished(), "the request is under way");
    assert!(TcpStream::connect(address).await.is_err(), "somebody new is let in");
    let_go.add_permits(1);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    stopped.await.unwrap();
}
