//! What things cost: each benchmark prints figures, with something to compare them with from the same run. None of them fails for being
//! slow. docs/figures.md has what they said.

#![allow(clippy::unwrap_used)] // reason: a benchmark that fails has nothing to say

mod bare;
mod dev;
mod encryption;
mod measured;
mod node_client;
mod page;
mod rest;
mod revocation;

use clap::{Parser, Subcommand};
use healthchain_end_to_end::{World, ledger_kind};

/// Benchmarks; those of a network run on the ledger that HEALTHCHAIN_LEDGER names (embedded or fabric).
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    Rest(rest::Options),
    Page(page::Options),
    Revocation(revocation::Options),
    Encryption(encryption::Options),
    Dev(dev::Options),
    #[command(hide = true)]
    Bare(bare::Options),
}

#[tokio::main]
async fn main() {
    match Arguments::parse().benchmark {
        Benchmark::Rest(options) => rest::run(&options).await,
        Benchmark::Page(options) => page::run(&options).await,
        Benchmark::Revocation(options) => revocation::run(&options).await,
        Benchmark::Encryption(options) => encryption::run(&options),
        Benchmark::Dev(options) => dev::run(&options),
        Benchmark::Bare(options) => bare::serve(&options).await,
    }
}

/// A new network on the ledger that `HEALTHCHAIN_LEDGER` names, with so many patients.
async fn network(patients: usize) -> World {
    let program = std::env::current_exe().expect("the system knows where this program is");
    let folder = program.with_file_name(format!("bench-{}", ledger_kind()));
    World::start_with_patients(&folder, patients).await.unwrap()
}
