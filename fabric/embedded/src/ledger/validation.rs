//! Validation of reads and ranges against the state as of each transaction's turn, and the writes of a block.
//!
//! Fabric: `core/ledger/kvledger/txmgmt/validation/`, `…/txmgr/update_batch_bytes.go`.

use std::collections::BTreeMap;
use std::ops::Bound;

use fabric_protos::kvrwset::range_query_info::ReadsInfo;
use fabric_protos::kvrwset::{KvMetadataEntry, KvRead, RangeQueryInfo, Version};
use fabric_protos::protos::TxValidationCode;
use prost::Message;
use redb::{ReadableTable, Table};

use super::LedgerError;
use super::range::RangeReads;
use super::rwset::{NamespaceSet, is_delete};
use super::store::{StateKey, StateRow, encode_metadata, state_entry, state_version};

/// What the valid transactions of a block, so far, make of the state; by namespace and key.
#[derive(Default)]
pub(super) struct Updates {
    namespaces: BTreeMap<String, BTreeMap<String, Update>>,
}

/// A key's last update in a block.
struct Update {
    version: Version,
    /// `None`: deleted.
    entry: Option<Entry>,
}

#[derive(Clone)]
struct Entry {
    value: Vec<u8>,
    metadata: Vec<KvMetadataEntry>,
}

impl Updates {
    /// VALID if everything a transaction read still holds, else MVCC_READ_CONFLICT or PHANTOM_READ_CONFLICT.
    pub(super) fn validate(
        &self,
        state: &impl ReadableTable<StateKey, StateRow>,
        sets: &[NamespaceSet],
    ) -> Result<TxValidationCode, LedgerError> {
        for NamespaceSet { namespace, set, .. } in sets {
            for read in &set.reads {
                if !self.read_holds(state, namespace, read)? {
                    return Ok(TxValidationCode::MvccReadConflict);
                }
            }
            for range in &set.range_queries_info {
                if !self.range_holds(state, namespace, range)? {
                    return Ok(TxValidationCode::PhantomReadConflict);
                }
            }
        }
        Ok(TxValidationCode::Valid)
    }

    /// Adds the writes of a valid transaction.
    pub(super) fn apply(
        &mut self,
        state: &impl ReadableTable<StateKey, StateRow>,
        sets: Vec<NamespaceSet>,
        version: Version,
    ) -> Result<(), LedgerError> {
        for NamespaceSet { namespace, set, .. } in sets {
            let mut metadata_writes: BTreeMap<_, _> =
                set.metadata_writes.into_iter().map(|write| (write.key, write.entries)).collect();
            for write in set.writes {
                let metadata = metadata_writes.remove(&write.key);
                let entry = match is_delete(&write) {
                    true => None,
                    false => {
                        let metadata = match metadata {
                            Some(metadata) => metadata,
                            None => self.entry(state, &namespace, &write.key)?.map_or(Vec::new(), |old| old.metadata),
                        };
                        Some(Entry { value: write.value, metadata })
                    }
                };
                self.insert(&namespace, write.key, Update { version, entry });
            }
            for (key, metadata) in metadata_writes {
                // The metadata of an absent key have no effect. (After a delete in the same block, Fabric 3.1.5 panics.)
                if let Some(old) = self.entry(state, &namespace, &key)? {
                    let entry = Some(Entry { value: old.value, metadata });
                    self.insert(&namespace, key, Update { version, entry });
                }
            }
        }
        Ok(())
    }

    /// Writes everything into the state.
    pub(super) fn store(&self, state: &mut Table<StateKey, StateRow>) -> Result<(), LedgerError> {
        for (namespace, updates) in &self.namespaces {
            for (key, Update { version, entry }) in updates {
                let place = (namespace.as_str(), key.as_str());
                match entry {
                    None => state.remove(place)?,
                    Some(Entry { value, metadata }) => {
                        let metadata = encode_metadata(metadata);
                        state
                            .insert(place, (version.block_num, version.tx_num, metadata.as_slice(), value.as_slice()))?
                    }
                };
            }
        }
        Ok(())
    }

