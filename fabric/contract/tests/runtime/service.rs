//! Chaincode as a service: gRPC over mutual TLS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fabric_contract::{Chaincode, ServeError, ServerOptions, TlsOptions};
use fabric_msp::issue::{Authority, Request};
use fabric_protos::protos::ChaincodeMessage;
use fabric_protos::protos::chaincode_client::ChaincodeClient;
use futures::future::join_all;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::notes::{Notebook, NotesDispatcher};
use crate::peer::{Peer, offering, transaction_message};

const MESSAGE_BYTES: usize = 100 * 1024 * 1024;

/// A served chaincode and the authority of its network.
struct Service {
    authority: Authority,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Service {
    async fn start() -> Self {
        let authority = Authority::create("tls-ca", "Hospital").unwrap();
        let server = Chaincode::new().contract(NotesDispatcher::new(Notebook)).bind(options(&authority)).await.unwrap();
        let address = server.local_address();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run_until(async {
            let _ = stopped.await;
        }));
        Self { authority, address, _stop: stop }
    }

    /// Connects as a peer does, with a client certificate of this authority.
    async fn dial(&self, client: Option<&Authority>) -> Result<Channel, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.authority.certificate().pem()));
        if let Some(client) = client {
            let issued = client.issue(&Request::tls("peer0", &[], &[])).unwrap();
            tls = tls.identity(Identity::from_pem(issued.certificate_pem(), issued.key_pem()));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls).unwrap().tcp_nodelay(true).connect().await
    }

    async fn connect(&self, client: Option<&Authority>) -> Result<Peer, String> {
        let channel = self.dial(client).await.map_err(|error| error.to_string())?;
        let (to_chaincode, from_chaincode) = stream(channel).await.map_err(|status| status.to_string())?;
        Ok(Peer::over(to_chaincode, from_chaincode, offering(1000, 1000)).await)
    }
}

fn options(authority: &Authority) -> ServerOptions {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let issued = authority.issue(&Request::tls("basic", &["localhost"], &[localhost])).unwrap();
    let tls = TlsOptions {
        certificate: issued.certificate_pem().into_bytes(),
        key: issued.key_pem().to_vec(),
        client_authorities: authority.certificate().pem().into_bytes(),
    };
    ServerOptions { address: "127.0.0.1:0".into(), chaincode_id: "basic:1".into(), tls: Some(tls) }
}

type Ends = (mpsc::Sender<ChaincodeMessage>, mpsc::Receiver<ChaincodeMessage>);

async fn stream(channel: Channel) -> Result<Ends, Status> {
    let mut client =
        ChaincodeClient::new(channel).max_decoding_message_size(MESSAGE_BYTES).max_encoding_message_size(MESSAGE_BYTES);
    let (to_chaincode, messages) = mpsc::channel(8);
    let mut answers = client.connect(ReceiverStream::new(messages)).await?.into_inner();
    let (forward, from_chaincode) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok(Some(message)) = answers.message().await {
            if forward.send(message).await.is_err() {
                break;
            }
        }
    });
    Ok((to_chaincode, from_chaincode))
}

#[tokio::test]
async fn several_peers_run_the_same_transaction_at_once_over_a_stream_each() {
    let service = Service::start().await;
    let peers = join_all((0..4).map(|_| service.connect(Some(&service.authority)))).await;
    let peers: Vec<Peer> = peers.into_iter().collect::<Result<_, _>>().unwrap();

    let calls = peers.iter().flat_map(|peer| {
        (0..25).map(async |number| {
            peer.invoke(&format!("tx{number}"), "increment", &[&format!("\"counter{number}\"")]).await.json()
        })
    });
    assert_eq!(join_all(calls).await, vec![json!(1); 100]);
    for peer in peers {
        assert_eq!(peer.state().len(), 25);
        assert_eq!(peer.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn messages_far_beyond_the_usual_limit_pass_both_ways() {
    let service = Service::start().await;
    let peer = service.connect(Some(&service.authority)).await.unwrap();
    let text = json!("x".repeat(30 * 1024 * 1024));
    assert_eq!(peer.invoke("tx", "echo", &[&text.to_string()]).await.json(), text);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let service = Service::start().await;
    assert!(service.connect(None).await.is_err());
}

#[tokio::test]
async fn a_client_with_a_certificate_of_another_authority_is_refused() {
    let service = Service::start().await;
    let stranger = Authority::create("tls-ca", "Hospital").unwrap();
    assert!(service.connect(Some(&stranger)).await.is_err());
    assert!(service.connect(Some(&service.authority)).await.is_ok());
}

#[tokio::test]
async fn a_client_without_tls_is_refused() {
    let service = Service::start().await;
    let channel = Endpoint::from_shared(format!("http://{}", service.address)).unwrap().connect().await;
    if let Ok(channel) = channel {
        assert!(stream(channel).await.is_err());
    }
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams_and_fails_the_calls_that_wait() {
    let authority = Authority::create("tls-ca", "Hospital").unwrap();
    let chaincode = Chaincode::new().contract(NotesDispatcher::new(Notebook));
    let server = chaincode.bind(options(&authority)).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = Service { authority, address: server.local_address(), _stop: stop };
    let running = tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    let peer = service.connect(Some(&service.authority)).await.unwrap();
    peer.fall_silent();
    let waiting = peer.begin(transaction_message("tx", "read", &["\"a\""])).await;
    while peer.requests_of("tx") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }

    drop(service);

    let ended = waiting.await.unwrap();
    assert!(ended.response.message.contains("the connection to the peer ended"), "{}", ended.response.message);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let service = Service::start().await;
    let options = ServerOptions { address: service.address.to_string(), ..options(&service.authority) };
    let refused = Chaincode::new().bind(options).await.err().unwrap();
    assert!(matches!(refused, ServeError::Listen { .. }));
    assert!(refused.to_string().starts_with(&format!("cannot listen on {}: ", service.address)), "{refused}");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let authority = Authority::create("tls-ca", "Hospital").unwrap();
    let mut options = options(&authority);
    options.tls.as_mut().unwrap().key = b"no key".to_vec();
    let server = Chaincode::new().bind(options).await.unwrap();
    let refused = server.run_until(std::future::pending()).await.err().unwrap();
    assert!(refused.to_string().contains("check its certificates and key"), "{refused}");
}
