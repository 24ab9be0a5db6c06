//! What decisions rest on: noted as it is read, and found again in the ledger's history.

use std::collections::BTreeMap;
use std::sync::Mutex;

use fabric_contract::Context;
use healthchain_rules::opening::Decided;
use healthchain_rules::{Evidence, Opening, Refusal, TransactionId, ValueHash};
use openssl::sha::sha256;

use super::{Load, Source, key, ledger, put};

/// Reads the ledger as it stands, and notes what it reads.
pub(crate) struct Witness<'a> {
    context: &'a Context,
    seen: Mutex<BTreeMap<String, Option<ValueHash>>>,
}

/// Reads from the ledger's history the values that an opening read.
pub(crate) struct Past<'a> {
    context: &'a Context,
    evidence: &'a Evidence,
    missing: Mutex<Vec<String>>,
}

pub(crate) fn load_evidence(opening: &TransactionId) -> Load<Evidence> {
    Load::at(key::evidence(opening))
}

pub(crate) fn save_evidence(
    context: &mut Context,
    opening: &Opening,
    evidence: &Evidence,
    _: &Decided,
) -> Result<(), Refusal> {
    put(context, key::evidence(&opening.transaction), evidence)
}

impl<'a> Witness<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self { context, seen: Mutex::default() }
    }

    /// What was read, by key.
    pub(crate) fn seen(self) -> BTreeMap<String, Option<ValueHash>> {
        self.seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Source for Witness<'_> {
    async fn values(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Refusal> {
        let values = self.context.values(keys).await?;
        let hashes = values.iter().map(|value| value.as_deref().map(hash));
        let seen = keys.iter().cloned().zip(hashes);
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(seen);
        Ok(values)
    }
}

impl<'a> Past<'a> {
    pub(crate) fn new(context: &'a Context, evidence: &'a Evidence) -> Self {
        Self { context, evidence, missing: Mutex::default() }
    }

    /// The keys whose values the history does not have, written for people.
    pub(crate) fn missing(self) -> Vec<String> {
        let missing = self.missing.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        missing.iter().map(|key| key.trim_matches('\0').replace('\0', "/")).collect()
    }

    /// A key that the opening did not read is one of a later release: there was no value then.
    async fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(Some(wanted)) = self.evidence.values.get(key) else { return Ok(None) };
        let mut history = self.context.history(key);
        while let Some(change) = history.next().await.map_err(ledger)? {
            if let Some(value) = change.value.filter(|value| hash(value) == *wanted) {
                return Ok(Some(value));
            }
        }
        self.missing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(key.to_owned());
        Ok(None)
    }
}

impl Source for Past<'_> {
    async fn values(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Refusal> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.value(key).await?);
        }
        Ok(values)
    }
}

fn hash(value: &[u8]) -> ValueHash {
    let digits: String = sha256(value).iter().map(|byte| format!("{byte:02x}")).collect();
    digits.parse().expect("64 hexadecimal digits are a hash")
}
