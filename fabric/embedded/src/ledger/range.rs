//! What a range query leaves in the read-write set: its reads, or above 50 of them the summary of a Merkle tree.
//!
//! Fabric: `core/ledger/kvledger/txmgmt/rwsetutil/query_results_helper.go`.

use fabric_protos::kvrwset::range_query_info::ReadsInfo;
use fabric_protos::kvrwset::{KvRead, QueryReads, QueryReadsMerkleSummary};
use openssl::sha::{Sha256, sha256};
use prost::Message;

/// How many reads, and how many nodes of a level, stay as they are.
pub(super) const MAX_DEGREE: u32 = 50;

/// Collects the reads of one range in key order.
pub(super) struct RangeReads {
    max_degree: u32,
    pending: Vec<KvRead>,
    /// Nodes by level; the first is level 1, whose nodes are hashes of reads.
    levels: Vec<Vec<[u8; 32]>>,
}

impl RangeReads {
    /// Nothing read yet.
    pub(super) fn new(max_degree: u32) -> Self {
        Self { max_degree, pending: Vec::new(), levels: vec![Vec::new()] }
    }

    /// Adds the next read.
    pub(super) fn add(&mut self, read: KvRead) {
        self.pending.push(read);
        if self.exceeds(self.pending.len()) {
            self.hash_pending();
        }
    }

    /// The reads, or their summary if there were more than the degree; `None` without reads.
    pub(super) fn finish(mut self) -> Option<ReadsInfo> {
        let hashed = self.levels.iter().any(|level| !level.is_empty());
        if !hashed {
            return match self.pending.is_empty() {
                true => None,
                false => Some(ReadsInfo::RawReads(QueryReads { kv_reads: self.pending })),
            };
        }
        if !self.pending.is_empty() {
            self.hash_pending();
        }
        let hashes = self.fold_upward();
        Some(ReadsInfo::ReadsMerkleHashes(QueryReadsMerkleSummary {
            max_degree: self.max_degree,
            max_level: u32::try_from(self.levels.len()).expect("a tree of 2^32 levels fits nowhere"),
            max_level_hashes: hashes.into_iter().map(|hash| hash.to_vec()).collect(),
        }))
    }

    fn exceeds(&self, count: usize) -> bool {
        count > self.max_degree as usize
    }

    /// Makes a level-1 node of the pending reads, and nodes above of levels that have become full.
    fn hash_pending(&mut self) {
        let reads = QueryReads { kv_reads: std::mem::take(&mut self.pending) };
        self.levels[0].push(sha256(&reads.encode_to_vec()));
        let mut level = 0;
        while self.exceeds(self.levels[level].len()) {
            let node = combined(&std::mem::take(&mut self.levels[level]));
            level += 1;
            self.push(level, node);
        }
    }

    /// Carries the nodes of lower levels up (a lone one as it is) and returns those of the highest.
    fn fold_upward(&mut self) -> Vec<[u8; 32]> {
        for level in 0..self.levels.len() - 1 {
            let node = match std::mem::take(&mut self.levels[level]).as_slice() {
                [] => continue,
                [lone] => *lone,
                several => combined(several),
            };
            self.push(level + 1, node);
        }
        let top = std::mem::take(self.levels.last_mut().expect("level 1 is always there"));
        match self.exceeds(top.len()) {
            true => {
                self.levels.push(Vec::new());
                vec![combined(&top)]
            }
            false => top,
        }
    }

    fn push(&mut self, level: usize, node: [u8; 32]) {
        if level == self.levels.len() {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(node);
    }
}

fn combined(nodes: &[[u8; 32]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    nodes.iter().for_each(|node| hash.update(node));
    hash.finish()
}

#[cfg(test)]
mod tests {
    use fabric_protos::kvrwset::Version;

    use super::*;

    fn reads(count: u64) -> Option<ReadsInfo> {
        let mut reads = RangeReads::new(MAX_DEGREE);
        for i in 0..count {
            let version = Version { block_num: 1 + i / 10, tx_num: i % 10 };
            reads.add(KvRead { key: format!("k{i:05}"), version: Some(version) });
        }
        reads.finish()
    }

    fn summary(count: u64) -> (u32, usize) {
        match reads(count) {
            Some(ReadsInfo::ReadsMerkleHashes(summary)) => {
                assert_eq!(summary.max_degree, 50);
                (summary.max_level, summary.max_level_hashes.len())
            }
            other => panic!("{count} reads gave {other:?}"),
        }
    }

    #[test]
    fn up_to_fifty_reads_stay_as_they_are() {
        assert_eq!(reads(0), None);
        for count in [1, 49, 50] {
            let Some(ReadsInfo::RawReads(raw)) = reads(count) else { panic!("{count} reads were hashed") };
            assert_eq!(raw.kv_reads.len() as u64, count);
        }
    }

    #[test]
    fn more_reads_become_levels_as_on_fabric() {
        assert_eq!(summary(51), (1, 1));
        assert_eq!(summary(52), (1, 2));
        assert_eq!(summary(102), (1, 2));
        assert_eq!(summary(103), (1, 3));
        assert_eq!(summary(50 * 51), (1, 50));
        assert_eq!(summary(2601), (2, 1));
        assert_eq!(summary(2602), (2, 2));
    }

    #[test]
    fn the_hash_of_51_reads_is_fabrics() {
        let Some(ReadsInfo::ReadsMerkleHashes(summary)) = reads(51) else { panic!("51 reads were not hashed") };
        assert!(hex::encode(&summary.max_level_hashes[0]).starts_with("c8d77adbcd07"));
    }
}
