//! One consortium in one folder: up, down, and what one needs to talk to it.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, TryLockError},
    future::{Future, pending},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Mutex,
    time::{Duration, Instant},
};

use futures::future::{join_all, try_join_all};
use healthchain_rules::{MemberId, MspId};

use crate::{
    CertificateFiles, ComponentStatus, Consortium, Health, Layout, Memory, NetworkError, Programs, Progress,
    embedded::Embedded,
    fabric::Fabric,
    founding, health, identities,
    layout::{make_folder, write_file},
    ports,
    process::{Component, Processes},
    render,
    site::{Ledger, Site},
};

/// How long a component may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);
const LOG_KEEPER: &str = "log-keeper";

/// What a network's ledger runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerKind {
    /// One process for all organisations, for one machine: development, demonstration, tests.
    Embedded,
    /// Hyperledger Fabric's own peers and orderers.
    Fabric,
}

impl fmt::Display for LedgerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LedgerKind::Embedded => "embedded",
            LedgerKind::Fabric => "fabric",
        })
    }
}

impl FromStr for LedgerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(LedgerKind::Embedded),
            "fabric" => Ok(LedgerKind::Fabric),
            _ => Err(format!("there is no ledger \"{text}\"; choose embedded or fabric")),
        }
    }
}

impl LedgerKind {
    /// Which ledger the network in a folder was made for.
    #[must_use]
    pub fn of_folder(folder: &Path) -> Option<Self> {
        let layout = Layout::new(folder).ok()?;
        fs::read_to_string(layout.ledger()).ok()?.trim().parse().ok()
    }
}

/// A consortium in a folder.
#[derive(Debug, Clone)]
pub struct Network {
    site: Site,
    ledger: LedgerKind,
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
        Ok(Self { site: Site { consortium, layout, programs, processes, progress }, ledger })
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
        let started = Mutex::new(Vec::new());
        let result = tokio::select! {
            result = self.bring_up(&started) => result,
            () = interrupt => Err(NetworkError::Interrupted),
        };
        if let Err(error) = result {
            let started = started.into_inner().unwrap_or_default();
            join_all(started.iter().map(|name: &String| self.site.processes.stop(name))).await;
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
        for path in layout.everything() {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(NetworkError::file(path)(error));
            }
        }
        let _ = fs::remove_dir(layout.root());
        Ok(())
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
        let ready = health::ready(&self.site.processes, &component, PATIENCE).await;
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

/// The steps of `up`.
impl Network {
    async fn bring_up(&self, started: &Mutex<Vec<String>>) -> Result<(), NetworkError> {
        let Site { progress, consortium, layout, .. } = &self.site;
        self.claim()?;
        progress.say(&format!("The network on the {} ledger, in {}", self.ledger, layout.root().display()));
        if self.ledger == LedgerKind::Embedded {
            progress.say("(for one machine: development, demonstration, tests; real Fabric with --ledger fabric)");
        }
        progress.step("identities", async { identities::make(layout, consortium) }).await?;
        progress.step("configuration", self.prepare()).await?;

        let (ledger, gateways) = (self.ledger_components()?, self.gateways()?);
        let all = [ledger.as_slice(), gateways.as_slice(), &[self.log_keeper()?]].concat();
        self.refuse_conflicts(&all)?;
        self.launch(&self.log_keeper()?, started)?;
        progress.step(&count("process", &ledger, "of the ledger"), self.run(&ledger, started)).await?;
        self.open_ledger().await?;
        progress.step("organisations and members are on the ledger", founding::complete(&self.site)).await?;
        progress.step(&count("gateway", &gateways, ""), self.run(&gateways, started)).await
    }

    /// Remembers ledger and consortium of a new folder; refuses another ledger or shape for an old one.
    fn claim(&self) -> Result<(), NetworkError> {
        let Site { consortium, layout, .. } = &self.site;
        match LedgerKind::of_folder(layout.root()) {
            Some(made_for) if made_for != self.ledger => {
                return Err(NetworkError::OtherLedger { folder: layout.root().to_owned(), made_for });
            }
            Some(_) if Consortium::load(&layout.consortium())?.shape() != consortium.shape() => {
                return Err(NetworkError::OtherShape { folder: layout.root().to_owned() });
            }
            Some(_) => {}
            // Asked for and not there: nothing is made.
            None if self.ledger == LedgerKind::Fabric => self.site.programs.fabric("peer").map(drop)?,
            None => {}
        }
        write_file(&layout.consortium(), consortium.to_toml())?;
        write_file(&layout.ledger(), self.ledger.to_string())?;
        make_folder(&layout.run())?;
        make_folder(&layout.logs())
    }

    async fn prepare(&self) -> Result<(), NetworkError> {
        let Site { consortium, layout, .. } = &self.site;
        for organisation in &consortium.organisations {
            let file = layout.organisation(&organisation.name).gateway().join("gateway.toml");
            write_file(&file, render::gateway(layout, consortium, organisation)?)?;
        }
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.prepare().await,
            LedgerKind::Fabric => Fabric { site: &self.site }.prepare().await,
        }
    }

