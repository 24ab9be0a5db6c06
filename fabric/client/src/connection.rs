//! The way to the gateway peer.

use std::fmt;
use std::time::Duration;

use fabric_protos::gateway::gateway_client::GatewayClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The largest message, as peers take it.
const MESSAGE_LIMIT: usize = 100 * 1024 * 1024;
/// Peers close connections that ping more often than once a minute.
const PING_INTERVAL: Duration = Duration::from_secs(65);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to one peer, for any number of clients and calls at once. It is made at the first call and made anew at the
/// next call after it was lost, for example because the peer restarted. Clones share it.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    endpoint: String,
}

/// Where the peer is and how to trust it.
#[derive(Clone)]
pub struct ConnectOptions {
    /// `https://host:port`; `http://` for a peer without TLS.
    pub endpoint: String,
    /// The peer's TLS authority, PEM. Needed with `https`.
    pub tls_root_pem: Option<Vec<u8>>,
    /// The name that the peer's certificate carries, where it is not the endpoint's host.
    pub server_name: Option<String>,
    /// This side's TLS certificate and private key, PEM, where the peer asks for them.
    pub client_identity: Option<(Vec<u8>, Vec<u8>)>,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
}

/// Why there is no connection to be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not an address.
    #[error("\"{endpoint}\" is not a peer's address; write https://host:port")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// TLS without an authority to trust.
    #[error(
        "{endpoint} speaks TLS, but no TLS root certificate was given; give the one that issued the peer's certificate"
    )]
    NoRoot {
        /// The peer.
        endpoint: String,
    },
    /// A certificate or key does not serve.
    #[error("the TLS settings for {endpoint} do not serve ({reason}); give PEM certificates and a PKCS#8 key")]
    Tls {
        /// The peer.
        endpoint: String,
        /// What the library says.
        reason: String,
    },
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            tls_root_pem: None,
            server_name: None,
            client_identity: None,
            connect_timeout: Duration::from_secs(3),
        }
    }
}

impl Connection {
    /// Prepares a connection; nothing is dialled before the first call. Call it within a Tokio runtime.
    pub fn lazy(options: ConnectOptions) -> Result<Self, ConnectError> {
        let named = options.endpoint.clone();
        let unusable = || ConnectError::Endpoint { endpoint: named.clone() };
        let mut endpoint = Endpoint::from_shared(options.endpoint.clone()).map_err(|_| unusable())?;
        let secure = match endpoint.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unusable()),
        };
        if secure {
            let tls = |error: tonic::transport::Error| ConnectError::Tls {
                endpoint: named.clone(),
                reason: with_sources(&error),
            };
            let root = options.tls_root_pem.ok_or_else(|| ConnectError::NoRoot { endpoint: named.clone() })?;
            let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root));
            if let Some(name) = options.server_name {
                config = config.domain_name(name);
            }
            if let Some((certificate, key)) = options.client_identity {
                config = config.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(config).map_err(tls)?;
        }
        let channel = endpoint
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Ok(Self { channel, endpoint: options.endpoint })
    }

    /// Takes a ready channel, for example over a pipe within one process.
    pub fn from_channel(channel: Channel) -> Self {
        Self { channel, endpoint: "a channel".to_owned() }
    }

    /// Where the peer is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn gateway(&self) -> GatewayClient<Channel> {
        GatewayClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The key does not appear.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("endpoint", &self.endpoint)
            .field("server_name", &self.server_name)
            .field("mutual_tls", &self.client_identity.is_some())
            .finish_non_exhaustive()
    }
}

/// An error with everything below it: the transport keeps the reason ("connection refused") at the bottom.
pub(crate) fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        let reason = below.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        source = below.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(endpoint: &str, tls_root_pem: Option<Vec<u8>>) -> String {
        let options = ConnectOptions { endpoint: endpoint.to_owned(), tls_root_pem, ..ConnectOptions::default() };
        Connection::lazy(options).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for endpoint in ["", "localhost:7051", "grpcs://localhost:7051", "https://local host"] {
            assert!(refusal(endpoint, None).contains("write https://host:port"), "{endpoint}");
        }
    }

    #[test]
    fn tls_without_a_root_certificate_is_refused() {
        assert!(refusal("https://localhost:7051", None).contains("no TLS root certificate was given"));
    }

    #[test]
    fn a_private_key_never_shows() {
        let options =
            ConnectOptions { client_identity: Some((vec![1], b"secret".to_vec())), ..ConnectOptions::default() };
        assert!(!format!("{options:?}").contains("115"), "the bytes of the key are printed");
    }
}
