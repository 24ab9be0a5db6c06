//! An MSP folder, as Fabric's programs read it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fabric_protos::msp::{FabricCryptoConfig, FabricMspConfig, FabricNodeOUs, FabricOuIdentifier};
use serde::Deserialize;

/// Why an MSP folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder is missing or unreadable.
    #[error("{path}: {source}")]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// `config.yaml` is not what Fabric reads.
    #[error("{path}: {reason}")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The configuration that a folder holds; the private key is not part of it.
pub(crate) fn read(folder: &Path, msp_id: &str) -> Result<FabricMspConfig, FolderError> {
    let optional = |name: &str| -> Result<Vec<Vec<u8>>, FolderError> {
        let path = folder.join(name);
        if path.exists() { pem_files(&path) } else { Ok(Vec::new()) }
    };
    let (organizational_unit_identifiers, fabric_node_ous) = configuration(folder)?;
    let tls_root_certs = optional("tlscacerts")?;
    Ok(FabricMspConfig {
        name: msp_id.to_owned(),
        root_certs: pem_files(&folder.join("cacerts"))?,
        intermediate_certs: optional("intermediatecerts")?,
        admins: optional("admincerts")?,
        revocation_list: optional("crls")?,
        organizational_unit_identifiers,
        crypto_config: Some(FabricCryptoConfig {
            signature_hash_family: "SHA2".to_owned(),
            identity_identifier_hash_function: "SHA256".to_owned(),
        }),
        tls_intermediate_certs: if tls_root_certs.is_empty() { Vec::new() } else { optional("tlsintermediatecerts")? },
        tls_root_certs,
        fabric_node_ous,
    })
}

/// The PEM files of a folder by name; other files are passed over, as Fabric does.
pub(crate) fn pem_files(folder: &Path) -> Result<Vec<Vec<u8>>, FolderError> {
    let io_error = |source| FolderError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .filter(|content| content.windows(11).any(|text| text == b"-----BEGIN "))
        .collect())
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(default)]
    organizational_unit_identifiers: Option<Vec<Unit>>,
    #[serde(default, rename = "NodeOUs")]
    node_ous: Option<NodeUnits>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unit {
    #[serde(default)]
    certificate: Option<String>,
    #[serde(default)]
    organizational_unit_identifier: Option<String>,
}

#[derive(Deserialize)]
struct NodeUnits {
    #[serde(default, rename = "Enable")]
    enable: bool,
    #[serde(default, rename = "ClientOUIdentifier")]
    client: Option<Unit>,
    #[serde(default, rename = "PeerOUIdentifier")]
    peer: Option<Unit>,
    #[serde(default, rename = "AdminOUIdentifier")]
    admin: Option<Unit>,
    #[serde(default, rename = "OrdererOUIdentifier")]
    orderer: Option<Unit>,
}

fn configuration(folder: &Path) -> Result<(Vec<FabricOuIdentifier>, Option<FabricNodeOUs>), FolderError> {
    let path = folder.join("config.yaml");
    if !path.exists() {
        return Ok((Vec::new(), None));
    }
    let text = fs::read_to_string(&path).map_err(|source| FolderError::Io { path: path.clone(), source })?;
    let read: Option<Configuration> = serde_saphyr::from_str(&text)
        .map_err(|error| FolderError::Configuration { path: path.clone(), reason: error.to_string() })?;
    let read = read.unwrap_or_default();

    let mut units = Vec::new();
    for unit in read.organizational_unit_identifiers.unwrap_or_default() {
        units.push(FabricOuIdentifier {
            certificate: certificate(folder, unit.certificate.as_deref())?,
            organizational_unit_identifier: unit.organizational_unit_identifier.unwrap_or_default(),
        });
    }
    let Some(nodes) = read.node_ous.filter(|nodes| nodes.enable) else { return Ok((units, None)) };
    let node = |unit: Option<Unit>| -> Result<Option<FabricOuIdentifier>, FolderError> {
        let Some(unit) = unit else { return Ok(None) };
        let Some(identifier) = unit.organizational_unit_identifier.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        // Fabric only warns when this file is missing and then takes any certifier; that would widen what was meant.
        let certificate = certificate(folder, unit.certificate.as_deref())?;
        Ok(Some(FabricOuIdentifier { certificate, organizational_unit_identifier: identifier }))
    };
    Ok((
        units,
        Some(FabricNodeOUs {
            enable: true,
            client_ou_identifier: node(nodes.client)?,
            peer_ou_identifier: node(nodes.peer)?,
            admin_ou_identifier: node(nodes.admin)?,
            orderer_ou_identifier: node(nodes.orderer)?,
        }),
    ))
}

fn certificate(folder: &Path, name: Option<&str>) -> Result<Vec<u8>, FolderError> {
    match name {
        None | Some("") => Ok(Vec::new()),
        Some(name) => {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| FolderError::Io { path, source })
        }
    }
}
