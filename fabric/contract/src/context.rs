//! One transaction, as a contract function sees it.

use std::sync::Arc;

use fabric_protos::protos::chaincode_message::Type;
use fabric_protos::protos::{ChaincodeEvent, GetState, GetStateMultiple, GetStateMultipleResult};

use crate::error::{KeyError, LedgerError};
use crate::identity::ClientIdentity;
use crate::invocation::Invocation;
use crate::keys;
use crate::line::{Line, decode};
use crate::results::{KeyModification, KeyValue, Page, Query, Results, page};
use crate::writes::Writes;

/// One transaction: who calls, when, with what; and the ledger as it was before.
///
/// Reads see what is committed, never what this transaction writes. Writes and the event are held back and go to the peer
/// when the function has returned a result; when it returns an error, nothing is written.
#[derive(Debug)]
pub struct Context {
    line: Arc<Line>,
    pub(crate) invocation: Invocation,
    writes: Writes,
    event: Option<(String, Vec<u8>)>,
}

impl Context {
    pub(crate) fn new(line: Arc<Line>, invocation: Invocation) -> Self {
        Self { line, invocation, writes: Writes::default(), event: None }
    }

    /// Who signed the proposal.
    pub fn caller(&self) -> &ClientIdentity {
        &self.invocation.caller
    }

    /// 64 hex digits: SHA-256 of the client's nonce and identity.
    pub fn transaction_id(&self) -> &str {
        &self.line.key.transaction_id
    }

    /// The function that runs, `Contract:function`, also when the client left the contract's name out.
    pub fn function(&self) -> &str {
        &self.invocation.function
    }

    /// The channel whose ledger this is.
    pub fn channel_id(&self) -> &str {
        &self.line.key.channel_id
    }

    /// Seconds and nanoseconds since 1970. The client chooses it: nothing may rest on it that the client could gain from.
    pub fn transaction_time(&self) -> (i64, i32) {
        self.invocation.time
    }

    /// A transient input: seen by the endorsing peers, never written to a block.
    pub fn transient(&self, name: &str) -> Option<&[u8]> {
        self.invocation.transient.get(name).map(Vec::as_slice)
    }

    /// The committed value of a key. Values are not empty: an empty one is an absent one.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let get = GetState { key: key.to_owned(), ..Default::default() };
        Ok(present(self.line.request(Type::GetState, &get).await?))
    }

    /// The committed values of many keys, in the order of the keys; in one message where the peer offers that (Fabric 3.1).
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, LedgerError> {
        let mut values = Vec::with_capacity(keys.len());
        let Some(most) = self.line.offered.get_multiple else {
            for key in keys {
                values.push(self.get(key).await?);
            }
            return Ok(values);
        };
        for keys in keys.chunks(most) {
            let get = GetStateMultiple { keys: keys.to_vec(), ..Default::default() };
            let answer = self.line.request(Type::GetStateMultiple, &get).await?;
            let answer: GetStateMultipleResult = decode(Type::GetStateMultiple, &answer)?;
            if answer.values.len() != keys.len() {
                let reason = format!("{} values for {} keys", answer.values.len(), keys.len());
                return Err(LedgerError::Unreadable { request: Type::GetStateMultiple.as_str_name(), reason });
            }
            values.extend(answer.values.into_iter().map(present));
        }
        Ok(values)
    }

    /// Writes a value when the function ends well; the last write of a key counts. Fabric takes an empty value for a delete.
    /// An empty key fails the transaction.
    pub fn put(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.writes.put(key.into(), value.into());
    }

    /// Deletes a key when the function ends well; one that is absent stays absent.
    pub fn delete(&mut self, key: impl Into<String>) {
        self.writes.delete(key.into());
    }

    /// The event that clients see when the transaction is committed. There is one a transaction: the last one set. An empty
    /// name fails the transaction.
    pub fn set_event(&mut self, name: impl Into<String>, payload: impl Into<Vec<u8>>) {
        self.event = Some((name.into(), payload.into()));
    }

    /// The simple keys from `start` up to but not including `end`; an empty bound leaves that side open. Composite keys are
    /// not among them. What was read is checked again at commit: a key that came or went meanwhile makes a phantom conflict.
    pub fn range(&self, start: &str, end: &str) -> Results<KeyValue> {
        self.query(keys::simple_range(start, end))
    }

    /// All composite keys of this object type whose first attributes are these.
    pub fn partial_composite(&self, object_type: &str, attributes: &[&str]) -> Results<KeyValue> {
        self.query(keys::composite_range(object_type, attributes))
    }

    /// One page of [`range`](Self::range), at most `page_size` keys. Fabric refuses pages in transactions that write.
    pub async fn page(
        &self,
        start: &str,
        end: &str,
        page_size: u32,
        bookmark: Option<&str>,
    ) -> Result<Page, LedgerError> {
        page(&self.line, keys::simple_range(start, end)?, page_size, bookmark).await
    }

    /// One page of [`partial_composite`](Self::partial_composite), at most `page_size` keys. Fabric refuses pages in
    /// transactions that write.
    pub async fn composite_page(
        &self,
        object_type: &str,
        attributes: &[&str],
        page_size: u32,
        bookmark: Option<&str>,
    ) -> Result<Page, LedgerError> {
        page(&self.line, keys::composite_range(object_type, attributes)?, page_size, bookmark).await
    }

    /// All committed changes of a key, the newest first. Not checked again at commit: for queries only.
    pub fn history(&self, key: &str) -> Results<KeyModification> {
        Results::new(self.line.clone(), Query::History { key: key.to_owned() })
    }

    fn query(&self, bounds: Result<(String, String), KeyError>) -> Results<KeyValue> {
        let query = match bounds {
            Ok((start, end)) => Query::Range { start, end },
            Err(error) => Query::Impossible(error),
        };
        Results::new(self.line.clone(), query)
    }

    /// Sends what the function wrote; returns its event.
    pub(crate) async fn finish(self) -> Result<Option<ChaincodeEvent>, LedgerError> {
        if self.event.as_ref().is_some_and(|(name, _)| name.is_empty()) {
            return Err(KeyError::EmptyEventName.into());
        }
        self.writes.flush(&self.line).await?;
        self.line.settle().await;
        // The peer fills in the chaincode and the transaction.
        Ok(self.event.map(|(event_name, payload)| ChaincodeEvent { event_name, payload, ..Default::default() }))
    }
}

fn present(value: Vec<u8>) -> Option<Vec<u8>> {
    Some(value).filter(|value| !value.is_empty())
}
