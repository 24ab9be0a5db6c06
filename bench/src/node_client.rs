//! The official Node client of Hyperledger Fabric as a process beside us.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use healthchain_end_to_end::{Person, World};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::measured::Measured;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../end-to-end/node-client");

/// `end-to-end/node-client/bare.mjs`, which does what it is told, a line each.
pub(crate) struct NodeClient {
    asked: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

/// What it says of its calls: times in milliseconds.
#[derive(Deserialize)]
struct Told {
    times: Vec<f64>,
    failed: usize,
    took: f64,
    cpu: f64,
}

impl NodeClient {
    /// Starts it as a member, at the peer of the member's organisation; the bare contract answers when this returns.
    pub(crate) async fn start(world: &World, member: &Person) -> Self {
        let (peer, access, consortium) = (world.peer_of(member), member.access(), world.network.consortium());
        let mut command = Command::new("node");
        command
            .arg(Path::new(FOLDER).join("bare.mjs"))
            .env("FABRIC_ENDPOINT", peer.endpoint.trim_start_matches("https://"))
            .env("FABRIC_TLS_ROOT", peer.tls_root)
            .env("FABRIC_CERTIFICATE", &access.identity.certificate)
            .env("FABRIC_KEY", &access.identity.key)
            .env("FABRIC_MSP_ID", access.msp_id.as_str())
            .env("FABRIC_CHANNEL", &consortium.channel)
            .env("FABRIC_CHAINCODE", &consortium.chaincode.name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("node runs: scripts/bench.sh installs what it needs");
        let asked = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(answers.next_line().await.unwrap().as_deref(), Some("ready"));
        Self { asked, answers, _process: process }
    }

    /// Has so many callers at once do `put` or `get` for some time.
    pub(crate) async fn measure(&mut self, act: &str, callers: usize, time: Duration) -> Measured {
        let line = format!("{act} {callers} {}\n", time.as_millis());
        self.asked.write_all(line.as_bytes()).await.unwrap();
        let answer = self.answers.next_line().await.unwrap().expect("it answers each line");
        let Told { times, failed, took, cpu } = serde_json::from_str(&answer).unwrap();
        let time = |milliseconds: f64| Duration::from_secs_f64(milliseconds / 1000.0);
        Measured { times: times.into_iter().map(time).collect(), failed, took: time(took), cpu: time(cpu) }
    }
}
