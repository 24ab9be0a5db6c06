//! The steps of `up`.

use std::sync::Mutex;

use futures::future::try_join_all;

use super::{Network, PATIENCE};
use crate::{
    Consortium, LedgerKind, NetworkError,
    dev::Dev,
    embedded::Embedded,
    fabric::Fabric,
    founding, health, identities,
    layout::{make_folder, write_file},
    ledger::Ledger,
    ports,
    process::Component,
    render,
    site::{Site, path},
};

impl Network {
    pub(super) async fn bring_up(&self, started: &Mutex<Vec<String>>) -> Result<(), NetworkError> {
        let Site { progress, consortium, layout, .. } = &self.site;
        self.claim()?;
        progress.say(&format!("The network on the {} ledger, in {}", self.ledger, layout.root().display()));
        if self.ledger.notice().is_some() {
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
        if gateways.is_empty() {
            return Ok(());
        }
        progress.step(&count("gateway", &gateways, ""), self.run(&gateways, started)).await
    }

    /// Remembers ledger and consortium of a new folder; refuses another ledger or shape for an old one.
    pub(crate) fn claim(&self) -> Result<(), NetworkError> {
        let Site { consortium, layout, programs, .. } = &self.site;
        match LedgerKind::of_folder(layout.root()) {
            Some(made_for) if made_for != self.ledger => {
                return Err(NetworkError::OtherLedger { folder: layout.root().to_owned(), made_for });
            }
            Some(_) if Consortium::load(&layout.consortium())?.shape() != consortium.shape() => {
                return Err(NetworkError::OtherShape { folder: layout.root().to_owned() });
            }
            Some(_) => {}
            // Asked for and not there: nothing is made.
            None if self.ledger == LedgerKind::Fabric => programs.fabric("peer").map(drop)?,
            None => {}
        }
        if let (LedgerKind::Fabric, Some(folder)) = (self.ledger, &programs.fabric) {
            write_file(&layout.fabric_programs(), path(folder))?;
        }
        if let Some(origin) = &self.origin {
            write_file(&layout.origin(), origin.to_toml())?;
        }
        write_file(&layout.consortium(), consortium.to_toml())?;
        write_file(&layout.ledger(), self.ledger.to_string())?;
        make_folder(&layout.run())?;
        make_folder(&layout.logs())
    }

    pub(crate) async fn prepare(&self) -> Result<(), NetworkError> {
        let Site { consortium, layout, .. } = &self.site;
        for organisation in &consortium.organisations {
            let file = layout.organisation(&organisation.name).gateway().join("gateway.toml");
            write_file(&file, render::gateway(layout, consortium, organisation, self.ledger.notice())?)?;
        }
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.prepare().await,
            LedgerKind::Dev => Dev { site: &self.site }.prepare().await,
            LedgerKind::Fabric => Fabric { site: &self.site }.prepare().await,
        }
    }

    pub(super) async fn open_ledger(&self) -> Result<(), NetworkError> {
        match self.ledger {
            LedgerKind::Embedded => Embedded { site: &self.site }.open().await,
            LedgerKind::Dev => Dev { site: &self.site }.open().await,
            LedgerKind::Fabric => Fabric { site: &self.site }.open().await,
        }
    }

    /// Starts those that do not run, and waits until all are ready.
    pub(super) async fn run(&self, components: &[Component], started: &Mutex<Vec<String>>) -> Result<(), NetworkError> {
        for component in components {
            self.launch(component, started)?;
        }
        let processes = &self.site.processes;
        try_join_all(components.iter().map(|component| health::ready(processes, component, PATIENCE))).await.map(drop)
    }

    pub(super) fn launch(&self, component: &Component, started: &Mutex<Vec<String>>) -> Result<(), NetworkError> {
        if self.site.processes.pid(&component.name).is_none() {
            self.site.processes.start(component)?;
            started.lock().expect("no holder of this lock panics").push(component.name.clone());
        }
        Ok(())
    }

    pub(crate) fn refuse_conflicts(&self, components: &[Component]) -> Result<(), NetworkError> {
        let idle = components.iter().filter(|component| self.site.processes.pid(&component.name).is_none());
        let wanted = idle.flat_map(|component| component.ports.iter().map(|port| (*port, component.name.as_str())));
        let conflicts = ports::conflicts(wanted);
        if conflicts.is_empty() { Ok(()) } else { Err(NetworkError::PortsInUse(conflicts)) }
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
