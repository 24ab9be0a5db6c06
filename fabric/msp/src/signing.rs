//! An identity together with its private key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use fabric_protos::msp::SerializedIdentity;
use openssl::pkey::{Id, PKey, Private};
use prost::Message;

use crate::{Certificate, CertificateError, folder, signature};

/// A member of an organisation who can sign. Clones are cheap; the key is never shown.
#[derive(Clone)]
pub struct SigningIdentity(Arc<Inner>);

struct Inner {
    msp_id: String,
    certificate: Certificate,
    key: PKey<Private>,
    serialized: Vec<u8>,
}

/// Why there is no signing identity.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The private key cannot be read.
    #[error("the private key cannot be read; give an unencrypted elliptic-curve key in PEM (PKCS#8 or SEC 1)")]
    Key,
    /// The key is of another kind, such as RSA.
    #[error("the private key is not an elliptic-curve key; issue the identity again with a P-256 key")]
    KeyAlgorithm,
    /// The two do not belong together.
    #[error("the private key does not belong to the certificate of {subject}; give the pair that was issued together")]
    Mismatch {
        /// Whose certificate it is.
        subject: String,
    },
    /// A folder lacks something.
    #[error("{0}")]
    Folder(String),
}

impl SigningIdentity {
    /// Joins a certificate and its private key.
    pub fn from_pem(
        msp_id: impl Into<String>,
        certificate_pem: impl AsRef<[u8]>,
        key_pem: impl AsRef<[u8]>,
    ) -> Result<Self, SigningError> {
        let certificate = Certificate::from_pem(certificate_pem)?;
        let key = private_key(key_pem.as_ref())?;
        Self::new(msp_id.into(), certificate, key)
    }

    /// Reads `signcerts/` and the key of `keystore/` that belongs to it from an MSP folder.
    pub fn load(msp_folder: impl AsRef<Path>, msp_id: impl Into<String>) -> Result<Self, SigningError> {
        let folder = msp_folder.as_ref();
        let missing = |what: &str| {
            SigningError::Folder(format!("{} holds no {what}; issue the identity again", folder.display()))
        };
        let read =
            |name: &str| folder::pem_files(&folder.join(name)).map_err(|error| SigningError::Folder(error.to_string()));
        let certificates = read("signcerts")?;
        let certificate = Certificate::from_pem(certificates.first().ok_or_else(|| missing("signcerts/*.pem"))?)?;
        let keys = read("keystore")?;
        let key = keys
            .iter()
            .filter_map(|pem| private_key(pem).ok())
            .find(|key| key.public_eq(certificate.public_key()))
            .ok_or_else(|| missing("keystore/ key that belongs to its signcerts/ certificate"))?;
        Self::new(msp_id.into(), certificate, key)
    }

    fn new(msp_id: String, certificate: Certificate, key: PKey<Private>) -> Result<Self, SigningError> {
        if !key.public_eq(certificate.public_key()) {
            return Err(SigningError::Mismatch { subject: certificate.subject().to_owned() });
        }
        let serialized =
            SerializedIdentity { mspid: msp_id.clone(), id_bytes: certificate.pem().into_bytes() }.encode_to_vec();
        Ok(Self(Arc::new(Inner { msp_id, certificate, key, serialized })))
    }

    /// The organisation.
    pub fn msp_id(&self) -> &str {
        &self.0.msp_id
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    /// The `msp.SerializedIdentity` message: a transaction's creator, an endorsement's endorser.
    pub fn serialized(&self) -> &[u8] {
        &self.0.serialized
    }

    /// Signs: ECDSA over SHA-256 of the message, DER, low S.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        signature::sign(&self.0.key, message).expect("an elliptic-curve key signs any digest")
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningIdentity")
            .field("msp_id", &self.0.msp_id)
            .field("certificate", &self.0.certificate)
            .finish_non_exhaustive()
    }
}

/// Reads a private key. OpenSSL's question for a passphrase is answered with an empty one: nobody sits at the terminal.
fn private_key(pem: &[u8]) -> Result<PKey<Private>, SigningError> {
    let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| SigningError::Key)?;
    match key.id() {
        Id::EC => Ok(key),
        _ => Err(SigningError::KeyAlgorithm),
    }
}
