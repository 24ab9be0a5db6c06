//! What an embedded network is made of, and the file that describes one.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fabric_msp::{Msp, SigningIdentity, policy};
use fabric_protos::{common::SignaturePolicyEnvelope, protos::ChaincodeMessage};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::ledger::Storage;

/// A whole network: one channel, its organisations with a peer each, one orderer, and the chaincodes defined on the channel.
pub struct Config {
    /// The channel's name.
    pub channel: String,
    /// Where the ledger is kept.
    pub storage: Storage,
    /// When a block is cut.
    pub batch: Batch,
    /// Waiting times.
    pub times: Times,
    /// Who signs blocks.
    pub orderer: Orderer,
    /// The organisations of the channel; each has one peer.
    pub organisations: Vec<Organisation>,
    /// The chaincodes defined on the channel; every organisation has each of them.
    pub chaincodes: Vec<ChaincodeDefinition>,
    /// Where `GET /healthz` and `GET /version` are answered, if anywhere.
    pub operations: Option<SocketAddr>,
}

/// The ordering service's identity and the verifier of its organisation.
pub struct Orderer {
    /// Signs blocks.
    pub identity: SigningIdentity,
    /// Tells others who may have signed them.
    pub msp: Msp,
}

/// One organisation with its peer.
pub struct Organisation {
    /// Verifies the organisation's identities.
    pub msp: Msp,
    /// Signs endorsements; its certificate needs the organisational unit `peer` for `.peer` policies.
    pub peer: SigningIdentity,
    /// The peer's port; without it the organisation is reached by [`Embedded::connect`](crate::Embedded::connect) only.
    pub listen: Option<Listen>,
}

/// A TLS port.
pub struct Listen {
    /// Port 0 lets the system choose.
    pub address: SocketAddr,
    /// The certificate chain, PEM.
    pub certificate: Vec<u8>,
    /// Its private key, PEM.
    pub key: Vec<u8>,
}

/// When a block is cut: whichever comes first.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// So many transactions are a block.
    pub max_messages: usize,
    /// A block is cut before it grows above so many bytes; a larger transaction stands alone.
    pub preferred_max_bytes: usize,
    /// A transaction above so many bytes is refused.
    pub absolute_max_bytes: usize,
    /// The first transaction of a block waits so long for others.
    pub timeout_milliseconds: u64,
}

impl Default for Batch {
    /// Fabric's, but for a wait of 20 ms in place of 2 s: a lone transaction waits the whole of it.
    fn default() -> Self {
        Self { max_messages: 500, preferred_max_bytes: 2 << 20, absolute_max_bytes: 10 << 20, timeout_milliseconds: 20 }
    }
}

/// Waiting times.
#[derive(Clone, Debug)]
pub struct Times {
    /// A proposal's timestamp may be so far from the peer's clock (Fabric: 15 minutes).
    pub time_window: Duration,
    /// A chaincode has so long for one call (Fabric: 30 seconds).
    pub execute: Duration,
    /// A chaincode that was dialled has so long to register and be ready (Fabric: 300 seconds).
    pub startup: Duration,
    /// A chaincode's server has so long to answer when it is dialled (Fabric: 3 seconds).
    pub dial: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            time_window: Duration::from_secs(15 * 60),
            execute: Duration::from_secs(30),
            startup: Duration::from_secs(20),
            dial: Duration::from_secs(3),
        }
    }
}

/// A chaincode as the channel has approved and committed it.
#[derive(Clone)]
pub struct ChaincodeDefinition {
    /// Its name on the channel.
    pub name: String,
    /// Its version; it is part of what endorsers sign.
    pub version: String,
    /// Grows by one with each new definition.
    pub sequence: u64,
    /// What its server must register as.
    pub package_id: String,
    /// Who must endorse.
    pub policy: SignaturePolicyEnvelope,
    /// How its program is reached.
    pub access: Access,
}

/// How a chaincode's program is reached.
#[derive(Clone)]
pub enum Access {
    /// It is a server that each peer dials.
    Server(Server),
    /// It runs in this process.
    InProcess(Arc<Serve>),
}

/// Called once for each organisation's stream, with the package id to register as and the chaincode's half of the stream;
/// must start a task that serves it.
pub type Serve = dyn Fn(String, mpsc::Sender<ChaincodeMessage>, mpsc::Receiver<ChaincodeMessage>) + Send + Sync;

/// A chaincode server.
#[derive(Clone)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// Without it the connection is plain text.
    pub tls: Option<ServerTls>,
}

