//! What a block does to state, history and transaction index.

use std::collections::BTreeSet;

use fabric_protos::kvrwset::Version;
use fabric_protos::protos::{ChaincodeAction, TxValidationCode};
use openssl::sha::Sha256;
use prost::encoding::encode_varint;
use redb::{ReadableTable, WriteTransaction};

use super::block::code_byte;
use super::rwset::{NamespaceSet, decode_read_write_set};
use super::store::{HISTORY, STATE, TRANSACTIONS};
use super::transaction::{Content, event};
use super::validation::Updates;
use super::{CommittedTransaction, LedgerError};

/// What came of a block's transactions.
pub(super) struct Applied {
    pub(super) transactions: Vec<CommittedTransaction>,
    /// Empty for block 0.
    pub(super) commit_hash: Vec<u8>,
}

impl Applied {
    pub(super) fn codes(&self) -> Vec<TxValidationCode> {
        self.transactions.iter().map(|transaction| transaction.code).collect()
    }
}

/// A transaction on its way through the block.
struct Candidate {
    transaction: CommittedTransaction,
    /// `None`: not even the headers can be decoded.
    content: Option<Content>,
    action: Option<ChaincodeAction>,
}

/// Decides the block's transactions in order and writes what the valid ones do.
///
/// `codes` are the results of the checks that come before the ledger's own, one for each envelope.
pub(super) fn apply_block(
    store: &WriteTransaction,
    number: u64,
    envelopes: &[Vec<u8>],
    codes: &[TxValidationCode],
    previous_commit_hash: &[u8],
) -> Result<Applied, LedgerError> {
    let mut candidates: Vec<_> =
        envelopes.iter().zip(codes).map(|(envelope, code)| Candidate::decode(envelope, *code)).collect();
    refuse_duplicates(store, &mut candidates)?;

    let mut updates = Updates::default();
    let mut state = store.open_table(STATE)?;
    let mut history = store.open_table(HISTORY)?;
    let mut transactions = store.open_table(TRANSACTIONS)?;
    for (position, Candidate { transaction, content, action }) in (0..).zip(&mut candidates) {
        if transaction.code == TxValidationCode::Valid {
            match writes_and_reads(content.as_ref(), action.as_ref()) {
                Err(code) => transaction.code = code,
                Ok(sets) => {
                    transaction.code = updates.validate(&state, &sets)?;
                    if transaction.code == TxValidationCode::Valid {
                        for (namespace, key) in written(&sets) {
                            history.insert((namespace, key, number, position), ())?;
                        }
                        updates.apply(&state, sets, Version { block_num: number, tx_num: position })?;
                    }
                }
            }
        }
        let id = transaction.transaction_id.as_str();
        if content.is_some() && transactions.get(id)?.is_none() {
            transactions.insert(id, (number, position, code_byte(transaction.code)))?;
        }
    }
    updates.store(&mut state)?;

    let transactions: Vec<_> = candidates.into_iter().map(|candidate| candidate.transaction).collect();
    let commit_hash = match number {
        0 => Vec::new(),
        _ => commit_hash(&transactions, &updates, previous_commit_hash),
    };
    Ok(Applied { transactions, commit_hash })
}

/// What a committed envelope tells.
pub(super) fn describe(envelope: &[u8], code: TxValidationCode) -> CommittedTransaction {
    Candidate::decode(envelope, code).transaction
}

impl Candidate {
    fn decode(envelope: &[u8], code: TxValidationCode) -> Self {
        let content = Content::decode(envelope);
        let action = content.as_ref().filter(|content| content.is_endorser_transaction()).and_then(Content::action);
        let transaction = CommittedTransaction {
            transaction_id: content.as_ref().map_or(String::new(), |content| content.transaction_id.clone()),
            header_type: content.as_ref().map(|content| content.header_type),
            code,
            event: action.as_ref().and_then(event),
        };
        Self { transaction, content, action }
    }
}

/// The read-write sets of a transaction that passed the earlier checks, or why it cannot count.
fn writes_and_reads(
    content: Option<&Content>,
    action: Option<&ChaincodeAction>,
) -> Result<Vec<NamespaceSet>, TxValidationCode> {
    let content = content.ok_or(TxValidationCode::InvalidOtherReason)?;
    if !content.is_endorser_transaction() {
        return Ok(Vec::new()); // a configuration does nothing to the state
    }
    let action = action.ok_or(TxValidationCode::NilTxaction)?;
    match decode_read_write_set(&action.results) {
        Ok(sets) if sets.iter().all(|set| !set.has_collections) => Ok(sets),
        _ => Err(TxValidationCode::InvalidOtherReason),
    }
}

fn written(sets: &[NamespaceSet]) -> impl Iterator<Item = (&str, &str)> {
    sets.iter().flat_map(|NamespaceSet { namespace, set, .. }| {
        set.writes.iter().map(|write| (namespace.as_str(), write.key.as_str()))
    })
}

/// A transaction id counts once: not if it is in the ledger, and in the block only the first that passed so far.
fn refuse_duplicates(store: &WriteTransaction, candidates: &mut [Candidate]) -> Result<(), LedgerError> {
    let transactions = store.open_table(TRANSACTIONS)?;
    let mut seen = BTreeSet::new();
    for Candidate { transaction, content, .. } in candidates {
        if transaction.code != TxValidationCode::Valid || content.is_none() {
            continue;
        }
        let known = transactions.get(transaction.transaction_id.as_str())?.is_some();
        if known || !seen.insert(transaction.transaction_id.clone()) {
            transaction.code = TxValidationCode::DuplicateTxid;
        }
    }
    Ok(())
}

/// SHA-256(varint n ‖ n codes ‖ updates ‖ previous commit hash).
fn commit_hash(transactions: &[CommittedTransaction], updates: &Updates, previous: &[u8]) -> Vec<u8> {
    let mut count = Vec::new();
    encode_varint(transactions.len() as u64, &mut count);
    let filter: Vec<u8> = transactions.iter().map(|transaction| code_byte(transaction.code)).collect();
    let mut hash = Sha256::new();
    hash.update(&count);
    hash.update(&filter);
    hash.update(&updates.encode());
    hash.update(previous);
    hash.finish().to_vec()
}
