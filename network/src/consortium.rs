//! The consortium as data: `consortium.toml`, read and checked once.

mod rules;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use healthchain_rules::{MemberId, MspId, OrganisationKind, Role};
use serde::{Deserialize, Serialize};

/// Ports that each organisation takes from its `first_port` on.
const PORTS_PER_ORGANISATION: u16 = 10;
/// Ports that the embedded ledger's own components take from the consortium's `first_port` on.
const SHARED_PORTS: u16 = 2;

/// Who takes part, on which ports, under which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "rules::Draft")]
pub struct Consortium {
    /// The channel's name.
    pub channel: String,
    /// How real Fabric orders transactions.
    pub ordering: Ordering,
    first_port: u16,
    /// The chaincode's definition.
    pub chaincode: ChaincodeDefinition,
    /// How many organisations must endorse.
    pub policies: Policies,
    /// When a block is cut.
    pub batch: Batch,
    /// At least one care organisation and one of patients; names, MSP ids and ports are distinct.
    pub organisations: Vec<Organisation>,
}

/// How real Fabric orders transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// SmartBFT: bears one faulty orderer of four.
    Bft,
    /// Raft: bears crashes of a minority, no malice.
    Raft,
}

/// The chaincode's definition, as the organisations approve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaincodeDefinition {
    /// Its name on the channel.
    pub name: String,
    /// Its version, any text.
    pub version: String,
    /// 1 for the first definition, one higher with each change.
    pub sequence: u64,
}

/// How many organisations must endorse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// A transaction.
    pub endorsement: Quorum,
    /// The chaincode's definition.
    pub lifecycle: Quorum,
}

/// A share of the organisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quorum {
    /// One of them.
    Any,
    /// More than half of them.
    Majority,
    /// Each of them.
    All,
}

impl Quorum {
    /// How many of `organisations` this is.
    #[must_use]
    pub fn of(self, organisations: usize) -> usize {
        match self {
            Quorum::Any => 1,
            Quorum::Majority => organisations / 2 + 1,
            Quorum::All => organisations,
        }
    }
}

impl fmt::Display for Quorum {
    /// As Fabric's implicit meta policies spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quorum::Any => "ANY",
            Quorum::Majority => "MAJORITY",
            Quorum::All => "ALL",
        })
    }
}

/// When a block is cut: by count, by bytes, or when the first transaction has waited long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Transactions in a block at most.
    pub max_messages: u32,
    /// Bytes from which a block is cut.
    pub preferred_max_bytes: u32,
    /// Bytes that no block may exceed.
    pub absolute_max_bytes: u32,
    /// Milliseconds that a transaction waits at most, on real Fabric. SmartBFT wants 200 or more on small machines.
    pub timeout_milliseconds: u64,
    /// Milliseconds that a transaction waits at most on the embedded ledger, where nobody has to agree.
    pub embedded_timeout_milliseconds: u64,
}

/// A member organisation of the consortium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// Its name in folders and components: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its id on the ledger.
    pub msp_id: MspId,
    /// What it is.
    pub kind: OrganisationKind,
    first_port: u16,
    /// Whether it runs an orderer on real Fabric.
    #[serde(default = "yes")]
    pub orderer: bool,
    /// MSP ids of the organisations of whose records it keeps copies, once they name it as their custodian.
    #[serde(default)]
    pub keep_for: Vec<MspId>,
    /// Origins of pages that may call its gateway (`https://HOST:PORT`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub portals: Vec<String>,
    /// Its members; the first administrator founds it on the ledger. An agent is in the wallet, and is for an administrator to deploy.
    pub members: Vec<Member>,
    /// `[agents]` of its gateway's configuration: which agents run there, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<serde_json::Value>,
}

/// A member of the demonstration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id on the ledger.
    pub id: MemberId,
    /// Its role there.
    pub role: Role,
}

/// The ports of one organisation, all on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// The gateway's REST interface (HTTPS, mutual).
    pub gateway: u16,
    /// The peer's gRPC services (TLS); on the embedded ledger the organisation's endpoint there.
    pub peer: u16,
    /// The peer's listener for chaincode that it starts itself; unused, but the peer wants one.
    pub peer_chaincode: u16,
    /// The peer's health and metrics (HTTP).
    pub peer_operations: u16,
    /// The orderer's gRPC services (TLS).
    pub orderer: u16,
    /// The orderer's channel participation interface (HTTPS, mutual).
    pub orderer_administration: u16,
    /// The orderer's health and metrics (HTTP).
    pub orderer_operations: u16,
    /// The chaincode's server (mutual TLS).
    pub chaincode: u16,
}

