//! An identity without its private key.

use std::fmt;
use std::sync::Arc;

use fabric_protos::msp::SerializedIdentity;
use prost::Message;

use crate::{Certificate, CertificateError, SignatureError, signature};

/// A member as a transaction names it: organisation and certificate. The key is elsewhere. Clones are cheap.
#[derive(Clone)]
pub struct Creator(Arc<Inner>);

struct Inner {
    msp_id: String,
    certificate: Certificate,
    serialized: Vec<u8>,
}

impl Creator {
    /// The member whom this certificate names.
    pub fn new(msp_id: impl Into<String>, certificate: Certificate) -> Self {
        let msp_id = msp_id.into();
        let serialized =
            SerializedIdentity { mspid: msp_id.clone(), id_bytes: certificate.pem().into_bytes() }.encode_to_vec();
        Self(Arc::new(Inner { msp_id, certificate, serialized }))
    }

    /// The same, from the certificate's PEM.
    pub fn from_pem(msp_id: impl Into<String>, certificate_pem: impl AsRef<[u8]>) -> Result<Self, CertificateError> {
        Certificate::from_pem(certificate_pem).map(|certificate| Self::new(msp_id, certificate))
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

    /// Checks a signature that this member made elsewhere, over SHA-256 of the message, and gives it in the form that Fabric wants
    /// (DER, low S). Taken are DER and IEEE P1363 (`r ‖ s`), with S low or high.
    pub fn accept(&self, message: &[u8], signature: &[u8]) -> Result<Vec<u8>, SignatureError> {
        signature::accept(self.0.certificate.public_key(), message, signature)
    }
}

impl fmt::Debug for Creator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Creator")
            .field("msp_id", &self.0.msp_id)
            .field("certificate", &self.0.certificate)
            .finish_non_exhaustive()
    }
}
