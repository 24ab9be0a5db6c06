use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::FileOr;

/// `wallet = "folder"` or `[wallet]`: the members' identities and how their keys are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletConfiguration {
    /// One folder a member id.
    pub folder: PathBuf,
    /// File whose content, without the end of line, opens the encrypted keys: the members', and the gateway's own.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
    /// Name of the environment variable that holds the passphrase instead.
    #[serde(default)]
    pub passphrase_variable: Option<String>,
    /// Whether a key that lies in a file unencrypted is refused.
    #[serde(default)]
    pub require_encrypted: bool,
    /// The organisation's MSP folder (`cacerts/`, `config.yaml`); identities that are imported or enrolled, and renewed
    /// certificates, are judged by it. `[fabric_ca]` needs it.
    #[serde(default)]
    pub msp: Option<PathBuf>,
    /// The token that holds keys of members, or of the gateway.
    #[serde(default)]
    pub pkcs11: Option<Pkcs11Configuration>,
}

/// `[wallet.pkcs11]`: a token of a hardware security module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Configuration {
    /// The vendor's PKCS#11 library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// File with the user's PIN.
    pub pin_file: PathBuf,
}

impl WalletConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.folder = folder.join(&self.folder);
        for path in self.passphrase_file.iter_mut().chain(&mut self.msp) {
            *path = folder.join(&*path);
        }
        if let Some(pkcs11) = &mut self.pkcs11 {
            pkcs11.module = folder.join(&pkcs11.module);
            pkcs11.pin_file = folder.join(&pkcs11.pin_file);
        }
    }
}

impl From<PathBuf> for WalletConfiguration {
    /// Keys in files, as they come.
    fn from(folder: PathBuf) -> Self {
        Self {
            folder,
            passphrase_file: None,
            passphrase_variable: None,
            require_encrypted: false,
            msp: None,
            pkcs11: None,
        }
    }
}

pub(super) fn folder_or_table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WalletConfiguration, D::Error> {
    Ok(match FileOr::deserialize(deserializer)? {
        FileOr::File(folder) => folder.into(),
        FileOr::Table(table) => table,
    })
}
