//! One proposal's view of the ledger: a snapshot to read from, and the read-write set that the proposal leaves.
//!
//! Fabric: `core/ledger/kvledger/txmgmt/txmgr/{query_executor,tx_simulator}.go`.

use std::collections::BTreeMap;

use fabric_protos::kvrwset::KvMetadataEntry;
use fabric_protos::queryresult::Kv;
use redb::{ReadOnlyTable, ReadTransaction};

use super::LedgerError;
use super::query::{Batch, Envelopes, HistoryQuery, Queries, Query, QueryId, RangeQuery, TOTAL_QUERY_LIMIT};
use super::rwset::Builder;
use super::store::{ENVELOPES, HISTORY, HistoryKey, STATE, StateKey, StateRow, state_entry};

/// Name of the metadata entry that holds a key's own endorsement policy (`SignaturePolicyEnvelope` bytes).
pub const VALIDATION_PARAMETER: &str = "VALIDATION_PARAMETER";

/// Namespace of the chaincode definitions.
pub const LIFECYCLE: &str = "_lifecycle";

/// The key in [`LIFECYCLE`] that holds the sequence of a chaincode's definition. Each call of a chaincode reads it.
pub fn sequence_key(chaincode: &str) -> String {
    format!("namespaces/fields/{chaincode}/Sequence")
}

/// One page of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The page's results, in key order.
    pub results: Vec<Kv>,
    /// Where the next page begins; empty after the last page.
    pub bookmark: String,
}

/// A proposal's simulation: reads come from one snapshot, writes are only recorded.
///
/// Reads never see this proposal's own writes (as in Fabric). Commits need not wait for it.
pub struct Simulator {
    transaction_id: String,
    state: ReadOnlyTable<StateKey, StateRow>,
    history: ReadOnlyTable<HistoryKey, ()>,
    envelopes: Envelopes,
    queries: Queries,
    recorded: Builder,
    written: bool,
    paged: bool,
}

/// What a simulation leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulationResult {
    /// `rwset.TxReadWriteSet`, encoded as Fabric encodes it.
    pub read_write_set: Vec<u8>,
    /// Every namespace in the set (also those only read), sorted by name.
    pub namespaces: BTreeMap<String, NamespaceAccess>,
}

/// What a simulation did in one namespace, as the discovery of endorsers needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceAccess {
    /// Each key written (value or metadata), with its committed `VALIDATION_PARAMETER` if it has one.
    pub written_keys: BTreeMap<String, Option<Vec<u8>>>,
}

impl Simulator {
    pub(super) fn new(snapshot: &ReadTransaction, transaction_id: &str) -> Result<Self, LedgerError> {
        Ok(Self {
            transaction_id: transaction_id.to_owned(),
            state: snapshot.open_table(STATE)?,
            history: snapshot.open_table(HISTORY)?,
            envelopes: snapshot.open_table(ENVELOPES)?,
            queries: Queries::default(),
            recorded: Builder::default(),
            written: false,
            paged: false,
        })
    }

    /// The committed value of a key; recorded as a read.
    pub fn get(&mut self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let entry = state_entry(&self.state, namespace, key)?;
        self.recorded.read(namespace, key, entry.as_ref().map(|entry| entry.version));
        Ok(entry.map(|entry| entry.value))
    }

