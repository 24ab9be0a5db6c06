//! What a proposal sees and what it leaves in its read-write set.

use super::*;

fn version(block_num: u64, tx_num: u64) -> Option<Version> {
    Some(Version { block_num, tx_num })
}

#[test]
fn reads_never_see_the_own_writes() {
    let ledger = in_memory();
    put(&ledger, "a", "old");
    let mut tx = ledger.simulate("t").unwrap();
    tx.put(CC, "a", b"new".to_vec()).unwrap();
    tx.put(CC, "b", b"new".to_vec()).unwrap();
    assert_eq!(tx.get(CC, "a").unwrap(), Some(b"old".to_vec()));
    assert_eq!(tx.get(CC, "b").unwrap(), None);
    tx.delete(CC, "a").unwrap();
    assert_eq!(tx.get_multiple(CC, &["a".into(), "b".into()]).unwrap(), [Some(b"old".to_vec()), None]);
    assert_eq!(read_range(&mut tx, "", ""), [1]);
}

#[test]
fn a_proposal_stays_on_its_snapshot_while_blocks_are_committed() {
    let ledger = in_memory();
    put(&ledger, "a", "old");
    let mut tx = ledger.simulate("t").unwrap();
    let query = tx.open_range(CC, "", "").unwrap();
    put_all(&ledger, [("a".into(), "new"), ("b".into(), "new")]);
    assert_eq!(tx.get(CC, "a").unwrap(), Some(b"old".to_vec()));
    assert_eq!(tx.next_batch(query).unwrap().results.len(), 1);
    assert_eq!(ledger.state(CC, "a").unwrap().unwrap().value, b"new");
}

#[test]
fn reading_twice_is_recorded_once_and_the_last_write_counts() {
    let ledger = in_memory();
    put(&ledger, "a", "old");
    let mut tx = ledger.simulate("t").unwrap();
    for key in ["z", "a", "z", "a"] {
        tx.get(CC, key).unwrap();
    }
    tx.put(CC, "w", b"1".to_vec()).unwrap();
    tx.put(CC, "w", b"2".to_vec()).unwrap();
    let set = recorded(tx);
    let reads: Vec<_> = set.reads.iter().map(|read| (read.key.as_str(), read.version)).collect();
    assert_eq!(reads, [("a", version(1, 0)), ("z", None)]);
    assert_eq!(set.writes.iter().map(|write| write.value.as_slice()).collect::<Vec<_>>(), [b"2"]);
}

#[test]
fn each_call_reads_the_sequence_of_its_chaincode() {
    let ledger = in_memory();
    let mut tx = ledger.simulate("t").unwrap();
    tx.read_definition(CC).unwrap();
    let result = tx.finish().unwrap();
    let sets = decode_read_write_set(&result.read_write_set).unwrap();
    assert_eq!(sets[0].namespace, "_lifecycle");
    assert_eq!(sets[0].set.reads[0].key, "namespaces/fields/records/Sequence");
    assert_eq!(result.namespaces.keys().collect::<Vec<_>>(), ["_lifecycle"]);
}

#[test]
fn a_range_is_open_at_its_end_and_keeps_to_its_namespace() {
    let ledger = in_memory();
    put_all(&ledger, ["a", "b", "c"].map(|key| (key.to_owned(), "v")));
    let other = simulate(&ledger, "other", |tx| {
        tx.put("recordsX", "b", b"v".to_vec()).unwrap();
        tx.put("record", "b", b"v".to_vec()).unwrap();
    });
    assert_eq!(commit(&ledger, vec![other]), [Valid]);
    let mut tx = ledger.simulate("t").unwrap();
    for (start, end) in [("a", "c"), ("b", ""), ("", "b"), ("c", "a"), ("x", "")] {
        read_range(&mut tx, start, end);
    }
    let set = recorded(tx);
    let keys: Vec<_> = set.range_queries_info.iter().map(raw_keys).collect();
    assert_eq!(keys, [vec!["a", "b"], vec!["b", "c"], vec!["a"], vec![], vec![]]);
    assert!(set.range_queries_info.iter().all(|range| range.itr_exhausted));
    assert_eq!(set.range_queries_info[0].end_key, "c");
    assert!(set.reads.is_empty());
}

