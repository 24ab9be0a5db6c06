//! A chaincode that is a server of its own: dialled on the first call, and again after it was away.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use fabric_embedded::{
    config::{Access, ChaincodeDefinition, Server, Times},
    testing::Network,
};
use fabric_msp::policy;
use fabric_protos::protos::{
    ChaincodeMessage,
    chaincode_server::{Chaincode, ChaincodeServer},
};
use futures::{Stream, StreamExt};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::{BOTH, contract, evaluate, script, submit};

/// The scripted chaincode as a server.
struct Scripted;

#[tonic::async_trait]
impl Chaincode for Scripted {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<ChaincodeMessage, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<ChaincodeMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (outgoing, answers) = mpsc::channel(16);
        let (questions, incoming) = mpsc::channel(16);
        let mut stream = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = stream.message().await {
                _ = questions.send(message).await;
            }
        });
        tokio::spawn(script::serve("script:1".into(), outgoing, incoming));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers).map(Ok))))
    }
}

/// A process of its own, as far as its connections go: whatever runs in it ends with it.
fn serve(at: SocketAddr) -> (Runtime, SocketAddr) {
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (bound, address) = std::sync::mpsc::channel();
    process.spawn(async move {
        let listener = TcpListener::bind(at).await.unwrap();
        bound.send(listener.local_addr().unwrap()).unwrap();
        let server = tonic::transport::Server::builder().add_service(ChaincodeServer::new(Scripted));
        server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
    });
    let address = address.recv().unwrap();
    (process, address)
}

async fn network(address: SocketAddr, times: Times) -> Network {
    let definition = ChaincodeDefinition {
        name: "script".into(),
        version: "1".into(),
        sequence: 1,
        package_id: "script:1".into(),
        policy: policy::parse(BOTH).unwrap(),
        access: Access::Server(Server { address: address.to_string(), tls: None }),
    };
    Network::of(&["Org1MSP", "Org2MSP"]).definition(definition).times(times).start().await
}

#[tokio::test]
async fn a_chaincode_server_that_goes_away_fails_its_calls_at_once_and_is_found_again() {
    let (process, address) = serve("127.0.0.1:0".parse().unwrap());
    let network = network(address, Times::default()).await;
    let contract = contract(&network);
    submit(&contract, &["put", "a", "1"]).await.unwrap();

    let waiting = tokio::spawn({
        let contract = contract.clone();
        async move { evaluate(&contract, &["sleep", "60000"]).await.unwrap_err() }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    process.shutdown_background();
    let failed = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    let first = &failed.details()[0].message;
    assert!(first.ends_with("error sending: chaincode stream terminated"), "{first}");

    let away = evaluate(&contract, &["get", "a"]).await.unwrap_err();
    let text = "could not launch chaincode script:1: connection to script:1 failed: error cannot create connection for \
                script:1: error creating grpc connection to 127.0.0.1:";
    assert!(away.details()[0].message.contains(text), "{away:?}");

    let (process, _) = serve(address);
    assert_eq!(evaluate(&contract, &["get", "a"]).await.unwrap(), "1");
    process.shutdown_background();
}

#[tokio::test]
async fn calls_that_wait_for_a_silent_server_are_given_up_together() {
    // A listener that nobody accepts from: the connection is made, but nothing speaks on it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let times = Times { startup: Duration::from_millis(300), ..Times::default() };
    let network = network(silent.local_addr().unwrap(), times).await;
    let started = std::time::Instant::now();
    let calls = (0..20).map(|_| {
        let contract = contract(&network);
        async move { evaluate(&contract, &["get", "a"]).await.unwrap_err() }
    });
    for failed in futures::future::join_all(calls).await {
        let first = &failed.details()[0].message;
        assert!(first.ends_with("timeout expired while starting chaincode script:1 for transaction"), "{first}");
    }
    assert!(started.elapsed() < Duration::from_secs(4)); // one after another it would be 12
}
