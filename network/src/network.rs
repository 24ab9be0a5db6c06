//! One consortium in one folder: up, down, and what one needs to talk to it.

mod parts;
mod steps;

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use futures::future::join_all;
use healthchain_rules::{MemberId, MspId};

use crate::{
    CertificateFiles, ComponentStatus, Consortium, Health, Layout, LedgerKind, Memory, NetworkError, Origin, Programs,
    Progress, founding, health,
    process::{Component, Processes},
    site::Site,
};

/// How long a component may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A consortium in a folder.
#[derive(Debug, Clone)]
pub struct Network {
    site: Site,
    ledger: LedgerKind,
    origin: Option<Origin>,
}

/// What `up` came to.
#[derive(Debug, Clone, Copy)]
pub struct Up {
    /// From the call to ready.
    pub took: Duration,
    /// The memory of all the network's processes.
    pub memory: Memory,
}

/// What a member needs to talk to the network.
#[derive(Debug, Clone)]
pub struct MemberAccess {
    /// Its id on the ledger.
    pub id: MemberId,
    /// Its organisation.
    pub msp_id: MspId,
    /// What it shows to the gateway: a TLS client certificate and key.
    pub tls: CertificateFiles,
    /// What it would sign transactions with itself, as the gateway does for it.
    pub identity: CertificateFiles,
    /// Its encryption key (PKCS#8 PEM).
    pub encryption_key: PathBuf,
    /// Where its organisation's gateway is.
    pub gateway_url: String,
    /// What to trust when calling that gateway (PEM).
    pub tls_root: PathBuf,
}

/// What a client that skips the gateways needs to reach an organisation's peer.
#[derive(Debug, Clone)]
pub struct PeerAccess {
    /// The organisation.
    pub msp_id: MspId,
    /// `https://localhost:PORT`, gRPC.
    pub endpoint: String,
    /// What to trust there (PEM).
    pub tls_root: PathBuf,
}

/// A chaincode process, for whoever serves another chaincode in its place.
#[derive(Debug, Clone)]
pub struct ChaincodeAccess {
    /// The component.
    pub name: String,
    /// What tells it where and as what to serve, see `fabric_contract::ServerOptions::from_environment`.
    pub environment: BTreeMap<String, String>,
}

impl Network {
    /// The network in a folder, which need not exist yet.
    ///
    /// # Errors
    /// When the current folder is needed to make the path absolute and cannot be read.
    pub fn new(
        consortium: Consortium,
        folder: &Path,
        ledger: LedgerKind,
        programs: Programs,
        progress: Progress,
    ) -> Result<Self, NetworkError> {
        let layout = Layout::new(folder).map_err(NetworkError::file(folder))?;
        let processes = Processes::new(layout.run(), layout.logs());
        let programs = programs.or_remembered(&layout);
        Ok(Self { site: Site { consortium, layout, programs, processes, progress }, ledger, origin: None })
    }

    /// The same network, which notes in its folder what it was made from.
    #[must_use]
    pub fn made_from(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// The network that a folder was made for.
    ///
    /// # Errors
    /// When there is none, or what the folder says of it cannot be read.
    pub fn existing(folder: &Path, programs: Programs, progress: Progress) -> Result<Self, NetworkError> {
        let layout = Layout::new(folder).map_err(NetworkError::file(folder))?;
        let missing = || NetworkError::NoNetwork(layout.root().to_owned());
        let ledger = LedgerKind::of_folder(folder).ok_or_else(missing)?;
        Self::new(Consortium::load(&layout.consortium())?, folder, ledger, programs, progress)
    }

    /// Makes what is missing, starts what does not run, and waits until everything is ready.
    ///
    /// # Errors
    /// What this call started is stopped again.
    pub async fn up(&self) -> Result<Up, NetworkError> {
        self.up_unless(pending()).await
    }

    /// As [`Network::up`], given up when `interrupt` ends.
    ///
    /// # Errors
    /// What this call started is stopped again.
    pub async fn up_unless(&self, interrupt: impl Future<Output = ()>) -> Result<Up, NetworkError> {
        let begun = Instant::now();
        let _lock = self.lock()?;
        let is_new = !self.site.layout.ledger().exists();
        let started = Mutex::new(Vec::new());
        let result = tokio::select! {
            result = self.bring_up(&started) => result,
            () = interrupt => Err(NetworkError::Interrupted),
        };
        if let Err(error) = result {
            let started = started.into_inner().unwrap_or_default();
            join_all(started.iter().map(|name: &String| self.site.processes.stop(name))).await;
            // Nothing ran yet: the next attempt may choose another ledger or other ports.
            if is_new && started.is_empty() {
                self.delete()?;
            }
            return Err(error);
        }
        Ok(Up { took: begun.elapsed(), memory: self.memory() })
    }

    /// Stops everything; the ledger stays. Gives what was running.
    ///
    /// # Errors
    /// When the folder cannot be read, or another call is at work in it.
    pub async fn down(&self) -> Result<Vec<String>, NetworkError> {
        if !self.site.layout.root().exists() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        self.stop_all().await
    }

    /// Stops everything and deletes the network's files, and its folder when nothing else is in it.
    ///
    /// # Errors
    /// When the folder is no network's, when something in it cannot be deleted, or another call is at work in it.
    pub async fn clean(&self) -> Result<(), NetworkError> {
        let layout = &self.site.layout;
        if !layout.root().exists() {
            return Ok(());
        }
        if !layout.ledger().exists() {
            return Err(NetworkError::NoNetwork(layout.root().to_owned()));
        }
        let _lock = self.lock()?;
        self.stop_all().await?;
        self.delete()
    }

    /// Starts one component and waits until it is ready; harmless when it runs.
    ///
    /// # Errors
    /// When there is no such component, its ports are taken, or it does not become ready.
    pub async fn start(&self, name: &str) -> Result<(), NetworkError> {
        let component = self.component(name)?;
        self.refuse_conflicts(std::slice::from_ref(&component))?;
        let running = self.site.processes.pid(name).is_some();
        if !running {
            self.site.processes.start(&component)?;
        }
        let begun = async {
            health::ready(&self.site.processes, &component, PATIENCE).await?;
            self.settle(name).await
        };
        let ready = begun.await;
        if ready.is_err() && !running {
            self.site.processes.stop(name).await;
        }
        ready
    }

    /// Stops one component as an operator would (SIGTERM); gives whether it was running.
    ///
    /// # Errors
    /// When there is no such component.
    pub async fn stop(&self, name: &str) -> Result<bool, NetworkError> {
        Ok(self.site.processes.stop(&self.component(name)?.name).await)
    }

    /// Kills one component as a crash would (SIGKILL); gives whether it was running.
    ///
    /// # Errors
    /// When there is no such component.
    pub async fn kill(&self, name: &str) -> Result<bool, NetworkError> {
        Ok(self.site.processes.kill(&self.component(name)?.name).await)
    }

    /// Where a component's output goes.
    ///
    /// # Errors
    /// When there is no such component.
    pub fn log(&self, name: &str) -> Result<PathBuf, NetworkError> {
        Ok(self.site.processes.log(&self.component(name)?.name))
    }

    /// The process of a component that runs.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.site.processes.pid(name)
    }

