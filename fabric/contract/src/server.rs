//! Chaincode as a service: the peers dial us, each with one stream, over mutual TLS.

use std::env;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use fabric_protos::protos::ChaincodeMessage;
use fabric_protos::protos::chaincode_server::{Chaincode as Service, ChaincodeServer};
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
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
/// How long a stopping server waits for the transactions that are under way.
const GRACE: Duration = Duration::from_secs(2);

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
        Self::read(|name| env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ServeError> {
        let setting = |name: &str, meaning: &str| {
            variable(name).ok_or_else(|| ServeError::Setting(format!("set {name} to {meaning}")))
        };
        let file = |name: &str| {
            let path = setting(name, "the path of a PEM file, or CHAINCODE_TLS_DISABLED=true to serve without TLS")?;
            std::fs::read(&path)
                .map_err(|error| ServeError::Setting(format!("cannot read {path}, named by {name}: {error}")))
        };

        let address = setting("CHAINCODE_SERVER_ADDRESS", "the host:port to listen on")?;
        let chaincode_id = variable("CORE_CHAINCODE_ID_NAME").map_or_else(
            || setting("CHAINCODE_ID", "the chaincode's package id"),
            |name| Ok(variable("CHAINCODE_ID").unwrap_or(name)),
        )?;
        let tls = if variable("CHAINCODE_TLS_DISABLED").is_some_and(|value| value == "true") {
            None
        } else {
            Some(TlsOptions {
                certificate: file("CHAINCODE_TLS_CERT")?,
                key: file("CHAINCODE_TLS_KEY")?,
                client_authorities: file("CHAINCODE_CLIENT_CA_CERT")?,
            })
        };
        Ok(Self { address, chaincode_id, tls })
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

    /// Serves peers until `stop` completes; then ends their streams, and waits a little for the transactions on them.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (running, stopped) = watch::channel(());
        let connections =
            Connections { chaincode: self.chaincode, chaincode_id: self.chaincode_id, stopped: stopped.clone() };
        let service = ChaincodeServer::new(connections)
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

        let stop = async move {
            stop.await;
            drop(running);
        };
        let overdue = async move {
            until(stopped).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = server.add_service(service).serve_with_incoming_shutdown(incoming, stop) => Ok(ended?),
            () = overdue => Ok(()),
        }
    }
}

struct Connections {
    chaincode: Chaincode,
    chaincode_id: String,
    /// Its sender goes when the server stops.
    stopped: watch::Receiver<()>,
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
        let incoming = incoming
            .filter_map(|message| std::future::ready(message.ok()))
            .take_until(Box::pin(until(self.stopped.clone())));
        tokio::spawn(conversation::hold(self.chaincode.clone(), self.chaincode_id.clone(), outgoing, incoming));

        let answers: fn(_) -> _ = Ok;
        Ok(Response::new(tokio_stream::StreamExt::map(ReceiverStream::new(messages), answers)))
    }
}

async fn until(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsOptions").finish_non_exhaustive()
    }
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ServerOptions, String> {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        ServerOptions::read(|name| variables.get(name).map(|value| (*value).to_owned()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_says_where_and_as_what_to_serve() {
        let address = ("CHAINCODE_SERVER_ADDRESS", "127.0.0.1:9999");
        let plain = ("CHAINCODE_TLS_DISABLED", "true");
        let options = read(&[address, plain, ("CHAINCODE_ID", "basic:1")]).unwrap();
        assert_eq!((options.address.as_str(), options.chaincode_id.as_str()), ("127.0.0.1:9999", "basic:1"));
        assert!(options.tls.is_none());
        assert_eq!(read(&[address, plain, ("CORE_CHAINCODE_ID_NAME", "basic:2")]).unwrap().chaincode_id, "basic:2");
    }

    #[test]
    fn a_missing_setting_is_named_with_what_it_means() {
        let address = ("CHAINCODE_SERVER_ADDRESS", "127.0.0.1:9999");
        let id = ("CHAINCODE_ID", "basic:1");
        assert_eq!(read(&[]).unwrap_err(), "set CHAINCODE_SERVER_ADDRESS to the host:port to listen on");
        assert_eq!(read(&[address]).unwrap_err(), "set CHAINCODE_ID to the chaincode's package id");
        let expected =
            "set CHAINCODE_TLS_CERT to the path of a PEM file, or CHAINCODE_TLS_DISABLED=true to serve without TLS";
        assert_eq!(read(&[address, id]).unwrap_err(), expected);
        assert_eq!(read(&[address, id, ("CHAINCODE_TLS_DISABLED", "yes")]).unwrap_err(), expected);
        let error = read(&[address, id, ("CHAINCODE_TLS_CERT", "/nowhere/tls.pem")]).unwrap_err();
        assert!(error.starts_with("cannot read /nowhere/tls.pem, named by CHAINCODE_TLS_CERT: "), "{error}");
    }

    #[test]
    fn keys_are_not_shown() {
        let tls = TlsOptions { certificate: vec![1], key: vec![2], client_authorities: vec![3] };
        assert_eq!(format!("{tls:?}"), "TlsOptions { .. }");
    }
}
