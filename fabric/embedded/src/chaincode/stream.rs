//! One stream between a peer and a chaincode: many calls at once, told apart by channel and transaction id (Fabric:
//! `core/chaincode/handler.go`).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fabric_protos::protos::{
    ChaincodeAdditionalParams, ChaincodeEvent, ChaincodeId, ChaincodeInput, ChaincodeMessage, Response, SignedProposal,
    chaincode_message::Type,
};
use futures::{Stream as Incoming, StreamExt};
use prost::Message;
use tokio::sync::mpsc;

use super::Simulation;

/// An open, registered stream.
pub(crate) struct Stream {
    outgoing: mpsc::Sender<ChaincodeMessage>,
    calls: Mutex<Option<HashMap<Key, Entry>>>,
}

type Key = (String, String);

/// A call as the reader sees it.
struct Entry {
    messages: mpsc::UnboundedSender<ChaincodeMessage>,
    busy: Arc<AtomicBool>,
}

/// What a chaincode made of a call.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) response: Response,
    pub(crate) event: Option<ChaincodeEvent>,
}

const TERMINATED: &str = "error sending: chaincode stream terminated";

impl Stream {
    /// Waits for the chaincode to register as `package_id` and tells it that the peer is ready.
    ///
    /// Somebody else who registers gets no answer: this then waits for ever, as a peer does until its startup timeout.
    pub(crate) async fn open(
        package_id: &str,
        outgoing: mpsc::Sender<ChaincodeMessage>,
        mut incoming: impl Incoming<Item = ChaincodeMessage> + Send + Unpin + 'static,
    ) -> Result<Arc<Self>, String> {
        let first = incoming.next().await.ok_or("the chaincode ended the stream before it registered")?;
        if first.r#type() != Type::Register {
            return Err(format!("the chaincode began with {} in place of REGISTER", first.r#type().as_str_name()));
        }
        let name = ChaincodeId::decode(&first.payload[..]).map(|id| id.name).unwrap_or_default();
        if name != package_id {
            tracing::warn!(registered = name, expected = package_id, "a chaincode registered under another package id");
            std::future::pending::<()>().await;
        }
        let parameters = ChaincodeAdditionalParams {
            use_write_batch: true,
            max_size_write_batch: 1000,
            use_get_multiple_keys: true,
            max_size_get_multiple_keys: 1000,
        };
        for (kind, payload) in [(Type::Registered, Vec::new()), (Type::Ready, parameters.encode_to_vec())] {
            let message = ChaincodeMessage { r#type: kind as i32, payload, ..Default::default() };
            outgoing.send(message).await.map_err(|_| "the chaincode ended the stream while it registered")?;
        }
        let stream = Arc::new(Self { outgoing, calls: Mutex::new(Some(HashMap::new())) });
        tokio::spawn(stream.clone().read(incoming));
        Ok(stream)
    }

    /// Whether calls can still be made.
    pub(crate) fn is_open(&self) -> bool {
        self.calls().is_some() && !self.outgoing.is_closed()
    }

    /// Runs one call to its end.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        simulation: &Simulation,
        chaincode: &str,
        input: &ChaincodeInput,
        limit: Duration,
    ) -> Result<Outcome, String> {
        let mut call = self.begin(simulation)?;
        let outcome = tokio::time::timeout(limit, call.run(simulation, chaincode, input)).await;
        outcome.unwrap_or_else(|_| Err("error sending: timeout expired while executing transaction".into()))
    }

    fn begin(self: &Arc<Self>, simulation: &Simulation) -> Result<Call, String> {
        let (channel, transaction) = (simulation.channel_id(), simulation.transaction_id());
        let key = (channel.to_owned(), transaction.to_owned());
        let (messages, received) = mpsc::unbounded_channel();
        let busy = Arc::new(AtomicBool::new(false));
        let mut calls = self.calls();
        let calls = calls.as_mut().ok_or(TERMINATED)?;
        if calls.contains_key(&key) {
            return Err(format!("error sending: txid: {transaction}({channel}) exists"));
        }
        calls.insert(key.clone(), Entry { messages, busy: busy.clone() });
        Ok(Call { stream: self.clone(), key, received, busy })
    }

    /// Hands what comes in to the call that it belongs to, until the stream ends; then every call ends.
    async fn read(self: Arc<Self>, mut incoming: impl Incoming<Item = ChaincodeMessage> + Unpin) {
        loop {
            let message = tokio::select! {
                message = incoming.next() => message,
                () = self.outgoing.closed() => None,
            };
            let Some(message) = message else { break };
            match self.dispatch(message) {
                Dispatch::Done => {}
                Dispatch::Answer(answer) => {
                    if self.outgoing.send(*answer).await.is_err() {
                        break;
                    }
                }
                Dispatch::End => break,
            }
        }
        *self.calls() = None;
    }

    fn dispatch(&self, message: ChaincodeMessage) -> Dispatch {
        let kind = message.r#type();
        let completes = match kind {
            Type::Keepalive => return Dispatch::Done,
            Type::Completed | Type::Error => true,
            kind if is_request(kind) => false,
            _ => {
                tracing::warn!(kind = kind.as_str_name(), "a chaincode sent what no chaincode may send");
                return Dispatch::End;
            }
        };
        let key = (message.channel_id.clone(), message.txid.clone());
        let calls = self.calls();
        match calls.as_ref().and_then(|calls| calls.get(&key)) {
            None if completes => {}
            None => return Dispatch::Answer(Box::new(failure(&message, "no ledger context"))),
            // One request at a time: a second one is dropped.
            Some(entry) if !completes && entry.busy.swap(true, Ordering::AcqRel) => {}
            Some(entry) => _ = entry.messages.send(message),
        }
        Dispatch::Done
    }

    fn calls(&self) -> MutexGuard<'_, Option<HashMap<Key, Entry>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Dispatch {
    Done,
    Answer(Box<ChaincodeMessage>),
    End,
}

/// A call in progress; dropping it ends it on the peer's side, the chaincode is not told.
struct Call {
    stream: Arc<Stream>,
    key: Key,
    received: mpsc::UnboundedReceiver<ChaincodeMessage>,
    busy: Arc<AtomicBool>,
}

impl Call {
    async fn run(
        &mut self,
        simulation: &Simulation,
        chaincode: &str,
        input: &ChaincodeInput,
    ) -> Result<Outcome, String> {
        let start = self.message(Type::Transaction, input.encode_to_vec(), Some(simulation.proposal().clone()));
        self.send(start).await?;
        loop {
            let message = self.received.recv().await.ok_or(TERMINATED)?;
            match message.r#type() {
                Type::Completed => {
                    let response = Response::decode(&message.payload[..])
                        .map_err(|error| format!("failed to unmarshal response for transaction: {error}"))?;
                    return Ok(Outcome { response, event: message.chaincode_event });
                }
                Type::Error => {
                    let text = String::from_utf8_lossy(&message.payload);
                    return Err(format!("transaction returned with failure: {text}"));
                }
                _ => {
                    let answer = match simulation.answer(chaincode, &message).await {
                        Ok(payload) => self.message(Type::Response, payload, None),
                        Err(reason) => failure(&message, &reason),
                    };
                    self.busy.store(false, Ordering::Release);
                    self.send(answer).await?;
                }
            }
        }
    }