    /// The committed values of keys, in their order; each recorded as a read.
    pub fn get_multiple(&mut self, namespace: &str, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, LedgerError> {
        keys.iter().map(|key| self.get(namespace, key)).collect()
    }

    /// The committed metadata of a key, sorted by name; recorded as a read.
    pub fn metadata(&mut self, namespace: &str, key: &str) -> Result<Vec<KvMetadataEntry>, LedgerError> {
        let entry = state_entry(&self.state, namespace, key)?;
        self.recorded.read(namespace, key, entry.as_ref().map(|entry| entry.version));
        Ok(entry.map_or(Vec::new(), |entry| entry.metadata))
    }

    /// Records the read of a chaincode's sequence in `_lifecycle`, as each call of a chaincode does (called ones too).
    pub fn read_definition(&mut self, chaincode: &str) -> Result<(), LedgerError> {
        self.get(LIFECYCLE, &sequence_key(chaincode)).map(drop)
    }

    /// Opens a range: keys from `start` to before `end`; an empty `start` or `end` is open.
    pub fn open_range(&mut self, namespace: &str, start: &str, end: &str) -> Result<QueryId, LedgerError> {
        let query = RangeQuery::open(&self.state, namespace, start, end)?;
        Ok(self.queries.open(Query::Range(query)))
    }

    /// Opens a key's history, newest first; nothing is recorded.
    pub fn open_history(&mut self, namespace: &str, key: &str) -> Result<QueryId, LedgerError> {
        let query = HistoryQuery::open(&self.history, namespace, key)?;
        Ok(self.queries.open(Query::History(query)))
    }

    /// The next (at most 100) results of an open query, the first ones too.
    ///
    /// As a peer does, it looks at one result more than it gives, so that the first batch of a range covers 101 keys.
    pub fn next_batch(&mut self, query: QueryId) -> Result<Batch, LedgerError> {
        self.queries.next_batch(query, &self.envelopes)
    }

    /// Closes a query; an unknown one is no error. What it looked at stays recorded.
    pub fn close_query(&mut self, query: QueryId) {
        self.queries.close(query);
    }

    /// One page of a range. A bookmark replaces `start`; a `page_size` of 0 or less means the query limit.
    /// # Errors
    /// [`LedgerError::PageAfterWrite`].
    pub fn page(
        &mut self,
        namespace: &str,
        start: &str,
        end: &str,
        page_size: i32,
        bookmark: &str,
    ) -> Result<Page, LedgerError> {
        if self.written {
            return Err(LedgerError::PageAfterWrite(self.transaction_id.clone()));
        }
        self.paged = true;
        let limit = usize::try_from(page_size).ok().filter(|size| (1..TOTAL_QUERY_LIMIT).contains(size));
        let start = if bookmark.is_empty() { start } else { bookmark };
        let mut query = RangeQuery::open(&self.state, namespace, start, end)?;
        let mut results = Vec::new();
        while results.len() < limit.unwrap_or(TOTAL_QUERY_LIMIT) {
            let Some(result) = query.pull()? else { break };
            results.push(result);
        }
        let bookmark = query.peek_key()?.unwrap_or_default();
        self.queries.closed(query);
        Ok(Page { results, bookmark })
    }

    /// Records a write. An empty value is a delete.
    /// # Errors
    /// [`LedgerError::WriteAfterPage`], as for the other writes.
    pub fn put(&mut self, namespace: &str, key: &str, value: Vec<u8>) -> Result<(), LedgerError> {
        self.may_write()?;
        self.recorded.write(namespace, key, value);
        Ok(())
    }

    /// Records a delete.
    pub fn delete(&mut self, namespace: &str, key: &str) -> Result<(), LedgerError> {
        self.put(namespace, key, Vec::new())
    }

    /// Records that the key's whole metadata become this one entry.
    pub fn put_metadata(&mut self, namespace: &str, key: &str, name: &str, value: Vec<u8>) -> Result<(), LedgerError> {
        self.may_write()?;
        self.recorded.write_metadata(namespace, key, vec![KvMetadataEntry { name: name.to_owned(), value }]);
        Ok(())
    }

    /// Ends the simulation.
    pub fn finish(mut self) -> Result<SimulationResult, LedgerError> {
        for query in self.queries.into_ranges() {
            let namespace = query.namespace().to_owned();
            self.recorded.range(&namespace, query.into_info());
        }
        let mut namespaces = BTreeMap::new();
        for (namespace, keys) in self.recorded.written_keys() {
            let mut access = NamespaceAccess::default();
            for key in keys {
                let metadata = state_entry(&self.state, namespace, key)?.map_or(Vec::new(), |entry| entry.metadata);
                let policy = metadata.into_iter().find(|entry| entry.name == VALIDATION_PARAMETER);
                access.written_keys.insert(key.to_owned(), policy.map(|entry| entry.value));
            }
            namespaces.insert(namespace.to_owned(), access);
        }
        Ok(SimulationResult { read_write_set: self.recorded.encode(), namespaces })
    }

    fn may_write(&mut self) -> Result<(), LedgerError> {
        if self.paged {
            return Err(LedgerError::WriteAfterPage(self.transaction_id.clone()));
        }
        self.written = true;
        Ok(())
    }
}
