//! A chaincode in messages, without a runtime: each function does what a test needs, and may misbehave.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use fabric_msp::policy;
use fabric_protos::protos::{
    ChaincodeEvent, ChaincodeId, ChaincodeInput, ChaincodeMessage, ChaincodeSpec, GetHistoryForKey, GetState,
    GetStateByRange, PutState, PutStateMetadata, QueryMetadata, QueryResponse, QueryResponseMetadata, Response,
    StateMetadata, chaincode_message::Type,
};
use fabric_protos::queryresult::{KeyModification, Kv};
use prost::Message;
use tokio::sync::mpsc;

/// Serves one organisation's stream.
pub(crate) async fn serve(
    id: String,
    outgoing: mpsc::Sender<ChaincodeMessage>,
    mut incoming: mpsc::Receiver<ChaincodeMessage>,
) {
    static STREAMS: AtomicU64 = AtomicU64::new(0);
    let stream = STREAMS.fetch_add(1, Ordering::Relaxed);
    let register = ChaincodeId { name: id, ..Default::default() }.encode_to_vec();
    _ = outgoing.send(message(Type::Register, "", "", register)).await;
    let mut calls: HashMap<String, mpsc::UnboundedSender<ChaincodeMessage>> = HashMap::new();
    let (vanish, mut vanished) = mpsc::channel(1);
    loop {
        let received = tokio::select! {
            received = incoming.recv() => received,
            _ = vanished.recv() => return,
        };
        let Some(received) = received else { return };
        match received.r#type() {
            Type::Registered | Type::Ready => {}
            Type::Transaction => {
                let (answers, answered) = mpsc::unbounded_channel();
                calls.insert(received.txid.clone(), answers);
                let call = Call {
                    stream,
                    channel: received.channel_id.clone(),
                    transaction: received.txid.clone(),
                    outgoing: outgoing.clone(),
                    answered,
                    vanish: vanish.clone(),
                };
                tokio::spawn(call.run(received.payload));
            }
            _ => {
                if let Some(call) = calls.get(&received.txid) {
                    _ = call.send(received);
                }
            }
        }
    }
}

/// Registers, and then refuses every call.
pub(crate) async fn refuse_all(
    id: String,
    outgoing: mpsc::Sender<ChaincodeMessage>,
    mut incoming: mpsc::Receiver<ChaincodeMessage>,
) {
    let register = ChaincodeId { name: id, ..Default::default() }.encode_to_vec();
    _ = outgoing.send(message(Type::Register, "", "", register)).await;
    while let Some(call) = incoming.recv().await {
        if call.r#type() == Type::Transaction {
            let no = Response { status: 500, message: "no".into(), payload: Vec::new() }.encode_to_vec();
            _ = outgoing.send(message(Type::Completed, &call.channel_id, &call.txid, no)).await;
        }
    }
}

struct Call {
    stream: u64,
    channel: String,
    transaction: String,
    outgoing: mpsc::Sender<ChaincodeMessage>,
    answered: mpsc::UnboundedReceiver<ChaincodeMessage>,
    vanish: mpsc::Sender<()>,
}

impl Call {
    async fn run(mut self, input: Vec<u8>) {
        let input = ChaincodeInput::decode(&input[..]).unwrap();
        let arguments: Vec<String> = input.args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut event = None;
        let response = match self.function(&arguments, &mut event).await {
            Ok(payload) => Response { status: 200, message: String::new(), payload },
            Err(refused) => refused,
        };
        let mut completed = message(Type::Completed, &self.channel, &self.transaction, response.encode_to_vec());
        completed.chaincode_event = event;
        _ = self.outgoing.send(completed).await;
    }

