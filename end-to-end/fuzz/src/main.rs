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
        let until = Instant::now() + Duration::from_secs(seconds);
        let (mut runs, mut longest) = (0u64, (Duration::ZERO, Vec::new()));
        for input in Mutations::of((target.seeds)()).take_while(|_| Instant::now() < until) {
            let begun = Instant::now();
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                eprintln!("{} fails with {}", target.name, hex::encode(input));
                return ExitCode::FAILURE;
            }
            runs += 1;
            if begun.elapsed() > longest.0 {
                longest = (begun.elapsed(), input);
            }
        }
        println!("{}: {runs} inputs, the longest took {:.1?}: {}", target.name, longest.0, hex::encode(longest.1));
    }
    ExitCode::SUCCESS
}
