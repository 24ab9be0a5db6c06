//! `healthchain-gateway --config gateway.toml`: one organisation's REST gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use healthchain_gateway::check::{self, Finding, Verdict};
use healthchain_gateway::configuration::Configuration;
use healthchain_gateway::rebuild::{Outcome, rebuild};
use healthchain_gateway::server::{self, StartError};
use healthchain_gateway::telemetry::Telemetry;
use healthchain_gateway::wallet::command::WalletCommand;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// One organisation's REST gateway to the Healthchain ledger.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    /// Configuration file (TOML); its relative paths start at its own folder.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Only load what the configuration names, say what is wrong with it, and end with 1 when something is.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// After the state was lost: make again what can be made from the ledger, and say what cannot.
    Rebuild {
        /// Configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// The members' keys, and the gateway's own.
    Wallet {
        /// Configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(subcommand)]
        command: WalletCommand,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let file = match (&arguments.command, &arguments.config) {
        (Some(Command::Rebuild { config } | Command::Wallet { config, .. }), _) | (None, Some(config)) => config,
        (None, None) => return ExitCode::FAILURE,
    };
    let configuration = match Configuration::load_with(file, environment()) {
        Ok(configuration) => configuration,
        Err(error) => return failed(&error),
    };
    if let Some(Command::Rebuild { .. }) = arguments.command {
        return say(rebuild(&configuration).await);
    }
    if arguments.check {
        return check(&configuration).await;
    }
    if let Some(Command::Wallet { command, .. }) = arguments.command {
        return match command.run(&configuration).await {
            Ok(done) => {
                println!("{done}");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        };
    }
    let telemetry = match Telemetry::start(&configuration) {
        Ok(telemetry) => telemetry,
        Err(error) => return failed(&error),
    };
    let ended = run(&configuration).await;
    if let Err(error) = &ended {
        tracing::error!("{error}");
    }
    telemetry.stop().await;
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(configuration: &Configuration) -> Result<(), StartError> {
    raise_file_limit();
    let running = server::start(configuration).await?;
    tracing::info!(organisation = %configuration.msp_id, address = %running.address(), "listening");
    stop_signal().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

async fn check(configuration: &Configuration) -> ExitCode {
    let findings = check::check(configuration).await;
    for Finding { subject, verdict } in &findings {
        match verdict {
            Verdict::Good(about) if about.is_empty() => println!("ok       {subject}"),
            Verdict::Good(about) => println!("ok       {subject}: {about}"),
            Verdict::Missing(reason) => println!("missing  {subject}: {reason}"),
            Verdict::Wrong(reason) => println!("WRONG    {subject}: {reason}"),
        }
    }
    let wrong = findings.iter().any(|finding| matches!(finding.verdict, Verdict::Wrong(_)));
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn say(rebuilt: Result<Vec<Outcome>, StartError>) -> ExitCode {
    match rebuilt {
        Ok(outcomes) => {
            for Outcome { what, rebuilt, says } in outcomes {
                println!("{}  {what}: {says}", if rebuilt { "rebuilt" } else { "lost   " });
            }
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// There is no log yet whose format is known.
fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("healthchain-gateway: {error}");
    ExitCode::FAILURE
}

/// Variables that are not Unicode are none of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
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
