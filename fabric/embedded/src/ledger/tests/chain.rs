//! Blocks, their chain, and the ledger as it is found again.

use fabric_protos::common::{LastConfig, Metadata, OrdererBlockMetadata};
use redb::ReadableTable;

use super::*;

fn header(block: &Block) -> &BlockHeader {
    block.header.as_ref().unwrap()
}

fn metadata(block: &Block) -> &[Vec<u8>] {
    &block.metadata.as_ref().unwrap().metadata
}

fn some_blocks(ledger: &Ledger) {
    put(ledger, "a", "1");
    let block = ["t1", "t2"].map(|id| {
        simulate(ledger, id, |tx| {
            tx.get(CC, "a").unwrap();
            tx.put(CC, "a", id.into()).unwrap();
        })
    });
    commit(ledger, block.into());
}

#[test]
fn each_block_names_the_hash_of_the_one_before() {
    let ledger = in_memory();
    some_blocks(&ledger);
    let blocks: Vec<_> = (0..3).map(|number| ledger.block(number).unwrap().unwrap()).collect();
    assert!(header(&blocks[0]).previous_hash.is_empty());
    for pair in blocks.windows(2) {
        assert_eq!(header(&pair[1]).previous_hash, header_hash(header(&pair[0])));
    }
    for (number, block) in (0..).zip(&blocks) {
        assert_eq!(header(block).data_hash, sha256(&block.data.as_ref().unwrap().data.concat()));
        assert_eq!(ledger.block_number_by_hash(&header_hash(header(block))).unwrap(), Some(number));
    }
    assert_eq!(ledger.block(3).unwrap(), None);
    assert_eq!(ledger.block_number_by_hash(b"unknown").unwrap(), None);
    let info = ledger.info().unwrap();
    assert_eq!((info.height, ledger.height()), (3, 3));
    assert_eq!(info.current_block_hash, header_hash(header(&blocks[2])));
    assert_eq!(info.previous_block_hash, header_hash(header(&blocks[1])));
}

#[test]
fn metadata_are_signed_and_name_the_last_configuration() {
    let ledger = in_memory();
    some_blocks(&ledger);
    let block = ledger.block(2).unwrap().unwrap();
    let entries = metadata(&block);
    assert_eq!(entries.len(), 5);
    let signatures = Metadata::decode(entries[0].as_slice()).unwrap();
    let orderer = OrdererBlockMetadata::decode(signatures.value.as_slice()).unwrap();
    assert_eq!(orderer.last_config, Some(LastConfig { index: 0 }));
    assert_eq!(signatures.signatures.len(), 1);
    assert_eq!(entries[1..4], [vec![], vec![0, 11], vec![]]);
    assert_eq!(Metadata::decode(entries[4].as_slice()).unwrap().value.len(), 32);
}

#[test]
fn the_commit_hash_is_over_codes_updates_and_the_hash_before() {
    let ledger = in_memory();
    some_blocks(&ledger);
    let hash = |number: u64| {
        let block = ledger.block(number).unwrap().unwrap();
        Metadata::decode(metadata(&block)[4].as_slice()).unwrap().value
    };
    // Updates{KVWrite{1 "records", 3 "a", 5 value, 6 version}}
    let codes = vec![1, 0];
    let update = b"\x0a\x14\x0a\x07records\x1a\x01a\x2a\x011\x32\x03\x01\x01\x00".to_vec();
    assert_eq!(hash(1), sha256(&[codes, update].concat()));
    let codes = vec![2, 0, 11];
    let update = b"\x0a\x15\x0a\x07records\x1a\x01a\x2a\x02t1\x32\x03\x01\x02\x00".to_vec();
    assert_eq!(hash(2), sha256(&[codes, update, hash(1)].concat()));
}

#[test]
fn subscribers_learn_of_blocks_that_can_be_read() {
    let ledger = in_memory();
    let mut heights = ledger.subscribe();
    some_blocks(&ledger);
    assert!(heights.has_changed().unwrap());
    assert_eq!(*heights.borrow_and_update(), 3);
    let block = ledger.committed_block(2).unwrap().unwrap();
    let events: Vec<_> = block.transactions.iter().map(|tx| tx.event.clone().unwrap().event_name).collect();
    assert_eq!(events, ["event of t1", "event of t2"], "an invalid transaction's event is told, too");
    assert_eq!(block.transactions[1].code, TxValidationCode::MvccReadConflict);
}