    /// The names of all components.
    ///
    /// # Errors
    /// When the network has not been made yet.
    pub fn components(&self) -> Result<Vec<String>, NetworkError> {
        Ok(self.all_components()?.into_iter().map(|component| component.name).collect())
    }

    /// The chaincode processes.
    ///
    /// # Errors
    /// When the network has not been made yet.
    pub fn chaincodes(&self) -> Result<Vec<ChaincodeAccess>, NetworkError> {
        let serves = |component: &Component| component.environment.iter().any(|(name, _)| name == "CHAINCODE_ID");
        let access = |component: Component| ChaincodeAccess {
            name: component.name,
            environment: component.environment.into_iter().collect(),
        };
        Ok(self.ledger_components()?.into_iter().filter(serves).map(access).collect())
    }

    /// How each component is.
    ///
    /// # Errors
    /// When the network has not been made yet.
    pub async fn status(&self) -> Result<Vec<ComponentStatus>, NetworkError> {
        let components = self.all_components()?;
        Ok(join_all(components.into_iter().map(|component| self.component_status(component))).await)
    }

    /// Succeeds when every component is ready.
    ///
    /// # Errors
    /// When the network has not been made, or names the first component that is not ready.
    pub async fn require_ready(&self) -> Result<(), NetworkError> {
        match self.status().await?.into_iter().find(|component| component.health != Health::Ready) {
            None => Ok(()),
            Some(component) => Err(NetworkError::NotReady { component: component.name, health: component.health }),
        }
    }

    /// The memory of all the network's processes.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let names = self.pid_files().unwrap_or_default();
        let pids: Vec<_> = names.iter().filter_map(|name| self.site.processes.pid(name)).collect();
        Memory::of(&pids)
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// The consortium, with the ports it has here.
    #[must_use]
    pub fn consortium(&self) -> &Consortium {
        &self.site.consortium
    }

    /// Where the network keeps what.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.site.layout
    }

    /// What the ledger runs on.
    #[must_use]
    pub fn ledger(&self) -> LedgerKind {
        self.ledger
    }

    /// What a member needs to talk to the network; `None` when the consortium names no such member.
    #[must_use]
    pub fn member(&self, id: &str) -> Option<MemberAccess> {
        let (organisation, member) = self.site.consortium.organisations.iter().find_map(|organisation| {
            Some((organisation, organisation.members.iter().find(|member| member.id.as_str() == id)?))
        })?;
        let folder = self.site.layout.organisation(&organisation.name);
        Some(MemberAccess {
            id: member.id.clone(),
            msp_id: organisation.msp_id.clone(),
            tls: folder.member_tls(id),
            identity: folder.member_identity(id),
            encryption_key: folder.member_encryption_key(id),
            gateway_url: founding::gateway_url(organisation),
            tls_root: folder.tls_root(),
        })
    }

    /// What a client that skips the gateways needs; `None` when there is no such organisation.
    #[must_use]
    pub fn peer(&self, organisation: &str) -> Option<PeerAccess> {
        let organisation = self.site.consortium.organisation(organisation)?;
        Some(founding::peer(&self.site, organisation))
    }
}
