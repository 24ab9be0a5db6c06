//! The tables of a ledger and how their rows read.

use std::fs::File;
use std::path::Path;

use fabric_protos::kvrwset::{KvMetadataEntry, KvMetadataWrite, Version};
use prost::Message;
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableTable, TableDefinition, WriteTransaction};

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
/// The network shall stay small in memory; redb's default is 1 GiB.
const CACHE_BYTES: usize = 16 << 20;

/// Opens the store and makes sure that all tables are there.
pub(super) fn open(storage: &Storage) -> Result<Database, LedgerError> {
    let database = match storage {
        Storage::Memory => in_memory()?,
        Storage::Folder(folder) => in_folder(folder)?,
    };
    let transaction = database.begin_write()?;
    create_tables(&transaction)?;
    transaction.commit()?;
    Ok(database)
}

/// An empty store that is gone when dropped.
pub(super) fn in_memory() -> Result<Database, LedgerError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(InMemoryBackend::new())
        .map_err(|error| LedgerError::Storage(Box::new(error.into())))
}

/// Makes the tables that are not there yet.
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

fn in_folder(folder: &Path) -> Result<Database, LedgerError> {
    let unusable = |source| LedgerError::Folder { folder: folder.display().to_string(), source };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let database =
        Database::builder().set_cache_size(CACHE_BYTES).create(folder.join(FILE)).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => LedgerError::InUse(folder.display().to_string()),
            other => LedgerError::Storage(Box::new(other.into())),
        })?;
    // The file's name must survive a power failure as the file itself does.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable)?;
    Ok(database)
}
