//! ChaincodeEvents: the events of valid transactions, block by block.

use std::{collections::VecDeque, sync::Arc};

use fabric_protos::{
    common::HeaderType,
    gateway::{ChaincodeEventsRequest, ChaincodeEventsResponse, SignedChaincodeEventsRequest},
    orderer::seek_position::Type as Start,
    protos::{ChaincodeEvent, TxValidationCode},
};
use futures::Stream;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::Status;

use super::Gateway;
use crate::{channel::Channel, ledger::CommittedBlock};

impl Gateway {
    pub(super) fn chaincode_events(
        &self,
        signed: SignedChaincodeEventsRequest,
        slot: OwnedSemaphorePermit,
    ) -> Result<impl Stream<Item = Result<ChaincodeEventsResponse, Status>> + use<>, Status> {
        if signed.request.is_empty() {
            return Err(Status::invalid_argument("a chaincode events request is required"));
        }
        let request = ChaincodeEventsRequest::decode(&signed.request[..])
            .map_err(|error| Status::invalid_argument(format!("invalid chaincode events request: {error}")))?;
        self.check_reader(&request.channel_id, &request.identity, &signed.request, &signed.signature)?;

        let ledger = &self.channel.ledger;
        let heights = ledger.subscribe();
        let mut next = match request.start_position.and_then(|position| position.r#type) {
            None | Some(Start::NextCommit(_)) => ledger.height(),
            Some(Start::Specified(position)) => position.number,
            Some(Start::Oldest(_)) => return Err(unknown_start("Oldest")),
            Some(Start::Newest(_)) => return Err(unknown_start("Newest")),
        };
        if !request.after_transaction_id.is_empty() {
            let after = ledger.transaction_location(&request.after_transaction_id);
            if let Some(after) = after.map_err(|error| Status::aborted(error.to_string()))? {
                next = after.block;
            }
        }
        let reader = Reader {
            channel: self.channel.clone(),
            heights,
            chaincode: request.chaincode_id,
            next,
            after: Some(request.after_transaction_id).filter(|after| !after.is_empty()),
            waiting: VecDeque::new(),
            _slot: slot,
        };
        Ok(futures::stream::unfold(reader, |mut reader| async {
            reader.next().await.transpose().map(|response| (response, reader))
        }))
    }
}

fn unknown_start(name: &str) -> Status {
    Status::invalid_argument(format!("invalid start position type: *orderer.SeekPosition_{name}"))
}

struct Reader {
    channel: Arc<Channel>,
    heights: watch::Receiver<u64>,
    chaincode: String,
    /// The block to look at next.
    next: u64,
    /// Events are withheld until one of this transaction has passed.
    after: Option<String>,
    waiting: VecDeque<ChaincodeEventsResponse>,
    _slot: OwnedSemaphorePermit,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<ChaincodeEventsResponse>, Status> {
        loop {
            if let Some(response) = self.waiting.pop_front() {
                return Ok(Some(response));
            }
            if *self.heights.borrow_and_update() <= self.next {
                if self.heights.changed().await.is_err() {
                    return Ok(None);
                }
                continue;
            }
            let block = self.channel.ledger.committed_block(self.next);
            let block = block.map_err(|error| Status::aborted(error.to_string()))?;
            let block = block.ok_or_else(|| Status::aborted(format!("block {} is not there", self.next)))?;
            let events = self.events(&block);
            if !events.is_empty() {
                self.waiting.push_back(ChaincodeEventsResponse { events, block_number: self.next });
            }
            self.next += 1;
        }
    }

    fn events(&mut self, block: &CommittedBlock) -> Vec<ChaincodeEvent> {
        let valid = block.transactions.iter().filter(|transaction| {
            transaction.code == TxValidationCode::Valid
                && transaction.header_type == Some(HeaderType::EndorserTransaction as i32)
        });
        let mut events = Vec::new();
        for event in valid.filter_map(|transaction| transaction.event.as_ref()) {
            if event.event_name.is_empty() || event.chaincode_id.is_empty() || event.tx_id.is_empty() {
                continue;
            }
            match &self.after {
                Some(after) if *after == event.tx_id => self.after = None,
                Some(_) => {}
                None if event.chaincode_id == self.chaincode => events.push(event.clone()),
                None => {}
            }
        }
        events
    }
}
