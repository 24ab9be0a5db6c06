//! Runs a target, or all of them, for some seconds each: `healthchain-fuzz [TARGET|all] [SECONDS]`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use healthchain_fuzz::{Mutations, TARGETS};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "all".into());
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let chosen: Vec<_> = TARGETS.iter().filter(|target| name == "all" || target.name == name).collect();
    if chosen.is_empty() {
        eprintln!("there is no target {name}; there are {TARGETS:?}");
        return ExitCode::FAILURE;
    }
    for target in chosen {
        let (until, mut runs) = (Instant::now() + Duration::from_secs(seconds), 0u64);
        for input in Mutations::of((target.seeds)()).take_while(|_| Instant::now() < until) {
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                eprintln!("{} fails with {}", target.name, hex::encode(input));
                return ExitCode::FAILURE;
            }
            runs += 1;
        }
        println!("{}: {runs} inputs", target.name);
    }
    ExitCode::SUCCESS
}