    async fn open_ledger(&self) -> Result<(), NetworkError> {
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.open().await,
            LedgerKind::Fabric => Fabric { site: &self.site }.open().await,
        }
    }

    /// Starts those that do not run, and waits until all are ready.
    async fn run(&self, components: &[Component], started: &Mutex<Vec<String>>) -> Result<(), NetworkError> {
        for component in components {
            self.launch(component, started)?;
        }
        let processes = &self.site.processes;
        try_join_all(components.iter().map(|component| health::ready(processes, component, PATIENCE))).await.map(drop)
    }

    fn launch(&self, component: &Component, started: &Mutex<Vec<String>>) -> Result<(), NetworkError> {
        if self.site.processes.pid(&component.name).is_none() {
            self.site.processes.start(component)?;
            started.lock().expect("no holder of this lock panics").push(component.name.clone());
        }
        Ok(())
    }

    fn refuse_conflicts(&self, components: &[Component]) -> Result<(), NetworkError> {
        let idle = components.iter().filter(|component| self.site.processes.pid(&component.name).is_none());
        let wanted = idle.flat_map(|component| component.ports.iter().map(|port| (*port, component.name.as_str())));
        let conflicts = ports::conflicts(wanted);
        if conflicts.is_empty() { Ok(()) } else { Err(NetworkError::PortsInUse(conflicts)) }
    }
}

/// What the network is made of.
impl Network {
    fn ledger_components(&self) -> Result<Vec<Component>, NetworkError> {
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.components(),
            LedgerKind::Fabric => Fabric { site: &self.site }.components(),
        }
    }

    fn gateways(&self) -> Result<Vec<Component>, NetworkError> {
        self.site.consortium.organisations.iter().map(|organisation| self.site.gateway(organisation)).collect()
    }

    fn log_keeper(&self) -> Result<Component, NetworkError> {
        Ok(Component {
            name: LOG_KEEPER.into(),
            program: self.site.programs.own("healthchain-network")?,
            arguments: vec!["--dir".into(), crate::site::path(self.site.layout.root()), "keep-logs".into()],
            environment: vec![],
            folder: self.site.layout.root().to_owned(),
            ports: vec![],
            sign: health::Sign::Listening,
        })
    }

    fn all_components(&self) -> Result<Vec<Component>, NetworkError> {
        if !self.site.layout.ledger().exists() {
            return Err(NetworkError::NoNetwork(self.site.layout.root().to_owned()));
        }
        let mut all = self.ledger_components()?;
        all.extend(self.gateways()?);
        all.push(self.log_keeper()?);
        Ok(all)
    }

    fn component(&self, name: &str) -> Result<Component, NetworkError> {
        let mut all = self.all_components()?;
        match all.iter().position(|component| component.name == name) {
            Some(index) => Ok(all.swap_remove(index)),
            None => Err(NetworkError::NoComponent {
                name: name.to_owned(),
                known: all.into_iter().map(|component| component.name).collect(),
            }),
        }
    }

    async fn component_status(&self, component: Component) -> ComponentStatus {
        let pid = self.site.processes.pid(&component.name);
        let (health, blocks) = match pid {
            None => (Health::Stopped, None),
            Some(_) => match health::look(&component).await {
                Ok(()) => (Health::Ready, self.height(&component.name).await),
                Err(reason) => (Health::Unwell(reason), None),
            },
        };
        ComponentStatus { name: component.name, pid, ports: component.ports, health, blocks }
    }

    async fn height(&self, component: &str) -> Option<u64> {
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.height(component).await,
            LedgerKind::Fabric => Fabric { site: &self.site }.height(component).await,
        }
    }

    /// Callers first, then what they call.
    async fn stop_all(&self) -> Result<Vec<String>, NetworkError> {
        let (gateways, others): (Vec<_>, Vec<_>) =
            self.pid_files()?.into_iter().partition(|name| name.starts_with("gateway."));
        let mut stopped = Vec::new();
        for names in [gateways, others] {
            let were_running = join_all(names.iter().map(|name| self.site.processes.stop(name))).await;
            stopped.extend(names.into_iter().zip(were_running).filter(|(_, running)| *running).map(|(name, _)| name));
        }
        Ok(stopped)
    }

    /// The components that have been started, by their pid files: what a call can stop without any program at hand.
    fn pid_files(&self) -> Result<Vec<String>, NetworkError> {
        let run = self.site.layout.run();
        let entries = match fs::read_dir(&run) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(NetworkError::file(&run))?,
        };
        let names = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".pid").map(str::to_owned)
        });
        Ok(names.collect())
    }

    fn lock(&self) -> Result<File, NetworkError> {
        let layout = &self.site.layout;
        make_folder(layout.root())?;
        let file = File::create(layout.lock()).map_err(NetworkError::file(layout.lock()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(NetworkError::Busy(layout.root().to_owned())),
            Err(TryLockError::Error(error)) => Err(NetworkError::file(layout.lock())(error)),
        }
    }
}

fn count(what: &str, components: &[Component], which: &str) -> String {
    let plural = if components.len() == 1 {
        ""
    } else if what.ends_with('s') {
        "es"
    } else {
        "s"
    };
    format!("{} {what}{plural} {which}", components.len()).trim_end().to_owned()
}
