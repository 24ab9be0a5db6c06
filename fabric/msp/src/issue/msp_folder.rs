//! Writing MSP folders.

use std::path::Path;

use super::{Authority, IssueError, Issued, create_folder, write_public, write_secret};

/// Roles by organizational unit. No certifier is named, so that another authority may issue later.
const CONFIGURATION: &str = "\
NodeOUs:
  Enable: true
  ClientOUIdentifier:
    OrganizationalUnitIdentifier: client
  PeerOUIdentifier:
    OrganizationalUnitIdentifier: peer
  AdminOUIdentifier:
    OrganizationalUnitIdentifier: admin
  OrdererOUIdentifier:
    OrganizationalUnitIdentifier: orderer
";

/// What an MSP folder holds.
#[derive(Debug, Clone, Copy)]
pub struct MspFolder<'a> {
    /// Issues the organisation's signing certificates.
    pub authority: &'a Authority,
    /// Issues its TLS certificates.
    pub tls_authority: &'a Authority,
    /// Who signs with this folder; absent in a verifying MSP, as a channel's configuration takes it.
    pub signer: Option<&'a Issued>,
    /// Revocation lists in PEM, from [`Authority::revocation_list`].
    pub revocation_lists: &'a [String],
}

/// Writes `config.yaml`, `cacerts/`, `tlscacerts/` and, where there are such, `crls/`, `signcerts/` and `keystore/`. Fabric's
/// programs take the folder as it is. The private key is readable by its owner only.
pub fn write_msp_folder(folder: impl AsRef<Path>, content: &MspFolder<'_>) -> Result<(), IssueError> {
    let folder = folder.as_ref();
    let file = |under: &str, name: &str| -> Result<std::path::PathBuf, IssueError> {
        let under = folder.join(under);
        create_folder(&under)?;
        Ok(under.join(name))
    };
    write_public(&file("cacerts", "ca.pem")?, content.authority.certificate().pem().as_bytes())?;
    write_public(&file("tlscacerts", "tls-ca.pem")?, content.tls_authority.certificate().pem().as_bytes())?;
    for (number, list) in content.revocation_lists.iter().enumerate() {
        write_public(&file("crls", &format!("crl-{number}.pem"))?, list.as_bytes())?;
    }
    if let Some(signer) = content.signer {
        write_secret(&file("keystore", "key.pem")?, signer.key_pem())?;
        write_public(&file("signcerts", "cert.pem")?, signer.certificate_pem().as_bytes())?;
    }
    write_public(&file(".", "config.yaml")?, CONFIGURATION.as_bytes())
}
