use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

/// `[fabric_ca]`: the organisation's certificate authority, which renews certificates before they end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FabricCaConfiguration {
    /// `https://host:port` of the Fabric CA server.
    pub url: Url,
    /// PEM file with the authority of its TLS certificate.
    pub tls_root: PathBuf,
    /// Name of the authority, where the server has several.
    #[serde(default)]
    pub name: Option<String>,
    /// Certificates are renewed in the last part of their lifetime: this share of it, between 0 and 1.
    #[serde(default = "default_renew_in_last")]
    pub renew_in_last: f64,
    /// How often the certificates' ends are looked at, in seconds.
    #[serde(default = "default_check_seconds")]
    pub check_seconds: u64,
    /// How often the revocation list is fetched into the file that `[tls] crl` names, in seconds; never, where this is absent. The
    /// gateway's own identity needs the attribute `hf.GenCRL`, and the authority has to be the one of `[tls] member_root`.
    #[serde(default)]
    pub crl_seconds: Option<u64>,
}

impl FabricCaConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.tls_root = folder.join(&self.tls_root);
    }
}

fn default_renew_in_last() -> f64 {
    1.0 / 3.0
}

fn default_check_seconds() -> u64 {
    60 * 60
}
