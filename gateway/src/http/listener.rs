//! The HTTPS listener: TCP connections in, TLS streams with the peer's certificates out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way at once; a further connection takes the place of the oldest.
const HANDSHAKES: usize = 256;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificates it presented, leaf first, possession of the leaf's key proven; none when it presented none.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// Accepts TLS connections. A slow handshake does not hold up the others.
pub struct TlsListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
}

impl TlsListener {
    /// Binds the address and begins to accept.
    pub async fn bind(address: SocketAddr, config: ServerConfig) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = TcpListener::local_addr(&listener)?;
        let (sender, accepted) = mpsc::channel(64);
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), sender));
        Ok(Self { address, accepted })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection whose handshake is done.
    pub async fn accept(&mut self) -> (TlsStream<TcpStream>, Peer) {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // Only when the runtime shuts down: there is nothing more to accept.
            None => std::future::pending().await,
        }
    }
}

async fn accept(mut listener: TcpListener, acceptor: TlsAcceptor, sender: mpsc::Sender<(TlsStream<TcpStream>, Peer)>) {
    let mut handshakes = VecDeque::new();
    loop {
        // axum's own accept loop: it waits and tries again when the process has no file descriptor left.
        let (stream, address) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = sender.closed() => return,
        };
        make_room(&mut handshakes);
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        let handshake = tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, shake_hands(acceptor, stream)).await {
                Ok(Ok(stream)) => {
                    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default().into();
                    // An error means that the server has stopped; the connection ends with it.
                    let _ = sender.send((stream, Peer { address, certificates })).await;
                }
                Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
            }
        });
        handshakes.push_back(handshake.abort_handle());
    }
}

/// Gives up the oldest handshake when too many are under way: an honest one takes milliseconds, so it is one that says nothing.
fn make_room(handshakes: &mut VecDeque<AbortHandle>) {
    if handshakes.len() >= HANDSHAKES {
        handshakes.retain(|handshake| !handshake.is_finished());
    }
    if handshakes.len() >= HANDSHAKES
        && let Some(oldest) = handshakes.pop_front()
    {
        oldest.abort();
    }
}

async fn shake_hands(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    acceptor.accept(stream).await
}
