//! Real Fabric: a peer, an orderer and a chaincode process for each organisation, no Docker.

use std::time::Duration;

use futures::future::{join_all, try_join_all};

use crate::{
    NetworkError,
    consortium::{Ordering, Organisation},
    health::{Address, Sign, fetch, gauge, until},
    layout::{make_folder, write_file, write_script, write_secret},
    ledger::Ledger,
    lifecycle,
    process::Component,
    programs::run,
    render,
    site::{Site, path},
};

/// How long the orderers may take to elect a leader, and the peers to find each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// What orderers and peers say to who joins them to a channel again. Their metrics tell of a channel only once it is
/// open, a moment after they are healthy.
const HAS_CHANNEL: &str = "already exists";

/// The network's ledger on real Fabric.
pub(crate) struct Fabric<'a> {
    pub(crate) site: &'a Site,
}

impl Ledger for Fabric<'_> {
    fn components(&self) -> Result<Vec<Component>, NetworkError> {
        let organisations = &self.site.consortium.organisations;
        let orderers = self.site.consortium.orderers().map(|organisation| self.orderer(organisation));
        let peers = organisations.iter().map(|organisation| self.peer(organisation));
        let chaincodes = organisations.iter().map(|organisation| self.chaincode(organisation));
        orderers.chain(peers).chain(chaincodes).collect()
    }

    async fn prepare(&self) -> Result<(), NetworkError> {
        let Site { layout, consortium, programs, .. } = self.site;
        for (name, script) in render::BUILDER {
            write_script(&layout.builder().join("bin").join(name), script)?;
        }
        for organisation in &consortium.organisations {
            let folder = layout.organisation(&organisation.name);
            write_file(&folder.peer().join("core.yaml"), render::core(layout, organisation)?)?;
            if organisation.orderer {
                write_file(&folder.orderer().join("orderer.yaml"), render::orderer(layout, organisation)?)?;
            }
            let files = folder.chaincode();
            let package = self.site.package(&files, &folder.tls_root(), organisation.ports().chaincode)?;
            write_secret(&files.package(), package.bytes)?;
        }
        if layout.genesis().exists() {
            return Ok(());
        }
        make_folder(&layout.channel())?;
        write_file(&layout.channel().join("configtx.yaml"), render::configtx(layout, consortium)?)?;
        let new = layout.genesis().with_extension("new");
        let arguments = [
            "-profile",
            "Channel",
            "-channelID",
            &consortium.channel,
            "-configPath",
            &path(&layout.channel()),
            "-outputBlock",
            &path(&new),
        ];
        run(&programs.fabric("configtxgen")?, &arguments, &[]).await?;
        std::fs::rename(&new, layout.genesis()).map_err(NetworkError::file(new))
    }

    async fn open(&self) -> Result<(), NetworkError> {
        let Site { consortium, progress, .. } = self.site;
        progress
            .step("orderers join the channel", try_join_all(consortium.orderers().map(|it| self.join_orderer(it))))
            .await?;
        progress.step("a leader is elected", until("the election of a leader", PATIENCE, || self.has_leader())).await?;
        progress
            .step("peers join the channel", try_join_all(consortium.organisations.iter().map(|it| self.join_peer(it))))
            .await?;
        lifecycle::define(self.site).await?;
        progress
            .step(
                "peers find each other",
                try_join_all(consortium.organisations.iter().map(|organisation| {
                    until("the peers' finding each other", PATIENCE, move || self.sees_all(organisation))
                })),
            )
            .await?;
        progress.step("orderers and peers have the same blocks", self.are_level()).await
    }

    async fn settle(&self, component: &str) -> Result<(), NetworkError> {
        let organisations = &self.site.consortium.organisations;
        if let Some(organisation) = organisations.iter().find(|it| peer_name(it) == component) {
            until("the peer's finding the others", PATIENCE, || self.sees_all(organisation)).await?;
        } else if !self.site.consortium.orderers().any(|it| orderer_name(it) == component) {
            return Ok(());
        }
        self.are_level().await
    }

    async fn height(&self, component: &str) -> Option<u64> {
        let (kind, owner) = component.split_once('.')?;
        let organisation = self.site.consortium.organisation(owner)?;
        let port = match kind {
            "peer" => organisation.ports().peer_operations,
            "orderer" => organisation.ports().orderer_operations,
            _ => return None,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a height is a whole number")]
        self.metric(port, "ledger_blockchain_height").await.ok().flatten().map(|height| height as u64)
    }
}

