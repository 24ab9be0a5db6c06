//! `healthchain-gateway --config gateway.toml`: one organisation's REST gateway.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use healthchain_gateway::configuration::Configuration;
use healthchain_gateway::server::{self, StartError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// One organisation's REST gateway to the Healthchain ledger.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML); its relative paths start at its own folder.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), StartError> {
    raise_file_limit();
    let configuration = Configuration::load(&arguments.config)?;
    let running = server::start(&configuration).await?;
    tracing::info!(organisation = %configuration.msp_id, address = %running.address(), "listening");
    stop_signal().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Every connection takes a file descriptor; what a shell allows by default is soon used up.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Waits for Ctrl-C or a polite kill.
async fn stop_signal() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "only Ctrl-C stops this gateway");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
