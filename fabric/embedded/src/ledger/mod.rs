//! The ledger engine: durable state, history, transaction index and blocks; simulation on snapshots; validation of
//! reads and ranges in block order; commit and verification of the chain.
//!
//! One redb write transaction a block makes state, history, index and block appear together or not at all, so that a
//! killed process finds the last acknowledged block and nothing of the next.

mod block;
mod error;
mod rwset;
mod simulator;

use std::path::PathBuf;
use std::sync::Arc;

use fabric_protos::common::{Block, BlockchainInfo};
use fabric_protos::kvrwset::{KvMetadataEntry, Version};
use fabric_protos::protos::{ChaincodeEvent, ProcessedTransaction, TxValidationCode};
use tokio::sync::watch;

pub use block::BlockSigner;
pub use error::LedgerError;
pub use simulator::{
    Batch, NamespaceAccess, Page, QueryId, QueryResult, SimulationResult, Simulator, VALIDATION_PARAMETER,
};

/// Where a ledger lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this folder, which is made if need be; survives kill -9 at any moment.
    Folder(PathBuf),
    /// In memory only.
    Memory,
}

/// The ledger of one channel. All methods block for as long as the disk takes and may be called from any thread.
pub struct Ledger {
    height: watch::Sender<u64>,
}

/// A block as committed, with what subscribers need of its transactions.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedBlock {
    /// The whole block, all metadata filled in.
    pub block: Block,
    /// Its transactions in order.
    pub transactions: Vec<CommittedTransaction>,
}

/// One transaction of a committed block.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedTransaction {
    /// The transaction id of the channel header, or the computed one; empty if the envelope cannot be decoded.
    pub transaction_id: String,
    /// `common.HeaderType`; `None` if the envelope cannot be decoded.
    pub header_type: Option<i32>,
    /// Whether it counts, and if not why.
    pub code: TxValidationCode,
    /// The chaincode's event, of an invalid transaction too.
    pub event: Option<ChaincodeEvent>,
}

/// Where a transaction id first occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLocation {
    /// Number of the block.
    pub block: u64,
    /// Index in the block.
    pub position: u64,
    /// Its validation code.
    pub code: TxValidationCode,
}

/// The committed state of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct StateEntry {
    /// The value, never empty.
    pub value: Vec<u8>,
    /// Block and transaction of the last write, of value or metadata.
    pub version: Version,
    /// Metadata entries, sorted by name.
    pub metadata: Vec<KvMetadataEntry>,
}

/// What [`Ledger::verify_chain`] went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Blocks.
    pub blocks: u64,
    /// Transactions, invalid ones included.
    pub transactions: u64,
}

impl Ledger {
    /// Opens the ledger. Only if it is empty, `genesis` is asked for the configuration envelope (encoded) of block 0.
    pub fn open(
        _storage: &Storage,
        _signer: Arc<dyn BlockSigner>,
        _genesis: impl FnOnce() -> Vec<u8>,
    ) -> Result<Self, LedgerError> {
        unimplemented!()
    }

    /// A view for one proposal, of the state as of now.
    pub fn simulate(&self, _transaction_id: &str) -> Result<Simulator, LedgerError> {
        unimplemented!()
    }

    /// Makes the next block of these envelopes (encoded `common.Envelope`s) and commits it durably.
    ///
    /// `codes` says, envelope by envelope, what the checks before the ledger's own decided: VALID or the reason why not.
    /// They depend on committed state and on earlier codes of the same slice only, never on the ledger's own checks. For
    /// those handed in as VALID the ledger adds DUPLICATE_TXID (already in the ledger, or earlier in the block and handed
    /// in as VALID), NIL_TXACTION, INVALID_OTHER_REASON (read-write set undecodable), MVCC_READ_CONFLICT and
    /// PHANTOM_READ_CONFLICT.
    pub fn commit(
        &self,
        _envelopes: Vec<Vec<u8>>,
        _codes: &[TxValidationCode],
    ) -> Result<Arc<CommittedBlock>, LedgerError> {
        unimplemented!()
    }

    /// The number of blocks.
    pub fn height(&self) -> u64 {
        *self.height.borrow()
    }

    /// Tells each new height, after the block can be read. Receivers that are slow see the latest one: read the blocks
    /// between with [`Ledger::committed_block`].
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.height.subscribe()
    }

    /// Height and the last two header hashes.
    pub fn info(&self) -> Result<BlockchainInfo, LedgerError> {
        unimplemented!()
    }

    /// A block by its number.
    pub fn block(&self, _number: u64) -> Result<Option<Block>, LedgerError> {
        unimplemented!()
    }

    /// The number of the block with this header hash.
    pub fn block_number_by_hash(&self, _header_hash: &[u8]) -> Result<Option<u64>, LedgerError> {
        unimplemented!()
    }

    /// A block with what its transactions tell (codes, events); the newest one comes from memory.
    pub fn committed_block(&self, _number: u64) -> Result<Option<Arc<CommittedBlock>>, LedgerError> {
        unimplemented!()
    }

    /// Where a transaction id first occurred, valid or not.
    pub fn transaction_location(&self, _transaction_id: &str) -> Result<Option<TransactionLocation>, LedgerError> {
        unimplemented!()
    }

    /// The envelope and code of the first occurrence of a transaction id.
    pub fn transaction(&self, _transaction_id: &str) -> Result<Option<ProcessedTransaction>, LedgerError> {
        unimplemented!()
    }

    /// The committed state of a key, without recording anything (for the key-level policy at validation).
    pub fn state(&self, _namespace: &str, _key: &str) -> Result<Option<StateEntry>, LedgerError> {
        unimplemented!()
    }

    /// Checks the whole chain: numbers, previous and data hashes, signatures, and by replaying every block also codes,
    /// commit hashes, state, history and transaction index.
    ///
    /// `verify` gets creator (`msp.SerializedIdentity`, encoded), message and signature of each block but the first.
    /// # Errors
    /// [`LedgerError::Damaged`] names the first block that does not hold.
    pub fn verify_chain(&self, _verify: &dyn Fn(&[u8], &[u8], &[u8]) -> bool) -> Result<Verification, LedgerError> {
        unimplemented!()
    }
}
