//! Which transactions of a block count.

use fabric_protos::rwset::{CollectionHashedReadWriteSet, NsReadWriteSet, TxReadWriteSet};

use super::*;
use TxValidationCode::{
    DuplicateTxid, EndorsementPolicyFailure, InvalidOtherReason, MvccReadConflict, NilTxaction, PhantomReadConflict,
};

fn value(ledger: &Ledger, key: &str) -> Option<String> {
    ledger.state(CC, key).unwrap().map(|entry| String::from_utf8(entry.value).unwrap())
}

fn increment(ledger: &Ledger, id: &str, key: &str) -> Vec<u8> {
    simulate(ledger, id, |tx| {
        let old = tx.get(CC, key).unwrap().unwrap_or_default();
        tx.put(CC, key, [old.as_slice(), b"+"].concat()).unwrap();
    })
}

fn blind(ledger: &Ledger, id: &str, key: &str, value: &'static str) -> Vec<u8> {
    simulate(ledger, id, |tx| tx.put(CC, key, value.into()).unwrap())
}

fn scan(ledger: &Ledger, id: &str, start: &str, end: &str) -> Vec<u8> {
    simulate(ledger, id, |tx| {
        read_range(tx, start, end);
    })
}

#[test]
fn of_two_read_modify_writes_in_a_block_the_first_counts() {
    let ledger = in_memory();
    put(&ledger, "a", "0");
    let block = vec![increment(&ledger, "t1", "a"), increment(&ledger, "t2", "a")];
    assert_eq!(commit(&ledger, block), [Valid, MvccReadConflict]);
    assert_eq!(value(&ledger, "a").unwrap(), "0+");
}

#[test]
fn a_read_does_not_survive_a_later_block() {
    let ledger = in_memory();
    let stale = increment(&ledger, "stale", "a");
    put(&ledger, "a", "0");
    assert_eq!(commit(&ledger, vec![stale]), [MvccReadConflict]);
    let fresh = increment(&ledger, "fresh", "a");
    assert_eq!(commit(&ledger, vec![fresh]), [Valid]);
}

#[test]
fn a_failed_transaction_is_no_conflict_for_the_next() {
    let ledger = in_memory();
    let block = vec![increment(&ledger, "t1", "a"), increment(&ledger, "t2", "a")];
    let committed = ledger.commit(block, &[EndorsementPolicyFailure, Valid]).unwrap();
    let codes: Vec<_> = committed.transactions.iter().map(|transaction| transaction.code).collect();
    assert_eq!(codes, [EndorsementPolicyFailure, Valid]);
    let entry = ledger.state(CC, "a").unwrap().unwrap();
    assert_eq!(entry.version, Version { block_num: 1, tx_num: 1 }, "the index counts invalid ones");
}

#[test]
fn blind_writes_never_conflict_and_the_later_one_stays() {
    let ledger = in_memory();
    let block = vec![blind(&ledger, "t1", "a", "1"), blind(&ledger, "t2", "a", "2")];
    assert_eq!(commit(&ledger, block), [Valid, Valid]);
    assert_eq!(value(&ledger, "a").unwrap(), "2");
}

#[test]
fn deleting_an_absent_key_conflicts_with_its_readers() {
    let ledger = in_memory();
    let delete = simulate(&ledger, "delete", |tx| tx.delete(CC, "a").unwrap());
    let read = increment(&ledger, "read", "a");
    assert_eq!(commit(&ledger, vec![delete, read]), [Valid, MvccReadConflict]);
}

#[test]
fn relabelling_a_key_conflicts_with_its_readers() {
    let ledger = in_memory();
    put(&ledger, "a", "0");
    let label = simulate(&ledger, "label", |tx| tx.put_metadata(CC, "a", "n", b"m".to_vec()).unwrap());
    let block = vec![label, increment(&ledger, "read", "a"), scan(&ledger, "scan", "", "")];
    assert_eq!(commit(&ledger, block), [Valid, MvccReadConflict, PhantomReadConflict]);
    assert_eq!(value(&ledger, "a").unwrap(), "0");
}