/// Mutual TLS with a chaincode server, PEM.
#[derive(Clone)]
pub struct ServerTls {
    /// Verifies the server.
    pub root_certificate: Vec<u8>,
    /// The peers' own certificate and key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is not there or not readable.
    #[error("cannot read {path}: {source}; check the path in the configuration file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The configuration file is not what it should be.
    #[error("{path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// An identity folder does not serve.
    #[error("the {what} in {path} cannot be used: {reason}")]
    Identity {
        /// Which one.
        what: String,
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A chaincode's endorsement policy does not parse.
    #[error("the policy of chaincode {chaincode} cannot be used: {reason}")]
    Policy {
        /// Whose policy.
        chaincode: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Config {
    /// Reads the file that `fabric-embedded --config` takes. Its paths are relative to its own folder.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let bytes = read(path)?;
        let text = String::from_utf8_lossy(&bytes);
        let file: File = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        file.load(path.parent().unwrap_or(Path::new(".")))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    channel: String,
    data: PathBuf,
    operations: Option<SocketAddr>,
    time_window_seconds: Option<u64>,
    execute_timeout_seconds: Option<u64>,
    startup_timeout_seconds: Option<u64>,
    #[serde(default)]
    batch: Batch,
    orderer: OrdererEntry,
    organisations: Vec<OrganisationEntry>,
    chaincodes: Vec<ChaincodeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrdererEntry {
    msp_id: String,
    msp: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganisationEntry {
    msp_id: String,
    msp: PathBuf,
    listen: SocketAddr,
    peer_msp: PathBuf,
    tls_certificate: PathBuf,
    tls_key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChaincodeEntry {
    name: String,
    version: String,
    sequence: u64,
    package_id: String,
    policy: String,
    address: String,
    root_certificate: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

impl File {
    fn load(self, folder: &Path) -> Result<Config, ConfigError> {
        let mut times = Times::default();
        if let Some(seconds) = self.time_window_seconds {
            times.time_window = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.execute_timeout_seconds {
            times.execute = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.startup_timeout_seconds {
            times.startup = Duration::from_secs(seconds);
        }
        let orderer_folder = folder.join(&self.orderer.msp);
        Ok(Config {
            channel: self.channel,
            storage: Storage::Folder(folder.join(self.data)),
            batch: self.batch,
            times,
            orderer: Orderer {
                identity: signer("orderer's identity", &orderer_folder, &self.orderer.msp_id)?,
                msp: verifier("orderer's MSP", &orderer_folder, &self.orderer.msp_id)?,
            },
            organisations: self.organisations.into_iter().map(|entry| entry.load(folder)).collect::<Result<_, _>>()?,
            chaincodes: self.chaincodes.into_iter().map(|entry| entry.load(folder)).collect::<Result<_, _>>()?,
            operations: self.operations,
        })
    }
}

impl OrganisationEntry {
    fn load(self, folder: &Path) -> Result<Organisation, ConfigError> {
        Ok(Organisation {
            msp: verifier(&format!("MSP of {}", self.msp_id), &folder.join(&self.msp), &self.msp_id)?,
            peer: signer(&format!("peer identity of {}", self.msp_id), &folder.join(&self.peer_msp), &self.msp_id)?,
            listen: Some(Listen {
                address: self.listen,
                certificate: read(&folder.join(&self.tls_certificate))?,
                key: read(&folder.join(&self.tls_key))?,
            }),
        })
    }
}

impl ChaincodeEntry {
    fn load(self, folder: &Path) -> Result<ChaincodeDefinition, ConfigError> {
        let policy = policy::parse(&self.policy)
            .map_err(|error| ConfigError::Policy { chaincode: self.name.clone(), reason: error.to_string() })?;
        let tls = match self.root_certificate {
            None => None,
            Some(root) => Some(ServerTls {
                root_certificate: read(&folder.join(root))?,
                client: match (self.client_certificate, self.client_key) {
                    (Some(certificate), Some(key)) => {
                        Some((read(&folder.join(certificate))?, read(&folder.join(key))?))
                    }
                    _ => None,
                },
            }),
        };
        Ok(ChaincodeDefinition {
            name: self.name,
            version: self.version,
            sequence: self.sequence,
            package_id: self.package_id,
            policy,
            access: Access::Server(Server { address: self.address, tls }),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

fn signer(what: &str, folder: &Path, msp_id: &str) -> Result<SigningIdentity, ConfigError> {
    SigningIdentity::load(folder, msp_id).map_err(|error| ConfigError::Identity {
        what: what.to_owned(),
        path: folder.to_owned(),
        reason: error.to_string(),
    })
}

fn verifier(what: &str, folder: &Path, msp_id: &str) -> Result<Msp, ConfigError> {
    Msp::load(folder, msp_id).map_err(|error| ConfigError::Identity {
        what: what.to_owned(),
        path: folder.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a configuration file with this text.
    fn refusal(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embedded.toml");
        std::fs::write(&path, text).unwrap();
        Config::from_file(&path).err().unwrap().to_string()
    }

    const WHOLE: &str = "channel = 'c'\ndata = 'd'\norganisations = []\nchaincodes = []\n";

    #[test]
    fn a_configuration_that_is_not_there_is_named() {
        let missing = Config::from_file(Path::new("/nowhere/embedded.toml")).err().unwrap().to_string();
        assert!(missing.starts_with("cannot read /nowhere/embedded.toml: "), "{missing}");
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_line() {
        let unknown = refusal(&format!("chanel = 'typo'\n{WHOLE}[orderer]\nmsp_id = 'A'\nmsp = 'm'\n"));
        assert!(unknown.contains("line 1") && unknown.contains("chanel"), "{unknown}");
    }

    #[test]
    fn an_identity_that_is_not_there_is_named_with_its_folder() {
        let missing = refusal(&format!("{WHOLE}[orderer]\nmsp_id = 'A'\nmsp = 'nowhere'\n"));
        assert!(missing.starts_with("the orderer's identity in ") && missing.contains("nowhere"), "{missing}");
    }
}
