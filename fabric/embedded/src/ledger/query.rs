//! Ranges and histories of a simulation, given out in batches of 100 as a peer does.
//!
//! Fabric: `core/chaincode/query_response_generator.go`, `core/ledger/kvledger/history/query_executer.go`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fabric_protos::kvrwset::{KvRead, RangeQueryInfo, Version};
use fabric_protos::queryresult::{KeyModification, Kv};
use redb::{Range, ReadOnlyTable};

use super::LedgerError;
use super::range::{MAX_DEGREE, RangeReads};
use super::rwset::{decode_read_write_set, is_delete};
use super::store::{HistoryKey, StateKey, StateRow};
use super::transaction::Content;

/// How many results one message carries.
const BATCH: usize = 100;
/// How many results one query gives at all (`ledger.state.totalQueryLimit`).
pub(super) const TOTAL_QUERY_LIMIT: usize = 100_000;

/// The table of envelopes, in a snapshot.
pub(super) type Envelopes = ReadOnlyTable<(u64, u64), &'static [u8]>;

/// One open range or history query of a simulator; its text form is the `id` of the chaincode messages.
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

/// The queries of one simulation.
#[derive(Default)]
pub(super) struct Queries {
    open: BTreeMap<QueryId, OpenQuery>,
    /// Ranges that are not read any more, still to be recorded, by the order of opening.
    closed: BTreeMap<QueryId, RangeQuery>,
    opened: u64,
}

struct OpenQuery {
    query: Query,
    /// Looked at, not yet given out.
    pending: Vec<QueryResult>,
    /// How many results were looked at.
    count: usize,
}

pub(super) enum Query {
    Range(RangeQuery),
    History(HistoryQuery),
}

impl Queries {
    pub(super) fn open(&mut self, query: Query) -> QueryId {
        let id = self.next_id();
        self.open.insert(id, OpenQuery { query, pending: Vec::new(), count: 0 });
        id
    }

    /// Keeps a range that was read outside (a page).
    pub(super) fn closed(&mut self, query: RangeQuery) {
        let id = self.next_id();
        self.closed.insert(id, query);
    }

    pub(super) fn next_batch(&mut self, id: QueryId, envelopes: &Envelopes) -> Result<Batch, LedgerError> {
        let open = self.open.get_mut(&id).ok_or(LedgerError::UnknownQuery)?;
        while open.count < TOTAL_QUERY_LIMIT {
            let Some(result) = open.query.pull(envelopes)? else { break };
            open.count += 1;
            if open.pending.len() == BATCH {
                let results = std::mem::replace(&mut open.pending, vec![result]);
                return Ok(Batch { results, has_more: true });
            }
            open.pending.push(result);
        }
        let results = std::mem::take(&mut open.pending);
        self.close(id);
        Ok(Batch { results, has_more: false })
    }

    pub(super) fn close(&mut self, id: QueryId) {
        if let Some(OpenQuery { query: Query::Range(range), .. }) = self.open.remove(&id) {
            self.closed.insert(id, range);
        }
    }

    /// All ranges, in the order of opening.
    pub(super) fn into_ranges(mut self) -> impl Iterator<Item = RangeQuery> {
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(id);
        }
        self.closed.into_values()
    }

    fn next_id(&mut self) -> QueryId {
        self.opened += 1;
        QueryId(self.opened)
    }
}

impl Query {
    fn pull(&mut self, envelopes: &Envelopes) -> Result<Option<QueryResult>, LedgerError> {
        match self {
            Self::Range(range) => Ok(range.pull()?.map(QueryResult::State)),
            Self::History(history) => Ok(history.pull(envelopes)?.map(QueryResult::History)),
        }
    }
}

/// A range of the state and what was read of it.
pub(super) struct RangeQuery {
    rows: Range<'static, StateKey, StateRow>,
    namespace: String,
    start: String,
    end: String,
    reads: RangeReads,
    /// The last key looked at.
    last: String,
    exhausted: bool,
}

impl RangeQuery {
    pub(super) fn open(
        state: &ReadOnlyTable<StateKey, StateRow>,
        namespace: &str,
        start: &str,
        end: &str,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            rows: state.range((namespace, start)..)?,
            namespace: namespace.to_owned(),
            start: start.to_owned(),
            end: end.to_owned(),
            reads: RangeReads::new(MAX_DEGREE),
            last: String::new(),
            exhausted: false,
        })
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The next result, recorded as read.
    pub(super) fn pull(&mut self) -> Result<Option<Kv>, LedgerError> {
        let next = if self.exhausted { None } else { self.next()? };
        let Some((result, version)) = next else {
            self.exhausted = true;
            return Ok(None);
        };
        self.reads.add(KvRead { key: result.key.clone(), version: Some(version) });
        self.last.clone_from(&result.key);
        Ok(Some(result))
    }

    /// The key after those read, not recorded.
    pub(super) fn peek_key(&mut self) -> Result<Option<String>, LedgerError> {
        match self.exhausted {
            true => Ok(None),
            false => Ok(self.next()?.map(|(result, _)| result.key)),
        }
    }

    /// What the read-write set says of this range.
    pub(super) fn into_info(self) -> RangeQueryInfo {
        RangeQueryInfo {
            start_key: self.start,
            end_key: if self.exhausted { self.end } else { self.last },
            itr_exhausted: self.exhausted,
            reads_info: self.reads.finish(),
        }
    }

    fn next(&mut self) -> Result<Option<(Kv, Version)>, LedgerError> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        let (key, row) = row?;
        let (namespace, key) = key.value();
        if namespace != self.namespace || !(self.end.is_empty() || key < self.end.as_str()) {
            return Ok(None);
        }
        let (block_num, tx_num, _, value) = row.value();
        let result = Kv { namespace: namespace.to_owned(), key: key.to_owned(), value: value.to_vec() };
        Ok(Some((result, Version { block_num, tx_num })))
    }
}

/// A key's history, newest first.
pub(super) struct HistoryQuery {
    rows: Range<'static, HistoryKey, ()>,
}

impl HistoryQuery {
    pub(super) fn open(
        history: &ReadOnlyTable<HistoryKey, ()>,
        namespace: &str,
        key: &str,
    ) -> Result<Self, LedgerError> {
        Ok(Self { rows: history.range((namespace, key, 0, 0)..=(namespace, key, u64::MAX, u64::MAX))? })
    }

    fn pull(&mut self, envelopes: &Envelopes) -> Result<Option<KeyModification>, LedgerError> {
        let Some(row) = self.rows.next_back() else { return Ok(None) };
        let (row, _) = row?;
        let (namespace, key, block, position) = row.value();
        let envelope = envelopes.get((block, position))?;
        let modification = envelope.and_then(|envelope| modification(envelope.value(), namespace, key));
        modification.map(Some).ok_or_else(|| {
            LedgerError::Damaged(format!("transaction {position} of block {block} lacks a write its history names"))
        })
    }
}

/// What a committed transaction did to a key.
fn modification(envelope: &[u8], namespace: &str, key: &str) -> Option<KeyModification> {
    let content = Content::decode(envelope)?;
    let sets = decode_read_write_set(&content.action()?.results).ok()?;
    let set = sets.into_iter().find(|set| set.namespace == namespace)?.set;
    let write = set.writes.into_iter().rfind(|write| write.key == key)?;
    Some(KeyModification {
        tx_id: content.transaction_id,
        is_delete: is_delete(&write),
        value: write.value,
        timestamp: content.timestamp,
    })
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
