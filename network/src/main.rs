//! The program that `test-network.sh` runs.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::{Parser, Subcommand};
use healthchain_network::{
    Keep, LedgerKind, Network, NetworkError, OneProcess, Origin, Programs, Progress, demo, logs, tell,
};
use tracing_subscriber::EnvFilter;

/// Names the consortium's file for a new network that is made without --consortium.
const DEFAULT_CONSORTIUM: &str = "HEALTHCHAIN_CONSORTIUM";

/// Makes, starts, watches and stops a Healthchain consortium on this machine.
#[derive(Debug, Parser)]
#[command(name = "test-network.sh", version)]
struct Arguments {
    /// The network's folder
    #[arg(long, global = true, env = "HEALTHCHAIN_NETWORK_DIR", default_value = ".network")]
    dir: PathBuf,
    /// The consortium that `up` makes, instead of network/consortium.toml; remembered
    #[arg(long, global = true, value_name = "FILE")]
    consortium: Option<PathBuf>,
    /// Moves every port of the network that `up` makes, so that networks can stand beside each other; remembered
    #[arg(long, global = true, value_name = "N")]
    port_offset: Option<u16>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make what is missing, start what does not run, wait until everything is ready
    Up {
        /// embedded, fabric or dev (embedded, all in one process); without it what the folder was made for, else fabric where its programs are found
        #[arg(long)]
        ledger: Option<LedgerKind>,
    },
    /// Stop everything; the ledger stays
    Down,
    /// Stop everything and delete the network with its ledger
    Clean,
    /// Show each component's process, port, blocks and health
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a component's log
    Logs {
        /// Its name, as `status` shows it
        name: String,
    },
    /// Stop one component
    Stop {
        /// Its name, as `status` shows it
        name: String,
    },
    /// Start one component
    Start {
        /// Its name, as `status` shows it
        name: String,
    },
    /// Let one record go the whole way, from a hospital to an insurer
    Demo {
        /// Publish every FHIR bundle (*.json) of this folder, instead of the invented one that we ship
        #[arg(long, value_name = "FOLDER")]
        records: Option<PathBuf>,
    },
    /// Run the whole network in this one process, for trying it, until Ctrl-C
    Dev {
        /// Where ledger, records and identities are kept [default: that of --dir with "-dev" behind it]
        #[arg(long, value_name = "FOLDER", conflicts_with = "in_memory")]
        folder: Option<PathBuf>,
        /// Keep nothing: the ledger is in memory, the files are in a temporary folder
        #[arg(long)]
        in_memory: bool,
    },
    /// Serves a network in one process; what `up --ledger dev` runs
    #[command(hide = true)]
    ServeDev,
    /// Keeps the logs from filling the disk; what the network's log keeper runs
    #[command(hide = true)]
    KeepLogs,
}

fn main() -> ExitCode {
    let begun = Instant::now();
    match run(Arguments::parse(), begun) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments, begun: Instant) -> Result<ExitCode, NetworkError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| NetworkError::File { path, source }
    };
    if let Verb::KeepLogs = arguments.verb {
        let folder = arguments.dir.join("logs");
        logs::keep(&folder).map_err(file_error(&folder))?;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(file_error(Path::new("the program's runtime")))?;
    match &arguments.verb {
        Verb::Dev { folder, in_memory } => runtime.block_on(dev(&arguments, folder.as_deref(), *in_memory, begun)),
        _ => runtime.block_on(act(arguments)),
    }
}

