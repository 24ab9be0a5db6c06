//! Serves HTTP/1.1 on every connection, and lets none stay for ever.

use std::pin::pin;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tower::Layer as _;

use super::listener::{Peer, TlsListener};

/// How many connections there may be, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at once; further ones are closed.
    pub connections: usize,
    /// For the head of a request to arrive, counted from the connection's beginning or from the answer before.
    pub head: Duration,
    /// After this a connection is closed behind the answer under way.
    pub lifetime: Duration,
    /// For that answer.
    pub last_answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head: Duration::from_secs(60),
            lifetime: Duration::from_secs(30 * 60),
            last_answer: Duration::from_secs(15 * 60),
        }
    }
}

/// Serves until it is told to stop; then takes no more connections and finishes the requests under way.
pub async fn serve(mut listener: TlsListener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            (stream, peer) = listener.accept() => {
                if connections.len() < limits.connections {
                    connections.spawn(connection(stream, peer, router.clone(), limits, stop.clone()));
                } else {
                    tracing::warn!(address = %peer.address, "too many connections are open; this one is closed");
                }
            }
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TlsStream<TcpStream>,
    peer: Peer,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let address = peer.address;
    let service = TowerToHyperService::new(Extension(ConnectInfo(peer)).layer(router));
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);

    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            Ok(connection.await)
        }
        () = tokio::time::sleep(limits.lifetime) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(limits.last_answer, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%address, %error, "a connection broke"),
        Err(_) => tracing::debug!(%address, "a connection was cut off at the end of its time"),
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the handle was dropped, which stops the gateway as well.
    let _ = stop.wait_for(|stopped| *stopped).await;
}
