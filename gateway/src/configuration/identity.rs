use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[identity]`: this gateway's identity on the ledger and the organisation's encryption key, in PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfiguration {
    /// Signing certificate of the gateway, of the organisation's MSP.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The organisation's encryption key (P-256, PKCS#8).
    pub encryption_key: PathBuf,
}

impl IdentityConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.certificate, &mut self.key, &mut self.encryption_key] {
            *path = folder.join(&*path);
        }
    }
}