async fn act(arguments: Arguments) -> Result<ExitCode, NetworkError> {
    let network = match (network(&arguments), &arguments.verb) {
        (Err(NetworkError::NoNetwork(folder)), Verb::Down | Verb::Clean) => {
            tell!("There is no network in {}.", folder.display());
            return Ok(ExitCode::SUCCESS);
        }
        (network, _) => network?,
    };
    match arguments.verb {
        Verb::Up { .. } => {
            let up = network.up_unless(interrupted()).await?;
            tell!("Ready in {:.1} s; {}", up.took.as_secs_f64(), up.memory);
        }
        Verb::Down => match network.down().await?.len() {
            0 => tell!("Nothing was running."),
            stopped => {
                tell!("Stopped {stopped} processes. The ledger stays in {}.", network.layout().root().display())
            }
        },
        Verb::Clean => {
            network.clean().await?;
            tell!("Nothing is left of the network in {}.", network.layout().root().display());
        }
        Verb::Status { json } => return status(&network, json).await,
        Verb::Logs { name } => show(&network.log(&name)?)?,
        Verb::Stop { name } => match network.stop(&name).await? {
            true => tell!("{name} has stopped."),
            false => tell!("{name} was not running."),
        },
        Verb::Start { name } => {
            network.start(&name).await?;
            tell!("{name} is ready.");
        }
        Verb::Demo { records } => {
            let begun = Instant::now();
            network.require_ready().await?;
            demo::run(&network, records.as_deref()).await?;
            tell!("\nEvery step held; {:.1} s.", begun.elapsed().as_secs_f64());
        }
        Verb::ServeDev => {
            log("info");
            let running = OneProcess::serve(&network, Keep::OnDisk).await?;
            interrupted().await;
            running.stop().await;
        }
        Verb::Dev { .. } | Verb::KeepLogs => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn dev(
    arguments: &Arguments,
    folder: Option<&Path>,
    in_memory: bool,
    begun: Instant,
) -> Result<ExitCode, NetworkError> {
    log("warn");
    let (keep, temporary) = if in_memory {
        let folder = tempfile::Builder::new().prefix("healthchain-dev-").tempdir();
        let folder = folder.map_err(|source| NetworkError::File { path: std::env::temp_dir(), source })?;
        (Keep::InMemory, Some(folder))
    } else {
        (Keep::OnDisk, None)
    };
    let beside = || {
        let mut folder = arguments.dir.clone().into_os_string();
        folder.push("-dev");
        folder.into()
    };
    let folder =
        temporary.as_ref().map(|it| it.path().to_owned()).or(folder.map(Path::to_owned)).unwrap_or_else(beside);
    let (programs, origin) = (programs()?, origin(arguments, &folder)?);
    let network = Network::new(origin.consortium()?, &folder, LedgerKind::Dev, programs, Progress::Quiet)?;
    let network = network.made_from(origin);

    let mut interrupt = std::pin::pin!(interrupted());
    let running = tokio::select! {
        running = network.run_in_this_process(keep) => running?,
        () = &mut interrupt => return Err(NetworkError::Interrupted),
    };
    if let Err(error) = demo::example::make(&network).await {
        tell!("There is no example on the ledger: {error}");
    }
    tell!("Ready in {:.1} s.\n\n{}", begun.elapsed().as_secs_f64(), network.introduction());
    interrupt.await;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Sends what the parts in this process log to standard error.
fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

/// `up` takes the consortium's file; every other verb what the folder was made with.
fn network(arguments: &Arguments) -> Result<Network, NetworkError> {
    let programs = programs()?;
    let Arguments { dir, verb, .. } = arguments;
    let Verb::Up { ledger: asked } = verb else { return Network::existing(dir, programs, Progress::Lines) };
    let origin = origin(arguments, dir)?;
    let found = if programs.fabric.is_some() { LedgerKind::Fabric } else { LedgerKind::Embedded };
    let ledger = asked.or_else(|| LedgerKind::of_folder(dir)).unwrap_or(found);
    Network::new(origin.consortium()?, dir, ledger, programs, Progress::Lines).map(|network| network.made_from(origin))
}

fn programs() -> Result<Programs, NetworkError> {
    Programs::find().map_err(|source| NetworkError::File { path: "this program".into(), source })
}

/// What a folder's network is made from: as the arguments say, else as it was.
fn origin(Arguments { consortium, port_offset, .. }: &Arguments, folder: &Path) -> Result<Origin, NetworkError> {
    let origin = Origin::of_folder(folder)?.unwrap_or_else(|| Origin {
        consortium: std::env::var_os(DEFAULT_CONSORTIUM).map(PathBuf::from),
        port_offset: 0,
    });
    Ok(Origin {
        consortium: consortium.clone().or(origin.consortium),
        port_offset: port_offset.unwrap_or(origin.port_offset),
    })
}

async fn status(network: &Network, json: bool) -> Result<ExitCode, NetworkError> {
    let components = network.status().await?;
    if json {
        tell!("{}", serde_json::to_string_pretty(&components).expect("a status has no map with keys that are no text"));
    } else {
        tell!("{}", healthchain_network::table(&components));
    }
    let ready = components.iter().all(|component| component.health == healthchain_network::Health::Ready);
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(log: &Path) -> Result<(), NetworkError> {
    let error = |source| NetworkError::File { path: log.to_owned(), source };
    let content = std::fs::read(log).map_err(error)?;
    // Whoever reads may stop at any moment.
    let _ = std::io::stdout().write_all(&content);
    Ok(())
}

/// Ends when the person presses Ctrl-C, or somebody asks the program to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
