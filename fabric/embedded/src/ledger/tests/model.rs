//! Random blocks against a naive model: a transaction counts if running it again at its turn reads the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Get(String),
    Range(String, String),
    Page(String, String, i32),
    Put(String),
    Delete(String),
    Label(String),
}

#[derive(Clone, Debug)]
enum Step {
    /// Simulates a transaction now; it waits for a block.
    Simulate(Vec<Op>),
    /// Commits the waiting ones, rotated by so much; those of the mask are refused by the earlier checks.
    Commit { rotate: usize, refused: u8 },
}

/// What a transaction read, and what it wants to write.
#[derive(Clone, Debug, Default)]
struct Ran {
    reads: BTreeMap<String, Option<Version>>,
    ranges: Vec<ReadRange>,
    /// `None`: delete.
    writes: BTreeMap<String, Option<String>>,
    labels: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct ReadRange {
    start: String,
    end: String,
    page_size: Option<usize>,
    found: Vec<(String, Version)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    value: String,
    version: Version,
    label: Option<String>,
}

#[derive(Default)]
struct Model {
    state: BTreeMap<String, Entry>,
    history: BTreeMap<String, Vec<String>>,
}

impl Model {
    fn range(&self, start: &str, end: &str) -> Vec<(String, Version)> {
        let inside = |key: &str| key >= start && (end.is_empty() || key < end);
        self.state.iter().filter(|(key, _)| inside(key)).map(|(key, entry)| (key.clone(), entry.version)).collect()
    }

    /// What the transaction reads of the model now.
    fn run(&self, id: &str, ops: &[Op]) -> Ran {
        let mut ran = Ran::default();
        for op in ops {
            match op {
                Op::Get(key) => {
                    ran.reads.insert(key.clone(), self.state.get(key).map(|entry| entry.version));
                }
                Op::Range(start, end) => {
                    let (found, start, end) = (self.range(start, end), start.clone(), end.clone());
                    ran.ranges.push(ReadRange { start, end, page_size: None, found });
                }
                Op::Page(start, end, size) => {
                    let mut found = self.range(start, end);
                    found.truncate(*size as usize);
                    let (start, end, page_size) = (start.clone(), end.clone(), Some(*size as usize));
                    ran.ranges.push(ReadRange { start, end, page_size, found });
                }
                Op::Put(key) => drop(ran.writes.insert(key.clone(), Some(id.to_owned()))),
                Op::Delete(key) => drop(ran.writes.insert(key.clone(), None)),
                Op::Label(key) => drop(ran.labels.insert(key.clone())),
            }
        }
        ran
    }

    fn validate(&self, ran: &Ran, touched: &BTreeSet<String>) -> TxValidationCode {
        for (key, version) in &ran.reads {
            if touched.contains(key) || self.state.get(key).map(|entry| entry.version) != *version {
                return TxValidationCode::MvccReadConflict;
            }
        }
        for ReadRange { start, end, page_size, found } in &ran.ranges {
            let mut now = self.range(start, end);
            if page_size.is_some_and(|size| found.len() == size) {
                let (last, _) = found.last().expect("a page holds something");
                now.retain(|(key, _)| key <= last);
            }
            if now != *found {
                return TxValidationCode::PhantomReadConflict;
            }
        }
        Valid
    }

    fn apply(&mut self, id: &str, ran: &Ran, version: Version, touched: &mut BTreeSet<String>) {
        for (key, value) in &ran.writes {
            touched.insert(key.clone());
            self.history.entry(key.clone()).or_default().insert(0, id.to_owned());
            match value {
                None => drop(self.state.remove(key)),
                Some(value) => {
                    let label = self.state.get(key).and_then(|entry| entry.label.clone());
                    self.state.insert(key.clone(), Entry { value: value.clone(), version, label });
                }
            }
        }
        for key in &ran.labels {
            if let Some(entry) = self.state.get_mut(key) {
                touched.insert(key.clone());
                entry.version = version;
                entry.label = Some(id.to_owned());
            }
        }
    }
}

/// Runs the transaction on the ledger; pages and writes exclude each other, the later kind is left out.
fn run_on_ledger(ledger: &Ledger, id: &str, ops: &mut Vec<Op>) -> Vec<u8> {
    simulate(ledger, id, |tx| {
        ops.retain(|op| match op {
            Op::Get(key) => tx.get(CC, key).is_ok(),
            Op::Range(start, end) => !read_range(tx, start, end).is_empty(),
            Op::Page(start, end, size) => tx.page(CC, start, end, *size, "").is_ok(),
            Op::Put(key) => tx.put(CC, key, id.into()).is_ok(),
            Op::Delete(key) => tx.delete(CC, key).is_ok(),
            Op::Label(key) => tx.put_metadata(CC, key, "label", id.into()).is_ok(),
        });
    })
}

fn key() -> impl Strategy<Value = String> {
    "[a-f]"
}

fn bound() -> impl Strategy<Value = String> {
    "[a-g]?"
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => key().prop_map(Op::Get),
        2 => (bound(), bound()).prop_map(|(start, end)| Op::Range(start, end)),
        1 => (bound(), bound(), 1..4).prop_map(|(start, end, size)| Op::Page(start, end, size)),
        4 => key().prop_map(Op::Put),
        1 => key().prop_map(Op::Delete),
        1 => key().prop_map(Op::Label),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec(op(), 0..5).prop_map(Step::Simulate),
        1 => (0_usize..5, prop_oneof![3 => Just(0), 1 => any::<u8>()])
            .prop_map(|(rotate, refused)| Step::Commit { rotate, refused }),
    ]
}

