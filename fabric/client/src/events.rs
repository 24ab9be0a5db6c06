//! Chaincode events that survive lost connections.

use std::pin::Pin;
use std::time::Duration;

use fabric_protos::gateway::{ChaincodeEventsRequest, ChaincodeEventsResponse, SignedChaincodeEventsRequest};
use fabric_protos::orderer::seek_position::Type;
use fabric_protos::orderer::{SeekNextCommit, SeekPosition, SeekSpecified};
use futures::Stream;
use prost::Message;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, Streaming};

use crate::call::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::{Client, Error, Stage};

/// How long the peer may take to tell its height.
const CHAIN_INFO_LIMIT: Duration = Duration::from_secs(10);

/// Where events begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// With the next block.
    Next,
    /// With this block, which may still be to come.
    Block(u64),
    /// After this transaction: what a listener that stores its last event's position gives after a restart. If the block holds
    /// no event of that transaction, all of the block's events come.
    After {
        /// The last event's block.
        block: u64,
        /// The last event's transaction.
        transaction: String,
    },
}

/// What a valid transaction told its listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChaincodeEvent {
    /// The block.
    pub block_number: u64,
    /// The transaction: 64 hexadecimal digits. One has at most one event.
    pub transaction_id: String,
    /// The chaincode.
    pub chaincode: String,
    /// The event's name.
    pub name: String,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl ChaincodeEvent {
    /// The position after this event, to be stored by a listener that goes on there.
    pub fn checkpoint(&self) -> From {
        From::After { block: self.block_number, transaction: self.transaction_id.clone() }
    }
}

pub(crate) fn stream(
    client: Client,
    channel: String,
    chaincode: String,
    from: From,
) -> Pin<Box<dyn Stream<Item = Result<ChaincodeEvent, Error>> + Send>> {
    let listener = Listener {
        client,
        channel,
        chaincode,
        from,
        source: None,
        waiting: Vec::new().into_iter(),
        pause: FIRST_PAUSE,
        ended: false,
    };
    Box::pin(futures::stream::unfold(listener, |mut listener| async move {
        let next = listener.next().await?;
        Some((next, listener))
    }))
}

struct Listener {
    client: Client,
    channel: String,
    chaincode: String,
    /// Moves on with each event given, so that a new stream begins there.
    from: From,
    source: Option<Streaming<ChaincodeEventsResponse>>,
    waiting: std::vec::IntoIter<ChaincodeEvent>,
    pause: Duration,
    ended: bool,
}

impl Listener {
    async fn next(&mut self) -> Option<Result<ChaincodeEvent, Error>> {
        loop {
            if let Some(event) = self.waiting.next() {
                self.from = event.checkpoint();
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            let failure = match self.receive().await {
                Ok(Some(block)) => {
                    self.pause = FIRST_PAUSE;
                    self.waiting = self.unseen(block).into_iter();
                    continue;
                }
                Ok(None) => Status::unavailable("the peer ended the stream"),
                Err(status) => status,
            };
            self.source = None;
            if is_final(&failure) {
                self.ended = true;
                let endpoint = self.client.connection.endpoint();
                return Some(Err(Error::from_status(Stage::ChaincodeEvents, None, &failure, endpoint)));
            }
            tracing::warn!(code = ?failure.code(), message = failure.message(), "chaincode events: connecting again");
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn receive(&mut self) -> Result<Option<ChaincodeEventsResponse>, Status> {
        if self.source.is_none() {
            self.source = Some(self.open().await?);
        }
        match &mut self.source {
            Some(source) => source.message().await,
            None => Ok(None),
        }
    }

    async fn open(&mut self) -> Result<Streaming<ChaincodeEventsResponse>, Status> {
        self.pin_down_next().await;
        let position = match &self.from {
            From::Next => Type::NextCommit(SeekNextCommit {}),
            // after_transaction_id is not used: with it a peer stays silent for ever if that transaction had no event.
            From::Block(number) | From::After { block: number, .. } => {
                Type::Specified(SeekSpecified { number: *number })
            }
        };
        let request = ChaincodeEventsRequest {
            channel_id: self.channel.clone(),
            chaincode_id: self.chaincode.clone(),
            identity: self.client.identity.serialized().to_vec(),
            start_position: Some(SeekPosition { r#type: Some(position) }),
            after_transaction_id: String::new(),
        }
        .encode_to_vec();
        let signature = self.client.sign(&request).await?;
        let request = SignedChaincodeEventsRequest { request, signature };
        Ok(self.client.connection.gateway().chaincode_events(request).await?.into_inner())
    }

    /// Replaces "the next block" by its number, so that blocks that come while the connection is lost are not missed. Where the
    /// caller may not ask for the height, the peer's own "next" has to do.
    async fn pin_down_next(&mut self) {
        if self.from == From::Next
            && let Ok(Ok(info)) = timeout(CHAIN_INFO_LIMIT, self.client.chain_info(&self.channel)).await
        {
            self.from = From::Block(info.height);
        }
    }

    fn unseen(&self, block: ChaincodeEventsResponse) -> Vec<ChaincodeEvent> {
        let number = block.block_number;
        let mut events: Vec<ChaincodeEvent> = block
            .events
            .into_iter()
            .map(|event| ChaincodeEvent {
                block_number: number,
                transaction_id: event.tx_id,
                chaincode: event.chaincode_id,
                name: event.event_name,
                payload: event.payload,
            })
            .collect();
        match &self.from {
            From::After { block, .. } if number < *block => events.clear(),
            From::After { block, transaction } if number == *block => {
                if let Some(last) = events.iter().position(|event| event.transaction_id == *transaction) {
                    events.drain(..=last);
                }
            }
            _ => {}
        }
        events
    }
}

/// Refusals that asking again does not mend. A lost connection has a source; what the peer itself says has none.
fn is_final(failure: &Status) -> bool {
    use Code::{FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated, Unimplemented};
    std::error::Error::source(failure).is_none()
        && matches!(
            failure.code(),
            FailedPrecondition | InvalidArgument | NotFound | PermissionDenied | Unauthenticated | Unimplemented
        )
}
