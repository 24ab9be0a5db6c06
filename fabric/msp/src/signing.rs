//! An identity together with its private key, or with the device that holds it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use openssl::ecdsa::EcdsaSig;
use openssl::pkey::{Id, PKey, Private};
use openssl::sha::sha256;

use crate::{Certificate, CertificateError, Creator, certification_request, folder, signature};

/// A member of an organisation who can sign. Clones are cheap; the key is never shown.
#[derive(Clone)]
pub struct SigningIdentity(Arc<Inner>);

struct Inner {
    creator: Creator,
    signer: Arc<dyn Signer>,
}

/// Holder of a private elliptic-curve key: this process's memory, or a device that never gives the key away.
pub trait Signer: Send + Sync {
    /// Signs a SHA-256 digest: ECDSA in DER, in whichever of its two forms; [`SigningIdentity`] takes the low one.
    fn sign_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, SigningError>;

    /// Whether a signature keeps its thread waiting, for a device or for another machine.
    fn may_wait(&self) -> bool {
        false
    }
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
    /// No certificate can bear this name.
    #[error("no certificate can bear this name ({0}); a common name has 1 to 64 characters")]
    Name(String),
    /// The device that holds the key did not sign.
    #[error("the key's device did not sign: {0}")]
    Device(String),
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

    /// Joins a certificate and its private key, which was read elsewhere.
    pub fn from_key(
        msp_id: impl Into<String>,
        certificate: Certificate,
        key: PKey<Private>,
    ) -> Result<Self, SigningError> {
        match key.id() {
            Id::EC => Self::new(msp_id.into(), certificate, key),
            _ => Err(SigningError::KeyAlgorithm),
        }
    }

    /// Joins a certificate and the holder of its private key, after a signature has shown that the two belong together.
    pub fn with_signer(
        msp_id: impl Into<String>,
        certificate: Certificate,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, SigningError> {
        const PROBE: &[u8] = b"does this key belong to this certificate?";
        let identity = Self::join(msp_id.into(), certificate, signer);
        match signature::verify(identity.certificate().public_key(), PROBE, &identity.sign(PROBE)?) {
            Ok(()) => Ok(identity),
            Err(_) => Err(SigningError::Mismatch { subject: identity.certificate().subject().to_owned() }),
        }
    }

    /// The same key with another certificate for it, as an authority issues it when the one before comes to its end.
    pub fn with_certificate(&self, certificate: Certificate) -> Result<Self, SigningError> {
        if certificate.spki() != self.certificate().spki() {
            return Err(SigningError::Mismatch { subject: certificate.subject().to_owned() });
        }
        Ok(Self::join(self.msp_id().to_owned(), certificate, Arc::clone(&self.0.signer)))
    }

    fn new(msp_id: String, certificate: Certificate, key: PKey<Private>) -> Result<Self, SigningError> {
        if !key.public_eq(certificate.public_key()) {
            return Err(SigningError::Mismatch { subject: certificate.subject().to_owned() });
        }
        Ok(Self::join(msp_id, certificate, Arc::new(SoftwareSigner(key))))
    }

    fn join(msp_id: String, certificate: Certificate, signer: Arc<dyn Signer>) -> Self {
        Self(Arc::new(Inner { creator: Creator::new(msp_id, certificate), signer }))
    }

    /// The same without the key.
    pub fn creator(&self) -> &Creator {
        &self.0.creator
    }

    /// The organisation.
    pub fn msp_id(&self) -> &str {
        self.0.creator.msp_id()
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        self.0.creator.certificate()
    }

    /// The `msp.SerializedIdentity` message: a transaction's creator, an endorsement's endorser.
    pub fn serialized(&self) -> &[u8] {
        self.0.creator.serialized()
    }

    /// Signs: ECDSA over SHA-256 of the message, DER, low S. A key in memory always signs; a device may fail.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.0.signer.sign_digest(&sha256(message))?;
        signature::to_low_s(&signature, self.certificate().public_key())
            .map_err(|error| SigningError::Device(format!("what it gave is no ECDSA signature in DER: {error}")))
    }

    /// Asks for another certificate for the same key, under the common name of this one; PEM (PKCS#10).
    pub fn certification_request(&self) -> Result<String, SigningError> {
        let certificate = self.certificate();
        let name = certificate.common_name().unwrap_or_default();
        certification_request(name, certificate.spki(), self.0.signer.as_ref())
    }

    /// Whether [`sign`](Self::sign) keeps its thread waiting.
    pub fn may_wait(&self) -> bool {
        self.0.signer.may_wait()
    }
}

/// A private key in this process's memory.
pub struct SoftwareSigner(PKey<Private>);

impl SoftwareSigner {
    /// Takes an elliptic-curve key.
    pub fn new(key: PKey<Private>) -> Result<Self, SigningError> {
        if key.id() == Id::EC { Ok(Self(key)) } else { Err(SigningError::KeyAlgorithm) }
    }
}

impl Signer for SoftwareSigner {
    fn sign_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, SigningError> {
        let signed = self.0.ec_key().and_then(|key| EcdsaSig::sign(digest, &key)?.to_der());
        signed.map_err(|error| SigningError::Device(error.to_string()))
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningIdentity")
            .field("msp_id", &self.msp_id())
            .field("certificate", &self.certificate())
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
