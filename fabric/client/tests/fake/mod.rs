//! A gateway peer that answers as a test tells it to, over pipes, and that can die and come back.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // reason: each test file uses a part; these are tests

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fabric_client::{Client, Connection, Contract, Deadlines};
use fabric_msp::SigningIdentity;
use fabric_msp::issue::{Authority, Request as CertificateRequest};
use fabric_protos::common::{BlockchainInfo, ChannelHeader, Envelope, Header, Payload};
use fabric_protos::gateway::gateway_server::{Gateway, GatewayServer};
use fabric_protos::gateway::{
    ChaincodeEventsRequest, ChaincodeEventsResponse, CommitStatusRequest, CommitStatusResponse, EndorseRequest,
    EndorseResponse, ErrorDetail, EvaluateRequest, EvaluateResponse, SignedChaincodeEventsRequest,
    SignedCommitStatusRequest, SubmitRequest, SubmitResponse,
};
use fabric_protos::google::rpc;
use fabric_protos::protos::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEndorsedAction, ChaincodeInvocationSpec,
    ChaincodeProposalPayload, Proposal, ProposalResponsePayload, Response as ChaincodeResponse, SignedProposal,
    Transaction, TransactionAction, TxValidationCode,
};
use futures::StreamExt;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Endpoint, Server, Uri};
use tonic::{Code, Request, Response, Status};

/// What the peer does with one call.
#[derive(Clone)]
pub enum Do {
    Answer,
    Fail(Status),
    /// Says nothing.
    Hang,
    /// Dies with all its connections and is back after this time.
    DieFor(Duration),
    /// Endorse only: prepares something else than was proposed.
    Cheat(fn(&mut Envelope)),
    /// CommitStatus only: in block 7 with this code.
    Committed(TxValidationCode),
}

/// What the peer was asked, in order: `submit <transaction id>` and so on.
#[derive(Default)]
pub struct Script {
    pub evaluate: VecDeque<Do>,
    pub endorse: VecDeque<Do>,
    pub submit: VecDeque<Do>,
    pub commit_status: VecDeque<Do>,
    pub events: VecDeque<Events>,
    pub calls: Vec<String>,
    pub submitted: Vec<Envelope>,
    pub proposed: Vec<SignedProposal>,
    /// The organisations that each evaluation named.
    pub targets: Vec<Vec<String>>,
    pub event_requests: Vec<ChaincodeEventsRequest>,
    /// What was asked of the commit status, undecoded.
    pub status_requests: Vec<Vec<u8>>,
    pub height: u64,
}

/// What one stream of events gives, and how it ends.
pub struct Events {
    pub blocks: Vec<ChaincodeEventsResponse>,
    /// `None`: stays open.
    pub end: Option<Status>,
}

/// A peer, up or down.
#[derive(Clone)]
pub struct Peer {
    pub script: Arc<Mutex<Script>>,
    door: Arc<Mutex<Option<mpsc::UnboundedSender<DuplexStream>>>>,
    runtime: Arc<Mutex<Option<tokio::runtime::Runtime>>>,
}

impl Peer {
    pub fn up() -> Self {
        let peer = Self { script: Arc::default(), door: Arc::default(), runtime: Arc::default() };
        peer.start();
        peer
    }

    /// Starts to take connections.
    pub fn start(&self) {
        let (door, incoming) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = GatewayServer::new(self.clone());
        let incoming = UnboundedReceiverStream::new(incoming).map(Ok::<_, io::Error>);
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        *self.door.lock().unwrap() = Some(door);
        *self.runtime.lock().unwrap() = Some(runtime);
    }

