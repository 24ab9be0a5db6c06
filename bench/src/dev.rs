//! How long somebody waits who tries everything in one process: `test-network.sh dev --in-memory`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use crate::measured::{milliseconds, percentile};

/// Beside the networks of tests and of other benchmarks.
const PORT_OFFSET: &str = "20000";
/// The last line of what it tells when it is ready.
const READY: &str = "Ctrl-C stops it.";

/// Time until `dev --in-memory` is ready: a whole network in one process, from its start to its introduction
#[derive(Args)]
pub(crate) struct Options {
    /// Starts.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

pub(crate) fn run(options: &Options) {
    let times: Vec<_> = (0..options.rounds).map(|_| start()).collect();
    let [p50, worst] = [50, 100].map(|percent| milliseconds(percentile(&times, percent)));
    println!("dev --in-memory is ready after {p50} (median of {}), at most {worst}", times.len());
}

/// Starts it, and stops it when it is ready.
fn start() -> Duration {
    let program = std::env::current_exe().unwrap().with_file_name("healthchain-network");
    let mut command = Command::new(program);
    command.args(["dev", "--in-memory", "--port-offset", PORT_OFFSET]).env_remove("HEALTHCHAIN_CONSORTIUM");
    let begun = Instant::now();
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == READY), "it ended: {:?}", process.wait());
    let took = begun.elapsed();
    let stopped = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
    assert!(stopped.unwrap().success() && process.wait().unwrap().success());
    took
}
