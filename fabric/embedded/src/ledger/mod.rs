//! The ledger engine: durable state, history, transaction index and blocks; simulation on snapshots; validation of
//! reads and ranges in block order; commit and verification of the chain.
//!
//! One redb write transaction a block makes state, history, index and block appear together or not at all, so that a
//! killed process finds the last acknowledged block and nothing of the next.

mod block;
mod commit;
mod error;
mod query;
mod range;
mod read;
mod rwset;
mod simulator;
mod store;
#[cfg(test)]
mod tests;
mod transaction;
mod validation;
mod verify;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use fabric_protos::common::{Block, BlockData, BlockHeader, BlockMetadata, BlockchainInfo, Envelope};
use fabric_protos::kvrwset::{KvMetadataEntry, Version};
use fabric_protos::protos::{ChaincodeEvent, ProcessedTransaction, TxValidationCode};
use prost::Message;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::watch;

use store::Store;

pub use block::{BlockSigner, SignatureCheck, header_hash};
pub use error::LedgerError;
pub use query::{Batch, QueryId, QueryResult};
pub use rwset::{NamespaceSet, decode_read_write_set};
pub use simulator::{
    LIFECYCLE, NamespaceAccess, Page, SimulationResult, Simulator, VALIDATION_PARAMETER, sequence_key,
};

/// Where a ledger lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this folder, which is made if need be; survives kill -9 at any moment.
    Folder(PathBuf),
    /// In memory only.
    Memory,
}

/// The ledger of one channel. Its methods may be called from any thread and block it for as long as the disk takes: call
/// [`Ledger::commit`] and [`Ledger::verify_chain`] where that does no harm (`tokio::task::spawn_blocking`).
pub struct Ledger {
    store: Store,
    signer: Arc<dyn BlockSigner>,
    /// Held during a commit: one block after the other.
    tip: Mutex<Tip>,
    newest: RwLock<Arc<CommittedBlock>>,
    height: watch::Sender<u64>,
}

/// What the next block builds on.
struct Tip {
    height: u64,
    header_hash: Vec<u8>,
    commit_hash: Vec<u8>,
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
        storage: &Storage,
        signer: Arc<dyn BlockSigner>,
        genesis: impl FnOnce() -> Vec<u8>,
    ) -> Result<Self, LedgerError> {
        let store = store::open(storage)?;
        if read::newest(&store.database.begin_read()?)?.is_none() {
            write_genesis(&store.database, genesis())?;
        }
        let snapshot = store.database.begin_read()?;
        let (header, metadata) = read::newest(&snapshot)?.ok_or_else(|| read::damaged("it has no block"))?;
        let tip = Tip {
            height: header.number + 1,
            header_hash: header_hash(&header).to_vec(),
            commit_hash: block::commit_hash(&metadata).ok_or_else(|| read::damaged("the newest block has no hash"))?,
        };
        let newest = read::block(&snapshot, header.number)?.ok_or_else(|| read::damaged("the newest block is gone"))?;
        Ok(Self {
            store,
            signer,
            height: watch::Sender::new(tip.height),
            tip: Mutex::new(tip),
            newest: RwLock::new(Arc::new(describe(newest)?)),
        })
    }

    /// A view for one proposal, of the state as of now.
    pub fn simulate(&self, transaction_id: &str) -> Result<Simulator, LedgerError> {
        Simulator::new(&self.snapshot()?, transaction_id)
    }

    /// Makes the next block of these envelopes (encoded `common.Envelope`s) and commits it durably.
    ///
    /// `codes` says, envelope by envelope, what the checks before the ledger's own decided: VALID or the reason why not.
    /// They depend on committed state and on earlier codes of the same slice only, never on the ledger's own checks. For
    /// those handed in as VALID the ledger adds DUPLICATE_TXID (already in the ledger, or earlier in the block and handed
    /// in as VALID), NIL_TXACTION, INVALID_OTHER_REASON (envelope or read-write set undecodable, or private data in it),
    /// MVCC_READ_CONFLICT and PHANTOM_READ_CONFLICT.
    pub fn commit(
        &self,
        envelopes: Vec<Vec<u8>>,
        codes: &[TxValidationCode],
    ) -> Result<Arc<CommittedBlock>, LedgerError> {
        if envelopes.len() != codes.len() {
            return Err(LedgerError::CodesMissing { envelopes: envelopes.len(), codes: codes.len() });
        }
        let mut tip = self.tip.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tip.height;
        let header = BlockHeader {
            number,
            previous_hash: tip.header_hash.clone(),
            data_hash: block::data_hash(&envelopes).to_vec(),
        };
        let transaction = self.store.database.begin_write()?;
        let applied = commit::apply_block(&transaction, number, &envelopes, codes, &tip.commit_hash)?;
        let metadata = block::signed_metadata(&header, &applied.codes(), &applied.commit_hash, &*self.signer)
            .map_err(|reason| LedgerError::Signing { block: number, reason })?;
        store_block(&transaction, &header, &metadata, &envelopes)?;
        transaction.commit()?;

        let header_hash = header_hash(&header).to_vec();
        let block = Block { header: Some(header), data: Some(BlockData { data: envelopes }), metadata: Some(metadata) };
        let block = Arc::new(CommittedBlock { block, transactions: applied.transactions });
        *tip = Tip { height: number + 1, header_hash, commit_hash: applied.commit_hash };
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = block.clone();
        self.height.send_replace(tip.height);
        Ok(block)
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
        let newest = read::newest(&self.snapshot()?)?;
        let (header, _) = newest.ok_or_else(|| read::damaged("it has no block"))?;
        Ok(BlockchainInfo {
            height: header.number + 1,
            current_block_hash: header_hash(&header).to_vec(),
            previous_block_hash: header.previous_hash,
        })
    }

    /// A block by its number.
    pub fn block(&self, number: u64) -> Result<Option<Block>, LedgerError> {
        read::block(&self.snapshot()?, number)
    }

    /// The number of the block with this header hash.
    pub fn block_number_by_hash(&self, header_hash: &[u8]) -> Result<Option<u64>, LedgerError> {
        let numbers = self.snapshot()?.open_table(store::BLOCK_NUMBERS)?;
        Ok(numbers.get(header_hash)?.map(|number| number.value()))
    }

    /// A block with what its transactions tell (codes, events); the newest one comes from memory.
    pub fn committed_block(&self, number: u64) -> Result<Option<Arc<CommittedBlock>>, LedgerError> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner).clone();
        if newest.block.header.as_ref().is_some_and(|header| header.number == number) {
            return Ok(Some(newest));
        }
        self.block(number)?.map(|block| describe(block).map(Arc::new)).transpose()
    }

    /// Where a transaction id first occurred, valid or not.
    pub fn transaction_location(&self, transaction_id: &str) -> Result<Option<TransactionLocation>, LedgerError> {
        let transactions = self.snapshot()?.open_table(store::TRANSACTIONS)?;
        let Some(row) = transactions.get(transaction_id)? else { return Ok(None) };
        let (block, position, code) = row.value();
        let code = read::code_of(code).ok_or_else(|| read::damaged("the transaction index has an unknown code"))?;
        Ok(Some(TransactionLocation { block, position, code }))
    }

    /// The envelope and code of the first occurrence of a transaction id.
    pub fn transaction(&self, transaction_id: &str) -> Result<Option<ProcessedTransaction>, LedgerError> {
        let Some(TransactionLocation { block, position, code }) = self.transaction_location(transaction_id)? else {
            return Ok(None);
        };
        let envelopes = self.snapshot()?.open_table(store::ENVELOPES)?;
        let envelope = envelopes.get((block, position))?.and_then(|row| Envelope::decode(row.value()).ok());
        let envelope = envelope.ok_or_else(|| read::damaged("an indexed transaction cannot be read"))?;
        Ok(Some(ProcessedTransaction { transaction_envelope: Some(envelope), validation_code: code as i32 }))
    }

    /// The committed state of a key, without recording anything (for the key-level policy at validation).
    pub fn state(&self, namespace: &str, key: &str) -> Result<Option<StateEntry>, LedgerError> {
        store::state_entry(&self.snapshot()?.open_table(store::STATE)?, namespace, key)
    }

    /// Checks the whole chain: numbers, previous and data hashes, signatures, and by replaying every block also codes,
    /// commit hashes, state, history and transaction index.
    ///
    /// `verify` is asked about the signature of each block but the first, which has none.
    /// # Errors
    /// [`LedgerError::Damaged`] names the first block that does not hold.
    pub fn verify_chain(&self, verify: &SignatureCheck) -> Result<Verification, LedgerError> {
        verify::verify(&self.snapshot()?, verify)
    }

    fn snapshot(&self) -> Result<ReadTransaction, LedgerError> {
        Ok(self.store.database.begin_read()?)
    }
}

