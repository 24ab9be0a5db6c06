//! Fabric's, the embedded ledger's and the gateways' configuration, from `network/templates`.

use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    NetworkError,
    consortium::{Consortium, Ordering, Organisation},
    layout::Layout,
};

/// The external builder's scripts: name and text.
pub(crate) const BUILDER: [(&str, &str); 3] = [
    ("detect", include_str!("../templates/builder/detect")),
    ("build", include_str!("../templates/builder/build")),
    ("release", include_str!("../templates/builder/release")),
];

/// A peer's core.yaml.
pub(crate) fn core(layout: &Layout, organisation: &Organisation) -> Result<String, NetworkError> {
    let folder = layout.organisation(&organisation.name);
    let values = json!({
        "organisation": view(layout, organisation),
        "ports": view(layout, organisation).ports,
        "msp": folder.peer().join("msp"),
        "data": folder.peer().join("data"),
        "tls_certificate": folder.peer_tls().certificate,
        "tls_key": folder.peer_tls().key,
        "tls_root": folder.tls_root(),
        "builder": layout.builder(),
    });
    render("core.yaml", include_str!("../templates/core.yaml"), values)
}

/// An orderer's orderer.yaml.
pub(crate) fn orderer(layout: &Layout, organisation: &Organisation) -> Result<String, NetworkError> {
    let folder = layout.organisation(&organisation.name);
    let values = json!({
        "organisation": view(layout, organisation),
        "ports": view(layout, organisation).ports,
        "msp": folder.orderer().join("msp"),
        "data": folder.orderer().join("data"),
        "tls_certificate": folder.orderer_tls().certificate,
        "tls_key": folder.orderer_tls().key,
        "tls_root": folder.tls_root(),
    });
    render("orderer.yaml", include_str!("../templates/orderer.yaml"), values)
}

/// The configtx.yaml of the channel's first block.
pub(crate) fn configtx(layout: &Layout, consortium: &Consortium) -> Result<String, NetworkError> {
    let orderers: Vec<_> = consortium
        .orderers()
        .map(|organisation| {
            let folder = layout.organisation(&organisation.name);
            json!({
                "msp_id": organisation.msp_id,
                "port": organisation.ports().orderer,
                "identity": folder.orderer().join("msp/signcerts/cert.pem"),
                "tls_certificate": folder.orderer_tls().certificate,
            })
        })
        .collect();
    let values = json!({
        "ordering": if consortium.ordering == Ordering::Bft { "bft" } else { "raft" },
        "batch": consortium.batch,
        "orderers": orderers,
        "organisations": views(layout, consortium),
        "endorsement": consortium.policies.endorsement.to_string(),
        "lifecycle": consortium.policies.lifecycle.to_string(),
    });
    render("configtx.yaml", include_str!("../templates/configtx.yaml"), values)
}

/// The embedded ledger's embedded.toml.
pub(crate) fn embedded(layout: &Layout, consortium: &Consortium, package_id: &str) -> Result<String, NetworkError> {
    let first = &consortium.organisations[0];
    let chaincode = layout.embedded_chaincode();
    let values = json!({
        "channel": consortium.channel,
        "data": layout.embedded().join("data"),
        "operations_port": consortium.embedded_operations_port(),
        "batch": consortium.batch,
        "orderer": {
            "msp_id": first.msp_id,
            "msp": layout.organisation(&first.name).orderer().join("msp"),
        },
        "organisations": views(layout, consortium),
        "chaincode": consortium.chaincode,
        "package_id": package_id,
        "policy": endorsement_policy(consortium),
        "chaincode_port": consortium.embedded_chaincode_port(),
        "chaincode_root": layout.embedded_root(),
        "chaincode_client_certificate": chaincode.client().certificate,
        "chaincode_client_key": chaincode.client().key,
    });
    render("embedded.toml", include_str!("../templates/embedded.toml"), values)
}

/// A gateway's gateway.toml; `development` is what it says of a development ledger.
pub(crate) fn gateway(
    layout: &Layout,
    consortium: &Consortium,
    organisation: &Organisation,
    development: Option<&str>,
) -> Result<String, NetworkError> {
    let values = json!({
        "development": development,
        "organisation": view(layout, organisation),
        "organisations": views(layout, consortium),
        "channel": consortium.channel,
        "chaincode": consortium.chaincode,
    });
    let text = render("gateway.toml", include_str!("../templates/gateway.toml"), values)?;
    let Some(agents) = &organisation.agents else { return Ok(text) };
    let agents = toml::to_string(&json!({ "agents": agents }))
        .map_err(|error| NetworkError::ledger(format!("the agents of {}", organisation.name), error))?;
    Ok(format!("{text}\n{agents}"))
}

