//! One transaction's line to the peer: one request at a time, and no answer taken for another request's.

use std::mem;
use std::sync::{Mutex, PoisonError};

use fabric_protos::protos::ChaincodeMessage;
use fabric_protos::protos::chaincode_message::Type;
use prost::Message;
use tokio::sync::mpsc;

use crate::error::LedgerError;

/// What the peer's READY offered beyond the protocol's first form: how many keys fit into one message.
/// `None`: an older peer, which ends the stream when it is sent such a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) write_batch: Option<usize>,
    pub(crate) get_multiple: Option<usize>,
}

/// A transaction is known to a peer by these two, together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TransactionKey {
    pub(crate) channel_id: String,
    pub(crate) transaction_id: String,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) key: TransactionKey,
    pub(crate) offered: Offered,
    outgoing: mpsc::Sender<ChaincodeMessage>,
    exchange: tokio::sync::Mutex<Exchange>,
    /// Query results dropped before their end; closed before the next request.
    abandoned: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Exchange {
    answers: mpsc::Receiver<ChaincodeMessage>,
    /// A request was sent and its future dropped: its answer comes first, and belongs to nobody.
    unanswered: bool,
}

impl Line {
    pub(crate) fn new(
        key: TransactionKey,
        offered: Offered,
        outgoing: mpsc::Sender<ChaincodeMessage>,
        answers: mpsc::Receiver<ChaincodeMessage>,
    ) -> Self {
        let exchange = tokio::sync::Mutex::new(Exchange { answers, unanswered: false });
        Self { key, offered, outgoing, exchange, abandoned: Mutex::default() }
    }

    /// Sends a request and returns its answer's payload. Waits for the requests before it: the peer drops a second one
    /// without a word while it works on the first.
    pub(crate) async fn request(&self, kind: Type, body: &impl Message) -> Result<Vec<u8>, LedgerError> {
        let mut exchange = self.exchange.lock().await;
        for id in self.take_abandoned() {
            let close = fabric_protos::protos::QueryStateClose { id };
            // Any other failure is none: the peer closes what is left when the transaction ends.
            if let Err(LedgerError::StreamEnded) = self.exchange(&mut exchange, Type::QueryStateClose, &close).await {
                return Err(LedgerError::StreamEnded);
            }
        }
        self.exchange(&mut exchange, kind, body).await
    }

    /// Waits until no request is under way.
    pub(crate) async fn settle(&self) {
        let mut exchange = self.exchange.lock().await;
        if mem::take(&mut exchange.unanswered) {
            exchange.answers.recv().await;
        }
    }

    /// Has a query closed before the next request.
    pub(crate) fn abandon(&self, query: String) {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).push(query);
    }

    fn take_abandoned(&self) -> Vec<String> {
        mem::take(&mut self.abandoned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn exchange(&self, exchange: &mut Exchange, kind: Type, body: &impl Message) -> Result<Vec<u8>, LedgerError> {
        if exchange.unanswered {
            exchange.answers.recv().await.ok_or(LedgerError::StreamEnded)?;
            exchange.unanswered = false;
        }
        let place = self.outgoing.reserve().await.map_err(|_| LedgerError::StreamEnded)?;
        exchange.unanswered = true;
        place.send(self.message(kind, body.encode_to_vec()));
        let answer = exchange.answers.recv().await.ok_or(LedgerError::StreamEnded)?;
        exchange.unanswered = false;

        match answer.r#type() {
            Type::Response => Ok(answer.payload),
            Type::Error => Err(LedgerError::Refused {
                request: kind.as_str_name(),
                message: String::from_utf8_lossy(&answer.payload).into_owned(),
            }),
            other => Err(LedgerError::Unreadable {
                request: kind.as_str_name(),
                reason: format!("it is a message of type {}", other.as_str_name()),
            }),
        }
    }

    /// A message of this transaction.
    pub(crate) fn message(&self, kind: Type, payload: Vec<u8>) -> ChaincodeMessage {
        ChaincodeMessage {
            r#type: kind.into(),
            payload,
            txid: self.key.transaction_id.clone(),
            channel_id: self.key.channel_id.clone(),
            ..Default::default()
        }
    }
}

/// Reads an answer's payload as the message that the protocol promises.
pub(crate) fn decode<M: Message + Default>(request: Type, payload: &[u8]) -> Result<M, LedgerError> {
    M::decode(payload)
        .map_err(|error| LedgerError::Unreadable { request: request.as_str_name(), reason: error.to_string() })
}
