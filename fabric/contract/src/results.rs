//! Results of queries: fetched from the peer a hundred at a time, as they are read.

use std::marker::PhantomData;
use std::sync::Arc;
use std::vec::IntoIter;

use fabric_protos::protos::chaincode_message::Type;
use fabric_protos::protos::{GetHistoryForKey, GetStateByRange, QueryResponse, QueryResponseMetadata};
use fabric_protos::protos::{QueryMetadata, QueryStateNext};
use fabric_protos::queryresult;
use futures::Stream;
use prost::Message;

use crate::error::{KeyError, LedgerError};
use crate::line::{Line, decode};

/// A key of the ledger and its value.
pub type KeyValue = (String, Vec<u8>);

/// A part of a range's results, and where the next part begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of the keys' bytes.
    pub items: Vec<KeyValue>,
    /// To be handed back for the next page; `None` behind the last.
    pub bookmark: Option<String>,
}

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyModification {
    /// The transaction that made it, 64 hex digits.
    pub transaction_id: String,
    /// That transaction's time (seconds and nanoseconds since 1970), as its client wrote it.
    pub time: (i64, i32),
    /// The value that it wrote; `None` where it deleted the key.
    pub value: Option<Vec<u8>>,
}

/// What a query finds, in the ledger's order. Dropping it early is fine: the peer is told before the next request.
#[derive(Debug)]
pub struct Results<T> {
    line: Arc<Line>,
    state: State,
    item: PhantomData<fn() -> T>,
}

/// Something that a query returns; sealed.
pub trait QueryItem: Sized + Send {
    #[doc(hidden)]
    fn decode(bytes: &[u8]) -> Result<Self, prost::DecodeError>;
}

#[derive(Debug)]
enum State {
    Asking(Query),
    Open {
        fetched: IntoIter<Vec<u8>>,
        more: Option<String>,
    },
    /// A request failed, or its future was dropped: results are missing. With what is still to be closed.
    Broken {
        more: Option<String>,
    },
}

#[derive(Debug)]
pub(crate) enum Query {
    Range { start: String, end: String },
    History { key: String },
    Impossible(KeyError),
}

impl<T: QueryItem> Results<T> {
    pub(crate) fn new(line: Arc<Line>, query: Query) -> Self {
        Self { line, state: State::Asking(query), item: PhantomData }
    }

    /// The next result, or `None` at the end. After an error, or a call whose future was dropped, there are only errors, so that
    /// results are never missing unnoticed.
    pub async fn next(&mut self) -> Result<Option<T>, LedgerError> {
        let next = self.next_bytes().await;
        let item = next.and_then(|bytes| {
            bytes
                .map(|bytes| T::decode(&bytes))
                .transpose()
                .map_err(|error| LedgerError::Unreadable { request: "a query", reason: error.to_string() })
        });
        if item.is_err() {
            self.state = State::Broken { more: self.take_more() };
        }
        item
    }

    /// All results that are left.
    pub async fn collect(mut self) -> Result<Vec<T>, LedgerError> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await? {
            items.push(item);
        }
        Ok(items)
    }

    /// The results as a stream for the combinators of `futures`.
    pub fn into_stream(self) -> impl Stream<Item = Result<T, LedgerError>> + Send
    where
        T: 'static,
    {
        futures::stream::try_unfold(self, async |mut results: Self| {
            Ok(results.next().await?.map(|item| (item, results)))
        })
    }

    async fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, LedgerError> {
        loop {
            if let State::Open { fetched, more } = &mut self.state {
                match fetched.next() {
                    Some(bytes) => return Ok(Some(bytes)),
                    None if more.is_none() => return Ok(None),
                    None => {}
                }
            }
            let more = self.take_more();
            // Until there is an answer.
            let before = std::mem::replace(&mut self.state, State::Broken { more: more.clone() });
            let response = match (before, more) {
                (State::Asking(query), _) => ask(&self.line, query).await?,
                (State::Open { .. }, Some(id)) => {
                    let next = QueryStateNext { id };
                    decode(Type::QueryStateNext, &self.line.request(Type::QueryStateNext, &next).await?)?
                }
                _ => {
                    let reason = "an earlier read of the same query broke off".to_owned();
                    return Err(LedgerError::Unreadable { request: "a query", reason });
                }
            };
            let QueryResponse { results, has_more, id, .. } = response;
            let fetched: Vec<Vec<u8>> = results.into_iter().map(|result| result.result_bytes).collect();
            self.state = State::Open { fetched: fetched.into_iter(), more: has_more.then_some(id) };
        }
    }
}

impl<T> Results<T> {
    fn take_more(&mut self) -> Option<String> {
        match &mut self.state {
            State::Open { more, .. } | State::Broken { more } => more.take(),
            State::Asking(_) => None,
        }
    }
}

impl<T> Drop for Results<T> {
    fn drop(&mut self) {
        if let Some(query) = self.take_more() {
            self.line.abandon(query);
        }
    }
}

impl QueryItem for KeyValue {
    fn decode(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        queryresult::Kv::decode(bytes).map(|found| (found.key, found.value))
    }
}

impl QueryItem for KeyModification {
    fn decode(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        let found = queryresult::KeyModification::decode(bytes)?;
        Ok(Self {
            transaction_id: found.tx_id,
            time: found.timestamp.map_or((0, 0), |time| (time.seconds, time.nanos)),
            value: (!found.is_delete).then_some(found.value),
        })
    }
}

async fn ask(line: &Line, query: Query) -> Result<QueryResponse, LedgerError> {
    match query {
        Query::Impossible(error) => Err(error.into()),
        Query::Range { start, end } => {
            let range = GetStateByRange { start_key: start, end_key: end, ..Default::default() };
            decode(Type::GetStateByRange, &line.request(Type::GetStateByRange, &range).await?)
        }
        Query::History { key } => {
            let history = GetHistoryForKey { key };
            decode(Type::GetHistoryForKey, &line.request(Type::GetHistoryForKey, &history).await?)
        }
    }
}

/// One page of a range.
pub(crate) async fn page(
    line: &Line,
    (start_key, end_key): (String, String),
    page_size: u32,
    bookmark: Option<&str>,
) -> Result<Page, LedgerError> {
    // Fabric itself stops at 100,000.
    let page_size = i32::try_from(page_size.max(1)).unwrap_or(i32::MAX);
    let metadata = QueryMetadata { page_size, bookmark: bookmark.unwrap_or_default().to_owned() };
    let range = GetStateByRange { start_key, end_key, collection: String::new(), metadata: metadata.encode_to_vec() };

    let response: QueryResponse = decode(Type::GetStateByRange, &line.request(Type::GetStateByRange, &range).await?)?;
    let metadata: QueryResponseMetadata = decode(Type::GetStateByRange, &response.metadata)?;
    let items: Result<Vec<KeyValue>, _> =
        response.results.iter().map(|result| QueryItem::decode(&result.result_bytes)).collect();
    Ok(Page {
        items: items.map_err(|error| LedgerError::Unreadable {
            request: Type::GetStateByRange.as_str_name(),
            reason: error.to_string(),
        })?,
        bookmark: Some(metadata.bookmark).filter(|bookmark| !bookmark.is_empty()),
    })
}
