//! One peer's stream: many transactions at once, each with its own line.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use fabric_protos::protos::chaincode_message::Type;
use fabric_protos::protos::{ChaincodeAdditionalParams, ChaincodeEvent, ChaincodeId, ChaincodeMessage, Response};
use futures::{FutureExt, Stream, StreamExt};
use prost::Message;
use tokio::sync::mpsc;

use crate::chaincode::Chaincode;
use crate::context::Context;
use crate::error::{Failure, LedgerError};
use crate::invocation::Invocation;
use crate::line::{Line, Offered, TransactionKey};

/// What the official SDKs answer an INIT that names no function.
const DEFAULT_INIT: &[u8] = b"Default initiator successful.";

/// The most transactions under way on one stream; whatever comes above is answered ERROR at once, so that a peer that begins
/// transactions without end cannot take all memory. A peer of Fabric runs 2,500 at most, of all its chaincodes and by default
/// (`peer.limits.concurrency.endorserService`).
const MOST_TRANSACTIONS: usize = 2_000;

/// The transactions under way on one stream, and where their answers go.
type Transactions = Arc<Mutex<HashMap<TransactionKey, mpsc::Sender<ChaincodeMessage>>>>;

/// Registers with the peer and serves it until the stream ends in either direction. Then every waiting call fails.
pub(crate) async fn hold(
    chaincode: Chaincode,
    chaincode_id: String,
    outgoing: mpsc::Sender<ChaincodeMessage>,
    incoming: impl Stream<Item = ChaincodeMessage>,
) {
    let name = ChaincodeId { name: chaincode_id.clone(), ..Default::default() };
    let register =
        ChaincodeMessage { r#type: Type::Register.into(), payload: name.encode_to_vec(), ..Default::default() };
    if outgoing.send(register).await.is_err() {
        return;
    }

    let mut incoming = std::pin::pin!(incoming);
    let mut conversation = Conversation {
        chaincode: Arc::new(chaincode),
        outgoing: outgoing.clone(),
        ready: None,
        transactions: Transactions::default(),
    };
    loop {
        let message = tokio::select! {
            message = incoming.next() => message,
            () = outgoing.closed() => None,
        };
        let Some(message) = message else { break };
        match conversation.take(message) {
            Ok(None) => {}
            // Awaited, unlike all else: who asks too much is not read until it has read this.
            Ok(Some(refusal)) => {
                let _ = outgoing.send(refusal).await;
            }
            Err(violation) => {
                tracing::error!(chaincode_id, violation, "the peer broke the protocol; ending its stream");
                break;
            }
        }
    }
    // The lines' senders go, and with them every waiting call.
    conversation.transactions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    tracing::info!(chaincode_id, "a peer's stream has ended");
}

struct Conversation {
    chaincode: Arc<Chaincode>,
    outgoing: mpsc::Sender<ChaincodeMessage>,
    /// What READY offered, once it came.
    ready: Option<Offered>,
    transactions: Transactions,
}

impl Conversation {
    /// Gives the answer to a transaction that is one too many.
    fn take(&mut self, message: ChaincodeMessage) -> Result<Option<ChaincodeMessage>, String> {
        match (message.r#type(), self.ready) {
            (Type::Keepalive, _) => self.echo(message),
            (Type::Registered, None) => {}
            (Type::Ready, None) => self.ready = Some(offered(&message.payload)?),
            (kind @ (Type::Transaction | Type::Init), Some(offered)) => return Ok(self.begin(kind, message, offered)),
            (Type::Response | Type::Error, Some(_)) => self.answer(message),
            (other, _) => return Err(format!("{} at the wrong time", other.as_str_name())),
        }
        Ok(None)
    }

    fn echo(&self, message: ChaincodeMessage) {
        let outgoing = self.outgoing.clone();
        // Not awaited here: a peer that is slow to read must not keep us from reading.
        tokio::spawn(async move { outgoing.send(message).await });
    }

    fn answer(&self, message: ChaincodeMessage) {
        let key = TransactionKey { channel_id: message.channel_id.clone(), transaction_id: message.txid.clone() };
        let transactions = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        // One request is under way at most, so there is always room; what nobody waits for is dropped.
        let taken = transactions.get(&key).is_some_and(|line| line.try_send(message).is_ok());
        if !taken {
            tracing::debug!(?key, "an answer that nobody waits for");
        }
    }

    fn begin(&self, kind: Type, message: ChaincodeMessage, offered: Offered) -> Option<ChaincodeMessage> {
        let key = TransactionKey { channel_id: message.channel_id.clone(), transaction_id: message.txid.clone() };
        let (answer, answers) = mpsc::channel(1);
        {
            let mut transactions = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
            if transactions.contains_key(&key) {
                // A peer knows its transactions by this key too: an answer could end the one under way.
                tracing::error!(?key, "a transaction that is under way was sent again; ignored");
                return None;
            }
            if transactions.len() >= MOST_TRANSACTIONS {
                tracing::warn!(?key, "{MOST_TRANSACTIONS} transactions are under way; one more is refused");
                return Some(ChaincodeMessage {
                    r#type: Type::Error.into(),
                    payload: b"too many transactions".to_vec(),
                    channel_id: message.channel_id,
                    txid: message.txid,
                    ..Default::default()
                });
            }
            transactions.insert(key.clone(), answer);
        }
        let line = Arc::new(Line::new(key.clone(), offered, self.outgoing.clone(), answers));
        let chaincode = self.chaincode.clone();
        let transactions = self.transactions.clone();
        let outgoing = self.outgoing.clone();
        tokio::spawn(async move {
            let ending = run(&chaincode, &line, &message, kind == Type::Init).await;
            // First, so that the peer may use the key again as soon as it has the answer.
            transactions.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            // A stream that has ended takes no answer, and wants none.
            let _ = outgoing.send(ending.message(kind, &line)).await;
        });
        None
    }
}

/// How a transaction ends.
enum Ending {
    Result {
        payload: Vec<u8>,
        event: Option<ChaincodeEvent>,
    },
    Refusal(Failure),
    /// This peer could not take the writes; another may.
    LedgerFailure(String),
}

impl Ending {
    fn message(self, kind: Type, line: &Line) -> ChaincodeMessage {
        let (response, chaincode_event) = match self {
            Self::Result { payload, event } => (Response { status: 200, message: String::new(), payload }, event),
            // Fabric's protocol: only INIT answers a failure with ERROR.
            Self::Refusal(failure) if kind == Type::Init && failure.status() >= 500 => {
                return line.message(Type::Error, failure.message().as_bytes().to_vec());
            }
            Self::Refusal(failure) => {
                let response = Response {
                    status: failure.status().into(),
                    message: failure.message().to_owned(),
                    payload: Vec::new(),
                };
                (response, None)
            }
            Self::LedgerFailure(text) => return line.message(Type::Error, text.into_bytes()),
        };
        ChaincodeMessage { chaincode_event, ..line.message(Type::Completed, response.encode_to_vec()) }
    }
}

async fn run(chaincode: &Chaincode, line: &Arc<Line>, message: &ChaincodeMessage, is_init: bool) -> Ending {
    let invocation = match Invocation::read(message) {
        Ok(invocation) => invocation,
        Err(reason) => return Ending::Refusal(Failure::new(500, reason)),
    };
    if is_init && invocation.function.is_empty() {
        return Ending::Result { payload: DEFAULT_INIT.to_vec(), event: None };
    }
    let function = invocation.function.clone();
    let mut context = Context::new(line.clone(), invocation);
    // What a panic leaves half done is this transaction's context, which is dropped.
    let outcome = AssertUnwindSafe(chaincode.invoke(&mut context)).catch_unwind().await;

    match outcome {
        Ok(Ok(payload)) => match context.finish().await {
            Ok(event) => Ending::Result { payload, event },
            // The contract's mistake, at every peer.
            Err(LedgerError::InvalidKey(error)) => Ending::Refusal(Failure::new(500, format!("{function}: {error}"))),
            Err(error) => Ending::LedgerFailure(format!("the writes of {function} failed: {error}")),
        },
        Ok(Err(failure)) => Ending::Refusal(failure),
        Err(_panic) => {
            tracing::error!(function, transaction = line.key.transaction_id, "the contract function panicked");
            let text = format!("{function} failed unexpectedly; the log of the chaincode has the reason");
            Ending::Refusal(Failure::new(500, text))
        }
    }
}

fn offered(payload: &[u8]) -> Result<Offered, String> {
    let ready = ChaincodeAdditionalParams::decode(payload).map_err(|error| format!("READY cannot be read: {error}"))?;
    let most = |offered: bool, most: u32| Some(most as usize).filter(|most| offered && *most > 0);
    Ok(Offered {
        write_batch: most(ready.use_write_batch, ready.max_size_write_batch),
        get_multiple: most(ready.use_get_multiple_keys, ready.max_size_get_multiple_keys),
    })
}
