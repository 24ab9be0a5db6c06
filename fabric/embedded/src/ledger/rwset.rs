//! Read-write sets: built during simulation with exactly the bytes that Fabric's peers make, and decoded at commit.

use std::collections::BTreeMap;

use fabric_protos::kvrwset::{KvMetadataEntry, KvMetadataWrite, KvRead, KvWrite, KvrwSet, RangeQueryInfo, Version};
use fabric_protos::rwset::{NsReadWriteSet, TxReadWriteSet};
use prost::{DecodeError, Message};

/// The part of a read-write set that belongs to one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceSet {
    /// The chaincode's name, or `_lifecycle`.
    pub namespace: String,
    /// Reads, ranges, writes and metadata writes.
    pub set: KvrwSet,
    /// Whether private data collections were touched, too.
    pub has_collections: bool,
}

/// Takes apart an encoded `rwset.TxReadWriteSet`.
pub fn decode_read_write_set(bytes: &[u8]) -> Result<Vec<NamespaceSet>, DecodeError> {
    let transaction = TxReadWriteSet::decode(bytes)?;
    let decode = |part: NsReadWriteSet| {
        Ok(NamespaceSet {
            namespace: part.namespace,
            set: KvrwSet::decode(part.rwset.as_slice())?,
            has_collections: !part.collection_hashed_rwset.is_empty(),
        })
    };
    transaction.ns_rwset.into_iter().map(decode).collect()
}

/// Whether a write deletes its key: an empty value does, too.
pub(super) fn is_delete(write: &KvWrite) -> bool {
    write.is_delete || write.value.is_empty()
}

/// Collects what a simulation does.
#[derive(Default)]
pub(super) struct Builder {
    namespaces: BTreeMap<String, Namespace>,
}

#[derive(Default)]
struct Namespace {
    reads: BTreeMap<String, Option<Version>>,
    ranges: Vec<RangeQueryInfo>,
    writes: BTreeMap<String, Vec<u8>>,
    metadata_writes: BTreeMap<String, Vec<KvMetadataEntry>>,
}

impl Builder {
    /// Records a key's version; again is no difference, since one snapshot has one version.
    pub(super) fn read(&mut self, namespace: &str, key: &str, version: Option<Version>) {
        self.namespace(namespace).reads.insert(key.to_owned(), version);
    }

    /// Records a range; one with the same bounds and end counts once.
    pub(super) fn range(&mut self, namespace: &str, range: RangeQueryInfo) {
        let ranges = &mut self.namespace(namespace).ranges;
        let same = |other: &RangeQueryInfo| {
            (&other.start_key, &other.end_key, other.itr_exhausted)
                == (&range.start_key, &range.end_key, range.itr_exhausted)
        };
        if !ranges.iter().any(same) {
            ranges.push(range);
        }
    }

    /// Records a write; the last one counts. An empty value is a delete.
    pub(super) fn write(&mut self, namespace: &str, key: &str, value: Vec<u8>) {
        self.namespace(namespace).writes.insert(key.to_owned(), value);
    }

    /// Records a key's new metadata; the last ones count.
    pub(super) fn write_metadata(&mut self, namespace: &str, key: &str, entries: Vec<KvMetadataEntry>) {
        self.namespace(namespace).metadata_writes.insert(key.to_owned(), entries);
    }

    /// Each namespace with the keys written in it (value or metadata).
    pub(super) fn written_keys(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.namespaces.iter().map(|(name, namespace)| {
            let keys = namespace.writes.keys().chain(namespace.metadata_writes.keys()).map(String::as_str);
            (name.as_str(), keys)
        })
    }

    /// The encoded `rwset.TxReadWriteSet`.
    pub(super) fn encode(self) -> Vec<u8> {
        let encode = |(namespace, part): (String, Namespace)| NsReadWriteSet {
            namespace,
            rwset: part.into_message().encode_to_vec(),
            collection_hashed_rwset: Vec::new(),
        };
        TxReadWriteSet { data_model: 0, ns_rwset: self.namespaces.into_iter().map(encode).collect() }.encode_to_vec()
    }

    fn namespace(&mut self, name: &str) -> &mut Namespace {
        if !self.namespaces.contains_key(name) {
            self.namespaces.insert(name.to_owned(), Namespace::default());
        }
        self.namespaces.get_mut(name).expect("it was inserted if it was absent")
    }
}

impl Namespace {
    fn into_message(self) -> KvrwSet {
        let write = |(key, value): (String, Vec<u8>)| KvWrite { key, is_delete: value.is_empty(), value };
        KvrwSet {
            reads: self.reads.into_iter().map(|(key, version)| KvRead { key, version }).collect(),
            range_queries_info: self.ranges,
            writes: self.writes.into_iter().map(write).collect(),
            metadata_writes: self
                .metadata_writes
                .into_iter()
                .map(|(key, entries)| KvMetadataWrite { key, entries })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_bytes_of_fabric() {
        let mut builder = Builder::default();
        builder.write("n", "b", b"2".to_vec());
        builder.write("n", "a", Vec::new());
        builder.read("n", "r", Some(Version { block_num: 3, tx_num: 1 }));
        builder.read("n", "q", None);
        builder.read("n", "r", Some(Version { block_num: 3, tx_num: 1 }));
        // 12 NsReadWriteSet{0a "n", 12 KVRWSet{0a read q, 0a read r with version (3,1), 1a delete a, 1a write b=2}}
        let reads = "0a030a0171".to_owned() + "0a090a01721204" + "08031001";
        let writes = "1a050a01611001".to_owned() + "1a060a01621a0132";
        let set = reads + &writes;
        let expected = format!("12{:02x}0a016e12{:02x}{set}", set.len() / 2 + 5, set.len() / 2);
        assert_eq!(hex::encode(builder.encode()), expected);
    }

    #[test]
    fn a_simulation_that_touched_nothing_is_an_empty_set() {
        assert!(Builder::default().encode().is_empty());
    }

    #[test]
    fn garbage_is_no_read_write_set() {
        assert!(decode_read_write_set(&[0x12, 0x05, 0x01]).is_err());
        let inner = NsReadWriteSet { namespace: "n".into(), rwset: vec![0xff], collection_hashed_rwset: Vec::new() };
        let set = TxReadWriteSet { data_model: 0, ns_rwset: vec![inner] };
        assert!(decode_read_write_set(&set.encode_to_vec()).is_err());
    }
}
