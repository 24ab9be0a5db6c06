//! The tables of a ledger and how their rows read.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use fabric_protos::kvrwset::{KvMetadataEntry, KvMetadataWrite, Version};
use prost::Message;
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableTable, StorageError, TableDefinition, WriteTransaction};

use super::{LedgerError, StateEntry, Storage};

/// Namespace and key.
pub(super) type StateKey = (&'static str, &'static str);
/// Block and transaction of the version, encoded metadata, value.
pub(super) type StateRow = (u64, u64, &'static [u8], &'static [u8]);
/// Namespace, key, block, transaction.
pub(super) type HistoryKey = (&'static str, &'static str, u64, u64);

/// The committed state.
pub(super) const STATE: TableDefinition<StateKey, StateRow> = TableDefinition::new("state");
/// One row a public write of a valid transaction; the write itself is in the envelope.
pub(super) const HISTORY: TableDefinition<HistoryKey, ()> = TableDefinition::new("history");
/// Envelopes by block and position.
pub(super) const ENVELOPES: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("envelopes");
/// Encoded `BlockHeader` and `BlockMetadata` by block number.
pub(super) const HEADERS: TableDefinition<u64, (&[u8], &[u8])> = TableDefinition::new("headers");
/// Block number by header hash.
pub(super) const BLOCK_NUMBERS: TableDefinition<&[u8], u64> = TableDefinition::new("block numbers");
/// First occurrence of a transaction id: block, position, validation code.
pub(super) const TRANSACTIONS: TableDefinition<&str, (u64, u64, u8)> = TableDefinition::new("transactions");

/// Name of the store's file in the data folder.
const FILE: &str = "ledger.redb";
/// Its name while it is made.
const UNFINISHED: &str = "ledger.redb.unfinished";
/// Locked by the process that has the ledger open.
const LOCK: &str = "ledger.lock";
/// How long a lock may outlive its holder.
const LOCK_WAIT: Duration = Duration::from_millis(500);
/// The network shall stay small in memory; redb's default is 1 GiB.
const CACHE_BYTES: usize = 16 << 20;

/// An open store.
pub(super) struct Store {
    pub(super) database: Database,
    /// The lock on the folder; let go after the database is closed.
    _lock: Option<File>,
}

/// Opens the store and makes sure that all tables are there.
pub(super) fn open(storage: &Storage) -> Result<Store, LedgerError> {
    match storage {
        Storage::Folder(folder) => in_folder(folder),
        Storage::Memory => {
            let database = in_memory()?;
            with_tables(&database)?;
            Ok(Store { database, _lock: None })
        }
    }
}

/// An empty store that is gone when dropped.
pub(super) fn in_memory() -> Result<Database, LedgerError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(InMemoryBackend::new())
        .map_err(|error| LedgerError::Storage(Box::new(error.into())))
}

/// Makes the tables.
pub(super) fn create_tables(transaction: &WriteTransaction) -> Result<(), LedgerError> {
    transaction.open_table(STATE)?;
    transaction.open_table(HISTORY)?;
    transaction.open_table(ENVELOPES)?;
    transaction.open_table(HEADERS)?;
    transaction.open_table(BLOCK_NUMBERS)?;
    transaction.open_table(TRANSACTIONS)?;
    Ok(())
}

/// The committed state of a key.
pub(super) fn state_entry(
    table: &impl ReadableTable<StateKey, StateRow>,
    namespace: &str,
    key: &str,
) -> Result<Option<StateEntry>, LedgerError> {
    let Some(row) = table.get((namespace, key))? else { return Ok(None) };
    let (block_num, tx_num, metadata, value) = row.value();
    let metadata = decode_metadata(metadata)?;
    Ok(Some(StateEntry { value: value.to_vec(), version: Version { block_num, tx_num }, metadata }))
}

/// The committed version of a key.
pub(super) fn state_version(
    table: &impl ReadableTable<StateKey, StateRow>,
    namespace: &str,
    key: &str,
) -> Result<Option<Version>, LedgerError> {
    let row = table.get((namespace, key))?;
    Ok(row.map(|row| {
        let (block_num, tx_num, _, _) = row.value();
        Version { block_num, tx_num }
    }))
}

/// Metadata entries as they are stored; no entries are no bytes.
pub(super) fn encode_metadata(entries: &[KvMetadataEntry]) -> Vec<u8> {
    KvMetadataWrite { key: String::new(), entries: entries.to_vec() }.encode_to_vec()
}

fn decode_metadata(bytes: &[u8]) -> Result<Vec<KvMetadataEntry>, LedgerError> {
    match KvMetadataWrite::decode(bytes) {
        Ok(write) => Ok(write.entries),
        Err(error) => Err(LedgerError::Damaged(format!("a key's metadata cannot be decoded: {error}"))),
    }
}

fn with_tables(database: &Database) -> Result<(), LedgerError> {
    let transaction = database.begin_write()?;
    create_tables(&transaction)?;
    Ok(transaction.commit()?)
}

/// A lock outlives its process or handle for a moment: while a killed process ends, and while a child that another thread
/// is starting still holds copies of this process's files.
fn in_folder(folder: &Path) -> Result<Store, LedgerError> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match in_folder_now(folder) {
            Err(LedgerError::InUse(_)) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            outcome => return outcome,
        }
    }
}

fn in_folder_now(folder: &Path) -> Result<Store, LedgerError> {
    let unusable = |source| LedgerError::Folder { folder: folder.display().to_string(), source };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let lock = File::create(folder.join(LOCK)).map_err(unusable)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => LedgerError::InUse(folder.display().to_string()),
        TryLockError::Error(error) => unusable(error),
    })?;

    let file = folder.join(FILE);
    if !file.try_exists().map_err(unusable)? {
        // redb's first bytes are not written at once: a killed process must not leave half of them under this name.
        let unfinished = folder.join(UNFINISHED);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unusable(error)),
            _ => with_tables(&open_file(&unfinished)?)?,
        }
        std::fs::rename(&unfinished, &file).map_err(unusable)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable)?;
    }
    Ok(Store { database: open_file(&file)?, _lock: Some(lock) })
}

fn open_file(file: &Path) -> Result<Database, LedgerError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(file).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => LedgerError::InUse(file.display().to_string()),
        DatabaseError::Storage(StorageError::Corrupted(what)) => LedgerError::Damaged(what),
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            LedgerError::Damaged(format!("{FILE} is no ledger: {error}"))
        }
        other => LedgerError::Storage(Box::new(other.into())),
    })
}