fn ledgers_state(ledger: &Ledger) -> BTreeMap<String, Entry> {
    ["a", "b", "c", "d", "e", "f"]
        .into_iter()
        .filter_map(|key| {
            let entry = ledger.state(CC, key).unwrap()?;
            let text = |bytes| String::from_utf8(bytes).unwrap();
            let label = entry.metadata.into_iter().next().map(|entry| text(entry.value));
            Some((key.to_owned(), Entry { value: text(entry.value), version: entry.version, label }))
        })
        .collect()
}

fn ledgers_history(ledger: &Ledger, key: &str) -> Vec<String> {
    let mut tx = ledger.simulate("history").unwrap();
    let query = tx.open_history(CC, key).unwrap();
    let mut ids = Vec::new();
    loop {
        let batch = tx.next_batch(query).unwrap();
        ids.extend(batch.results.into_iter().map(|result| match result {
            QueryResult::History(item) => item.tx_id,
            other => panic!("{other:?}"),
        }));
        if !batch.has_more {
            return ids;
        }
    }
}

fn check(ledger: &Ledger, steps: Vec<Step>) -> Result<Model, TestCaseError> {
    let mut model = Model::default();
    let mut waiting: Vec<(String, Ran, Vec<u8>)> = Vec::new();
    for (number, step) in steps.into_iter().chain([Step::Commit { rotate: 0, refused: 0 }]).enumerate() {
        match step {
            Step::Simulate(mut ops) => {
                let id = format!("t{number}");
                let envelope = run_on_ledger(ledger, &id, &mut ops);
                let ran = model.run(&id, &ops);
                waiting.push((id, ran, envelope));
            }
            Step::Commit { .. } if waiting.is_empty() => {}
            Step::Commit { rotate, refused } => {
                let middle = rotate % waiting.len();
                waiting.rotate_left(middle);
                let block_num = ledger.height();
                let code = |position: usize| match refused >> (position % 8) & 1 {
                    0 => Valid,
                    _ => TxValidationCode::EndorsementPolicyFailure,
                };
                let codes: Vec<_> = (0..waiting.len()).map(code).collect();
                let envelopes = waiting.iter().map(|(_, _, envelope)| envelope.clone()).collect();
                let block = ledger.commit(envelopes, &codes).unwrap();
                let mut touched = BTreeSet::new();
                for (tx_num, ((id, ran, _), code)) in waiting.drain(..).zip(codes).enumerate() {
                    let expected = if code == Valid { model.validate(&ran, &touched) } else { code };
                    prop_assert_eq!(block.transactions[tx_num].code, expected, "{} of block {}", id, block_num);
                    if expected == Valid {
                        model.apply(&id, &ran, Version { block_num, tx_num: tx_num as u64 }, &mut touched);
                    }
                }
                prop_assert_eq!(&ledgers_state(ledger), &model.state);
            }
        }
    }
    Ok(model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_blocks_commit_as_if_run_one_after_the_other(steps in vec(step(), 1..60)) {
        let ledger = in_memory();
        let model = check(&ledger, steps)?;
        for (key, ids) in &model.history {
            prop_assert_eq!(&ledgers_history(&ledger, key), ids);
        }
        ledger.verify_chain(&signed_by_orderer).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_blocks_are_found_again_after_reopening(steps in vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::Folder(folder.path().into());
        let ledger = open(&storage);
        let model = check(&ledger, steps)?;
        let info = ledger.info().unwrap();
        drop(ledger);
        let ledger = open(&storage);
        prop_assert_eq!(ledger.info().unwrap(), info);
        prop_assert_eq!(&ledgers_state(&ledger), &model.state);
        let mut tx = ledger.simulate("more").unwrap();
        prop_assert_eq!(read_range(&mut tx, "", ""), [model.state.len()]);
        for (key, ids) in &model.history {
            prop_assert_eq!(&ledgers_history(&ledger, key), ids);
        }
        ledger.verify_chain(&signed_by_orderer).unwrap();
    }
}
