//! The program `healthchain-network dev`, as somebody starts it who wants to try the whole network.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap, too")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Each test has ports of its own, for they run at the same time.
const PORT_OFFSETS: [&str; 2] = ["15000", "15300"];

/// A network for trying that runs, and what it said.
struct Trial {
    process: Child,
    said: String,
}

impl Trial {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_healthchain-network"));
        command.args(arguments).stdout(Stdio::piped()).env_remove("HEALTHCHAIN_CONSORTIUM");
        let mut process = command.spawn().unwrap();
        let mut said = String::new();
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            said += &(line.unwrap() + "\n");
            if said.ends_with("Ctrl-C stops it.\n") {
                return Self { process, said };
            }
        }
        panic!("it ended with {:?}; it had said: {said}", process.wait());
    }

    /// Runs one of the curl lines that it told.
    fn call(&self, path: &str) -> Output {
        let line = self.said.lines().find(|line| line.trim().starts_with("curl ") && line.contains(path)).unwrap();
        Command::new("sh").args(["-c", &format!("{line} --silent --show-error --include")]).output().unwrap()
    }

    /// Ctrl-C.
    fn interrupt(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

/// Status line and headers, and the body as JSON.
fn parts(output: &Output) -> (String, Value) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{output:?}"));
    (head.to_lowercase(), serde_json::from_str(body).unwrap())
}

fn opened(trail: &Value) -> Vec<&str> {
    let entries = trail["items"].as_array().unwrap().iter();
    entries.filter(|entry| entry["act"]["act"] == "link-opened").filter_map(|entry| entry["member"].as_str()).collect()
}

#[test]
fn a_network_in_memory_answers_the_calls_that_it_tells_and_leaves_nothing_behind() {
    let trial = Trial::start(&["dev", "--in-memory", "--port-offset", PORT_OFFSETS[0]]);
    assert!(trial.said.starts_with("Ready in ") && trial.said.contains("not for real records"), "{}", trial.said);

    let (head, me) = parts(&trial.call("/v1/me"));
    assert!(head.starts_with("http/1.1 200") && head.contains("healthchain-ledger: development"), "{head}");
    assert_eq!(me["member"]["id"], "hospital-administrator");
    let (_, trail) = parts(&trial.call("/v1/patients/patient-1/audit"));
    assert_eq!(opened(&trail), ["clinic-clinician", "payer-officer"], "the example is on the ledger, newest first");

    let root = trial.said.split_once("--cacert ").unwrap().1.split_once("/organisations/").unwrap().0.to_owned();
    assert!(Path::new(&root).exists());
    trial.interrupt();
    assert!(!Path::new(&root).exists());
}

#[test]
fn a_network_in_a_folder_goes_on_where_it_was_and_nobody_else_changes_it_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let start = || Trial::start(&["dev", "--folder", path, "--port-offset", PORT_OFFSETS[1]]);
    let trial = start();
    let network = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_healthchain-network"));
        command.args(["--dir", path]).args(arguments).output().unwrap()
    };
    for verb in [["up"].as_slice(), &["clean"], &["dev", "--folder", path]] {
        let refused = network(verb);
        let reason = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && reason.contains("another call"), "{verb:?}: {reason}");
    }
    trial.interrupt();

    let trial = start();
    let (_, trail) = parts(&trial.call("/v1/patients/patient-1/audit"));
    assert_eq!(opened(&trail).len(), 2, "the example is there once");
    trial.interrupt();
    assert!(network(&["clean"]).status.success());
    assert_eq!(fs::read_dir(path).map_or(0, Iterator::count), 0);
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    let refused = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_healthchain-network")).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["dev", "--in-memory", "--folder", "here"]).contains("cannot be used with"));
    assert!(refused(&["dev", "--in-memory", "--port-offset", "60000"]).contains("choose a smaller one"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ledger"), "fabric").unwrap();
    let other = refused(&["dev", "--folder", folder.path().to_str().unwrap()]);
    assert!(other.contains("holds a network on the fabric ledger"), "{other}");
}
