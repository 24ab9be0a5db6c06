//! Where private keys are: in PEM files, encrypted under one passphrase or not, and in a token.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_msp::{Certificate, SigningError, SigningIdentity, key_file};
use openssl::pkey::{PKey, Private};
use zeroize::Zeroizing;

use crate::configuration::{Configuration, ConfigurationError, FileOr, WalletConfiguration, read};
use crate::hsm::{Hsm, HsmError, HsmKey, KeyName};
use crate::sealing::device::DeviceKey;
use crate::sealing::software::SoftwareKey;
use crate::sealing::{DecryptionKey, SealingError};

/// Bytes of a passphrase at most.
const LONGEST_PASSPHRASE: usize = 1023;

/// Gets at private keys. Clones share the passphrase and the token's sessions.
#[derive(Clone, Default)]
pub struct KeyStore {
    passphrase: Option<Arc<Zeroizing<Vec<u8>>>>,
    require_encrypted: bool,
    hsm: Option<Hsm>,
}

/// Why a private key cannot be used. Nothing of a key, a passphrase or a PIN is in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigurationError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] fabric_msp::issue::IssueError),
    /// What a file holds is no key that opens.
    #[error("{}: {reason}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: key_file::KeyFileError,
    },
    /// A key lies in a file unencrypted, which the configuration forbids.
    #[error(
        "{}: the private key is not encrypted, and [wallet] require_encrypted is set; run `healthchain-gateway wallet encrypt`",
        .0.display()
    )]
    NotEncrypted(PathBuf),
    /// There is no passphrase to encrypt under.
    #[error("no passphrase: name a file in [wallet] passphrase_file or an environment variable in passphrase_variable")]
    NoPassphrase,
    /// The passphrase is empty or cannot be had.
    #[error("[wallet] {0}")]
    Passphrase(String),
    /// A key is in a token and no token is configured.
    #[error("a key is in a token, and there is no section [wallet.pkcs11]")]
    NoToken,
    /// The token does not give the key.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// Certificate and key make no identity.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The key opens no envelopes.
    #[error(transparent)]
    Sealing(#[from] SealingError),
}

impl KeyStore {
    /// Reads the passphrase and logs in to the token, where there are such.
    pub fn open(configuration: &WalletConfiguration) -> Result<Self, KeyStoreError> {
        Ok(Self {
            passphrase: passphrase(configuration)?.map(Arc::new),
            require_encrypted: configuration.require_encrypted,
            hsm: configuration.pkcs11.as_ref().map(Hsm::open).transpose()?,
        })
    }

    /// The private key in a file.
    pub fn file(&self, path: &Path) -> Result<PKey<Private>, KeyStoreError> {
        let pem = Zeroizing::new(read(path)?);
        if self.require_encrypted && !key_file::is_encrypted(&pem) {
            return Err(KeyStoreError::NotEncrypted(path.to_owned()));
        }
        self.decode(path, &pem)
    }

    /// A private key in the token.
    pub fn device(&self, name: &KeyName) -> Result<HsmKey, KeyStoreError> {
        Ok(self.hsm.as_ref().ok_or(KeyStoreError::NoToken)?.key(name)?)
    }

    /// The gateway's own identity.
    pub fn own_signer(&self, configuration: &Configuration) -> Result<SigningIdentity, KeyStoreError> {
        let identity = &configuration.identity;
        let certificate = Certificate::from_pem(read(&identity.certificate)?).map_err(SigningError::from)?;
        self.signer(&configuration.msp_id, certificate, &identity.key)
    }

    /// Joins a certificate and its key.
    pub fn signer(
        &self,
        msp_id: &str,
        certificate: Certificate,
        key: &FileOr<KeyName>,
    ) -> Result<SigningIdentity, KeyStoreError> {
        Ok(match key {
            FileOr::File(path) => SigningIdentity::from_key(msp_id, certificate, self.file(path)?)?,
            FileOr::Table(name) => SigningIdentity::with_signer(msp_id, certificate, Arc::new(self.device(name)?))?,
        })
    }