    async fn function(&mut self, arguments: &[&str], event: &mut Option<ChaincodeEvent>) -> Result<Vec<u8>, Response> {
        match arguments {
            ["put", key, value] => self.put(key, value).await,
            ["get", key] => self.get(key).await,
            ["put-get", key, value] => {
                self.put(key, value).await?;
                self.get(key).await
            }
            ["read-write", key, value] => {
                self.get(key).await?;
                self.put(key, value).await
            }
            ["keys", start, end] => self.range(start, end, Vec::new()).await,
            ["page", start, end, size, bookmark] => {
                let page = QueryMetadata { page_size: size.parse().unwrap(), bookmark: (*bookmark).to_owned() };
                self.range(start, end, page.encode_to_vec()).await
            }
            ["scan-put", key, value] => {
                self.range("", "", Vec::new()).await?;
                self.put(key, value).await
            }
            ["put-page", key] => {
                self.put(key, "v").await?;
                self.range("", "", QueryMetadata { page_size: 2, bookmark: String::new() }.encode_to_vec()).await
            }
            ["history", key] => {
                let ask = GetHistoryForKey { key: (*key).to_owned() }.encode_to_vec();
                let found = QueryResponse::decode(&self.ask(Type::GetHistoryForKey, ask).await?[..]).unwrap();
                let texts: Vec<_> = found
                    .results
                    .iter()
                    .map(|one| KeyModification::decode(&one.result_bytes[..]).unwrap())
                    .map(|one| if one.is_delete { "deleted".into() } else { String::from_utf8(one.value).unwrap() })
                    .collect();
                Ok(texts.join(",").into_bytes())
            }
            ["label", key, text] => {
                let value = policy::parse(text).unwrap().encode_to_vec();
                let metadata = Some(StateMetadata { metakey: "VALIDATION_PARAMETER".into(), value });
                let ask = PutStateMetadata { key: (*key).to_owned(), collection: String::new(), metadata };
                self.ask(Type::PutStateMetadata, ask.encode_to_vec()).await
            }
            ["event", name, key] => {
                *event = Some(ChaincodeEvent {
                    event_name: (*name).to_owned(),
                    payload: b"p".to_vec(),
                    ..Default::default()
                });
                self.put(key, name).await
            }
            ["event-read", name, key, value] => {
                *event = Some(ChaincodeEvent {
                    event_name: (*name).to_owned(),
                    payload: b"p".to_vec(),
                    ..Default::default()
                });
                self.get(key).await?;
                self.put(key, value).await
            }
            ["call", chaincode, rest @ ..] => {
                let args = rest.iter().map(|argument| argument.as_bytes().to_vec()).collect();
                let spec = ChaincodeSpec {
                    chaincode_id: Some(ChaincodeId { name: (*chaincode).to_owned(), ..Default::default() }),
                    input: Some(ChaincodeInput { args, ..Default::default() }),
                    ..Default::default()
                };
                self.get("own").await?;
                let answer = self.ask(Type::InvokeChaincode, spec.encode_to_vec()).await?;
                let answer = ChaincodeMessage::decode(&answer[..]).unwrap();
                Ok(Response::decode(&answer.payload[..]).unwrap().payload)
            }
            ["private", key] => {
                let ask = GetState { key: (*key).to_owned(), collection: "secrets".into() };
                self.ask(Type::GetState, ask.encode_to_vec()).await
            }
            ["answer", status, text] => Err(Response {
                status: status.parse().unwrap(),
                message: (*text).to_owned(),
                payload: b"kept".to_vec(),
            }),
            ["stream"] => Ok(self.stream.to_string().into_bytes()),
            ["sleep", milliseconds] => {
                tokio::time::sleep(Duration::from_millis(milliseconds.parse().unwrap())).await;
                Ok(Vec::new())
            }
            ["vanish"] => {
                _ = self.vanish.send(()).await;
                std::future::pending().await
            }
            _ => Err(Response { status: 500, message: format!("no function {arguments:?}"), payload: Vec::new() }),
        }
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>, Response> {
        let ask = GetState { key: key.to_owned(), collection: String::new() };
        self.ask(Type::GetState, ask.encode_to_vec()).await
    }

    async fn put(&mut self, key: &str, value: &str) -> Result<Vec<u8>, Response> {
        let ask = PutState { key: key.to_owned(), value: value.as_bytes().to_vec(), collection: String::new() };
        self.ask(Type::PutState, ask.encode_to_vec()).await
    }

    async fn range(&mut self, start: &str, end: &str, metadata: Vec<u8>) -> Result<Vec<u8>, Response> {
        let (start_key, end_key) = (start.to_owned(), end.to_owned());
        let ask = GetStateByRange { start_key, end_key, collection: String::new(), metadata };
        let found = QueryResponse::decode(&self.ask(Type::GetStateByRange, ask.encode_to_vec()).await?[..]).unwrap();
        let mut keys: Vec<_> = found.results.iter().map(|one| Kv::decode(&one.result_bytes[..]).unwrap().key).collect();
        let page = QueryResponseMetadata::decode(&found.metadata[..]).unwrap();
        if page.fetched_records_count > 0 {
            keys = vec![page.fetched_records_count.to_string(), page.bookmark];
        }
        Ok(keys.join(",").into_bytes())
    }

    async fn ask(&mut self, kind: Type, payload: Vec<u8>) -> Result<Vec<u8>, Response> {
        _ = self.outgoing.send(message(kind, &self.channel, &self.transaction, payload)).await;
        let Some(answer) = self.answered.recv().await else { std::future::pending().await };
        if answer.r#type() == Type::Response {
            return Ok(answer.payload);
        }
        let text = String::from_utf8(answer.payload).unwrap();
        Err(Response { status: 500, message: text, payload: Vec::new() })
    }
}

fn message(kind: Type, channel: &str, transaction: &str, payload: Vec<u8>) -> ChaincodeMessage {
    ChaincodeMessage {
        r#type: kind as i32,
        payload,
        channel_id: channel.to_owned(),
        txid: transaction.to_owned(),
        ..Default::default()
    }
}
