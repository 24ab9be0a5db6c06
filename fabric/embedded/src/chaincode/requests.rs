//! What a chaincode may ask during a call, answered from one simulation.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fabric_msp::Identity;
use fabric_protos::protos::{
    ChaincodeMessage, ChaincodeSpec, DelState, GetHistoryForKey, GetQueryResult, GetState, GetStateByRange,
    GetStateMetadata, GetStateMultiple, GetStateMultipleResult, PurgePrivateState, PutState, PutStateMetadata,
    QueryMetadata, QueryResponse, QueryResponseMetadata, QueryResultBytes, QueryStateClose, QueryStateNext,
    SignedProposal, StateMetadata, StateMetadataResult, WriteBatchState, WriteRecord, chaincode_message::Type,
    write_record,
};
use prost::Message;

use crate::{
    access,
    endorser::Endorser,
    ledger::{Batch, LedgerError, QueryId, QueryResult, SimulationResult, Simulator},
};

/// The simulation of one proposal by one organisation's peer. A called chaincode shares its caller's.
pub(crate) struct Simulation {
    endorser: Arc<Endorser>,
    transaction_id: String,
    proposal: SignedProposal,
    creator: Identity,
    simulator: Mutex<Option<Simulator>>,
}

type Answer = Result<Vec<u8>, String>;

impl Simulation {
    /// Starts with the state as of now.
    pub(crate) fn begin(
        endorser: Arc<Endorser>,
        transaction_id: String,
        proposal: SignedProposal,
        creator: Identity,
    ) -> Result<Self, LedgerError> {
        let simulator = endorser.channel().ledger.simulate(&transaction_id)?;
        Ok(Self { endorser, transaction_id, proposal, creator, simulator: Mutex::new(Some(simulator)) })
    }

    pub(crate) fn channel_id(&self) -> &str {
        &self.endorser.channel().name
    }

    pub(crate) fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    pub(crate) fn proposal(&self) -> &SignedProposal {
        &self.proposal
    }

    /// Records the read of a chaincode's definition, as every call does.
    pub(crate) fn read_definition(&self, chaincode: &str) -> Result<(), String> {
        self.with(|simulator| simulator.read_definition(chaincode))
    }

    /// The read-write set.
    pub(crate) fn finish(&self) -> Result<SimulationResult, String> {
        let simulator = self.simulator().take().ok_or("the simulation has ended")?;
        simulator.finish().map_err(|error| error.to_string())
    }

