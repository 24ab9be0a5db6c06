//! Hyperledger Fabric's protocols in one process, for development, demonstration and tests on one machine.
//!
//! Clients see a peer's gateway service for each organisation, chaincodes see a peer for each organisation, and both see
//! what Fabric 3.1 would do: every endorsing organisation runs the chaincode by itself, results that differ are refused,
//! blocks are cut, hashed, signed, validated and kept. What is left out stands in the README of this crate.
//!
//! - The program `fabric-embedded --config embedded.toml` serves a network on ports; see [`Config::from_file`].
//! - [`Embedded::start`] does the same inside another program.
//! - [`testing`] makes a whole network in memory, in a few lines, for contract tests.
//!
//! **It is one process with all organisations' keys: nobody is protected from anybody. Do not put real records on it.**

mod access;
pub mod ca;
mod chaincode;
mod channel;
pub mod config;
mod endorser;
mod gateway;
mod genesis;
pub mod ledger;
mod operations;
mod orderer;
mod proposal;
mod serving;
mod system;
pub mod testing;
mod validation;

use std::{net::SocketAddr, sync::Arc};

use fabric_msp::{Msps, SigningIdentity};
use fabric_protos::gateway::gateway_server::GatewayServer;
use prost::Message;
use tokio::{io::DuplexStream, sync::mpsc, task::JoinSet};

pub use config::{Config, ConfigError};

use access::Members;
use channel::Channel;
use endorser::Endorser;
use gateway::Gateway;
use ledger::{BlockSigner, Ledger, LedgerError, Verification};
use orderer::Orderer;

/// What it says of itself wherever it is seen.
pub const BANNER: &str = concat!(
    "fabric-embedded ",
    env!("CARGO_PKG_VERSION"),
    ": a development ledger for one machine, speaking Hyperledger Fabric 3.1's protocols. Not for real records."
);

/// A running network. Dropping it stops it at once; nothing that was acknowledged is lost.
pub struct Embedded {
    channel: Arc<Channel>,
    block_signers: Msps,
    peers: Vec<Peer>,
    operations: Option<SocketAddr>,
    tasks: JoinSet<()>,
}

struct Peer {
    msp_id: String,
    address: Option<SocketAddr>,
    pipes: mpsc::Sender<DuplexStream>,
}

/// Why a network does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("the configuration cannot be used: {0}")]
    Configuration(String),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger was made for other organisations.
    #[error(
        "the ledger in the data folder belongs to another network: {0}; use that network's configuration, or another data \
         folder"
    )]
    AnotherNetwork(String),
    /// A port cannot be listened on.
    #[error("cannot listen on {address} for {what}: {source}; stop what uses the port, or choose another one")]
    Port {
        /// The address.
        address: SocketAddr,
        /// Whose port.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A peer's TLS certificate or key cannot be used.
    #[error("the TLS certificate and key of {msp_id} cannot be used: {reason}")]
    Tls {
        /// Whose.
        msp_id: String,
        /// What is wrong.
        reason: String,
    },
}

impl Embedded {
    /// Opens the ledger, listens on all ports and serves; everything answers when this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        check(&config)?;
        let genesis = genesis::envelope(&config).encode_to_vec();
        let (storage, signer) = (config.storage, Arc::new(Signer(config.orderer.identity)));
        let first = genesis.clone();
        let opened = tokio::task::spawn_blocking(move || Ledger::open(&storage, signer, || first)).await;
        let ledger = opened.unwrap_or_else(|panic| Err(LedgerError::Damaged(panic.to_string())))?;
        genesis::compare(&ledger, &genesis)?;

        let (msps, peers): (Vec<_>, Vec<_>) = config
            .organisations
            .into_iter()
            .map(|organisation| (organisation.msp, (organisation.peer, organisation.listen)))
            .unzip();
        let channel = Arc::new(Channel {
            name: config.channel,
            members: Members::new(Msps::new(msps)),
            ledger,
            definitions: config.chaincodes.into_iter().map(|one| (one.name.clone(), one)).collect(),
            times: config.times,
        });

