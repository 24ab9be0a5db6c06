use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::FileOr;
use crate::hsm::KeyName;

/// `[identity]`: this gateway's identity on the ledger and the organisation's encryption key, in PEM files
/// or with the keys in the token of `[wallet.pkcs11]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfiguration {
    /// Signing certificate of the gateway, of the organisation's MSP.
    pub certificate: PathBuf,
    /// Its private key: a file, or the label or id of a key in the token.
    pub key: FileOr<KeyName>,
    /// The organisation's encryption key (P-256): a file (PKCS#8), or the label or id of a key in the token.
    pub encryption_key: FileOr<KeyName>,
}

impl IdentityConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.certificate = folder.join(&self.certificate);
        self.key.resolve(folder);
        self.encryption_key.resolve(folder);
    }
}