fn write_genesis(database: &Database, envelope: Vec<u8>) -> Result<(), LedgerError> {
    let envelopes = [envelope];
    let header = BlockHeader { number: 0, previous_hash: Vec::new(), data_hash: block::data_hash(&envelopes).to_vec() };
    let transaction = database.begin_write()?;
    commit::apply_block(&transaction, 0, &envelopes, &[TxValidationCode::Valid], &[])?;
    store_block(&transaction, &header, &block::genesis_metadata(), &envelopes)?;
    Ok(transaction.commit()?)
}

fn store_block(
    transaction: &WriteTransaction,
    header: &BlockHeader,
    metadata: &BlockMetadata,
    envelopes: &[Vec<u8>],
) -> Result<(), LedgerError> {
    let row = (header.encode_to_vec(), metadata.encode_to_vec());
    transaction.open_table(store::HEADERS)?.insert(header.number, (row.0.as_slice(), row.1.as_slice()))?;
    transaction.open_table(store::BLOCK_NUMBERS)?.insert(header_hash(header).as_slice(), header.number)?;
    let mut table = transaction.open_table(store::ENVELOPES)?;
    for (position, envelope) in (0..).zip(envelopes) {
        table.insert((header.number, position), envelope.as_slice())?;
    }
    Ok(())
}

fn describe(block: Block) -> Result<CommittedBlock, LedgerError> {
    let envelopes = block.data.as_ref().map_or(&[][..], |data| data.data.as_slice());
    let filter = block.metadata.as_ref().map_or(&[][..], block::transactions_filter);
    let describe = |(envelope, code): (&Vec<u8>, &u8)| {
        let code = read::code_of(*code).ok_or_else(|| read::damaged("a block has an unknown validation code"))?;
        Ok(commit::describe(envelope, code))
    };
    let transactions = envelopes.iter().zip(filter).map(describe).collect::<Result<Vec<_>, LedgerError>>()?;
    Ok(CommittedBlock { block, transactions })
}
