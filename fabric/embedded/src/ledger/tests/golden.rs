//! The same random transactions as on the ledger of a Fabric 3.1.5 peer: read-write sets, codes, commit hashes and the
//! state at the end must be equal, byte by byte.
//!
//! golden/fabric-3.1.5.json was written by running a random scenario on the peer's own ledger code (package
//! `core/ledger/kvledger`, LevelDB) and noting each operation with what came of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Recorded {
    blocks: Vec<RecordedBlock>,
    /// Namespace, key, value.
    state: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RecordedBlock {
    /// Before the block was made, in this order.
    simulated: Vec<RecordedSimulation>,
    /// Ids, in the block's order.
    committed: Vec<String>,
    codes: String,
    commit_hash: String,
}

#[derive(Deserialize)]
struct RecordedSimulation {
    id: String,
    ops: Vec<Operation>,
    read_write_set: String,
}

/// All begin with the namespace.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operation {
    /// Key.
    Get(String, String),
    /// Key.
    Metadata(String, String),
    /// Start, end, batches looked at.
    Range(String, String, String, usize),
    /// Start, end, size, bookmark of the next page.
    Page(String, String, String, i32, String),
    /// Key, value.
    Put(String, String, String),
    /// So many keys m000, m001, … with the value v.
    PutMany(String, usize),
    /// Key.
    Delete(String, String),
    /// Key, VALIDATION_PARAMETER.
    Label(String, String, String),
}

fn run(tx: &mut Simulator, operation: &Operation) {
    match operation {
        Operation::Get(namespace, key) => drop(tx.get(namespace, key).unwrap()),
        Operation::Metadata(namespace, key) => drop(tx.metadata(namespace, key).unwrap()),
        Operation::Range(namespace, start, end, batches) => {
            let query = tx.open_range(namespace, start, end).unwrap();
            let mut left = *batches;
            while left > 0 && tx.next_batch(query).unwrap().has_more {
                left -= 1;
            }
        }
        Operation::Page(namespace, start, end, size, bookmark) => {
            assert_eq!(tx.page(namespace, start, end, *size, "").unwrap().bookmark, *bookmark);
        }
        Operation::Put(namespace, key, value) => tx.put(namespace, key, value.clone().into_bytes()).unwrap(),
        Operation::PutMany(namespace, count) => {
            (0..*count).for_each(|i| tx.put(namespace, &format!("m{i:03}"), b"v".to_vec()).unwrap());
        }
        Operation::Delete(namespace, key) => tx.delete(namespace, key).unwrap(),
        Operation::Label(namespace, key, value) => {
            tx.put_metadata(namespace, key, VALIDATION_PARAMETER, value.clone().into_bytes()).unwrap();
        }
    }
}

#[test]
fn random_transactions_leave_the_same_bytes_as_on_a_fabric_peer() {
    let recorded: Recorded = serde_json::from_str(include_str!("golden/fabric-3.1.5.json")).unwrap();
    let ledger = in_memory();
    let mut waiting = BTreeMap::new();
    for (number, block) in (1..).zip(&recorded.blocks) {
        for RecordedSimulation { id, ops, read_write_set } in &block.simulated {
            let mut tx = ledger.simulate(id).unwrap();
            ops.iter().for_each(|operation| run(&mut tx, operation));
            let set = tx.finish().unwrap().read_write_set;
            assert_eq!(hex::encode(&set), *read_write_set, "{id}");
            waiting.insert(id, transaction(id, set));
        }
        let codes = commit(&ledger, block.committed.iter().map(|id| waiting[id].clone()).collect());
        let codes: Vec<u8> = codes.into_iter().map(block::code_byte).collect();
        assert_eq!(hex::encode(codes), block.codes, "codes of block {number}");
        let metadata = ledger.block(number).unwrap().unwrap().metadata.unwrap();
        let commit_hash = block::commit_hash(&metadata).unwrap();
        assert_eq!(hex::encode(commit_hash), block.commit_hash, "commit hash of block {number}");
    }
    for (namespace, keys) in &recorded.state {
        let mut tx = ledger.simulate("all").unwrap();
        let all = tx.page(namespace, "", "", 0, "").unwrap().results;
        let all: BTreeMap<_, _> =
            all.into_iter().map(|result| (result.key, String::from_utf8(result.value).unwrap())).collect();
        assert_eq!(all, *keys, "{namespace}");
    }
    ledger.verify_chain(&signed_by_orderer).unwrap();
}
