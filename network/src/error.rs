//! What can go wrong with a network, and what to do about it.

use std::{fmt::Write as _, io, path::PathBuf};

use crate::{consortium::ConsortiumError, ports::Conflict};

/// Why the network did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The consortium is not taken.
    #[error(transparent)]
    Consortium(#[from] ConsortiumError),
    /// The folder's network lives on the other ledger.
    #[error(
        "{} holds a network on the {made_for} ledger; run `up` without --ledger or with --ledger {made_for} to go on \
         with it, run `clean` to give it up, or choose another folder with --dir", folder.display()
    )]
    OtherLedger {
        /// The folder.
        folder: PathBuf,
        /// Which ledger it was made for.
        made_for: crate::LedgerKind,
    },
    /// The folder's network was made for another shape of the consortium.
    #[error(
        "the network in {} was made with other organisations, ports or policies, which cannot change any more; restore \
         them, run `clean` to begin anew, or choose another folder with --dir", folder.display()
    )]
    OtherShape {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no network in the folder.
    #[error("there is no network in {}; make one with `up`", .0.display())]
    NoNetwork(PathBuf),
    /// A component is not ready.
    #[error("{component} is {health}; run `up` first")]
    NotReady {
        /// Which.
        component: String,
        /// How it is.
        health: crate::Health,
    },
    /// Another call of ours is at work in the folder.
    #[error("another call is changing the network in {} right now; wait until it has finished", .0.display())]
    Busy(PathBuf),
    /// Ports are in use.
    #[error("{}", describe_conflicts(.0))]
    PortsInUse(Vec<Conflict>),
    /// Fabric's programs are not there.
    #[error(
        "Fabric's {program} was not found: unpack the release archive of Hyperledger Fabric 3.1 for this machine and \
         set FABRIC_BIN to its bin folder (or put that on PATH), or take --ledger embedded"
    )]
    FabricMissing {
        /// Which.
        program: &'static str,
    },
    /// A program of ours is not there.
    #[error("{} is missing; build it with `cargo build --release --locked`", .0.display())]
    ProgramMissing(PathBuf),
    /// There is no component of this name.
    #[error("there is no component {name}; there are {}", known.join(", "))]
    NoComponent {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A component did not come up, or went away.
    #[error(
        "{component} {reason}\n{}\nIts whole log: {}\nOnce mended, run `up` again: it continues where it stopped.",
        log_end.trim_end(), log.display()
    )]
    Component {
        /// Which.
        component: String,
        /// What it did.
        reason: String,
        /// The last lines of its log.
        log_end: String,
        /// The whole log.
        log: PathBuf,
    },
    /// A program that should do one thing and end, failed.
    #[error("{program} failed: {output}\nOnce mended, run `up` again: it continues where it stopped.")]
    Command {
        /// Which, with its main arguments.
        program: String,
        /// The end of what it printed.
        output: String,
    },
    /// A file or folder of the network cannot be read or written.
    #[error("{}: {source}; check the folder's permissions and free space", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or certificate cannot be made or read.
    #[error("identity of {owner}: {reason}; if its files are damaged, run `clean` to begin anew")]
    Identity {
        /// Whose.
        owner: String,
        /// Why.
        reason: String,
    },
    /// A template does not render.
    #[error("configuration {template}: {source}")]
    Render {
        /// Which.
        template: &'static str,
        /// Why.
        source: minijinja::Error,
    },
    /// The ledger refused a step of the network's founding.
    #[error("{step}: {reason}")]
    Ledger {
        /// Which.
        step: String,
        /// The ledger's or the client's answer.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s: {last}; see `status` and `logs NAME`, then run `up` again")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// What was seen last.
        last: String,
    },
    /// A step of the demonstration did not hold.
    #[error("the demonstration failed at \"{step}\": {reason}")]
    Demonstration {
        /// Which.
        step: String,
        /// What was expected and what came.
        reason: String,
    },
    /// A part of the network that runs in this process does not start.
    #[error("{part} does not start: {reason}")]
    Part {
        /// Which.
        part: String,
        /// Why.
        reason: String,
    },
    /// The caller gave up.
    #[error("interrupted; what this call had started was stopped")]
    Interrupted,
}

impl NetworkError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn identity(owner: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Identity { owner: owner.into(), reason: reason.to_string() }
    }

    pub(crate) fn ledger(step: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Ledger { step: step.into(), reason: reason.to_string() }
    }
}

fn describe_conflicts(conflicts: &[Conflict]) -> String {
    let mut text = String::from("ports in use:");
    for Conflict { port, component, holder } in conflicts {
        let _ = write!(text, "\n  {port} (wanted by {component}) is held by {holder}");
    }
    text.push_str("\nEnd those processes, or choose other ports with --port-offset N.");
    text
}