#[test]
fn looking_at_one_result_covers_a_hundred_and_one_keys() {
    let ledger = in_memory();
    put_all(&ledger, numbered(250));
    let mut tx = ledger.simulate("t").unwrap();
    let query = tx.open_range(CC, "", "").unwrap();
    let batch = tx.next_batch(query).unwrap();
    assert_eq!((batch.results.len(), batch.has_more), (100, true));
    tx.close_query(query);
    let range = &recorded(tx).range_queries_info[0];
    assert_eq!((range.end_key.as_str(), range.itr_exhausted), ("k00100", false));
}

#[test]
fn batches_hold_a_hundred_and_the_last_one_says_so() {
    let ledger = in_memory();
    put_all(&ledger, numbered(250));
    let mut tx = ledger.simulate("t").unwrap();
    assert_eq!(read_range(&mut tx, "", ""), [100, 100, 50]);
    assert_eq!(read_range(&mut tx, "k00050", "k00150"), [100]);
    assert_eq!(read_range(&mut tx, "k00049", "k00150"), [100, 1]);
    let set = recorded(tx);
    assert!(set.range_queries_info.iter().all(|range| range.itr_exhausted));
}

#[test]
fn equal_ranges_are_recorded_once_in_the_order_of_opening() {
    let ledger = in_memory();
    put_all(&ledger, numbered(3));
    let mut tx = ledger.simulate("t").unwrap();
    read_range(&mut tx, "k00001", "");
    read_range(&mut tx, "", "");
    read_range(&mut tx, "k00001", "");
    let starts: Vec<_> = recorded(tx).range_queries_info.into_iter().map(|range| range.start_key).collect();
    assert_eq!(starts, ["k00001", ""]);
}

#[test]
fn fifty_keys_stay_raw_and_fifty_one_become_a_merkle_summary() {
    let ledger = in_memory();
    put_all(&ledger, numbered(51));
    let mut tx = ledger.simulate("t").unwrap();
    read_range(&mut tx, "", "k00050");
    read_range(&mut tx, "", "");
    let ranges = recorded(tx).range_queries_info;
    assert_eq!(raw_keys(&ranges[0]).len(), 50);
    assert!(matches!(&ranges[1].reads_info, Some(ReadsInfo::ReadsMerkleHashes(summary)) if summary.max_level == 1));
}

#[test]
fn a_range_of_51_keys_has_fabrics_hash() {
    let ledger = in_memory();
    for block in 0..6 {
        let keys = numbered(51).skip(block * 10).take(10).map(|(key, _)| key);
        let envelopes = keys.map(|key| simulate(&ledger, &key, |tx| tx.put(CC, &key, b"v".to_vec()).unwrap()));
        commit(&ledger, envelopes.collect());
    }
    let mut tx = ledger.simulate("t").unwrap();
    read_range(&mut tx, "", "");
    let ranges = recorded(tx).range_queries_info;
    let Some(ReadsInfo::ReadsMerkleHashes(summary)) = &ranges[0].reads_info else { panic!("not hashed") };
    assert!(hex::encode(&summary.max_level_hashes[0]).starts_with("c8d77adbcd07"));
}

#[test]
fn pages_of_51_of_102_keys_have_the_next_key_as_bookmark() {
    let ledger = in_memory();
    put_all(&ledger, numbered(102));
    let mut tx = ledger.simulate("t").unwrap();
    let first = tx.page(CC, "", "", 51, "").unwrap();
    assert_eq!((first.results.len(), first.bookmark.as_str()), (51, "k00051"));
    let second = tx.page(CC, "", "", 51, &first.bookmark).unwrap();
    assert_eq!((second.results.len(), second.bookmark.as_str()), (51, ""));
    let ranges = recorded(tx).range_queries_info;
    let ends: Vec<_> = ranges.iter().map(|range| (range.end_key.as_str(), range.itr_exhausted)).collect();
    assert_eq!(ends, [("k00050", false), ("k00101", false)]);
}

