//! kill -9 at any moment: whatever was acknowledged is there, and the chain holds.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;

const FOLDER: &str = "LEDGER_FOLDER_UNTIL_KILLED";
const TRANSACTIONS: usize = 3;

#[test]
#[ignore = "is started, and killed, by a test below"]
fn commits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let ledger = open(&Storage::Folder(PathBuf::from(folder)));
    loop {
        let block = ledger.height();
        let envelopes = (0..TRANSACTIONS).map(|position| {
            simulate(&ledger, &format!("{block}-{position}"), |tx| {
                let key = format!("counter {position}");
                let old = tx.get(CC, &key).unwrap().map_or(0, |value| count(&value));
                tx.put(CC, &key, (old + 1).to_string().into_bytes()).unwrap();
                tx.put(CC, &format!("{block:06}"), vec![b'x'; 2000]).unwrap();
            })
        });
        assert_eq!(commit(&ledger, envelopes.collect()), [Valid; TRANSACTIONS]);
        acknowledge(block);
    }
}

#[test]
#[ignore = "is started, and killed, by a test below"]
fn makes_new_ledgers_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    for number in 1.. {
        drop(open(&Storage::Folder(PathBuf::from(&folder).join(number.to_string()))));
        acknowledge(number);
    }
}

#[test]
fn a_killed_process_has_lost_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().into());
    let started = Instant::now();
    let mut acknowledged = 0;
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(8) || rounds < 12 {
        rounds += 1;
        // Also while the process starts and recovers what the one before left.
        let from = if rounds % 3 == 0 { Moment::Start } else { Moment::FirstAcknowledgement };
        acknowledged = acknowledged.max(run_and_kill("commits_until_it_is_killed", folder.path(), from));

        let ledger = open(&storage);
        let last = ledger.height() - 1;
        assert!(last >= acknowledged, "round {rounds}: block {acknowledged} was acknowledged, the last is {last}");
        assert_eq!(ledger.committed_block(last).unwrap().unwrap().block, ledger.block(last).unwrap().unwrap());
        for position in 0..TRANSACTIONS {
            let counter = ledger.state(CC, &format!("counter {position}")).unwrap();
            assert_eq!(counter.map_or(0, |entry| count(&entry.value)), last, "as many increments as blocks");
        }
        if rounds % 10 == 0 {
            ledger.verify_chain(&signed_by_orderer).unwrap();
        }
    }
    let ledger = open(&storage);
    let verification = ledger.verify_chain(&signed_by_orderer).unwrap();
    for block in 1..=acknowledged {
        let location = ledger.transaction_location(&format!("{block}-0")).unwrap().unwrap();
        assert_eq!((location.block, location.code), (block, Valid));
    }
    println!("killed {rounds} times, {acknowledged} blocks acknowledged, {verification:?}");
}

#[test]
fn a_process_killed_while_it_makes_a_ledger_leaves_one_that_opens() {
    for _ in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let made = run_and_kill("makes_new_ledgers_until_it_is_killed", folder.path(), Moment::FirstAcknowledgement);
        for number in [made, made + 1] {
            let ledger = open(&Storage::Folder(folder.path().join(number.to_string())));
            assert_eq!(ledger.verify_chain(&signed_by_orderer).unwrap().blocks, 1);
        }
    }
}

/// From when the random time to the kill is counted.
enum Moment {
    Start,
    FirstAcknowledgement,
}

/// Lets a process work for a while, kills it, and gives the last number it acknowledged (0: none).
fn run_and_kill(work: &str, folder: &Path, from: Moment) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("ledger::tests::crash::{work}"), "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        // A line that was cut short by the kill lacks its end, and does not count.
        let numbers = output.split(b'\n').map_while(Result::ok).filter_map(|line| {
            String::from_utf8(line).ok()?.strip_prefix("acknowledged ")?.strip_suffix('.')?.parse::<u64>().ok()
        });
        numbers.inspect(|_| tell.send(()).unwrap_or_default()).last()
    });
    if let Moment::FirstAcknowledgement = from {
        told.recv_timeout(Duration::from_secs(30)).expect("the process acknowledges something");
    }
    std::thread::sleep(Duration::from_millis(rand::random_range(0..150)));
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    reader.join().unwrap().unwrap_or(0)
}

fn acknowledge(number: u64) {
    let mut output = std::io::stdout();
    output.write_all(format!("\nacknowledged {number}.\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

fn count(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}
