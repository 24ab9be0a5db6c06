use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[[organisations]]`: another organisation of the consortium.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherOrganisation {
    /// Its MSP id.
    pub msp_id: String,
    /// PEM file with its TLS authority: its gateway is dialled, and recognised as a client, by this.
    pub tls_root: PathBuf,
}

impl OtherOrganisation {
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.tls_root = folder.join(&self.tls_root);
    }
}
