//! The gateway service of one organisation's peer (Fabric: `internal/pkg/gateway`).

mod endorse;
mod evaluate;
mod events;
mod failure;
mod plan;
mod submit;

use std::{pin::Pin, sync::Arc, time::Duration};

use fabric_protos::gateway::{
    ChaincodeEventsResponse, CommitStatusResponse, EndorseRequest, EndorseResponse, EvaluateRequest, EvaluateResponse,
    SignedChaincodeEventsRequest, SignedCommitStatusRequest, SubmitRequest, SubmitResponse, gateway_server,
};
use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};

use crate::{channel::Channel, endorser::Endorser, orderer::Orderer};

/// So many calls may be open at once, waiting ones and event streams included.
const OPEN_CALLS: usize = 500;

/// The service; clones share everything.
#[derive(Clone)]
pub(crate) struct Gateway {
    channel: Arc<Channel>,
    /// All organisations' peers; the first is the gateway's own.
    endorsers: Arc<[Arc<Endorser>]>,
    orderer: Orderer,
    slots: Arc<Semaphore>,
}

impl Gateway {
    /// The gateway of the organisation whose endorser stands first.
    pub(crate) fn new(channel: Arc<Channel>, endorsers: Arc<[Arc<Endorser>]>, orderer: Orderer) -> Self {
        Self { channel, endorsers, orderer, slots: Arc::new(Semaphore::new(OPEN_CALLS)) }
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.slots.clone().try_acquire_owned().map_err(|_| {
            Status::unknown(format!(
                "too many requests for /gateway.Gateway, exceeding concurrency limit ({OPEN_CALLS})"
            ))
        })
    }

    /// Fabric's text for a channel that this peer has not joined.
    fn check_channel(&self, channel: &str) -> Result<(), String> {
        if channel == self.channel.name {
            return Ok(());
        }
        Err(format!("failed to get config for channel [{channel}]: could not get last config for channel {channel}"))
    }
}

#[tonic::async_trait]
impl gateway_server::Gateway for Gateway {
    async fn endorse(&self, request: Request<EndorseRequest>) -> Result<Response<EndorseResponse>, Status> {
        let _slot = self.slot()?;
        let deadline = deadline(&request);
        self.endorse(request.into_inner(), deadline).await.map(Response::new)
    }

    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        let _slot = self.slot()?;
        let expired = || Status::deadline_exceeded("submit timeout expired while broadcasting to ordering service");
        within(deadline(&request), expired, self.submit(request.into_inner())).await.map(Response::new)
    }

    async fn commit_status(
        &self,
        request: Request<SignedCommitStatusRequest>,
    ) -> Result<Response<CommitStatusResponse>, Status> {
        let _slot = self.slot()?;
        let expired = || Status::deadline_exceeded("context deadline exceeded");
        within(deadline(&request), expired, self.commit_status(request.into_inner())).await.map(Response::new)
    }

    async fn evaluate(&self, request: Request<EvaluateRequest>) -> Result<Response<EvaluateResponse>, Status> {
        let _slot = self.slot()?;
        let expired = || Status::deadline_exceeded("evaluate timeout expired");
        within(deadline(&request), expired, self.evaluate(request.into_inner())).await.map(Response::new)
    }

    type ChaincodeEventsStream = Pin<Box<dyn Stream<Item = Result<ChaincodeEventsResponse, Status>> + Send>>;

    async fn chaincode_events(
        &self,
        request: Request<SignedChaincodeEventsRequest>,
    ) -> Result<Response<Self::ChaincodeEventsStream>, Status> {
        let slot = self.slot()?;
        let events = self.chaincode_events(request.into_inner(), slot)?;
        Ok(Response::new(Box::pin(events)))
    }
}

/// The client's own time limit, a little shortened: the answer shall come before the transport's.
fn deadline<T>(request: &Request<T>) -> Option<Duration> {
    let text = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    let limit = match unit {
        "H" => Duration::from_secs(number.saturating_mul(3600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Some(limit.saturating_sub(Duration::from_millis(5)))
}

async fn within<T>(
    limit: Option<Duration>,
    expired: impl FnOnce() -> Status,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match limit {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(expired())),
    }
}
