//! Serves an embedded network that a file describes, until it is told to stop.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use fabric_embedded::{BANNER, Config, Embedded};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A development ledger for one machine that speaks Hyperledger Fabric's protocols.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The file that describes the network; its paths are relative to its folder.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the whole chain, say what was found, and end.
    #[arg(long)]
    verify: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    eprintln!("{BANNER}");
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fabric-embedded: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::from_file(&arguments.config)?;
    if arguments.verify {
        config.operations = None;
        config.organisations.iter_mut().for_each(|organisation| organisation.listen = None);
        let found = Embedded::start(config).await?.verify_chain()?;
        println!("{} blocks with {} transactions: the chain holds", found.blocks, found.transactions);
        return Ok(());
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let addresses: Vec<String> = config.organisations.iter().map(|one| one.msp.id().to_owned()).collect();
    let embedded = Embedded::start(config).await?;
    for msp_id in addresses {
        if let Some(address) = embedded.address(&msp_id) {
            tracing::info!(%address, msp_id, "serving");
        }
    }
    tracing::info!(height = embedded.ledger().height(), "ready");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    embedded.stop().await;
    Ok(())
}