#[test]
fn a_committed_block_reads_back_as_it_was_told() {
    let ledger = in_memory();
    some_blocks(&ledger);
    let envelope = simulate(&ledger, "t3", |tx| tx.put(CC, "b", b"1".to_vec()).unwrap());
    let told = ledger.commit(vec![envelope, b"garbage".to_vec()], &[Valid, TxValidationCode::BadPayload]).unwrap();
    put(&ledger, "c", "1");
    assert_eq!(*ledger.committed_block(3).unwrap().unwrap(), *told);
    assert_eq!(ledger.committed_block(9).unwrap(), None);
    assert_eq!(told.transactions[1].header_type, None);
}

#[test]
fn an_envelope_without_id_is_found_by_the_computed_one() {
    let ledger = in_memory();
    commit(&ledger, vec![envelope(HeaderType::Config, "", Vec::new())]);
    let id = "709184f9d24f6ade8fcd4bfb521d77db3a9ec7af3a6e6acfd7dbc8b2f53eec4b";
    let found = ledger.committed_block(1).unwrap().unwrap().transactions[0].transaction_id.clone();
    assert_eq!(found[..16], id[..16]);
    assert!(ledger.transaction_location(&found).unwrap().is_some());
}

#[test]
fn reopening_finds_the_same_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().join("new/ledger"));
    let ledger = open(&storage);
    some_blocks(&ledger);
    let before = (ledger.info().unwrap(), ledger.state(CC, "a").unwrap(), ledger.block(2).unwrap());
    drop(ledger);

    let ledger = Ledger::open(&storage, Arc::new(Orderer), || panic!("it has a block 0")).unwrap();
    let after = (ledger.info().unwrap(), ledger.state(CC, "a").unwrap(), ledger.block(2).unwrap());
    assert_eq!(before, after);
    put(&ledger, "a", "3");
    let verification = ledger.verify_chain(&signed_by_orderer).unwrap();
    assert_eq!(verification, Verification { blocks: 4, transactions: 5 });
}

#[test]
fn a_folder_in_use_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().into());
    let _ledger = open(&storage);
    let error = Ledger::open(&storage, Arc::new(Orderer), Vec::new).err().unwrap();
    assert!(matches!(error, LedgerError::InUse(_)), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let storage = Storage::Folder(file.path().join("below a file"));
    let error = Ledger::open(&storage, Arc::new(Orderer), Vec::new).err().unwrap();
    assert!(matches!(error, LedgerError::Folder { .. }), "{error}");
}

#[test]
fn a_block_that_cannot_be_signed_leaves_no_trace() {
    struct Refusing;
    impl BlockSigner for Refusing {
        fn creator(&self) -> Vec<u8> {
            b"orderer".to_vec()
        }
        fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, String> {
            Err("the key is locked".into())
        }
    }
    let genesis = || envelope(HeaderType::Config, "genesis", Vec::new());
    let ledger = Ledger::open(&Storage::Memory, Arc::new(Refusing), genesis).unwrap();
    let envelope = simulate(&ledger, "t", |tx| tx.put(CC, "a", b"1".to_vec()).unwrap());
    let error = ledger.commit(vec![envelope], &[Valid]).unwrap_err().to_string();
    assert!(error.contains("the key is locked"), "{error}");
    assert_eq!((ledger.height(), ledger.state(CC, "a").unwrap()), (1, None));
    assert_eq!(ledger.transaction_location("t").unwrap(), None);
}

#[test]
fn a_file_that_is_no_ledger_is_refused_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ledger.redb"), [b'x'; 9000]).unwrap();
    let error = Ledger::open(&Storage::Folder(folder.path().into()), Arc::new(Orderer), Vec::new).err().unwrap();
    assert!(matches!(error, LedgerError::Damaged(_)), "{error}");
}

