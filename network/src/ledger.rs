//! The ledgers that a network can run on, behind one trait.

use std::{fmt, fs, path::Path, str::FromStr};

use crate::{Layout, NetworkError, process::Component};

/// What the gateways say wherever they are seen, when everybody's keys are on one machine.
const DEVELOPMENT: &str =
    "This is a development ledger on one machine, which holds everybody's keys: not for real records.";

/// What a network's ledger runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerKind {
    /// One process for all organisations, for one machine: development, demonstration, tests.
    Embedded,
    /// The embedded ledger, with the contract and every gateway in its process.
    Dev,
    /// Hyperledger Fabric's own peers and orderers.
    Fabric,
}

impl fmt::Display for LedgerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LedgerKind::Embedded => "embedded",
            LedgerKind::Dev => "dev",
            LedgerKind::Fabric => "fabric",
        })
    }
}

impl FromStr for LedgerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(LedgerKind::Embedded),
            "dev" => Ok(LedgerKind::Dev),
            "fabric" => Ok(LedgerKind::Fabric),
            _ => Err(format!("there is no ledger \"{text}\"; choose embedded, fabric or dev")),
        }
    }
}

impl LedgerKind {
    /// What a gateway says of a ledger that is not for real records; `None` for one that is.
    pub(crate) fn notice(self) -> Option<&'static str> {
        match self {
            LedgerKind::Embedded | LedgerKind::Dev => Some(DEVELOPMENT),
            LedgerKind::Fabric => None,
        }
    }

    /// Which ledger the network in a folder was made for.
    #[must_use]
    pub fn of_folder(folder: &Path) -> Option<Self> {
        let layout = Layout::new(folder).ok()?;
        fs::read_to_string(layout.ledger()).ok()?.trim().parse().ok()
    }
}

/// One of the ledgers: which processes it is made of, and how it comes up.
pub(crate) trait Ledger {
    /// The processes, the chaincode's included; in the order in which `status` shows them.
    ///
    /// Asked after [`Ledger::prepare`].
    fn components(&self) -> Result<Vec<Component>, NetworkError>;

    /// Writes configuration and whatever else the processes need before they start; harmless when repeated.
    fn prepare(&self) -> impl Future<Output = Result<(), NetworkError>> + Send;

    /// With all processes ready: does what is left to do until every organisation can call the chaincode.
    fn open(&self) -> impl Future<Output = Result<(), NetworkError>> + Send;

    /// With one component started again: waits until the rest of the ledger has taken it back.
    fn settle(&self, component: &str) -> impl Future<Output = Result<(), NetworkError>> + Send;

    /// How many blocks a component has; `None` for one that keeps none or does not answer.
    fn height(&self, component: &str) -> impl Future<Output = Option<u64>> + Send;
}