    /// The deterministic bytes that enter the commit hash.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writes = Vec::new();
        // The namespace "" holds a channel's configuration, which is left out.
        for (namespace, updates) in self.namespaces.iter().filter(|(namespace, _)| !namespace.is_empty()) {
            let mut name = namespace.clone();
            for (key, Update { version, entry }) in updates {
                writes.push(UpdatedKey {
                    namespace: std::mem::take(&mut name),
                    collection: String::new(),
                    key: key.clone().into_bytes(),
                    is_delete: entry.is_none(),
                    value: entry.as_ref().map_or(Vec::new(), |entry| entry.value.clone()),
                    version: version_bytes(version),
                });
            }
        }
        UpdatedKeys { writes }.encode_to_vec()
    }

    fn insert(&mut self, namespace: &str, key: String, update: Update) {
        if !self.namespaces.contains_key(namespace) {
            self.namespaces.insert(namespace.to_owned(), BTreeMap::new());
        }
        self.namespaces.get_mut(namespace).expect("it was inserted if it was absent").insert(key, update);
    }

    fn update(&self, namespace: &str, key: &str) -> Option<&Update> {
        self.namespaces.get(namespace)?.get(key)
    }

    fn entry(
        &self,
        state: &impl ReadableTable<StateKey, StateRow>,
        namespace: &str,
        key: &str,
    ) -> Result<Option<Entry>, LedgerError> {
        match self.update(namespace, key) {
            Some(update) => Ok(update.entry.clone()),
            None => {
                Ok(state_entry(state, namespace, key)?
                    .map(|entry| Entry { value: entry.value, metadata: entry.metadata }))
            }
        }
    }

    fn read_holds(
        &self,
        state: &impl ReadableTable<StateKey, StateRow>,
        namespace: &str,
        read: &KvRead,
    ) -> Result<bool, LedgerError> {
        // A delete of an absent key counts, too: Fabric asks only whether the key was updated.
        Ok(self.update(namespace, &read.key).is_none() && state_version(state, namespace, &read.key)? == read.version)
    }

    /// Runs a range again over the state and this block's writes.
    fn range_holds(
        &self,
        state: &impl ReadableTable<StateKey, StateRow>,
        namespace: &str,
        range: &RangeQueryInfo,
    ) -> Result<bool, LedgerError> {
        match &range.reads_info {
            Some(ReadsInfo::ReadsMerkleHashes(summary)) => {
                if summary.max_degree < 2 {
                    return Ok(false); // no tree can be made with it
                }
                let mut reads = RangeReads::new(summary.max_degree);
                self.for_each_in(state, namespace, range, |read| {
                    reads.add(read);
                    true
                })?;
                Ok(reads.finish() == range.reads_info)
            }
            raw => {
                let mut expected = match raw {
                    Some(ReadsInfo::RawReads(reads)) => reads.kv_reads.as_slice(),
                    _ => &[],
                };
                let mut equal = true;
                self.for_each_in(state, namespace, range, |read| {
                    match expected.split_first() {
                        Some((first, rest)) if *first == read => expected = rest,
                        _ => equal = false,
                    }
                    equal
                })?;
                Ok(equal && expected.is_empty())
            }
        }
    }

    /// Gives `visit` the keys of a range in order, state and this block's writes merged, until it says false.
    fn for_each_in(
        &self,
        state: &impl ReadableTable<StateKey, StateRow>,
        namespace: &str,
        range: &RangeQueryInfo,
        mut visit: impl FnMut(KvRead) -> bool,
    ) -> Result<(), LedgerError> {
        let (start, end) = (range.start_key.as_str(), range.end_key.as_str());
        // If the end was not reached, the end key is the last key looked at and belongs to the range.
        let inside = |key: &str| match range.itr_exhausted {
            true => end.is_empty() || key < end,
            false => key <= end,
        };
        let mut updated = self
            .namespaces
            .get(namespace)
            .into_iter()
            .flat_map(|updates| updates.range::<str, _>((Bound::Included(start), Bound::Unbounded)))
            .take_while(|(key, _)| inside(key))
            .peekable();
        for row in state.range((namespace, start)..)? {
            let (key, row) = row?;
            let (row_namespace, key) = key.value();
            if row_namespace != namespace || !inside(key) {
                break;
            }
            while let Some((new_key, update)) = updated.next_if(|(updated, _)| updated.as_str() < key) {
                if update.entry.is_some() && !visit(KvRead { key: new_key.clone(), version: Some(update.version) }) {
                    return Ok(());
                }
            }
            let version = match updated.next_if(|(updated, _)| updated.as_str() == key) {
                Some((_, Update { entry: None, .. })) => continue,
                Some((_, update)) => update.version,
                None => {
                    let (block_num, tx_num, _, _) = row.value();
                    Version { block_num, tx_num }
                }
            };
            if !visit(KvRead { key: key.to_owned(), version: Some(version) }) {
                return Ok(());
            }
        }
        for (key, update) in updated {
            if update.entry.is_some() && !visit(KvRead { key: key.clone(), version: Some(update.version) }) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Fabric's `txmgr.Updates`, of which only the commit hash is known outside.
#[derive(Clone, PartialEq, Message)]
struct UpdatedKeys {
    #[prost(message, repeated, tag = "1")]
    writes: Vec<UpdatedKey>,
}

#[derive(Clone, PartialEq, Message)]
struct UpdatedKey {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    collection: String,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(bool, tag = "4")]
    is_delete: bool,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    version: Vec<u8>,
}

/// Block and transaction, each as a length byte and big-endian bytes without leading zeros.
fn version_bytes(version: &Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [version.block_num, version.tx_num] {
        let big_endian = number.to_be_bytes();
        let significant = &big_endian[number.leading_zeros() as usize / 8..];
        bytes.push(significant.len() as u8);
        bytes.extend_from_slice(significant);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_encoded_as_on_fabric() {
        assert_eq!(hex::encode(version_bytes(&Version { block_num: 300, tx_num: 5 })), "02012c0105");
        assert_eq!(hex::encode(version_bytes(&Version { block_num: 0, tx_num: 0 })), "0000");
    }

    #[test]
    fn updates_name_a_namespace_once_and_leave_the_configuration_out() {
        let version = Version { block_num: 1, tx_num: 2 };
        let put = |value: &[u8]| {
            let entry = Some(Entry { value: value.to_vec(), metadata: Vec::new() });
            Update { version, entry }
        };
        let mut updates = Updates::default();
        updates.insert("n", "b".into(), put(b"2"));
        updates.insert("n", "a".into(), Update { version, entry: None });
        updates.insert("", "config".into(), put(b"c"));
        let first = "0a0e".to_owned() + "0a016e" + "1a0161" + "2001" + "320401010102";
        let second = "0a0c".to_owned() + "1a0162" + "2a0132" + "320401010102";
        assert_eq!(hex::encode(updates.encode()), first + &second);
    }

    #[test]
    fn nothing_written_is_no_bytes() {
        assert!(Updates::default().encode().is_empty());
    }
}
