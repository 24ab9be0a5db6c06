//! A peer's side of the stream: answers from a ledger in memory, strict about the protocol.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use fabric_contract::Chaincode;
use fabric_msp::issue::{Authority, Request};
use fabric_protos::common::{ChannelHeader, Header, SignatureHeader};
use fabric_protos::msp::SerializedIdentity;
use fabric_protos::protos::chaincode_message::Type;
use fabric_protos::protos::*;
use fabric_protos::queryresult;
use prost::Message;
use tokio::sync::{mpsc, oneshot};

pub(crate) const CHANNEL: &str = "health";
pub(crate) const TIME: (i64, i32) = (1_800_000_000, 42);

/// How a transaction ended, and what it asked of the peer.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) kind: Type,
    pub(crate) response: Response,
    pub(crate) error: String,
    pub(crate) event: Option<ChaincodeEvent>,
    pub(crate) requests: Vec<(Type, Vec<u8>)>,
}

impl Ended {
    pub(crate) fn status(&self) -> (i32, &str) {
        (self.response.status, &self.response.message)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.response.status, 200, "{}", self.response.message);
        serde_json::from_slice(&self.response.payload).unwrap()
    }

    pub(crate) fn kinds(&self) -> Vec<Type> {
        self.requests.iter().map(|(kind, _)| *kind).collect()
    }
}

/// What READY says of a peer of 3.1, with these maxima.
pub(crate) fn offering(write_batch: u32, get_multiple: u32) -> ChaincodeAdditionalParams {
    ChaincodeAdditionalParams {
        use_write_batch: write_batch > 0,
        max_size_write_batch: write_batch,
        use_get_multiple_keys: get_multiple > 0,
        max_size_get_multiple_keys: get_multiple,
    }
}

#[derive(Clone)]
pub(crate) struct Peer {
    to_chaincode: mpsc::Sender<ChaincodeMessage>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    state: BTreeMap<String, Vec<u8>>,
    waiting: HashMap<String, oneshot::Sender<Ended>>,
    requests: HashMap<String, Vec<(Type, Vec<u8>)>>,
    outstanding: HashSet<String>,
    violations: Vec<String>,
    queries: HashMap<String, Vec<Vec<u8>>>,
    refuse_writes: bool,
    silent: bool,
    keepalives: usize,
}

impl Peer {
    /// Registers a chaincode that runs in this process.
    pub(crate) async fn start(chaincode: Chaincode, ready: ChaincodeAdditionalParams) -> Self {
        let (to_chaincode, incoming) = mpsc::channel(8);
        let (outgoing, from_chaincode) = mpsc::channel(8);
        tokio::spawn(chaincode.serve_channel("basic:1", outgoing, incoming));
        Self::over(to_chaincode, from_chaincode, ready).await
    }

