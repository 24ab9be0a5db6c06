//! What the gateway asks of Fabric, as a peer sees it.

use std::sync::{Arc, Mutex};

use fabric_client::{ConnectOptions, Connection};
use fabric_msp::SigningIdentity;
use fabric_msp::issue::{Authority, Request as CertificateRequest};
use fabric_protos::gateway::gateway_server::{Gateway, GatewayServer};
use fabric_protos::gateway::{
    ChaincodeEventsResponse, CommitStatusResponse, EndorseRequest, EndorseResponse, EvaluateRequest, EvaluateResponse,
    SignedChaincodeEventsRequest, SignedCommitStatusRequest, SubmitRequest, SubmitResponse,
};
use fabric_protos::protos::Response as ChaincodeResponse;
use healthchain_gateway::ledger::Ledger as _;
use healthchain_gateway::ledger::fabric::FabricLedger;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A peer that notes which organisations each evaluation names.
#[derive(Clone, Default)]
struct Peer {
    targets: Arc<Mutex<Vec<Vec<String>>>>,
}

/// Found by review: when the own peer failed, Fabric let any other organisation's answer, also the question whether a stranger may
/// have a record (the second lock).
#[tokio::test]
async fn no_other_organisations_peer_answers_the_gateways_questions() {
    let peer = Peer::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", incoming.local_addr().unwrap());
    let server = tonic::transport::Server::builder().add_service(GatewayServer::new(peer.clone()));
    tokio::spawn(server.serve_with_incoming(incoming));
    let connection = Connection::lazy(ConnectOptions { endpoint, ..ConnectOptions::default() }).unwrap();
    let ledger = FabricLedger::new(connection, "health", "healthchain");
    let issued =
        Authority::create("ca", "Hospital").unwrap().issue(&CertificateRequest::signing("gateway", "client")).unwrap();
    let signer = SigningIdentity::from_pem("HospitalMSP", issued.certificate_pem(), issued.key_pem()).unwrap();

    ledger.evaluate(&signer, "Links:opening", vec![]).await.unwrap();
    ledger.height(&signer).await.unwrap();

    assert_eq!(*peer.targets.lock().unwrap(), [["HospitalMSP"], ["HospitalMSP"]]);
}

#[tonic::async_trait]
impl Gateway for Peer {
    async fn evaluate(&self, request: Request<EvaluateRequest>) -> Result<Response<EvaluateResponse>, Status> {
        self.targets.lock().unwrap().push(request.into_inner().target_organizations);
        // No bytes are a BlockchainInfo, too.
        let result = ChaincodeResponse { status: 200, ..ChaincodeResponse::default() };
        Ok(Response::new(EvaluateResponse { result: Some(result) }))
    }

    async fn endorse(&self, _: Request<EndorseRequest>) -> Result<Response<EndorseResponse>, Status> {
        Err(Status::unimplemented("nothing is written here"))
    }

    async fn submit(&self, _: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        Err(Status::unimplemented("nothing is written here"))
    }

    async fn commit_status(
        &self,
        _: Request<SignedCommitStatusRequest>,
    ) -> Result<Response<CommitStatusResponse>, Status> {
        Err(Status::unimplemented("nothing is written here"))
    }

    type ChaincodeEventsStream = futures::stream::Empty<Result<ChaincodeEventsResponse, Status>>;

    async fn chaincode_events(
        &self,
        _: Request<SignedChaincodeEventsRequest>,
    ) -> Result<Response<Self::ChaincodeEventsStream>, Status> {
        Err(Status::unimplemented("nothing happens here"))
    }
}