#[test]
fn metadata_after_a_delete_in_the_same_block_have_no_effect() {
    let ledger = in_memory();
    put(&ledger, "a", "0");
    let delete = simulate(&ledger, "delete", |tx| tx.delete(CC, "a").unwrap());
    let label = simulate(&ledger, "label", |tx| tx.put_metadata(CC, "a", "n", b"m".to_vec()).unwrap());
    assert_eq!(commit(&ledger, vec![delete, label]), [Valid, Valid]);
    assert_eq!(value(&ledger, "a"), None);
}

#[test]
fn inserting_into_a_scanned_range_is_a_phantom() {
    let ledger = in_memory();
    put_all(&ledger, ["a", "c"].map(|key| (key.to_owned(), "v")));
    for (round, key) in ["b", "a", "c", "0"].into_iter().enumerate() {
        let insert = blind(&ledger, &format!("insert {round}"), key, "new");
        let scan = scan(&ledger, &format!("scan {round}"), "", "d");
        assert_eq!(commit(&ledger, vec![insert, scan]), [Valid, PhantomReadConflict], "{key}");
    }
    let stale = scan(&ledger, "stale", "", "d");
    put(&ledger, "bb", "new");
    assert_eq!(commit(&ledger, vec![stale]), [PhantomReadConflict]);
}

#[test]
fn deleting_from_a_scanned_range_is_a_phantom() {
    let ledger = in_memory();
    put_all(&ledger, ["a", "b", "c"].map(|key| (key.to_owned(), "v")));
    let delete = simulate(&ledger, "delete", |tx| tx.delete(CC, "c").unwrap());
    assert_eq!(commit(&ledger, vec![delete, scan(&ledger, "scan", "", "")]), [Valid, PhantomReadConflict]);
    let absent = simulate(&ledger, "absent", |tx| tx.delete(CC, "bb").unwrap());
    let block = vec![absent, scan(&ledger, "scan again", "", "")];
    assert_eq!(commit(&ledger, block), [Valid, Valid], "nothing changed in the range");
}

#[test]
fn what_lies_outside_a_range_is_no_phantom() {
    let ledger = in_memory();
    put_all(&ledger, ["b", "c"].map(|key| (key.to_owned(), "v")));
    let block = vec![
        blind(&ledger, "before", "a", "new"),
        blind(&ledger, "at the end", "d", "new"),
        simulate(&ledger, "elsewhere", |tx| tx.put("other", "b", b"v".to_vec()).unwrap()),
        scan(&ledger, "scan", "b", "d"),
    ];
    assert_eq!(commit(&ledger, block), [Valid; 4]);
}

#[test]
fn the_hundred_and_first_key_is_covered_and_the_next_is_not() {
    let ledger = in_memory();
    put_all(&ledger, numbered(150));
    let glance = |id: &str| {
        simulate(&ledger, id, |tx| {
            let query = tx.open_range(CC, "", "").unwrap();
            tx.next_batch(query).unwrap();
        })
    };
    let block = vec![blind(&ledger, "k101", "k00101", "new"), glance("t1")];
    assert_eq!(commit(&ledger, block), [Valid, Valid]);
    let block = vec![blind(&ledger, "k100", "k00100", "new"), glance("t2")];
    assert_eq!(commit(&ledger, block), [Valid, PhantomReadConflict]);
}

#[test]
fn a_hashed_range_finds_each_change() {
    let ledger = in_memory();
    put_all(&ledger, numbered(2700));
    let scanned = |id: &str| scan(&ledger, id, "", "");
    assert_eq!(commit(&ledger, vec![scanned("unchanged")]), [Valid]);
    for (round, key) in ["k00000", "k01300", "k02699", "k9"].into_iter().enumerate() {
        let change = blind(&ledger, &format!("change {round}"), key, "new");
        let block = vec![change, scanned(&format!("scan {round}"))];
        assert_eq!(commit(&ledger, block), [Valid, PhantomReadConflict], "{key}");
    }
    let delete = simulate(&ledger, "delete", |tx| tx.delete(CC, "k01300").unwrap());
    assert_eq!(commit(&ledger, vec![delete, scanned("last")]), [Valid, PhantomReadConflict]);
}

