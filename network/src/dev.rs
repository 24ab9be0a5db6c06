//! A whole network in one process: the embedded ledger, the contract and every organisation's gateway, for trying it.
//!
//! Everything is as it is in processes of its own: the gateways read their `gateway.toml`, listen with their own certificates and call
//! the peers over TLS; only the chaincode's messages take a way inside the process.

mod introduction;

use std::{fs::File, sync::Arc};

use fabric_embedded::{
    Config, Embedded as EmbeddedLedger,
    config::{Access, ChaincodeDefinition},
    ledger::Storage,
};
use futures::future::{join_all, try_join_all};
use healthchain_gateway::{configuration::Configuration, server};

use crate::{
    Network, NetworkError,
    embedded::{CONFIGURATION, Embedded},
    founding,
    health::{Address, Sign},
    identities,
    ledger::Ledger,
    process::Component,
    site::{Site, own_environment, path},
};

const DEV: &str = "dev";

/// The network as one process in the background, as `up --ledger dev` starts it.
pub(crate) struct Dev<'a> {
    pub(crate) site: &'a Site,
}

impl Ledger for Dev<'_> {
    fn components(&self) -> Result<Vec<Component>, NetworkError> {
        let Site { layout, consortium, programs, .. } = self.site;
        let operations = consortium.embedded_operations_port();
        let mut ports = vec![operations];
        for organisation in &consortium.organisations {
            ports.extend([organisation.ports().gateway, organisation.ports().peer]);
        }
        Ok(vec![Component {
            name: DEV.into(),
            program: programs.own("healthchain-network")?,
            arguments: vec!["--dir".into(), path(layout.root()), "serve-dev".into()],
            environment: own_environment(),
            folder: layout.root().to_owned(),
            ports,
            sign: Sign::Answers(Address { url: format!("http://127.0.0.1:{operations}/healthz"), tls: None }),
        }])
    }

    async fn prepare(&self) -> Result<(), NetworkError> {
        Embedded { site: self.site }.prepare().await
    }

    async fn open(&self) -> Result<(), NetworkError> {
        Ok(())
    }

    async fn settle(&self, _component: &str) -> Result<(), NetworkError> {
        Ok(())
    }

    async fn height(&self, _component: &str) -> Option<u64> {
        let first = self.site.consortium.organisations.first()?;
        founding::height(self.site, first).await.ok()
    }
}

/// Whether a ledger outlives its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is on disk, in the network's folder.
    OnDisk,
    /// It is in memory, and gone with the process.
    InMemory,
}

/// A network that runs in this process.
pub struct OneProcess {
    gateways: Vec<server::Running>,
    ledger: EmbeddedLedger,
    /// Nobody else changes the folder meanwhile.
    _lock: Option<File>,
}

impl OneProcess {
    /// Serves what an earlier call of ours has prepared in the network's folder.
    ///
    /// # Errors
    /// When something is missing there, or a port is taken.
    pub async fn serve(network: &Network, keep: Keep) -> Result<Self, NetworkError> {
        let Site { layout, consortium, .. } = network.site();
        let failed = |part: &str| {
            let part = part.to_owned();
            move |reason: &dyn std::fmt::Display| NetworkError::Part { part, reason: reason.to_string() }
        };
        let mut config = Config::from_file(&layout.embedded().join(CONFIGURATION))
            .map_err(|error| failed("the ledger's configuration")(&error))?;
        config.chaincodes.iter_mut().for_each(run_here);
        if keep == Keep::InMemory {
            config.storage = Storage::Memory;
        }
        let ledger = EmbeddedLedger::start(config).await.map_err(|error| failed("the ledger")(&error))?;
        let gateways = consortium.organisations.iter().map(|organisation| async move {
            let failed = || failed(&format!("{}'s gateway", organisation.name));
            let file = layout.organisation(&organisation.name).gateway().join("gateway.toml");
            let configuration = Configuration::load(&file).map_err(|error| failed()(&error))?;
            server::start(&configuration).await.map_err(|error| failed()(&error))
        });
        Ok(Self { gateways: try_join_all(gateways).await?, ledger, _lock: None })
    }

    /// Finishes the requests under way and stops.
    pub async fn stop(self) {
        join_all(self.gateways.into_iter().map(server::Running::stop)).await;
        self.ledger.stop().await;
    }
}

impl Network {
    /// Makes what is missing and runs the whole network in this process; organisations and members are on the ledger when this returns.
    ///
    /// # Errors
    /// When the folder holds another network or one that somebody changes right now, or a port is taken.
    pub async fn run_in_this_process(&self, keep: Keep) -> Result<OneProcess, NetworkError> {
        let lock = self.lock()?;
        let Site { layout, consortium, .. } = self.site();
        self.claim()?;
        identities::make(layout, consortium)?;
        self.prepare().await?;
        self.refuse_conflicts(&Dev { site: self.site() }.components()?)?;
        let running = OneProcess::serve(self, keep).await?;
        founding::complete(self.site()).await?;
        Ok(OneProcess { _lock: Some(lock), ..running })
    }
}

/// Has the contract run in this process in place of its own: each peer has a stream of its own to it, as it always has.
fn run_here(chaincode: &mut ChaincodeDefinition) {
    chaincode.access = Access::InProcess(Arc::new(|id, outgoing, incoming| {
        tokio::spawn(healthchain_chaincode::chaincode().serve_channel(id, outgoing, incoming));
    }));
}