impl Organisation {
    /// Where its components listen.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let first = self.first_port;
        Ports {
            gateway: first,
            peer: first + 1,
            peer_chaincode: first + 2,
            peer_operations: first + 3,
            orderer: first + 4,
            orderer_administration: first + 5,
            orderer_operations: first + 6,
            chaincode: first + 7,
        }
    }

    /// The administrator who founds it on the ledger.
    ///
    /// # Panics
    /// Never for an organisation of a [`Consortium`]: reading it refuses one without an administrator.
    #[must_use]
    pub fn founder(&self) -> &Member {
        self.members
            .iter()
            .find(|member| member.role == Role::Administrator)
            .expect("reading a consortium refuses an organisation without an administrator")
    }
}

impl Consortium {
    /// Reads a consortium's file.
    ///
    /// # Errors
    /// When the file cannot be read or breaks a rule of its own; the text says which and what to change.
    pub fn load(file: &Path) -> Result<Self, ConsortiumError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConsortiumError::Unreadable { file: file.to_owned(), source })?;
        Self::parse(&text)
            .map_err(|source| ConsortiumError::Refused { file: file.to_owned(), reason: source.message().to_owned() })
    }

    /// The consortium of `network/consortium.toml`.
    #[must_use]
    pub fn shipped() -> Self {
        Self::parse(include_str!("../consortium.toml")).expect("a test takes the consortium that we ship")
    }

    /// Reads a consortium from TOML.
    ///
    /// # Errors
    /// When the text is not TOML of this shape, or breaks a rule.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The same consortium, all its ports moved up.
    ///
    /// # Errors
    /// When a port would exceed 65,535.
    pub fn with_port_offset(mut self, offset: u16) -> Result<Self, ConsortiumError> {
        let moved = |port: u16| port.checked_add(offset).filter(|port| *port <= u16::MAX - PORTS_PER_ORGANISATION);
        self.first_port = moved(self.first_port).ok_or(ConsortiumError::PortOffset(offset))?;
        for organisation in &mut self.organisations {
            organisation.first_port = moved(organisation.first_port).ok_or(ConsortiumError::PortOffset(offset))?;
        }
        Ok(self)
    }

    /// Where the embedded ledger answers `/healthz` (HTTP).
    #[must_use]
    pub fn embedded_operations_port(&self) -> u16 {
        self.first_port
    }

    /// Where the one chaincode of the embedded ledger listens (mutual TLS).
    #[must_use]
    pub fn embedded_chaincode_port(&self) -> u16 {
        self.first_port + 1
    }

    /// The organisations that run an orderer on real Fabric.
    pub fn orderers(&self) -> impl Iterator<Item = &Organisation> {
        self.organisations.iter().filter(|organisation| organisation.orderer)
    }

    /// The organisation of this name.
    #[must_use]
    pub fn organisation(&self, name: &str) -> Option<&Organisation> {
        self.organisations.iter().find(|organisation| organisation.name == name)
    }

    /// The consortium as [`Consortium::parse`] takes it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a consortium has no map with keys that are no text")
    }

    /// Everything but the members and the chaincode's definition: what a running network cannot change.
    pub(crate) fn shape(&self) -> Consortium {
        let mut shape = self.clone();
        shape.chaincode = ChaincodeDefinition { name: shape.chaincode.name, version: String::new(), sequence: 0 };
        for organisation in &mut shape.organisations {
            organisation.members.clear();
        }
        shape
    }
}

/// Why a consortium is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConsortiumError {
    /// The file cannot be read.
    #[error("cannot read the consortium's file {}: {source}; name one with --consortium FILE", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file breaks a rule.
    #[error("{}: {reason}", file.display())]
    Refused {
        /// Which.
        file: PathBuf,
        /// The rule, and what to change.
        reason: String,
    },
    /// The offset moves a port beyond the last one.
    #[error("--port-offset {0} moves a port beyond 65,535; choose a smaller one")]
    PortOffset(u16),
}

fn yes() -> bool {
    true
}