#[test]
fn readers_beside_commits_never_see_half_a_block() {
    let ledger = in_memory();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut tx = ledger.simulate("reader").unwrap();
                    let (a, b) = (tx.get(CC, "a").unwrap(), tx.get(CC, "b").unwrap());
                    assert_eq!(a, b, "both are written by the same block");
                }
            });
        }
        for block in 0..50 {
            let both = ["a", "b"].map(|key| {
                simulate(&ledger, &format!("{block} {key}"), |tx| {
                    tx.put(CC, key, format!("{block}").into_bytes()).unwrap();
                })
            });
            assert_eq!(commit(&ledger, both.into()), [Valid, Valid]);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Changes the store behind the ledger's back and asks for the verdict.
fn verdict_after(tamper: impl FnOnce(&WriteTransaction)) -> String {
    let ledger = in_memory();
    some_blocks(&ledger);
    ledger.verify_chain(&signed_by_orderer).unwrap();
    let transaction = ledger.store.database.begin_write().unwrap();
    tamper(&transaction);
    transaction.commit().unwrap();
    ledger.verify_chain(&signed_by_orderer).unwrap_err().to_string()
}

#[test]
fn verification_finds_a_changed_envelope() {
    let error = verdict_after(|store| {
        let mut envelopes = store.open_table(store::ENVELOPES).unwrap();
        envelopes.insert((1, 0), envelope(HeaderType::Config, "other", Vec::new()).as_slice()).unwrap();
    });
    assert!(error.contains("block 1: its data hash"), "{error}");
}

#[test]
fn verification_finds_a_forged_state() {
    let error = verdict_after(|store| {
        let mut state = store.open_table(store::STATE).unwrap();
        state.insert((CC, "a"), (2, 0, &[][..], &b"forged"[..])).unwrap();
    });
    assert!(error.contains("the state is not what the blocks make of it"), "{error}");
}

#[test]
fn verification_finds_a_lost_history_and_a_lost_index() {
    let error = verdict_after(|store| {
        store.open_table(store::HISTORY).unwrap().remove((CC, "a", 2, 0)).unwrap();
    });
    assert!(error.contains("the history lacks"), "{error}");
    let error = verdict_after(|store| {
        store.open_table(store::TRANSACTIONS).unwrap().remove("t2").unwrap();
    });
    assert!(error.contains("the transaction index lacks"), "{error}");
}

/// Rewrites a metadata entry of block 2.
fn verdict_with_metadata(entry: usize, bytes: Vec<u8>) -> String {
    verdict_after(|store| {
        let mut headers = store.open_table(store::HEADERS).unwrap();
        let (header, metadata) = {
            let row = headers.get(2).unwrap().unwrap();
            let (header, metadata) = row.value();
            (header.to_vec(), metadata.to_vec())
        };
        let mut metadata = BlockMetadata::decode(metadata.as_slice()).unwrap();
        metadata.metadata[entry] = bytes;
        headers.insert(2, (header.as_slice(), metadata.encode_to_vec().as_slice())).unwrap();
    })
}

#[test]
fn verification_finds_changed_codes_hashes_and_signatures() {
    let error = verdict_with_metadata(2, vec![0, 0]);
    assert!(error.contains("block 2: replaying it gives other validation codes"), "{error}");
    let error = verdict_with_metadata(2, vec![0]);
    assert!(error.contains("block 2: it has not one validation code for each envelope"), "{error}");
    let error = verdict_with_metadata(4, Metadata { value: vec![9; 32], signatures: Vec::new() }.encode_to_vec());
    assert!(error.contains("block 2: replaying it gives another commit hash"), "{error}");
    let error = verdict_with_metadata(0, Vec::new());
    assert!(error.contains("block 2: the orderer's signature does not hold"), "{error}");
}

#[test]
fn verification_refuses_another_signer() {
    let ledger = in_memory();
    some_blocks(&ledger);
    let error = ledger.verify_chain(&|creator, _, _| creator == b"another").unwrap_err().to_string();
    assert!(error.contains("block 1: the orderer's signature does not hold"), "{error}");
}

#[test]
fn verification_finds_a_lost_block() {
    let error = verdict_after(|store| {
        store.open_table(store::HEADERS).unwrap().remove(1).unwrap();
    });
    assert!(error.contains("block 1: its number does not follow"), "{error}");
}