    async fn send(&self, message: ChaincodeMessage) -> Result<(), String> {
        self.stream.outgoing.send(message).await.map_err(|_| TERMINATED.to_owned())
    }

    fn message(&self, kind: Type, payload: Vec<u8>, proposal: Option<SignedProposal>) -> ChaincodeMessage {
        let (channel_id, txid) = self.key.clone();
        ChaincodeMessage { r#type: kind as i32, payload, txid, channel_id, proposal, ..Default::default() }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(calls) = self.stream.calls().as_mut() {
            calls.remove(&self.key);
        }
    }
}

fn failure(request: &ChaincodeMessage, reason: &str) -> ChaincodeMessage {
    let text = format!("{} failed: transaction ID: {}: {reason}", request.r#type().as_str_name(), request.txid);
    ChaincodeMessage {
        r#type: Type::Error as i32,
        payload: text.into_bytes(),
        txid: request.txid.clone(),
        channel_id: request.channel_id.clone(),
        ..Default::default()
    }
}

fn is_request(kind: Type) -> bool {
    use Type::{
        DelState, GetHistoryForKey, GetPrivateDataHash, GetQueryResult, GetState, GetStateByRange, GetStateMetadata,
        GetStateMultiple, InvokeChaincode, PurgePrivateData, PutState, PutStateMetadata, QueryStateClose,
        QueryStateNext, WriteBatchState,
    };
    matches!(
        kind,
        GetState
            | PutState
            | DelState
            | InvokeChaincode
            | GetStateByRange
            | GetQueryResult
            | QueryStateNext
            | QueryStateClose
            | GetHistoryForKey
            | GetStateMetadata
            | PutStateMetadata
            | GetPrivateDataHash
            | PurgePrivateData
            | WriteBatchState
            | GetStateMultiple
    )
}