/// Which peers must endorse, in Fabric's policy language.
fn endorsement_policy(consortium: &Consortium) -> String {
    let peers: Vec<_> = consortium.organisations.iter().map(|it| format!("'{}.peer'", it.msp_id)).collect();
    format!("OutOf({},{})", consortium.policies.endorsement.of(peers.len()), peers.join(","))
}

/// What templates see of an organisation.
#[derive(Serialize)]
struct View {
    name: String,
    msp_id: String,
    orderer: bool,
    keep_for: Vec<String>,
    portals: Vec<String>,
    ports: crate::consortium::Ports,
    msp: std::path::PathBuf,
    tls_root: std::path::PathBuf,
    peer_msp: std::path::PathBuf,
    peer_tls_certificate: std::path::PathBuf,
    peer_tls_key: std::path::PathBuf,
}

fn view(layout: &Layout, organisation: &Organisation) -> View {
    let folder = layout.organisation(&organisation.name);
    View {
        name: organisation.name.clone(),
        msp_id: organisation.msp_id.to_string(),
        orderer: organisation.orderer,
        keep_for: organisation.keep_for.iter().map(ToString::to_string).collect(),
        portals: organisation.portals.clone(),
        ports: organisation.ports(),
        msp: folder.verifying_msp(),
        tls_root: folder.tls_root(),
        peer_msp: folder.peer().join("msp"),
        peer_tls_certificate: folder.peer_tls().certificate,
        peer_tls_key: folder.peer_tls().key,
    }
}

fn views(layout: &Layout, consortium: &Consortium) -> Vec<View> {
    consortium.organisations.iter().map(|organisation| view(layout, organisation)).collect()
}

fn render(template: &'static str, text: &str, values: Value) -> Result<String, NetworkError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    // A JSON string is a double-quoted string in YAML and in TOML too.
    environment.add_filter("quoted", |text: String| serde_json::Value::String(text).to_string());
    let rendered = environment.render_named_str(template, text, Serde(values));
    rendered.map(|text| text + "\n").map_err(|source| NetworkError::Render { template, source })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FIFTH: &str = r#"
[[organisations]]
name = "pharmacy"
msp_id = "PharmacyMSP"
kind = "pharmacy"
first_port = 7140
members = [{ id = "pharmacy-administrator", role = "administrator" }]
"#;

    fn five() -> Consortium {
        Consortium::parse(&format!("{}{FIFTH}", include_str!("../consortium.toml"))).unwrap()
    }

    fn layout() -> Layout {
        Layout::new(Path::new("/network")).unwrap()
    }

    #[test]
    fn each_configuration_is_as_its_golden_file() {
        let consortium = five();
        let first = &consortium.organisations[0];

        insta::assert_snapshot!("core", core(&layout(), first).unwrap());
        insta::assert_snapshot!("orderer", orderer(&layout(), first).unwrap());
        insta::assert_snapshot!("configtx", configtx(&layout(), &consortium).unwrap());
        insta::assert_snapshot!("embedded", embedded(&layout(), &consortium, "healthchain_1:00").unwrap());
        insta::assert_snapshot!("gateway", gateway(&layout(), &consortium, first, None).unwrap());
    }

    #[test]
    fn a_gateway_is_told_that_its_ledger_is_for_development() {
        let consortium = five();
        let first = &consortium.organisations[0];
        let notice = crate::LedgerKind::Dev.notice();

        let configuration = gateway(&layout(), &consortium, first, notice).unwrap();

        let parsed: toml::Table = configuration.parse().unwrap();
        assert_eq!(parsed["development"].as_str(), notice);
        assert_eq!(crate::LedgerKind::Fabric.notice(), None);
    }

    #[test]
    fn a_fifth_organisation_is_one_more_entry() {
        let consortium = five();

        let channel = configtx(&layout(), &consortium).unwrap();
        let ledger = embedded(&layout(), &consortium, "healthchain_1:00").unwrap();

        assert!(channel.contains("- ID: 5"));
        assert_eq!(channel.matches("PharmacyMSP.peer").count(), 1);
        assert!(ledger.contains("policy = \"OutOf(3,'HospitalMSP.peer','ClinicMSP.peer'"));
        assert!(ledger.contains("'PharmacyMSP.peer')\""));
    }

    #[test]
    fn raft_has_its_own_options() {
        let mut consortium = five();
        consortium.ordering = Ordering::Raft;

        let channel = configtx(&layout(), &consortium).unwrap();

        assert!(channel.contains("OrdererType: etcdraft"));
        assert!(channel.contains("TickInterval: 100ms"));
        assert!(!channel.contains("SmartBFT"));
    }
}