    /// Loses all connections and takes no new ones.
    pub fn kill(&self) {
        self.door.lock().unwrap().take();
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            // On a thread of its own: a runtime may not wait for another one's end.
            std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(1))).join().unwrap();
        }
    }

    pub fn connection(&self) -> Connection {
        let door = Arc::clone(&self.door);
        let connector = tower::service_fn(move |_: Uri| {
            let (here, there) = tokio::io::duplex(64 * 1024);
            let open = door.lock().unwrap().as_ref().is_some_and(|door| door.send(there).is_ok());
            let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "the peer is down");
            std::future::ready(open.then(|| TokioIo::new(here)).ok_or_else(refused))
        });
        Connection::from_channel(Endpoint::from_static("http://peer").connect_with_connector_lazy(connector))
    }

    /// The contract `ehr` on channel `health`, with short deadlines.
    pub fn contract(&self) -> Contract {
        self.client().contract("health", "ehr")
    }

    pub fn client(&self) -> Client {
        let deadlines = Deadlines {
            evaluate: Duration::from_millis(400),
            endorse: Duration::from_millis(400),
            submit: Duration::from_millis(400),
            commit_status: Duration::from_secs(3),
            lookup: Duration::from_secs(1),
        };
        Client::new(self.connection(), identity()).with_deadlines(deadlines)
    }

    pub fn calls(&self) -> Vec<String> {
        self.script.lock().unwrap().calls.clone()
    }

    fn next(&self, call: &str, queue: fn(&mut Script) -> &mut VecDeque<Do>) -> Do {
        let mut script = self.script.lock().unwrap();
        script.calls.push(call.to_owned());
        queue(&mut script).pop_front().unwrap_or(Do::Answer)
    }

    async fn act(&self, what: Do) -> Result<(), Status> {
        match what {
            Do::Fail(status) => Err(status),
            Do::Hang => std::future::pending().await,
            Do::DieFor(time) => {
                let peer = self.clone();
                std::thread::spawn(move || {
                    peer.kill();
                    std::thread::sleep(time);
                    peer.start();
                });
                std::future::pending().await
            }
            Do::Answer | Do::Cheat(_) | Do::Committed(_) => Ok(()),
        }
    }
}

pub fn identity() -> SigningIdentity {
    let authority = Authority::create("ca", "Hospital").unwrap();
    let issued = authority.issue(&CertificateRequest::signing("gateway", "client")).unwrap();
    SigningIdentity::from_pem("HospitalMSP", issued.certificate_pem(), issued.key_pem()).unwrap()
}

/// A failure as a peer sends it, with details in the trailer.
pub fn failure(code: Code, message: &str, details: &[(&str, &str, &str)]) -> Status {
    let details: Vec<prost_types::Any> = details
        .iter()
        .map(|(address, msp_id, message)| prost_types::Any {
            type_url: "type.googleapis.com/gateway.ErrorDetail".to_owned(),
            value: ErrorDetail { address: (*address).into(), msp_id: (*msp_id).into(), message: (*message).into() }
                .encode_to_vec(),
        })
        .collect();
    let trailer = rpc::Status { code: code as i32, message: message.to_owned(), details }.encode_to_vec();
    Status::with_details(code, message, trailer.into())
}

/// The header and the chaincode's arguments of a proposal.
pub fn opened(proposal: &SignedProposal) -> (Header, ChannelHeader, ChaincodeProposalPayload, Vec<Vec<u8>>) {
    let proposal = Proposal::decode(proposal.proposal_bytes.as_slice()).unwrap();
    let header = Header::decode(proposal.header.as_slice()).unwrap();
    let channel_header = ChannelHeader::decode(header.channel_header.as_slice()).unwrap();
    let payload = ChaincodeProposalPayload::decode(proposal.payload.as_slice()).unwrap();
    let spec = ChaincodeInvocationSpec::decode(payload.input.as_slice()).unwrap();
    let arguments = spec.chaincode_spec.unwrap().input.unwrap().args;
    (header, channel_header, payload, arguments)
}

/// The transaction that a peer prepares: the chaincode's answer is the function's name in capitals.
fn prepared(proposal: &SignedProposal) -> Envelope {
    let (header, _, payload, arguments) = opened(proposal);
    let answer = ChaincodeResponse { status: 200, message: String::new(), payload: arguments[0].to_ascii_uppercase() };
    let action = ChaincodeAction { response: Some(answer), ..ChaincodeAction::default() };
    let response = ProposalResponsePayload { proposal_hash: vec![1; 32], extension: action.encode_to_vec() };
    let payload = ChaincodeActionPayload {
        chaincode_proposal_payload: ChaincodeProposalPayload { input: payload.input, ..Default::default() }
            .encode_to_vec(),
        action: Some(ChaincodeEndorsedAction {
            proposal_response_payload: response.encode_to_vec(),
            endorsements: Vec::new(),
        }),
    };
    let action = TransactionAction { header: header.signature_header.clone(), payload: payload.encode_to_vec() };
    let data = Transaction { actions: vec![action] }.encode_to_vec();
    Envelope { payload: Payload { header: Some(header), data }.encode_to_vec(), signature: Vec::new() }
}