#[test]
fn a_page_that_is_not_full_has_reached_the_end() {
    let ledger = in_memory();
    put_all(&ledger, numbered(5));
    let mut tx = ledger.simulate("t").unwrap();
    let page = tx.page(CC, "", "k00003", 4, "").unwrap();
    assert_eq!((page.results.len(), page.bookmark.as_str()), (3, ""));
    assert_eq!(tx.page(CC, "", "", 0, "k00002").unwrap().results.len(), 3);
    let ranges = recorded(tx).range_queries_info;
    assert_eq!((ranges[0].end_key.as_str(), ranges[0].itr_exhausted), ("k00003", true));
    assert_eq!(ranges[1].start_key, "k00002");
}

#[test]
fn pages_and_writes_exclude_each_other() {
    let ledger = in_memory();
    let mut tx = ledger.simulate("T").unwrap();
    tx.page(CC, "", "", 10, "").unwrap();
    let late = "txid [T]: unsuppored transaction. Transaction has already performed a paginated query. Writes are not \
                allowed";
    assert_eq!(tx.put(CC, "a", b"1".to_vec()).unwrap_err().to_string(), late);
    assert_eq!(tx.delete(CC, "a").unwrap_err().to_string(), late);
    assert_eq!(tx.put_metadata(CC, "a", "n", b"1".to_vec()).unwrap_err().to_string(), late);

    let mut tx = ledger.simulate("T").unwrap();
    tx.put(CC, "a", b"1".to_vec()).unwrap();
    let early = "txid [T]: unsuppored transaction. Paginated queries are supported only in a read-only transaction";
    assert_eq!(tx.page(CC, "", "", 10, "").unwrap_err().to_string(), early);
    assert_eq!(read_range(&mut tx, "", ""), [0], "an ordinary range goes with writes");
}

#[test]
fn an_unknown_query_has_no_next_batch_but_may_be_closed() {
    let ledger = in_memory();
    let mut tx = ledger.simulate("t").unwrap();
    let query = tx.open_range(CC, "", "").unwrap();
    assert_eq!(query.to_string().parse::<QueryId>().unwrap(), query);
    tx.close_query(query);
    tx.close_query(query);
    assert_eq!(tx.next_batch(query).unwrap_err().to_string(), "query iterator not found");
    assert!("nonsense".parse::<QueryId>().is_err());
}

#[test]
fn putting_an_empty_value_deletes() {
    let ledger = in_memory();
    put(&ledger, "a", "1");
    put(&ledger, "a", "");
    assert_eq!(ledger.state(CC, "a").unwrap(), None);
    let mut tx = ledger.simulate("t").unwrap();
    assert_eq!(tx.get(CC, "a").unwrap(), None);
    let query = tx.open_history(CC, "a").unwrap();
    let batch = tx.next_batch(query).unwrap();
    let [QueryResult::History(newest), QueryResult::History(oldest)] = batch.results.as_slice() else {
        panic!("{batch:?}")
    };
    assert!(newest.is_delete && !oldest.is_delete);
}