    /// Answers one request of a call to `chaincode`: the payload of the RESPONSE, or the reason in the ERROR.
    pub(crate) fn answer<'a>(
        &'a self,
        chaincode: &'a str,
        message: &'a ChaincodeMessage,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            match message.r#type() {
                Type::InvokeChaincode => self.invoke(&message.payload).await,
                kind => self.ask(chaincode, kind, &message.payload),
            }
        })
    }

    fn ask(&self, chaincode: &str, kind: Type, payload: &[u8]) -> Answer {
        match kind {
            Type::GetState => {
                let ask: GetState = parse(payload)?;
                self.public(chaincode, &ask.collection)?;
                Ok(self.with(|simulator| simulator.get(chaincode, &ask.key))?.unwrap_or_default())
            }
            Type::GetStateMultiple => {
                let ask: GetStateMultiple = parse(payload)?;
                self.public(chaincode, &ask.collection)?;
                let values = self.with(|simulator| simulator.get_multiple(chaincode, &ask.keys))?;
                let values = values.into_iter().map(Option::unwrap_or_default).collect();
                Ok(GetStateMultipleResult { values }.encode_to_vec())
            }
            Type::GetStateMetadata => {
                let ask: GetStateMetadata = parse(payload)?;
                self.public(chaincode, &ask.collection)?;
                let entries = self.with(|simulator| simulator.metadata(chaincode, &ask.key))?;
                let entries =
                    entries.into_iter().map(|entry| StateMetadata { metakey: entry.name, value: entry.value });
                Ok(StateMetadataResult { entries: entries.collect() }.encode_to_vec())
            }
            Type::PutState => {
                let PutState { key, value, collection } = parse(payload)?;
                self.write(chaincode, record(write_record::Type::PutState, key, value, collection, None))
            }
            Type::DelState => {
                let DelState { key, collection } = parse(payload)?;
                self.write(chaincode, record(write_record::Type::DelState, key, Vec::new(), collection, None))
            }
            Type::PutStateMetadata => {
                let PutStateMetadata { key, collection, metadata } = parse(payload)?;
                self.write(
                    chaincode,
                    record(write_record::Type::PutStateMetadata, key, Vec::new(), collection, metadata),
                )
            }
            Type::PurgePrivateData => {
                let PurgePrivateState { key, collection } = parse(payload)?;
                self.write(chaincode, record(write_record::Type::PurgePrivateData, key, Vec::new(), collection, None))
            }
            Type::WriteBatchState => {
                let batch: WriteBatchState = parse(payload)?;
                batch.rec.into_iter().try_for_each(|record| self.write(chaincode, record).map(drop))?;
                Ok(Vec::new())
            }
            Type::GetStateByRange => self.range(chaincode, &parse(payload)?),
            Type::GetQueryResult => {
                let ask: GetQueryResult = parse(payload)?;
                self.public(chaincode, &ask.collection)?;
                Err(match page(&ask.metadata)? {
                    Some(_) => "ExecuteQueryWithMetadata not supported for leveldb".into(),
                    None => "ExecuteQuery not supported for leveldb".into(),
                })
            }
            Type::GetHistoryForKey => {
                let ask: GetHistoryForKey = parse(payload)?;
                self.with(|simulator| {
                    let query = simulator.open_history(chaincode, &ask.key)?;
                    Ok(encode(query, simulator.next_batch(query)?))
                })
            }
            Type::QueryStateNext => {
                let ask: QueryStateNext = parse(payload)?;
                self.with(|simulator| {
                    let query: QueryId = ask.id.parse()?;
                    Ok(encode(query, simulator.next_batch(query)?))
                })
            }
            Type::QueryStateClose => {
                let ask: QueryStateClose = parse(payload)?;
                if let Ok(query) = ask.id.parse() {
                    self.with(|simulator| {
                        simulator.close_query(query);
                        Ok(())
                    })?;
                }
                Ok(QueryResponse { id: ask.id, ..Default::default() }.encode_to_vec())
            }
            Type::GetPrivateDataHash => {
                let ask: GetState = parse(payload)?;
                Err(format!(
                    "collection [{}] not defined in the collection config for chaincode [{chaincode}]",
                    ask.collection
                ))
            }
            _ => Err("unknown request".into()),
        }
    }

    fn range(&self, chaincode: &str, ask: &GetStateByRange) -> Answer {
        self.public(chaincode, &ask.collection)?;
        let Some(page) = page(&ask.metadata)? else {
            return self.with(|simulator| {
                let query = simulator.open_range(chaincode, &ask.start_key, &ask.end_key)?;
                Ok(encode(query, simulator.next_batch(query)?))
            });
        };
        let found = self.with(|simulator| {
            simulator.page(chaincode, &ask.start_key, &ask.end_key, page.page_size, &page.bookmark)
        })?;
        let metadata = QueryResponseMetadata {
            fetched_records_count: i32::try_from(found.results.len()).unwrap_or(i32::MAX),
            bookmark: found.bookmark,
        };
        let results = found.results.iter().map(|kv| QueryResultBytes { result_bytes: kv.encode_to_vec() }).collect();
        let id = "page".to_owned();
        Ok(QueryResponse { results, has_more: false, id, metadata: metadata.encode_to_vec() }.encode_to_vec())
    }

    fn write(&self, chaincode: &str, record: WriteRecord) -> Answer {
        use write_record::Type::{DelState, PurgePrivateData, PutState, PutStateMetadata};
        let kind = record.r#type();
        if kind == PurgePrivateData && record.collection.is_empty() {
            return Err("only applicable for private data".into());
        }
        self.public(chaincode, &record.collection)?;
        self.with(|simulator| match kind {
            PutState => simulator.put(chaincode, &record.key, record.value),
            DelState => simulator.delete(chaincode, &record.key),
            PutStateMetadata => {
                let entry = record.metadata.unwrap_or_default();
                simulator.put_metadata(chaincode, &record.key, &entry.metakey, entry.value)
            }
            _ => Ok(()),
        })?;
        match kind {
            PutState | DelState | PutStateMetadata => Ok(Vec::new()),
            _ => Err("unknown operation type".into()),
        }
    }

    /// `INVOKE_CHAINCODE`: another chaincode, in the same simulation.
    async fn invoke(&self, payload: &[u8]) -> Answer {
        let spec: ChaincodeSpec = parse(payload)?;
        let target = spec.chaincode_id.unwrap_or_default().name;
        let (name, channel) = target.split_once('/').unwrap_or((&target, ""));
        let name = name.split(':').next().unwrap_or_default();
        let own = self.channel_id();
        if !channel.is_empty() && channel != own {
            return Err(format!("failed to find ledger for channel: {channel}"));
        }
        if !self.endorser.channel().members.may_write(&self.creator) {
            return Err(access::policy_text(own, "Writers"));
        }
        if matches!(name, "qscc" | "cscc") {
            let upper = name.to_uppercase();
            return Err(format!(
                "Rejecting invoke of {upper} from another chaincode, original invocation for '{name}'"
            ));
        }
        if self.endorser.channel().definition(name).is_none() {
            return Err(format!(
                "execute failed: invalid invocation: [channel {own}] failed to get chaincode container info for {name}: \
                 chaincode {name} not found"
            ));
        }
        self.read_definition(name)?;
        let input = spec.input.unwrap_or_default();
        let outcome =
            self.endorser.call(self, name, &input).await.map_err(|reason| format!("execute failed: {reason}"))?;
        let completed = ChaincodeMessage {
            r#type: Type::Completed as i32,
            payload: outcome.response.encode_to_vec(),
            txid: self.transaction_id.clone(),
            channel_id: own.to_owned(),
            ..Default::default()
        };
        Ok(completed.encode_to_vec())
    }

    /// Collections are not there yet, so none is defined.
    fn public(&self, chaincode: &str, collection: &str) -> Result<(), String> {
        if collection.is_empty() {
            return Ok(());
        }
        Err(format!("collection {}/{chaincode}/{collection} could not be found", self.channel_id()))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Simulator) -> Result<T, LedgerError>) -> Result<T, String> {
        let mut simulator = self.simulator();
        let simulator = simulator.as_mut().ok_or("no ledger context")?;
        work(simulator).map_err(|error| error.to_string())
    }

    fn simulator(&self) -> MutexGuard<'_, Option<Simulator>> {
        self.simulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse<M: Message + Default>(payload: &[u8]) -> Result<M, String> {
    M::decode(payload).map_err(|error| format!("unmarshal failed: {error}"))
}

/// The page that is asked for, if one is.
fn page(metadata: &[u8]) -> Result<Option<QueryMetadata>, String> {
    let page: QueryMetadata = parse(metadata)?;
    Ok(Some(page).filter(|page| page.page_size != 0 || !page.bookmark.is_empty()))
}

fn record(
    kind: write_record::Type,
    key: String,
    value: Vec<u8>,
    collection: String,
    metadata: Option<StateMetadata>,
) -> WriteRecord {
    WriteRecord { key, value, collection, metadata, r#type: kind as i32 }
}

fn encode(query: QueryId, batch: Batch) -> Vec<u8> {
    let results = batch.results.into_iter().map(|result| QueryResultBytes {
        result_bytes: match result {
            QueryResult::State(kv) => kv.encode_to_vec(),
            QueryResult::History(modification) => modification.encode_to_vec(),
        },
    });
    QueryResponse { results: results.collect(), has_more: batch.has_more, id: query.to_string(), metadata: Vec::new() }
        .encode_to_vec()
}
