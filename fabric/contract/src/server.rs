//! Chaincode as a service: the peers dial us, each with one stream, over mutual TLS.

use std::env;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use fabric_protos::protos::ChaincodeMessage;
use fabric_protos::protos::chaincode_server::{Chaincode as Service, ChaincodeServer};
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::adapters::Map;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::chaincode::Chaincode;
use crate::conversation;

/// The largest message that Fabric sends and takes, in either direction.
const MESSAGE_BYTES: usize = 100 * 1024 * 1024;
/// Messages that wait for a peer that is slow to read; the transactions wait with them.
const OUTGOING_MESSAGES: usize = 256;
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Where and as what a chaincode is served.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Host and port to listen on, such as `0.0.0.0:9999`.
    pub address: String,
    /// The package id that peers know the chaincode by, such as `basic_1.0:1a2b…`.
    pub chaincode_id: String,
    /// `None` serves anybody who reaches the port, without encryption.
    pub tls: Option<TlsOptions>,
}

/// Keys and certificates of mutual TLS, PEM.
#[derive(Clone)]
pub struct TlsOptions {
    /// The server's certificate, with its intermediates.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// The authorities whose client certificates are taken: those of the peers.
    pub client_authorities: Vec<u8>,
}

/// Why a chaincode is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The environment lacks a setting, or has one that is wrong.
    #[error("{0}")]
    Setting(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; give a free host:port in CHAINCODE_SERVER_ADDRESS")]
    Listen {
        /// As given.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The certificates or the key cannot be used, or the server failed.
    #[error("the chaincode server failed, check its certificates and key: {}", causes(.0))]
    Transport(#[from] tonic::transport::Error),
}

/// A chaincode that listens, but does not serve yet.
pub struct Server {
    chaincode: Chaincode,
    chaincode_id: String,
    tls: Option<ServerTlsConfig>,
    listener: TcpListener,
    local_address: SocketAddr,
}

impl ServerOptions {
    /// Reads CHAINCODE_SERVER_ADDRESS, CHAINCODE_ID (or CORE_CHAINCODE_ID_NAME), and for TLS the files named by CHAINCODE_TLS_KEY,
    /// CHAINCODE_TLS_CERT and CHAINCODE_CLIENT_CA_CERT. Without TLS only if CHAINCODE_TLS_DISABLED is `true`.
    pub fn from_environment() -> Result<Self, ServeError> {
        let disabled = env::var("CHAINCODE_TLS_DISABLED").is_ok_and(|value| value == "true");
        let tls = if disabled {
            None
        } else {
            Some(TlsOptions {
                certificate: file("CHAINCODE_TLS_CERT")?,
                key: file("CHAINCODE_TLS_KEY")?,
                client_authorities: file("CHAINCODE_CLIENT_CA_CERT")?,
            })
        };
        Ok(Self {
            address: setting("CHAINCODE_SERVER_ADDRESS", "the host:port to listen on")?,
            chaincode_id: setting("CHAINCODE_ID", "the chaincode's package id")
                .or_else(|error| env::var("CORE_CHAINCODE_ID_NAME").map_err(|_| error))?,
            tls,
        })
    }
}

impl Server {
    pub(crate) async fn bind(chaincode: Chaincode, options: ServerOptions) -> Result<Self, ServeError> {
        let ServerOptions { address, chaincode_id, tls } = options;
        let listen = |source| ServeError::Listen { address: address.clone(), source };
        let listener = TcpListener::bind(&address).await.map_err(listen)?;
        let local_address = listener.local_addr().map_err(listen)?;
        let tls = tls.map(|tls| {
            ServerTlsConfig::new()
                .identity(Identity::from_pem(tls.certificate, tls.key))
                .client_ca_root(Certificate::from_pem(tls.client_authorities))
        });
        Ok(Self { chaincode, chaincode_id, tls, listener, local_address })
    }

    /// Where it listens: the port that was found, if the options gave 0.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Serves peers until `stop` completes.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let service = ChaincodeServer::new(Connections { chaincode: self.chaincode, chaincode_id: self.chaincode_id })
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let mut server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .http2_adaptive_window(Some(true));
        if let Some(tls) = self.tls {
            server = server.tls_config(tls)?;
        }
        // Without TCP_NODELAY each round trip costs up to 40 ms.
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        tracing::info!(address = %self.local_address, "serving the chaincode");

        let serving = server.add_service(service).serve_with_incoming(incoming);
        tokio::select! {
            ended = serving => Ok(ended?),
            // Streams of peers do not end by themselves: waiting for them would wait for ever.
            () = stop => Ok(()),
        }
    }
}

struct Connections {
    chaincode: Chaincode,
    chaincode_id: String,
}

#[tonic::async_trait]
impl Service for Connections {
    type ConnectStream =
        Map<ReceiverStream<ChaincodeMessage>, fn(ChaincodeMessage) -> Result<ChaincodeMessage, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<ChaincodeMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        tracing::info!(peer = ?request.remote_addr(), "a peer has connected");
        let (outgoing, messages) = mpsc::channel(OUTGOING_MESSAGES);
        let incoming = request.into_inner().take_while(|message| {
            if let Err(status) = message {
                tracing::warn!(%status, "a peer's stream failed");
            }
            std::future::ready(message.is_ok())
        });
        let incoming = incoming.filter_map(|message| std::future::ready(message.ok()));
        tokio::spawn(conversation::hold(self.chaincode.clone(), self.chaincode_id.clone(), outgoing, incoming));

        let answers: fn(_) -> _ = Ok;
        Ok(Response::new(tokio_stream::StreamExt::map(ReceiverStream::new(messages), answers)))
    }
}

impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsOptions").finish_non_exhaustive()
    }
}

fn setting(name: &str, meaning: &str) -> Result<String, ServeError> {
    env::var(name).map_err(|_| ServeError::Setting(format!("set {name} to {meaning}")))
}

fn file(name: &str) -> Result<Vec<u8>, ServeError> {
    let meaning = "the path of a PEM file, or CHAINCODE_TLS_DISABLED=true to serve without TLS";
    let path = setting(name, meaning)?;
    std::fs::read(&path).map_err(|error| ServeError::Setting(format!("cannot read {path}, named by {name}: {error}")))
}

fn causes(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
