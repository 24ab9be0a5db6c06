//! The way from one peer to one chaincode package: dialled on the first call, and anew after the stream was lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fabric_protos::protos::{ChaincodeMessage, chaincode_client::ChaincodeClient};
use futures::StreamExt;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::Stream;
use crate::config::{Access, Server, Times};

/// Messages of 100 MiB, as peers have it.
const LARGEST_MESSAGE: usize = 100 << 20;

pub(crate) struct Connection {
    package_id: String,
    access: Access,
    dial: Duration,
    startup: Duration,
    state: Mutex<State>,
}

/// The last stream, and the last vain attempt to open one.
#[derive(Default)]
struct State {
    stream: Option<Arc<Stream>>,
    failure: Option<(Instant, String)>,
}

impl Connection {
    pub(crate) fn new(package_id: String, access: Access, times: &Times) -> Self {
        Self { package_id, access, dial: times.dial, startup: times.startup, state: Mutex::default() }
    }

    /// An open stream. The error is what a peer says, beginning with "could not launch chaincode".
    pub(crate) async fn stream(&self) -> Result<Arc<Stream>, String> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(stream) = state.stream.as_ref().filter(|stream| stream.is_open()) {
            return Ok(stream.clone());
        }
        // Whoever waited for a vain attempt shares its failure: attempts in a row would keep the last one waiting for ever.
        if let Some((_, failure)) = state.failure.as_ref().filter(|(failed, _)| *failed > asked) {
            return Err(failure.clone());
        }
        let package_id = &self.package_id;
        let opened = tokio::time::timeout(self.startup, self.open())
            .await
            .unwrap_or_else(|_| Err(format!("timeout expired while starting chaincode {package_id} for transaction")))
            .map_err(|reason| format!("could not launch chaincode {package_id}: {reason}"));
        match &opened {
            Ok(stream) => state.stream = Some(stream.clone()),
            Err(reason) => state.failure = Some((Instant::now(), reason.clone())),
        }
        opened
    }

    async fn open(&self) -> Result<Arc<Stream>, String> {
        let package_id = &self.package_id;
        let (outgoing, to_chaincode) = mpsc::channel(256);
        match &self.access {
            Access::InProcess(serve) => {
                let (from_chaincode, incoming) = mpsc::channel(256);
                serve(package_id.clone(), from_chaincode, to_chaincode);
                Stream::open(package_id, outgoing, ReceiverStream::new(incoming)).await
            }
            Access::Server(server) => {
                let channel = self.connect(server).await.map_err(|reason| {
                    format!(
                        "connection to {package_id} failed: error cannot create connection for {package_id}: error \
                         creating grpc connection to {}: failed to create new connection: {reason}",
                        server.address
                    )
                })?;
                let incoming = ChaincodeClient::new(channel)
                    .max_decoding_message_size(LARGEST_MESSAGE)
                    .max_encoding_message_size(LARGEST_MESSAGE)
                    .connect(ReceiverStream::new(to_chaincode))
                    .await
                    .map_err(|status| format!("connection to {package_id} failed: {status}"))?
                    .into_inner();
                let messages = incoming
                    .take_while(|message| std::future::ready(message.is_ok()))
                    .filter_map(|message: Result<ChaincodeMessage, _>| std::future::ready(message.ok()));
                Stream::open(package_id, outgoing, messages).await
            }
        }
    }

    async fn connect(&self, server: &Server) -> Result<Channel, String> {
        let scheme = if server.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", server.address))
            .map_err(|error| error.to_string())?
            .connect_timeout(self.dial)
            .http2_keep_alive_interval(Duration::from_secs(60))
            .keep_alive_timeout(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        if let Some(tls) = &server.tls {
            let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.root_certificate));
            if let Some((certificate, key)) = &tls.client {
                config = config.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(config).map_err(|error| chain(&error))?;
        }
        tokio::time::timeout(self.dial, endpoint.connect())
            .await
            .map_err(|_| "context deadline exceeded".to_owned())?
            .map_err(|error| chain(&error))
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
