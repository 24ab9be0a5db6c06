//! Which of the members' certificates their authority has revoked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::{TlsError, material, name, read};
use crate::file_stamp::FileStamp;

/// Judges the members' certificates by their authority and by the latest form of its revocation list, which may change while the
/// gateway runs.
#[derive(Debug)]
pub(super) struct Revocations {
    roots: Arc<RootCertStore>,
    file: PathBuf,
    latest: RwLock<(Option<FileStamp>, Arc<dyn ClientCertVerifier>)>,
}

impl Revocations {
    /// Reads the list, PEM; more than one where there is more than one authority.
    pub(super) fn open(roots: RootCertStore, file: &Path) -> Result<Self, TlsError> {
        let (roots, stamp) = (Arc::new(roots), FileStamp::of(file));
        let latest = RwLock::new((stamp, load(&roots, file)?));
        Ok(Self { roots, file: file.to_owned(), latest })
    }

    /// By the list as it is now. One that cannot be read any more does not make revoked certificates good: the one before stays.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let stamp = FileStamp::of(&self.file);
        {
            let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
            if latest.0 == stamp {
                return Arc::clone(&latest.1);
            }
        }
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        latest.0 = stamp;
        match load(&self.roots, &self.file) {
            Ok(verifier) => latest.1 = verifier,
            Err(error) => tracing::error!(%error, "the revocation list before it stays in force"),
        }
        Arc::clone(&latest.1)
    }
}

fn load(roots: &Arc<RootCertStore>, file: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |error: &dyn std::fmt::Display| material(&name(file), format!("no revocation list: {error}"));
    let pem = read(file)?;
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&error))?;
    if lists.is_empty() {
        return Err(unusable(&"there is none in the file"));
    }
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::new(aws_lc_rs::default_provider()))
        .with_crls(lists)
        .only_check_end_entity_revocation()
        .build()
        .map_err(|error| unusable(&error))
}