    /// A key that opens envelopes. Of a key in the token, the public half (SPKI, DER) is given or lies in the token too.
    pub fn decryption_key(
        &self,
        key: &FileOr<KeyName>,
        public_key: Option<&[u8]>,
    ) -> Result<Arc<dyn DecryptionKey>, KeyStoreError> {
        match key {
            FileOr::File(path) => Ok(Arc::new(SoftwareKey::from_key(&self.file(path)?)?)),
            FileOr::Table(name) => {
                let device = self.device(name)?;
                let public_key = public_key.map_or_else(|| device.public_key(), |given| Ok(given.to_vec()))?;
                Ok(Arc::new(DeviceKey::new(&public_key, Arc::new(device))?))
            }
        }
    }

    /// Writes a new key: encrypted where there is a passphrase.
    pub fn write(&self, path: &Path, key: &PKey<Private>) -> Result<(), KeyStoreError> {
        let pem = match &self.passphrase {
            Some(passphrase) => Zeroizing::new(self.encrypted(path, key, passphrase)?.into_bytes()),
            None if self.require_encrypted => return Err(KeyStoreError::NoPassphrase),
            None => Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(|_| KeyStoreError::KeyFile {
                path: path.to_owned(),
                reason: key_file::KeyFileError::Failed,
            })?),
        };
        Ok(fabric_msp::issue::write_secret(path, &pem)?)
    }

    /// Encrypts a file in place; false where it is encrypted already, under this passphrase. The plain text is gone from the folder, but not
    /// from the medium or a backup.
    pub fn encrypt_in_place(&self, path: &Path) -> Result<bool, KeyStoreError> {
        let passphrase = self.passphrase.as_ref().ok_or(KeyStoreError::NoPassphrase)?;
        let pem = Zeroizing::new(read(path)?);
        let key = self.decode(path, &pem)?;
        if key_file::is_encrypted(&pem) {
            return Ok(false);
        }
        let encrypted = self.encrypted(path, &key, passphrase)?;
        fabric_msp::issue::write_secret(path, encrypted.as_bytes())?;
        Ok(true)
    }

    fn decode(&self, path: &Path, pem: &[u8]) -> Result<PKey<Private>, KeyStoreError> {
        key_file::read(pem, self.passphrase.as_ref().map(|passphrase| passphrase.as_slice()))
            .map_err(|reason| KeyStoreError::KeyFile { path: path.to_owned(), reason })
    }

    fn encrypted(&self, path: &Path, key: &PKey<Private>, passphrase: &[u8]) -> Result<String, KeyStoreError> {
        key_file::encrypted(key, passphrase).map_err(|reason| KeyStoreError::KeyFile { path: path.to_owned(), reason })
    }
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyStore").field("require_encrypted", &self.require_encrypted).finish_non_exhaustive()
    }
}

fn passphrase(configuration: &WalletConfiguration) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
    let wrong = |reason: &str| Err(KeyStoreError::Passphrase(reason.to_owned()));
    let passphrase = match (&configuration.passphrase_file, &configuration.passphrase_variable) {
        (Some(_), Some(_)) => return wrong("passphrase_file and passphrase_variable: give one of them"),
        (Some(file), None) => without_line_end(Zeroizing::new(read(file)?)),
        (None, Some(variable)) => match std::env::var(variable) {
            Ok(value) => Zeroizing::new(value.into_bytes()),
            Err(_) => return wrong("passphrase_variable: there is no such environment variable"),
        },
        (None, None) => return Ok(None),
    };
    // What OpenSSL could encrypt under, but not decrypt again.
    if passphrase.contains(&0) || passphrase.len() > LONGEST_PASSPHRASE {
        return wrong(
            "the passphrase is longer than 1,023 bytes or has a NUL in it: take text, such as 32 random bytes in base64",
        );
    }
    if passphrase.is_empty() { wrong("the passphrase is empty") } else { Ok(Some(passphrase)) }
}

/// The content of a file with a secret, without the end of its last line.
pub(crate) fn without_line_end(mut secret: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    while secret.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        secret.pop();
    }
    secret
}