#[test]
fn history_is_newest_first_with_the_headers_time_and_leaves_no_reads() {
    let ledger = in_memory();
    put(&ledger, "a", "1");
    put(&ledger, "ab", "other key");
    put(&ledger, "a", "2");
    let mut tx = ledger.simulate("t").unwrap();
    let query = tx.open_history(CC, "a").unwrap();
    let batch = tx.next_batch(query).unwrap();
    let values: Vec<_> = batch
        .results
        .iter()
        .map(|result| match result {
            QueryResult::History(item) => (item.tx_id.as_str(), item.value.as_slice(), item.timestamp.unwrap().seconds),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(values, [("put 3", &b"2"[..], 1000), ("put 1", &b"1"[..], 1000)]);
    assert!(!batch.has_more);
    assert!(tx.finish().unwrap().read_write_set.is_empty());
}

#[test]
fn history_holds_valid_transactions_only_and_no_metadata() {
    let ledger = in_memory();
    put(&ledger, "a", "1");
    let refused = simulate(&ledger, "refused", |tx| tx.put(CC, "a", b"2".to_vec()).unwrap());
    ledger.commit(vec![refused], &[TxValidationCode::EndorsementPolicyFailure]).unwrap();
    let relabelled = simulate(&ledger, "metadata", |tx| tx.put_metadata(CC, "a", "n", b"m".to_vec()).unwrap());
    assert_eq!(commit(&ledger, vec![relabelled]), [Valid]);
    let mut tx = ledger.simulate("t").unwrap();
    let query = tx.open_history(CC, "a").unwrap();
    assert_eq!(tx.next_batch(query).unwrap().results.len(), 1);
}

#[test]
fn metadata_belong_to_the_key_and_reading_them_is_a_read() {
    let ledger = in_memory();
    put(&ledger, "a", "1");
    let labelled = simulate(&ledger, "label", |tx| {
        tx.put_metadata(CC, "a", VALIDATION_PARAMETER, b"policy".to_vec()).unwrap();
        tx.put_metadata(CC, "absent", VALIDATION_PARAMETER, b"policy".to_vec()).unwrap();
    });
    assert_eq!(commit(&ledger, vec![labelled]), [Valid]);
    assert_eq!(ledger.state(CC, "absent").unwrap(), None, "metadata of an absent key have no effect");
    let entry = ledger.state(CC, "a").unwrap().unwrap();
    assert_eq!((entry.value.as_slice(), Some(entry.version)), (&b"1"[..], version(2, 0)));

    let mut tx = ledger.simulate("t").unwrap();
    assert_eq!(tx.metadata(CC, "a").unwrap()[0].value, b"policy");
    assert!(tx.metadata(CC, "absent").unwrap().is_empty());
    tx.put(CC, "a", b"2".to_vec()).unwrap();
    tx.put(CC, "b", b"2".to_vec()).unwrap();
    let result = tx.finish().unwrap();
    let keys = &result.namespaces[CC].written_keys;
    assert_eq!(keys["a"].as_deref(), Some(&b"policy"[..]));
    assert_eq!(keys["b"], None);
    let set = &decode_read_write_set(&result.read_write_set).unwrap()[0].set;
    assert_eq!(set.reads.iter().map(|read| read.version).collect::<Vec<_>>(), [version(2, 0), None]);
}

#[test]
fn a_value_write_keeps_metadata_and_a_delete_removes_them() {
    let ledger = in_memory();
    let both = simulate(&ledger, "both", |tx| {
        tx.put(CC, "a", b"1".to_vec()).unwrap();
        tx.put_metadata(CC, "a", "n", b"m".to_vec()).unwrap();
    });
    assert_eq!(commit(&ledger, vec![both]), [Valid]);
    put(&ledger, "a", "2");
    assert_eq!(ledger.state(CC, "a").unwrap().unwrap().metadata[0].value, b"m");
    let delete = simulate(&ledger, "delete", |tx| {
        tx.delete(CC, "a").unwrap();
        tx.put_metadata(CC, "a", "n", b"m2".to_vec()).unwrap();
    });
    assert_eq!(commit(&ledger, vec![delete]), [Valid]);
    assert_eq!(ledger.state(CC, "a").unwrap(), None);
    put(&ledger, "a", "3");
    assert!(ledger.state(CC, "a").unwrap().unwrap().metadata.is_empty());
}

#[test]
fn a_simulator_can_be_held_across_threads() {
    fn assert_send<T: Send>(_: &T) {}
    fn assert_shareable<T: Send + Sync>(_: &T) {}
    let ledger = in_memory();
    assert_shareable(&ledger);
    assert_send(&ledger.simulate("t").unwrap());
}
