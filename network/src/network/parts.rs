//! What a network is made of, in processes and files.

use std::fs::{self, File, TryLockError};

use futures::future::join_all;

use super::Network;
use crate::{
    ComponentStatus, Health, LedgerKind, NetworkError, dev::Dev, embedded::Embedded, fabric::Fabric, health,
    layout::make_folder, ledger::Ledger, process::Component,
};

const LOG_KEEPER: &str = "log-keeper";

impl Network {
    pub(super) fn ledger_components(&self) -> Result<Vec<Component>, NetworkError> {
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.components(),
            LedgerKind::Dev => Dev { site: &self.site }.components(),
            LedgerKind::Fabric => Fabric { site: &self.site }.components(),
        }
    }

    /// The gateways' processes, where they have any of their own.
    pub(super) fn gateways(&self) -> Result<Vec<Component>, NetworkError> {
        if self.ledger == LedgerKind::Dev {
            return Ok(Vec::new());
        }
        self.site.consortium.organisations.iter().map(|organisation| self.site.gateway(organisation)).collect()
    }

    pub(super) fn log_keeper(&self) -> Result<Component, NetworkError> {
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

    pub(super) fn all_components(&self) -> Result<Vec<Component>, NetworkError> {
        if !self.site.layout.ledger().exists() {
            return Err(NetworkError::NoNetwork(self.site.layout.root().to_owned()));
        }
        let mut all = self.ledger_components()?;
        all.extend(self.gateways()?);
        all.push(self.log_keeper()?);
        Ok(all)
    }

    pub(super) fn component(&self, name: &str) -> Result<Component, NetworkError> {
        let mut all = self.all_components()?;
        match all.iter().position(|component| component.name == name) {
            Some(index) => Ok(all.swap_remove(index)),
            None => Err(NetworkError::NoComponent {
                name: name.to_owned(),
                known: all.into_iter().map(|component| component.name).collect(),
            }),
        }
    }

    pub(super) async fn component_status(&self, component: Component) -> ComponentStatus {
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

    pub(super) async fn settle(&self, component: &str) -> Result<(), NetworkError> {
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.settle(component).await,
            LedgerKind::Dev => Dev { site: &self.site }.settle(component).await,
            LedgerKind::Fabric => Fabric { site: &self.site }.settle(component).await,
        }
    }

    pub(super) async fn height(&self, component: &str) -> Option<u64> {
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.height(component).await,
            LedgerKind::Dev => Dev { site: &self.site }.height(component).await,
            LedgerKind::Fabric => Fabric { site: &self.site }.height(component).await,
        }
    }

    /// Callers first, then what they call.
    pub(super) async fn stop_all(&self) -> Result<Vec<String>, NetworkError> {
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
    pub(super) fn pid_files(&self) -> Result<Vec<String>, NetworkError> {
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

    /// Deletes what a network puts into its folder, and the folder when nothing else is in it.
    pub(super) fn delete(&self) -> Result<(), NetworkError> {
        let layout = &self.site.layout;
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

    pub(crate) fn lock(&self) -> Result<File, NetworkError> {
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
