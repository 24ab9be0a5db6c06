use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[tls]`: this gateway's certificate, both as a server and as a client of other gateways, and whom it believes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfiguration {
    /// Certificate (chain), leaf first, for server and client authentication.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that issues the members' TLS client certificates.
    pub member_root: PathBuf,
    /// That authority's revocation list; without one, only the wallet unbinds a certificate.
    #[serde(default)]
    pub crl: Option<PathBuf>,
}

impl TlsConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        let paths = [&mut self.certificate, &mut self.key, &mut self.member_root];
        for path in paths.into_iter().chain(&mut self.crl) {
            *path = folder.join(&*path);
        }
    }
}
