//! The end-to-end tests: one network, started before them and removed after them.
//!
//! Options are those of Rust's own test runner (a filter, `--exact`, …). Tests run one after the other, for some of them stop parts of the
//! network that they share.

#![allow(clippy::unwrap_used)] // reason: a test, although clippy does not see it: the harness is ours

mod agents;
mod amendments;
mod browser;
mod busy;
mod cli;
mod contract;
mod events;
mod faults;
mod honesty;
mod observing;
mod own_key;
mod privacy;
mod program;
mod records;
mod refusals;
mod replicas;
mod roles;
mod second_lock;
mod statistics;
mod stopping;
mod story;
mod under_load;
mod upgrade;
mod uploads;

use std::process::ExitCode;
use std::sync::Arc;

use healthchain_end_to_end::{World, ledger_kind};
use healthchain_network::LedgerKind;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use tokio::runtime::Runtime;

/// A test's name and body, ready to run.
type Promise = fn(&Arc<Runtime>, &Arc<World>) -> Trial;

/// Lists tests (async functions of the world) under their names, as `PROMISES` or as what is named first. `STOPPING_PARTS` are those that
/// stop one part of the network and ask the others, which cannot be where all are one process.
#[macro_export]
macro_rules! promises {
    ($list:ident: $($name:ident),* $(,)?) => {
        pub(crate) const $list: &[$crate::Promise] = &[$(
            |runtime, world| $crate::trial(concat!(module_path!(), "::", stringify!($name)), runtime, world, |world| {
                Box::pin(async move { $name(&world).await })
            }),
        )*];
    };
    ($($name:ident),* $(,)?) => { $crate::promises!(PROMISES: $($name),*); };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);

    let runtime = Arc::new(Runtime::new().expect("the system has threads"));
    let programs = std::env::current_exe().expect("the system knows where this program is");
    let programs = programs.parent().expect("a program is in a folder");
    let folder = programs.join(format!("network-{}", ledger_kind()));
    let mut promises =
        [story::PROMISES, refusals::PROMISES, second_lock::PROMISES, honesty::PROMISES, busy::PROMISES].concat();
    promises
        .extend([cli::PROMISES, contract::PROMISES, own_key::PROMISES, browser::PROMISES, events::PROMISES].concat());
    promises.extend([faults::PROMISES, under_load::PROMISES, upgrade::PROMISES, privacy::PROMISES].concat());
    promises.extend([records::PROMISES, agents::PROMISES, amendments::PROMISES, uploads::PROMISES].concat());
    promises.extend(statistics::PROMISES);
    let stopping_parts =
        [refusals::STOPPING_PARTS, honesty::STOPPING_PARTS, faults::STOPPING_PARTS, observing::STOPPING_PARTS];
    let stopping_parts = [&stopping_parts.concat(), events::STOPPING_PARTS, stopping::STOPPING_PARTS].concat();
    if ledger_kind() == LedgerKind::Fabric {
        promises.extend(faults::FABRIC_PROMISES);
    }

    println!("starting a network on the {} ledger in {}", ledger_kind(), folder.display());
    let world = match runtime.block_on(World::start(&folder)) {
        Ok(world) => Arc::new(world),
        Err(error) => {
            eprintln!("the network did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stopping = |promise: &Promise| match ledger_kind() {
        LedgerKind::Dev => skipped(promise(&runtime, &world).name(), "one process has no part to stop"),
        _ => promise(&runtime, &world),
    };
    // First, for a custodian copies everything that was published before.
    let trials = replicas::STOPPING_PARTS.iter().map(stopping);
    let trials = trials.chain(promises.iter().map(|promise| promise(&runtime, &world)));
    let trials = trials.chain(stopping_parts.iter().map(stopping));
    // Last, for what a role may do is done.
    let trials = trials.chain(roles::PROMISES.iter().map(|promise| promise(&runtime, &world))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);

    let ended = runtime.block_on(end(&world, &conclusion));
    if let Err(error) = ended {
        eprintln!("the network did not end cleanly: {error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// After a failure the files stay, for whoever looks for its reason.
async fn end(world: &World, conclusion: &Conclusion) -> Result<(), healthchain_network::NetworkError> {
    if conclusion.has_failed() {
        eprintln!("the network's files and logs are in {}", world.network.layout().root().display());
        world.network.down().await.map(drop)
    } else {
        world.network.clean().await
    }
}

fn skipped(name: &str, reason: &str) -> Trial {
    Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
}

type Body = fn(Arc<World>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn trial(name: &str, runtime: &Arc<Runtime>, world: &Arc<World>, body: Body) -> Trial {
    let (runtime, world) = (Arc::clone(runtime), Arc::clone(world));
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    Trial::test(name, move || {
        let begun = std::time::Instant::now();
        let result = runtime.block_on(runtime.spawn(body(Arc::clone(&world))));
        // A test that failed half-way may have left something stopped; the next one shall not suffer for it.
        let mended = runtime.block_on(world.mend());
        result.map_err(|error| Failed::from(format!("{error} (after {:.1} s)", begun.elapsed().as_secs_f64())))?;
        mended.map_err(|error| Failed::from(format!("the network could not be mended: {error}")))
    })
}
