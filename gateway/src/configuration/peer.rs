use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[peer]`: the peer that carries this gateway's transactions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfiguration {
    /// `https://host:port` of the peer.
    pub endpoint: String,
    /// PEM file with the TLS authority of the peer.
    pub tls_root: PathBuf,
}

impl PeerConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.tls_root = folder.join(&self.tls_root);
    }
}
