//! kill -9 at any moment: whatever was acknowledged is there, and the chain holds.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

const FOLDER: &str = "LEDGER_TO_COMMIT_TO_UNTIL_KILLED";
const BLOCKS: usize = 3;

#[test]
#[ignore = "is started, and killed, by the test below"]
fn commits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let ledger = open(&Storage::Folder(PathBuf::from(folder)));
    let mut output = std::io::stdout();
    loop {
        let block = ledger.height();
        let envelopes = (0..BLOCKS).map(|position| {
            simulate(&ledger, &format!("{block}-{position}"), |tx| {
                let key = format!("counter {position}");
                let old = tx.get(CC, &key).unwrap().map_or(0, |value| count(&value));
                tx.put(CC, &key, (old + 1).to_string().into_bytes()).unwrap();
                tx.put(CC, &format!("{block:06}"), vec![b'x'; 2000]).unwrap();
            })
        });
        assert_eq!(commit(&ledger, envelopes.collect()), [Valid; BLOCKS]);
        writeln!(output, "acknowledged {block}").unwrap();
        output.flush().unwrap();
    }
}

#[test]
fn a_killed_process_has_lost_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut acknowledged = 0;
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(8) || rounds < 12 {
        let moment = Duration::from_millis(rand::random_range(0..200));
        acknowledged = acknowledged.max(last_acknowledged_before_kill(folder.path(), moment));
        rounds += 1;

        let ledger = open(&Storage::Folder(folder.path().into()));
        let last = ledger.height() - 1;
        assert!(last >= acknowledged, "round {rounds}: block {acknowledged} was acknowledged, the last is {last}");
        assert_eq!(ledger.committed_block(last).unwrap().unwrap().block, ledger.block(last).unwrap().unwrap());
        for position in 0..BLOCKS {
            let counter = ledger.state(CC, &format!("counter {position}")).unwrap();
            assert_eq!(counter.map_or(0, |entry| count(&entry.value)), last, "as many increments as blocks");
        }
        if rounds % 8 == 0 {
            ledger.verify_chain(&signed_by_orderer).unwrap();
        }
    }
    let ledger = open(&Storage::Folder(folder.path().into()));
    let verification = ledger.verify_chain(&signed_by_orderer).unwrap();
    assert!(acknowledged > 0, "it was never left alive for long enough");
    for block in 1..=acknowledged {
        let location = ledger.transaction_location(&format!("{block}-0")).unwrap().unwrap();
        assert_eq!((location.block, location.code), (block, Valid));
    }
    println!("killed {rounds} times, {acknowledged} blocks acknowledged, {verification:?}");
}

/// Lets a process commit for a while, kills it, and gives the last block it acknowledged (0: none).
fn last_acknowledged_before_kill(folder: &Path, moment: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::tests::crash::commits_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).last()
    });
    std::thread::sleep(moment);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    reader.join().unwrap().unwrap_or(0)
}

fn count(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}
