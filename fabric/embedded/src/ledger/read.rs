//! Blocks and transactions as they are read back from the store.

use fabric_protos::common::{Block, BlockData, BlockHeader, BlockMetadata};
use fabric_protos::protos::TxValidationCode;
use prost::Message;
use redb::ReadTransaction;

use super::LedgerError;
use super::store::{ENVELOPES, HEADERS};

/// A block by its number.
pub(super) fn block(snapshot: &ReadTransaction, number: u64) -> Result<Option<Block>, LedgerError> {
    let Some(row) = snapshot.open_table(HEADERS)?.get(number)? else { return Ok(None) };
    let (header, metadata) = row.value();
    assemble(snapshot, number, header, metadata).map(Some)
}

/// The header and metadata of the newest block.
pub(super) fn newest(snapshot: &ReadTransaction) -> Result<Option<(BlockHeader, BlockMetadata)>, LedgerError> {
    let headers = snapshot.open_table(HEADERS)?;
    let Some(row) = headers.range::<u64>(..)?.next_back() else { return Ok(None) };
    let (number, row) = row?;
    let (header, metadata) = row.value();
    decode_header(number.value(), header, metadata).map(Some)
}

/// All blocks in order.
pub(super) fn blocks(
    snapshot: &ReadTransaction,
) -> Result<impl Iterator<Item = Result<Block, LedgerError>>, LedgerError> {
    let rows = snapshot.open_table(HEADERS)?.range::<u64>(..)?;
    Ok(rows.map(|row| {
        let (number, row) = row?;
        let (header, metadata) = row.value();
        assemble(snapshot, number.value(), header, metadata)
    }))
}

/// A byte of the transactions filter.
pub(super) fn code_of(byte: u8) -> Option<TxValidationCode> {
    TxValidationCode::try_from(i32::from(byte)).ok()
}

pub(super) fn damaged(what: impl Into<String>) -> LedgerError {
    LedgerError::Damaged(what.into())
}

fn assemble(snapshot: &ReadTransaction, number: u64, header: &[u8], metadata: &[u8]) -> Result<Block, LedgerError> {
    let (header, metadata) = decode_header(number, header, metadata)?;
    let mut data = Vec::new();
    for row in snapshot.open_table(ENVELOPES)?.range((number, 0)..=(number, u64::MAX))? {
        data.push(row?.1.value().to_vec());
    }
    Ok(Block { header: Some(header), data: Some(BlockData { data }), metadata: Some(metadata) })
}

fn decode_header(number: u64, header: &[u8], metadata: &[u8]) -> Result<(BlockHeader, BlockMetadata), LedgerError> {
    let undecodable = |error| damaged(format!("block {number} cannot be decoded: {error}"));
    Ok((BlockHeader::decode(header).map_err(undecodable)?, BlockMetadata::decode(metadata).map_err(undecodable)?))
}