#[tonic::async_trait]
impl Gateway for Peer {
    async fn evaluate(&self, request: Request<EvaluateRequest>) -> Result<Response<EvaluateResponse>, Status> {
        let request = request.into_inner();
        let proposal = request.proposed_transaction.unwrap();
        let (_, channel_header, _, arguments) = opened(&proposal);
        {
            let mut script = self.script.lock().unwrap();
            script.proposed.push(proposal);
            script.targets.push(request.target_organizations);
        }
        let what = self.next(&format!("evaluate {}", channel_header.tx_id), |script| &mut script.evaluate);
        self.act(what).await?;
        let payload = if arguments[0] == b"GetChainInfo" {
            BlockchainInfo { height: self.script.lock().unwrap().height, ..BlockchainInfo::default() }.encode_to_vec()
        } else {
            arguments[0].to_ascii_uppercase()
        };
        let result = ChaincodeResponse { status: 200, message: String::new(), payload };
        Ok(Response::new(EvaluateResponse { result: Some(result) }))
    }

    async fn endorse(&self, request: Request<EndorseRequest>) -> Result<Response<EndorseResponse>, Status> {
        let request = request.into_inner();
        let what = self.next(&format!("endorse {}", request.transaction_id), |script| &mut script.endorse);
        self.act(what.clone()).await?;
        let proposal = request.proposed_transaction.unwrap();
        let mut envelope = prepared(&proposal);
        self.script.lock().unwrap().proposed.push(proposal);
        if let Do::Cheat(cheat) = what {
            cheat(&mut envelope);
        }
        Ok(Response::new(EndorseResponse { prepared_transaction: Some(envelope) }))
    }

    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        let request = request.into_inner();
        self.script.lock().unwrap().submitted.push(request.prepared_transaction.unwrap());
        let what = self.next(&format!("submit {}", request.transaction_id), |script| &mut script.submit);
        self.act(what).await?;
        Ok(Response::new(SubmitResponse {}))
    }

    async fn commit_status(
        &self,
        request: Request<SignedCommitStatusRequest>,
    ) -> Result<Response<CommitStatusResponse>, Status> {
        let request = request.into_inner().request;
        let asked = CommitStatusRequest::decode(request.as_slice()).unwrap();
        self.script.lock().unwrap().status_requests.push(request);
        let what = self.next(&format!("status {}", asked.transaction_id), |script| &mut script.commit_status);
        self.act(what.clone()).await?;
        let code = if let Do::Committed(code) = what { code } else { TxValidationCode::Valid };
        Ok(Response::new(CommitStatusResponse { result: code.into(), block_number: 7 }))
    }

    type ChaincodeEventsStream = futures::stream::BoxStream<'static, Result<ChaincodeEventsResponse, Status>>;

    async fn chaincode_events(
        &self,
        request: Request<SignedChaincodeEventsRequest>,
    ) -> Result<Response<Self::ChaincodeEventsStream>, Status> {
        let asked = ChaincodeEventsRequest::decode(request.into_inner().request.as_slice()).unwrap();
        let mut script = self.script.lock().unwrap();
        script.calls.push("events".to_owned());
        script.event_requests.push(asked);
        let Some(events) = script.events.pop_front() else {
            return Ok(Response::new(futures::stream::pending().boxed()));
        };
        let blocks = futures::stream::iter(events.blocks.into_iter().map(Ok));
        Ok(Response::new(match events.end {
            Some(status) => blocks.chain(futures::stream::iter([Err(status)])).boxed(),
            None => blocks.chain(futures::stream::pending()).boxed(),
        }))
    }
}