#[test]
fn reads_are_looked_at_before_ranges_and_namespaces_by_name() {
    let ledger = in_memory();
    let both = simulate(&ledger, "both", |tx| {
        read_range(tx, "", "");
        tx.get(CC, "a").unwrap();
    });
    let other_first = simulate(&ledger, "other first", |tx| {
        let query = tx.open_range("aaa", "", "").unwrap();
        tx.next_batch(query).unwrap();
        tx.get(CC, "a").unwrap();
    });
    let write = simulate(&ledger, "write", |tx| {
        tx.put("aaa", "x", b"1".to_vec()).unwrap();
        tx.put(CC, "a", b"1".to_vec()).unwrap();
    });
    assert_eq!(commit(&ledger, vec![write, both, other_first]), [Valid, MvccReadConflict, PhantomReadConflict]);
}

#[test]
fn an_upgrade_in_flight_is_a_conflict() {
    let ledger = in_memory();
    let call = simulate(&ledger, "call", |tx| tx.read_definition(CC).unwrap());
    let upgrade = simulate(&ledger, "upgrade", |tx| tx.put(LIFECYCLE, &sequence_key(CC), vec![2]).unwrap());
    assert_eq!(commit(&ledger, vec![upgrade, call]), [Valid, MvccReadConflict]);
}

#[test]
fn a_transaction_id_counts_once() {
    let ledger = in_memory();
    let twice = blind(&ledger, "twice", "a", "1");
    assert_eq!(commit(&ledger, vec![twice.clone(), twice.clone()]), [Valid, DuplicateTxid]);
    assert_eq!(commit(&ledger, vec![twice]), [DuplicateTxid]);
    let first = TransactionLocation { block: 1, position: 0, code: Valid };
    assert_eq!(ledger.transaction_location("twice").unwrap(), Some(first));
    let found = ledger.transaction("twice").unwrap().unwrap();
    assert_eq!(found.validation_code, Valid as i32);
}

#[test]
fn an_invalid_transaction_takes_its_id_too() {
    let ledger = in_memory();
    let refused = blind(&ledger, "t", "a", "1");
    ledger.commit(vec![refused.clone()], &[EndorsementPolicyFailure]).unwrap();
    assert_eq!(commit(&ledger, vec![refused]), [DuplicateTxid]);
    assert_eq!(ledger.transaction_location("t").unwrap().unwrap().code, EndorsementPolicyFailure);
}

#[test]
fn in_a_block_an_id_is_free_after_one_that_did_not_pass() {
    let ledger = in_memory();
    let envelope = blind(&ledger, "t", "a", "1");
    let block = ledger.commit(vec![envelope.clone(), envelope], &[EndorsementPolicyFailure, Valid]).unwrap();
    assert_eq!(block.transactions[1].code, Valid);
    assert_eq!(ledger.transaction_location("t").unwrap().unwrap().code, EndorsementPolicyFailure);
}

#[test]
fn what_cannot_be_decoded_does_not_count() {
    let ledger = in_memory();
    let private = TxReadWriteSet {
        data_model: 0,
        ns_rwset: vec![NsReadWriteSet {
            namespace: CC.into(),
            rwset: Vec::new(),
            collection_hashed_rwset: vec![CollectionHashedReadWriteSet::default()],
        }],
    };
    let block = vec![
        b"garbage".to_vec(),
        b"garbage".to_vec(),
        envelope(HeaderType::EndorserTransaction, "no action", Vec::new()),
        transaction("bad set", b"garbage".to_vec()),
        transaction("private", private.encode_to_vec()),
    ];
    let expected = [InvalidOtherReason, InvalidOtherReason, NilTxaction, InvalidOtherReason, InvalidOtherReason];
    assert_eq!(commit(&ledger, block), expected);
    assert_eq!(ledger.transaction_location("").unwrap(), None);
    ledger.verify_chain(&signed_by_orderer).unwrap();
}

#[test]
fn each_envelope_needs_a_code() {
    let ledger = in_memory();
    let envelope = blind(&ledger, "t", "a", "1");
    let error = ledger.commit(vec![envelope], &[]).unwrap_err();
    assert!(matches!(error, LedgerError::CodesMissing { envelopes: 1, codes: 0 }));
    assert_eq!(ledger.height(), 1);
}