    /// Registers a chaincode over any channel.
    pub(crate) async fn over(
        to_chaincode: mpsc::Sender<ChaincodeMessage>,
        mut from_chaincode: mpsc::Receiver<ChaincodeMessage>,
        ready: ChaincodeAdditionalParams,
    ) -> Self {
        let register = from_chaincode.recv().await.unwrap();
        assert_eq!(register.r#type(), Type::Register, "the chaincode speaks first");
        assert_eq!(ChaincodeId::decode(register.payload.as_slice()).unwrap().name, "basic:1");
        for (kind, payload) in [(Type::Registered, Vec::new()), (Type::Ready, ready.encode_to_vec())] {
            to_chaincode.send(ChaincodeMessage { r#type: kind.into(), payload, ..Default::default() }).await.unwrap();
        }
        let peer = Self { to_chaincode, shared: Arc::default() };
        let served = peer.clone();
        tokio::spawn(async move {
            while let Some(message) = from_chaincode.recv().await {
                served.take(message);
            }
        });
        peer
    }

    pub(crate) fn with_state(self, state: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        self.shared.lock().unwrap().state.extend(state);
        self
    }

    pub(crate) fn state(&self) -> BTreeMap<String, Vec<u8>> {
        self.shared.lock().unwrap().state.clone()
    }

    pub(crate) fn open_queries(&self) -> usize {
        self.shared.lock().unwrap().queries.len()
    }

    pub(crate) fn keepalives(&self) -> usize {
        self.shared.lock().unwrap().keepalives
    }

    pub(crate) fn refuse_writes(&self) {
        self.shared.lock().unwrap().refuse_writes = true;
    }

    /// From now on, requests get no answer.
    pub(crate) fn fall_silent(&self) {
        self.shared.lock().unwrap().silent = true;
    }

    pub(crate) fn requests_of(&self, transaction: &str) -> usize {
        self.shared.lock().unwrap().requests.get(transaction).map_or(0, Vec::len)
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.shared.lock().unwrap().violations.clone()
    }

    pub(crate) async fn send(&self, message: ChaincodeMessage) {
        self.to_chaincode.send(message).await.unwrap();
    }

    /// Runs a transaction with JSON arguments.
    pub(crate) async fn invoke(&self, transaction: &str, function: &str, arguments: &[&str]) -> Ended {
        self.begin(transaction_message(transaction, function, arguments)).await.await.unwrap()
    }

    /// Begins a transaction; its end comes over the channel.
    pub(crate) async fn begin(&self, message: ChaincodeMessage) -> oneshot::Receiver<Ended> {
        let (ended, end) = oneshot::channel();
        self.shared.lock().unwrap().waiting.insert(message.txid.clone(), ended);
        self.send(message).await;
        end
    }

    fn take(&self, message: ChaincodeMessage) {
        let mut shared = self.shared.lock().unwrap();
        let (kind, transaction) = (message.r#type(), message.txid.clone());
        match kind {
            Type::Keepalive => shared.keepalives += 1,
            Type::Completed | Type::Error => {
                let requests = shared.requests.remove(&transaction).unwrap_or_default();
                let completed = kind == Type::Completed;
                let ended = Ended {
                    kind,
                    response: if completed {
                        Response::decode(message.payload.as_slice()).unwrap()
                    } else {
                        Response::default()
                    },
                    error: if completed { String::new() } else { String::from_utf8(message.payload).unwrap() },
                    event: message.chaincode_event,
                    requests,
                };
                if let Some(waiting) = shared.waiting.remove(&transaction) {
                    let _ = waiting.send(ended);
                }
            }
            _ => {
                shared.requests.entry(transaction.clone()).or_default().push((kind, message.payload.clone()));
                if !shared.outstanding.insert(transaction.clone()) {
                    shared.violations.push(format!("{transaction}: a second request, {}", kind.as_str_name()));
                    return;
                }
                if shared.silent {
                    return;
                }
                let answer = shared.answer(kind, &message.payload);
                let peer = self.clone();
                tokio::spawn(async move {
                    // Answers of different transactions cross.
                    let turn = transaction.bytes().map(u64::from).sum::<u64>() % 5;
                    tokio::time::sleep(Duration::from_millis(turn)).await;
                    peer.shared.lock().unwrap().outstanding.remove(&transaction);
                    let (kind, payload) = match answer {
                        Ok(payload) => (Type::Response, payload),
                        Err(text) => (Type::Error, text.into_bytes()),
                    };
                    let answer = ChaincodeMessage { r#type: kind.into(), payload, ..message };
                    let _ = peer.to_chaincode.send(answer).await;
                });
            }
        }
    }
}

impl Shared {
    fn answer(&mut self, kind: Type, payload: &[u8]) -> Result<Vec<u8>, String> {
        let writes = matches!(kind, Type::PutState | Type::DelState | Type::WriteBatchState);
        if writes && self.refuse_writes {
            return Err(format!("{} failed: no writes today", kind.as_str_name()));
        }
        match kind {
            Type::GetState => Ok(self.value(&GetState::decode(payload).unwrap().key)),
            Type::GetStateMultiple => {
                let keys = GetStateMultiple::decode(payload).unwrap().keys;
                let values = keys.iter().map(|key| self.value(key)).collect();
                Ok(GetStateMultipleResult { values }.encode_to_vec())
            }
            Type::PutState => {
                let put = PutState::decode(payload).unwrap();
                self.write(put.key, put.value);
                Ok(Vec::new())
            }
            Type::DelState => {
                self.write(DelState::decode(payload).unwrap().key, Vec::new());
                Ok(Vec::new())
            }
            Type::WriteBatchState => {
                for record in WriteBatchState::decode(payload).unwrap().rec {
                    self.write(record.key, record.value);
                }
                Ok(Vec::new())
            }
            Type::GetStateByRange => Ok(self.range(&GetStateByRange::decode(payload).unwrap())),
            Type::GetHistoryForKey => {
                let changes = [(true, "t2"), (false, "t1")].map(|(is_delete, id)| {
                    let timestamp = Some(prost_types::Timestamp { seconds: 7, nanos: 0 });
                    queryresult::KeyModification { tx_id: id.into(), value: b"v".to_vec(), timestamp, is_delete }
                        .encode_to_vec()
                });
                Ok(self.next("history", changes.to_vec()))
            }
            Type::QueryStateNext => {
                let id = QueryStateNext::decode(payload).unwrap().id;
                let rest = self.queries.remove(&id).ok_or("query iterator not found")?;
                Ok(self.next(&id, rest))
            }
            Type::QueryStateClose => {
                let id = QueryStateClose::decode(payload).unwrap().id;
                self.queries.remove(&id);
                Ok(QueryResponse { id, ..Default::default() }.encode_to_vec())
            }
            other => Err(format!("unexpected {}", other.as_str_name())),
        }
    }

    fn value(&self, key: &str) -> Vec<u8> {
        self.state.get(key).cloned().unwrap_or_default()
    }

    fn write(&mut self, key: String, value: Vec<u8>) {
        if value.is_empty() {
            self.state.remove(&key);
        } else {
            self.state.insert(key, value);
        }
    }

    fn range(&mut self, asked: &GetStateByRange) -> Vec<u8> {
        let page = QueryMetadata::decode(asked.metadata.as_slice()).unwrap();
        let start = if page.bookmark.is_empty() { &asked.start_key } else { &page.bookmark };
        let within = |key: &String| key >= start && (asked.end_key.is_empty() || *key < asked.end_key);
        let mut found: Vec<(String, Vec<u8>)> =
            self.state.iter().filter(|(key, _)| within(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
        let bookmark = match usize::try_from(page.page_size).unwrap() {
            0 => None,
            size => Some(found.split_off(size.min(found.len())).first().map_or(String::new(), |(key, _)| key.clone())),
        };
        let count = i32::try_from(found.len()).unwrap();
        let results = found
            .into_iter()
            .map(|(key, value)| queryresult::Kv { namespace: "basic".into(), key, value }.encode_to_vec());
        let results: Vec<_> = results.collect();
        match bookmark {
            None => self.next(&format!("range {start:?}"), results),
            Some(bookmark) => {
                let metadata = QueryResponseMetadata { fetched_records_count: count, bookmark };
                let results = results.into_iter().map(|result_bytes| QueryResultBytes { result_bytes }).collect();
                QueryResponse { results, metadata: metadata.encode_to_vec(), ..Default::default() }.encode_to_vec()
            }
        }
    }

    /// A hundred results; the rest waits.
    fn next(&mut self, id: &str, mut results: Vec<Vec<u8>>) -> Vec<u8> {
        let rest = results.split_off(results.len().min(100));
        let has_more = !rest.is_empty();
        if has_more {
            self.queries.insert(id.to_owned(), rest);
        }
        let results = results.into_iter().map(|result_bytes| QueryResultBytes { result_bytes }).collect();
        QueryResponse { results, has_more, id: id.to_owned(), metadata: Vec::new() }.encode_to_vec()
    }
}

/// A TRANSACTION message with a proposal by a member whose certificate has OU=client.
pub(crate) fn transaction_message(transaction: &str, function: &str, arguments: &[&str]) -> ChaincodeMessage {
    let args = std::iter::once(&function).chain(arguments).map(|argument| argument.as_bytes().to_vec()).collect();
    let input = ChaincodeInput { args, ..Default::default() }.encode_to_vec();
    let channel_header = ChannelHeader {
        timestamp: Some(prost_types::Timestamp { seconds: TIME.0, nanos: TIME.1 }),
        channel_id: CHANNEL.into(),
        tx_id: transaction.into(),
        ..Default::default()
    };
    let signature_header = SignatureHeader { creator: creator(), nonce: b"nonce".to_vec() };
    let header =
        Header { channel_header: channel_header.encode_to_vec(), signature_header: signature_header.encode_to_vec() };
    let payload = ChaincodeProposalPayload {
        transient_map: BTreeMap::from([("secret".to_owned(), b"tea".to_vec())]),
        ..Default::default()
    };
    let proposal = Proposal { header: header.encode_to_vec(), payload: payload.encode_to_vec(), ..Default::default() };
    ChaincodeMessage {
        r#type: Type::Transaction.into(),
        payload: input,
        txid: transaction.into(),
        channel_id: CHANNEL.into(),
        proposal: Some(SignedProposal { proposal_bytes: proposal.encode_to_vec(), signature: Vec::new() }),
        ..Default::default()
    }
}

pub(crate) fn caller_certificate() -> &'static fabric_msp::Certificate {
    static CERTIFICATE: LazyLock<fabric_msp::Certificate> = LazyLock::new(|| {
        let authority = Authority::create("ca", "Hospital, Inc.").unwrap();
        authority.issue(&Request::signing("alice", "client")).unwrap().certificate().clone()
    });
    &CERTIFICATE
}

fn creator() -> Vec<u8> {
    let id_bytes = caller_certificate().pem().into_bytes();
    SerializedIdentity { mspid: "HospitalMSP".into(), id_bytes }.encode_to_vec()
}