impl Fabric<'_> {
    fn orderer(&self, organisation: &Organisation) -> Result<Component, NetworkError> {
        let folder = self.site.layout.organisation(&organisation.name).orderer();
        let ports = organisation.ports();
        Ok(Component {
            name: orderer_name(organisation),
            program: self.site.programs.fabric("orderer")?,
            arguments: vec!["start".into()],
            // Each orderer warns once a transaction at level warning.
            environment: vec![
                ("FABRIC_CFG_PATH".into(), path(&folder)),
                (
                    "FABRIC_LOGGING_SPEC".into(),
                    "info:orderer.common.broadcast=error:orderer.common.server=error".into(),
                ),
            ],
            folder,
            ports: vec![ports.orderer, ports.orderer_administration, ports.orderer_operations],
            sign: healthz(ports.orderer_operations),
        })
    }

    fn peer(&self, organisation: &Organisation) -> Result<Component, NetworkError> {
        let folder = self.site.layout.organisation(&organisation.name).peer();
        let ports = organisation.ports();
        Ok(Component {
            name: peer_name(organisation),
            program: self.site.programs.fabric("peer")?,
            arguments: vec!["node".into(), "start".into()],
            environment: vec![("FABRIC_CFG_PATH".into(), path(&folder)), ("CORE_VM_ENDPOINT".into(), String::new())],
            folder,
            ports: vec![ports.peer, ports.peer_chaincode, ports.peer_operations],
            sign: healthz(ports.peer_operations),
        })
    }

    fn chaincode(&self, organisation: &Organisation) -> Result<Component, NetworkError> {
        let folder = self.site.layout.organisation(&organisation.name);
        let (files, port) = (folder.chaincode(), organisation.ports().chaincode);
        let package = self.site.package(&files, &folder.tls_root(), port)?;
        self.site.chaincode(format!("chaincode.{}", organisation.name), &files, port, package.id)
    }

    async fn join_orderer(&self, organisation: &Organisation) -> Result<(), NetworkError> {
        let ports = organisation.ports();
        if self.has_channel(ports.orderer_operations).await {
            return Ok(());
        }
        let Site { layout, consortium, programs, .. } = self.site;
        let folder = layout.organisation(&organisation.name);
        let printed = run(
            &programs.fabric("osnadmin")?,
            &[
                "channel",
                "join",
                "--channelID",
                &consortium.channel,
                "--config-block",
                &path(&layout.genesis()),
                "--orderer-address",
                &format!("localhost:{}", ports.orderer_administration),
                "--ca-file",
                &path(&folder.tls_root()),
                "--client-cert",
                &path(&folder.operator_tls().certificate),
                "--client-key",
                &path(&folder.operator_tls().key),
            ],
            &[],
        )
        .await?;
        // osnadmin ends well whatever the orderer answers.
        if printed.contains("Status: 201") || printed.contains(HAS_CHANNEL) {
            return Ok(());
        }
        let program = format!("osnadmin channel join for orderer.{}", organisation.name);
        Err(NetworkError::Command { program, output: printed })
    }

    async fn join_peer(&self, organisation: &Organisation) -> Result<(), NetworkError> {
        if self.has_channel(organisation.ports().peer_operations).await {
            return Ok(());
        }
        let block = path(&self.site.layout.genesis());
        match lifecycle::peer(self.site, organisation, &["channel", "join", "-b", &block]).await {
            Err(NetworkError::Command { output, .. }) if output.contains(HAS_CHANNEL) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Fails with what is seen instead of a leader that most orderers follow.
    async fn has_leader(&self) -> Result<(), String> {
        let orderers: Vec<_> = self.site.consortium.orderers().map(|it| it.ports().orderer_operations).collect();
        let gauge = match self.site.consortium.ordering {
            Ordering::Bft => "consensus_BFT_leader_id",
            Ordering::Raft => "consensus_etcdraft_is_leader",
        };
        let seen = join_all(orderers.iter().map(|port| self.metric(*port, gauge))).await;
        let seen: Vec<_> = seen.into_iter().filter_map(|value| value.ok().flatten()).collect();
        let elected = match self.site.consortium.ordering {
            Ordering::Bft => seen.iter().any(|leader| {
                *leader >= 1.0 && seen.iter().filter(|other| *other == leader).count() > orderers.len() / 2
            }),
            Ordering::Raft => seen.contains(&1.0),
        };
        if elected { Ok(()) } else { Err(format!("the orderers report {seen:?}")) }
    }

    /// Waits until all have the blocks that the foremost has now: one that was down has to catch up.
    async fn are_level(&self) -> Result<(), NetworkError> {
        let organisations = &self.site.consortium.organisations;
        let names = self.site.consortium.orderers().map(orderer_name).chain(organisations.iter().map(peer_name));
        let names: Vec<_> = names.filter(|name| self.runs(name)).collect();
        let heights = || join_all(names.iter().map(|name| self.height(name)));
        let target = heights().await.into_iter().flatten().max().unwrap_or_default();
        until("the orderers' and peers' catching up", PATIENCE, || async {
            match heights().await.into_iter().zip(&names).find(|(height, _)| height.unwrap_or_default() < target) {
                None => Ok(()),
                Some((height, name)) => Err(format!("{name} has {} of {target} blocks", height.unwrap_or_default())),
            }
        })
        .await
    }

    /// Fails with how many other peers this one sees, when those are not all that run.
    async fn sees_all(&self, organisation: &Organisation) -> Result<(), String> {
        let others = self.site.consortium.organisations.iter().filter(|other| other.name != organisation.name);
        let others = others.filter(|other| self.runs(&peer_name(other))).count();
        let port = organisation.ports().peer_operations;
        let seen = self.metric(port, "gossip_membership_total_peers_known").await?.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "organisations are few")]
        if seen >= others as f64 {
            return Ok(());
        }
        Err(format!("peer.{} sees {seen} of {others} other peers", organisation.name))
    }

    fn runs(&self, component: &str) -> bool {
        self.site.processes.pid(component).is_some()
    }

    async fn has_channel(&self, port: u16) -> bool {
        matches!(self.metric(port, "ledger_blockchain_height").await, Ok(Some(_)))
    }

    /// A gauge of our channel, from a process' operations port.
    async fn metric(&self, port: u16, name: &str) -> Result<Option<f64>, String> {
        let metrics = fetch(&Address { url: format!("http://127.0.0.1:{port}/metrics"), tls: None }).await?;
        Ok(gauge(&metrics, name, &format!("channel=\"{}\"", self.site.consortium.channel)))
    }
}

fn orderer_name(organisation: &Organisation) -> String {
    format!("orderer.{}", organisation.name)
}

fn peer_name(organisation: &Organisation) -> String {
    format!("peer.{}", organisation.name)
}

fn healthz(port: u16) -> Sign {
    Sign::Answers(Address { url: format!("http://127.0.0.1:{port}/healthz"), tls: None })
}
