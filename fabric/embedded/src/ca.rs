//! A certificate authority that speaks Fabric CA's protocol (version 1.5): enrolment, renewal, registration, revocation.
//!
//! What it knows, it knows in memory only. It refuses as the Fabric CA server does, with the same status and code, and it does not
//! do what no client of ours asks for: LDAP, Idemix, affiliations, intermediate authorities.

mod call;
mod registry;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::routing::get;
use fabric_msp::issue::{Authority, Issued};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use self::call::Call;
use self::registry::Registry;

/// Who the authority is, and whom it knows at first.
pub struct CaOptions {
    /// Its name.
    pub name: String,
    /// Issues the certificates.
    pub authority: Authority,
    /// Enrolment id and secret of the first registrar, who may do everything.
    pub registrar: (String, String),
    /// How long its certificates are good.
    pub valid_days: u32,
}

/// An authority that answers. It ends when this is dropped.
pub struct RunningCa {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl RunningCa {
    /// Serves over TLS with this certificate; port 0 takes a free one.
    pub async fn start(options: CaOptions, tls: &Issued, listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(server_config(tls).map_err(io::Error::other)?));
        let service = Arc::new(Mutex::new(Registry::new(options)));
        let serving = axum::serve(Listener { listener, acceptor }, routes(service));
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the certificate authority ended");
            }
        });
        Ok(Self { address, task })
    }

    /// `https://localhost:port`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

impl Drop for RunningCa {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = Arc<Mutex<Registry>>;

fn routes(service: Shared) -> Router {
    Router::new().route("/api/v1/{call}", get(answer).post(answer)).with_state(service)
}

async fn answer(State(registry): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let call = Call { method: &method, uri: &uri, headers: &headers, body: &body };
    let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
    call::response(call.answer(&mut registry))
}

fn server_config(tls: &Issued) -> Result<ServerConfig, rustls::Error> {
    let unusable = |error: &dyn std::fmt::Display| rustls::Error::General(error.to_string());
    let pem = tls.certificate_pem();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(tls.key_pem()).map_err(|error| unusable(&error))?;
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
}

struct Listener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            match self.acceptor.accept(stream).await {
                Ok(stream) => return (stream, address),
                Err(error) => tracing::debug!(%error, "a client of the certificate authority gave up"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
