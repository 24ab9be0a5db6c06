//! Verification of a whole chain, by its hashes and signatures and by replaying it.

use fabric_protos::common::Block;
use fabric_protos::protos::TxValidationCode;
use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction};

use super::block::{
    SignatureCheck, commit_hash, data_hash, genesis_metadata, header_hash, signature_holds, transactions_filter,
};
use super::commit::apply_block;
use super::read::{blocks, code_of, damaged};
use super::store::{self, BLOCK_NUMBERS, HISTORY, STATE, TRANSACTIONS};
use super::{LedgerError, Verification};

/// Goes through all blocks of a snapshot, applies them to an empty store and compares.
pub(super) fn verify(snapshot: &ReadTransaction, verify: &SignatureCheck) -> Result<Verification, LedgerError> {
    let replay = store::in_memory()?;
    let replay = replay.begin_write()?;
    store::create_tables(&replay)?;
    let numbers = snapshot.open_table(BLOCK_NUMBERS)?;

    let mut verification = Verification { blocks: 0, transactions: 0 };
    let mut previous = Tip { header_hash: Vec::new(), commit_hash: Vec::new() };
    for block in blocks(snapshot)? {
        let block = block?;
        let number = verification.blocks;
        verification.transactions += envelopes(&block).len() as u64;
        previous = check_block(&block, number, previous, verify, &replay)
            .map_err(|error| damaged(format!("block {number}: {error}")))?;
        if numbers.get(previous.header_hash.as_slice())?.map(|found| found.value()) != Some(number) {
            return Err(damaged(format!("block {number} is not found by its hash")));
        }
        verification.blocks += 1;
    }
    same_rows(snapshot, &replay, STATE, "state")?;
    same_rows(snapshot, &replay, HISTORY, "history")?;
    same_rows(snapshot, &replay, TRANSACTIONS, "transaction index")?;
    Ok(verification)
}

struct Tip {
    header_hash: Vec<u8>,
    commit_hash: Vec<u8>,
}

fn check_block(
    block: &Block,
    number: u64,
    previous: Tip,
    verify: &SignatureCheck,
    replay: &WriteTransaction,
) -> Result<Tip, String> {
    let header = block.header.as_ref().ok_or("it has no header")?;
    let metadata = block.metadata.as_ref().ok_or("it has no metadata")?;
    let envelopes = envelopes(block);
    let demand = |holds: bool, otherwise: &str| if holds { Ok(()) } else { Err(otherwise.to_owned()) };
    demand(header.number == number, "its number does not follow")?;
    demand(header.previous_hash == previous.header_hash, "its previous hash is not the hash of the block before")?;
    demand(header.data_hash == data_hash(envelopes), "its data hash is not the hash of its envelopes")?;
    match number {
        0 => demand(*metadata == genesis_metadata(), "its metadata are not those of a first block")?,
        _ => demand(signature_holds(header, metadata, verify), "the orderer's signature does not hold")?,
    }

    let filter = transactions_filter(metadata);
    demand(filter.len() == envelopes.len(), "it has not one validation code for each envelope")?;
    let recorded = filter.iter().map(|byte| code_of(*byte)).collect::<Option<Vec<_>>>();
    let recorded = recorded.ok_or("it has an unknown validation code")?;
    let handed_in: Vec<_> = recorded.iter().map(|code| before_the_ledger(*code)).collect();
    let applied =
        apply_block(replay, number, envelopes, &handed_in, &previous.commit_hash).map_err(|error| error.to_string())?;
    demand(applied.codes() == recorded, "replaying it gives other validation codes")?;
    let commit_hash = commit_hash(metadata).ok_or("it has no commit hash")?;
    demand(commit_hash == applied.commit_hash, "replaying it gives another commit hash")?;
    Ok(Tip { header_hash: header_hash(header).to_vec(), commit_hash })
}

/// Those codes that the ledger itself finds are to be found again.
fn before_the_ledger(code: TxValidationCode) -> TxValidationCode {
    match code {
        TxValidationCode::MvccReadConflict | TxValidationCode::PhantomReadConflict => TxValidationCode::Valid,
        other => other,
    }
}

fn envelopes(block: &Block) -> &[Vec<u8>] {
    block.data.as_ref().map_or(&[], |data| data.data.as_slice())
}

fn same_rows<K: Key, V: Value>(
    stored: &ReadTransaction,
    replayed: &WriteTransaction,
    table: TableDefinition<K, V>,
    name: &str,
) -> Result<(), LedgerError> {
    let stored: ReadOnlyTable<K, V> = stored.open_table(table)?;
    let replayed = replayed.open_table(table)?;
    let mut expected = replayed.iter()?;
    for row in stored.iter()? {
        let (key, value) = row?;
        let same = match expected.next() {
            None => false,
            Some(row) => {
                let (expected_key, expected_value) = row?;
                K::as_bytes(&key.value()).as_ref() == K::as_bytes(&expected_key.value()).as_ref()
                    && V::as_bytes(&value.value()).as_ref() == V::as_bytes(&expected_value.value()).as_ref()
            }
        };
        if !same {
            return Err(damaged(format!("the {name} is not what the blocks make of it")));
        }
    }
    match expected.next() {
        None => Ok(()),
        Some(_) => Err(damaged(format!("the {name} lacks what the blocks make of it"))),
    }
}