        let mut tasks = JoinSet::new();
        let orderer = Orderer::start(channel.clone(), config.batch, &mut tasks);
        let mut listeners = Vec::new();
        for (identity, listen) in &peers {
            listeners.push(match listen {
                Some(listen) => Some(serving::listen(identity.msp_id(), listen).await?),
                None => None,
            });
        }
        let endorsers: Vec<Arc<Endorser>> = peers
            .into_iter()
            .zip(&listeners)
            .map(|((identity, _), listener)| {
                let address = listener.as_ref().map_or(identity.msp_id().to_owned(), |one| one.address.to_string());
                Arc::new(Endorser::new(channel.clone(), identity, address))
            })
            .collect();
        let mut served = Vec::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            let mut own_first = endorsers.clone();
            own_first[..=index].rotate_right(1);
            let gateway = Gateway::new(channel.clone(), own_first.into(), orderer.clone());
            let service = GatewayServer::new(gateway)
                .max_decoding_message_size(serving::LARGEST_MESSAGE)
                .max_encoding_message_size(serving::LARGEST_MESSAGE);
            let address = listener.as_ref().map(|listener| listener.address);
            if let Some(listener) = listener {
                serving::serve_port(&mut tasks, service.clone(), listener);
            }
            let pipes = serving::serve_pipes(&mut tasks, service);
            served.push(Peer { msp_id: endorsers[index].msp_id().to_owned(), address, pipes });
        }
        let operations = match config.operations {
            Some(address) => Some(operations::serve(&mut tasks, address, channel.clone(), orderer).await?),
            None => None,
        };
        let block_signers = Msps::new(vec![config.orderer.msp]);
        Ok(Self { channel, block_signers, peers: served, operations, tasks })
    }

    /// A gRPC connection to an organisation's peer without a port, inside this process.
    ///
    /// # Panics
    /// If there is no such organisation.
    pub fn connect(&self, msp_id: &str) -> tonic::transport::Channel {
        serving::connect(self.peer(msp_id).pipes.clone())
    }

    /// Where an organisation's peer listens, if it does.
    ///
    /// # Panics
    /// If there is no such organisation.
    pub fn address(&self, msp_id: &str) -> Option<SocketAddr> {
        self.peer(msp_id).address
    }

    /// Where health and version are answered, if anywhere.
    pub fn operations(&self) -> Option<SocketAddr> {
        self.operations
    }

    /// The channel's ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.channel.ledger
    }

    /// Checks the whole chain, signatures of the blocks included.
    pub fn verify_chain(&self) -> Result<Verification, LedgerError> {
        self.channel.ledger.verify_chain(&|creator, message, signature| {
            self.block_signers.identify(creator).is_ok_and(|signer| signer.verify(message, signature).is_ok())
        })
    }

    /// Stops serving and waits until nothing runs any more. A client's connection that is still open keeps the ledger's
    /// folder in use: drop clients first where the folder shall be opened again in the same process.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    fn peer(&self, msp_id: &str) -> &Peer {
        let found = self.peers.iter().find(|peer| peer.msp_id == msp_id);
        found.unwrap_or_else(|| panic!("{msp_id} is no organisation of this network"))
    }
}

struct Signer(SigningIdentity);

impl BlockSigner for Signer {
    fn creator(&self) -> Vec<u8> {
        self.0.serialized().to_vec()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        self.0.sign(message).map_err(|error| error.to_string())
    }
}

/// What no file format can say.
fn check(config: &Config) -> Result<(), StartError> {
    let refuse = |reason: String| Err(StartError::Configuration(reason));
    if config.organisations.is_empty() {
        return refuse("it has no organisation; name at least one".into());
    }
    for (index, organisation) in config.organisations.iter().enumerate() {
        let msp_id = organisation.msp.id();
        if config.organisations[..index].iter().any(|earlier| earlier.msp.id() == msp_id) {
            return refuse(format!("{msp_id} stands in it twice; name each organisation once"));
        }
        if organisation.peer.msp_id() != msp_id {
            return refuse(format!("the peer of {msp_id} has an identity of {}", organisation.peer.msp_id()));
        }
    }
    for (index, chaincode) in config.chaincodes.iter().enumerate() {
        if config.chaincodes[..index].iter().any(|earlier| earlier.name == chaincode.name) {
            return refuse(format!("chaincode {} stands in it twice; define each chaincode once", chaincode.name));
        }
        if system::is_system(&chaincode.name) || chaincode.name.is_empty() {
            return refuse(format!("{:?} is no name for a chaincode; choose another one", chaincode.name));
        }
        if chaincode.version.is_empty() {
            return refuse(format!("chaincode {} has no version; give it one", chaincode.name));
        }
    }
    Ok(())
}
