//! Certificate revocation lists.

use openssl::x509::X509Crl;
use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::Certificate;
use crate::pem::single_block;

/// A list as Fabric uses it: its dates count for nothing, its issuer is found by key identifier and checked by signature.
pub(crate) struct RevocationList {
    list: X509Crl,
    authority_key_id: Vec<u8>,
    serials: Vec<Vec<u8>>,
}

impl RevocationList {
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let unreadable =
            |error: String| format!("a revocation list cannot be read ({error}); give one X509 CRL in PEM");
        let content = single_block("X509 CRL", pem).map_err(unreadable)?;
        let list = X509Crl::from_der(&content).map_err(|error| unreadable(error.to_string()))?;
        let (_, parsed) =
            CertificateRevocationList::from_der(&content).map_err(|error| unreadable(error.to_string()))?;
        let authority_key_id = parsed
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
                _ => None,
            })
            .ok_or_else(|| "a revocation list has no authority key identifier; issue it with one".to_owned())?;
        let serials =
            parsed.iter_revoked_certificates().map(|revoked| trimmed(revoked.raw_serial()).to_vec()).collect();
        Ok(Self { list, authority_key_id, serials })
    }

    /// Whether `issuer` says in this list that its certificate `serial` is revoked.
    pub(crate) fn revokes(&self, serial: &[u8], issuer: &Certificate) -> bool {
        issuer.extensions().subject_key_id.as_deref() == Some(self.authority_key_id.as_slice())
            && self.serials.iter().any(|revoked| revoked == trimmed(serial))
            && self.list.verify(issuer.public_key()).unwrap_or(false)
    }
}

impl std::fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevocationList").field("serials", &self.serials.len()).finish_non_exhaustive()
    }
}

fn trimmed(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}
