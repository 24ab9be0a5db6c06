//! How clients reach a peer: TLS ports, and pipes inside the process.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use fabric_protos::gateway::gateway_server::GatewayServer;
use futures::Stream;
use hyper_util::rt::TokioIo;
use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
        client::danger::HandshakeSignatureValid,
        crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
        server::danger::{ClientCertVerified, ClientCertVerifier},
    },
    server::TlsStream,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Server, server::Connected};

use crate::{StartError, config::Listen, gateway::Gateway};

/// Messages of 100 MiB, as peers take them.
pub(crate) const LARGEST_MESSAGE: usize = 100 << 20;

const HANDSHAKE: Duration = Duration::from_secs(10);

/// A port that is listened on.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

pub(crate) async fn listen(msp_id: &str, listen: &Listen) -> Result<Listener, StartError> {
    let tls = tls(listen).map_err(|reason| StartError::Tls { msp_id: msp_id.to_owned(), reason })?;
    let refused = |source| StartError::Port { address: listen.address, what: format!("the peer of {msp_id}"), source };
    let listener = TcpListener::bind(listen.address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(Listener { address, listener, acceptor: TlsAcceptor::from(Arc::new(tls)) })
}

/// Serves a port until `tasks` ends.
pub(crate) fn serve_port(tasks: &mut JoinSet<()>, service: GatewayServer<Gateway>, port: Listener) {
    let (ready, connections) = mpsc::channel(16);
    tasks.spawn(accept(port, ready));
    serve(tasks, service, ReceiverStream::new(connections));
}

/// Serves pipes until `tasks` ends; each pipe sent is one connection.
pub(crate) fn serve_pipes(tasks: &mut JoinSet<()>, service: GatewayServer<Gateway>) -> mpsc::Sender<DuplexStream> {
    let (pipes, incoming) = mpsc::channel(16);
    let incoming = tokio_stream::StreamExt::map(ReceiverStream::new(incoming), Ok::<_, io::Error>);
    serve(tasks, service, incoming);
    pipes
}

/// A connection over such a pipe; made on the first call.
pub(crate) fn connect(pipes: mpsc::Sender<DuplexStream>) -> tonic::transport::Channel {
    Endpoint::from_static("http://embedded.invalid").connect_with_connector_lazy(tower::service_fn(move |_| {
        let pipes = pipes.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            pipes.send(theirs).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok::<_, io::Error>(TokioIo::new(ours))
        }
    }))
}

fn serve<C>(
    tasks: &mut JoinSet<()>,
    service: GatewayServer<Gateway>,
    connections: impl Stream<Item = io::Result<C>> + Send + 'static,
) where
    C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
{
    let server = Server::builder()
        .max_concurrent_streams(u32::MAX)
        .initial_connection_window_size(16 << 20)
        .initial_stream_window_size(4 << 20)
        .add_service(service);
    tasks.spawn(async move {
        if let Err(error) = server.serve_with_incoming(connections).await {
            tracing::error!(%error, "a peer's port is no longer served");
        }
    });
}

/// Handshakes happen side by side, so that a slow client keeps nobody waiting.
async fn accept(port: Listener, ready: mpsc::Sender<io::Result<TlsStream<TcpStream>>>) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = port.listener.accept() => accepted,
            Some(_) = handshakes.join_next() => continue,
        };
        let connection = match accepted {
            Ok((connection, _)) => connection,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await; // out of file descriptors, as a rule
                continue;
            }
        };
        let (acceptor, ready) = (port.acceptor.clone(), ready.clone());
        handshakes.spawn(async move {
            _ = connection.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(connection)).await {
                Ok(Ok(connection)) => _ = ready.send(Ok(connection)).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
    }
}

fn tls(listen: &Listen) -> Result<ServerConfig, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&listen.certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate is not PEM: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(&listen.key)
        .map_err(|error| format!("the key is no private key in PEM: {error}"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(Arc::new(AnyClient(provider)))
        .with_single_cert(certificates, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Asks for a client certificate and then looks no further at it, as a peer without mutual TLS does.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
