//! The chaincode's definition on real Fabric: installed by each organisation, approved by each, committed once.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde::Deserialize;

use crate::{
    NetworkError,
    consortium::Organisation,
    programs::run,
    site::{Site, path},
};

/// Brings the channel to the definition that the consortium names; nothing to do when it is there.
pub(crate) async fn define(site: &Site) -> Result<(), NetworkError> {
    let organisations = &site.consortium.organisations;
    if committed_sequence(site).await? == Some(site.consortium.chaincode.sequence) {
        return Ok(());
    }
    let progress = site.progress;
    progress
        .step("each peer installs the chaincode", try_join_all(organisations.iter().map(|it| install(site, it))))
        .await?;
    let approvals = approvals(site).await?;
    let missing = organisations.iter().filter(|it| !approvals.get(it.msp_id.as_str()).copied().unwrap_or_default());
    progress.step("each organisation approves it", try_join_all(missing.map(|it| approve(site, it)))).await?;
    progress.step("its definition is committed on every peer", commit(site)).await
}

/// Runs Fabric's `peer` as an organisation's operator, against its peer.
pub(crate) async fn peer(site: &Site, organisation: &Organisation, arguments: &[&str]) -> Result<String, NetworkError> {
    let folder = site.layout.organisation(&organisation.name);
    let environment = [
        ("FABRIC_CFG_PATH", path(&folder.peer())),
        ("FABRIC_LOGGING_SPEC", "warning".to_owned()),
        ("CORE_PEER_ADDRESS", format!("localhost:{}", organisation.ports().peer)),
        ("CORE_PEER_LOCALMSPID", organisation.msp_id.to_string()),
        ("CORE_PEER_MSPCONFIGPATH", path(&folder.operator_msp())),
        ("CORE_PEER_TLS_ENABLED", "true".to_owned()),
        ("CORE_PEER_TLS_ROOTCERT_FILE", path(&folder.tls_root())),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    run(&site.programs.fabric("peer")?, arguments, &environment).await
}

/// The sequence of the definition that is committed; `None` when none is.
async fn committed_sequence(site: &Site) -> Result<Option<u64>, NetworkError> {
    #[derive(Deserialize)]
    struct Committed {
        sequence: u64,
    }
    let definition = &site.consortium.chaincode;
    let first = &site.consortium.organisations[0];
    let arguments = [
        "lifecycle",
        "chaincode",
        "querycommitted",
        "--channelID",
        &site.consortium.channel,
        "--name",
        &definition.name,
        "--output",
        "json",
    ];
    match peer(site, first, &arguments).await {
        Ok(answer) => parse::<Committed>("querycommitted", &answer).map(|committed| Some(committed.sequence)),
        Err(NetworkError::Command { output, .. }) if output.contains("is not defined") => Ok(None),
        Err(error) => Err(error),
    }
}

async fn install(site: &Site, organisation: &Organisation) -> Result<(), NetworkError> {
    let package = path(&site.layout.organisation(&organisation.name).chaincode().package());
    match peer(site, organisation, &["lifecycle", "chaincode", "install", &package]).await {
        Err(NetworkError::Command { output, .. }) if output.contains("already successfully installed") => Ok(()),
        other => other.map(drop),
    }
}

/// Which organisations have approved the definition.
async fn approvals(site: &Site) -> Result<BTreeMap<String, bool>, NetworkError> {
    #[derive(Deserialize)]
    struct Readiness {
        approvals: BTreeMap<String, bool>,
    }
    let definition = Definition::new(site);
    let mut arguments = vec!["lifecycle", "chaincode", "checkcommitreadiness", "--output", "json"];
    arguments.extend(definition.arguments());
    let answer = peer(site, &site.consortium.organisations[0], &arguments).await?;
    parse::<Readiness>("checkcommitreadiness", &answer).map(|readiness| readiness.approvals)
}

async fn approve(site: &Site, organisation: &Organisation) -> Result<(), NetworkError> {
    let folder = site.layout.organisation(&organisation.name);
    let package = site.package(&folder.chaincode(), &folder.tls_root(), organisation.ports().chaincode)?;
    let (definition, orderer) = (Definition::new(site), Orderer::of(site, organisation));
    let mut arguments = vec!["lifecycle", "chaincode", "approveformyorg", "--package-id", &package.id];
    arguments.extend(definition.arguments());
    arguments.extend(orderer.arguments());
    peer(site, organisation, &arguments).await.map(drop)
}

async fn commit(site: &Site) -> Result<(), NetworkError> {
    let first = &site.consortium.organisations[0];
    let (definition, orderer) = (Definition::new(site), Orderer::of(site, first));
    // `commit` waits until each peer that is named here has committed.
    let peers: Vec<_> = site
        .consortium
        .organisations
        .iter()
        .map(|it| (format!("localhost:{}", it.ports().peer), path(&site.layout.organisation(&it.name).tls_root())))
        .collect();
    let mut arguments = vec!["lifecycle", "chaincode", "commit"];
    arguments.extend(definition.arguments());
    arguments.extend(orderer.arguments());
    for (address, root) in &peers {
        arguments.extend(["--peerAddresses", address, "--tlsRootCertFiles", root]);
    }
    peer(site, first, &arguments).await.map(drop)
}

/// The chaincode's definition as `peer` takes it.
struct Definition<'a> {
    channel: &'a str,
    name: &'a str,
    version: &'a str,
    sequence: String,
}

impl<'a> Definition<'a> {
    fn new(site: &'a Site) -> Self {
        let definition = &site.consortium.chaincode;
        Self {
            channel: &site.consortium.channel,
            name: &definition.name,
            version: &definition.version,
            sequence: definition.sequence.to_string(),
        }
    }

    fn arguments(&self) -> [&str; 8] {
        ["--channelID", self.channel, "--name", self.name, "--version", self.version, "--sequence", &self.sequence]
    }
}

/// The orderer that an organisation hands its own transactions to.
struct Orderer {
    address: String,
    root: String,
}

impl Orderer {
    /// Its own, or the first one.
    fn of(site: &Site, organisation: &Organisation) -> Self {
        let owner = if organisation.orderer { Some(organisation) } else { site.consortium.orderers().next() };
        let owner = owner.expect("reading a consortium refuses one without orderers");
        Self {
            address: format!("localhost:{}", owner.ports().orderer),
            root: path(&site.layout.organisation(&owner.name).tls_root()),
        }
    }

    fn arguments(&self) -> [&str; 5] {
        ["--orderer", &self.address, "--tls", "--cafile", &self.root]
    }
}

fn parse<T: for<'de> Deserialize<'de>>(command: &str, answer: &str) -> Result<T, NetworkError> {
    serde_json::from_str(answer).map_err(|error| NetworkError::Command {
        program: format!("peer lifecycle chaincode {command}"),
        output: format!("{error} in its answer: {answer}"),
    })
}
