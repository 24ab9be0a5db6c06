//! One proposal's view of the ledger: a snapshot to read from, and the read-write set that the proposal leaves.
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fabric_protos::kvrwset::KvMetadataEntry;
use fabric_protos::queryresult::{KeyModification, Kv};

use super::LedgerError;

/// Name of the metadata entry that holds a key's own endorsement policy (`SignaturePolicyEnvelope` bytes).
pub const VALIDATION_PARAMETER: &str = "VALIDATION_PARAMETER";

/// One open range or history query of a [`Simulator`]; its text form is the `id` of the chaincode messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryId(u64);

/// What one message of a query carries: at most 100 results.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The results, in order.
    pub results: Vec<QueryResult>,
    /// Whether asking again gives more; when false the query is closed.
    pub has_more: bool,
}

/// One result of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryResult {
    /// Of a range.
    State(Kv),
    /// Of a history.
    History(KeyModification),
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
    /// The committed value of a key; recorded as a read.
    pub fn get(&mut self, _namespace: &str, _key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        unimplemented!()
    }

    /// The committed values of keys, in their order; each recorded as a read.
    pub fn get_multiple(&mut self, _namespace: &str, _keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, LedgerError> {
        unimplemented!()
    }

    /// The committed metadata of a key, sorted by name; recorded as a read.
    pub fn metadata(&mut self, _namespace: &str, _key: &str) -> Result<Vec<KvMetadataEntry>, LedgerError> {
        unimplemented!()
    }

    /// Records the read of a chaincode's sequence in `_lifecycle`, as each call of a chaincode does (called ones too).
    pub fn read_definition(&mut self, _chaincode: &str) -> Result<(), LedgerError> {
        unimplemented!()
    }

    /// Opens a range: keys from `start` to before `end`; an empty `start` or `end` is open.
    pub fn open_range(&mut self, _namespace: &str, _start: &str, _end: &str) -> Result<QueryId, LedgerError> {
        unimplemented!()
    }

    /// Opens a key's history, newest first; nothing is recorded.
    pub fn open_history(&mut self, _namespace: &str, _key: &str) -> Result<QueryId, LedgerError> {
        unimplemented!()
    }

    /// The next (at most 100) results of an open query, the first ones too.
    pub fn next_batch(&mut self, _query: QueryId) -> Result<Batch, LedgerError> {
        unimplemented!()
    }

    /// Closes a query; an unknown one is no error. What it looked at stays recorded.
    pub fn close_query(&mut self, _query: QueryId) {
        unimplemented!()
    }

    /// One page of a range. A bookmark replaces `start`; a `page_size` of 0 or less means the query limit.
    pub fn page(
        &mut self,
        _namespace: &str,
        _start: &str,
        _end: &str,
        _page_size: i32,
        _bookmark: &str,
    ) -> Result<Page, LedgerError> {
        unimplemented!()
    }

    /// Records a write. An empty value is a delete.
    pub fn put(&mut self, _namespace: &str, _key: &str, _value: Vec<u8>) -> Result<(), LedgerError> {
        unimplemented!()
    }

    /// Records a delete.
    pub fn delete(&mut self, _namespace: &str, _key: &str) -> Result<(), LedgerError> {
        unimplemented!()
    }

    /// Records that the key's whole metadata become this one entry.
    pub fn put_metadata(
        &mut self,
        _namespace: &str,
        _key: &str,
        _name: &str,
        _value: Vec<u8>,
    ) -> Result<(), LedgerError> {
        unimplemented!()
    }

    /// Ends the simulation.
    pub fn finish(self) -> Result<SimulationResult, LedgerError> {
        unimplemented!("{}", self.transaction_id)
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for QueryId {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| LedgerError::UnknownQuery)
    }
}
