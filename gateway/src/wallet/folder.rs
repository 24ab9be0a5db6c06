//! A folder with one folder a member: `certificate.pem`, `key.pem`, `tls-certificate.pem` and, where the encryption key is not
//! the signing key, `encryption.pem`. A member who keeps the key elsewhere has neither `key.pem` nor `encryption.pem`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_msp::{Creator, SigningIdentity};
use futures::future::BoxFuture;
use healthchain_rules::MemberId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::RwLock;
use zeroize::Zeroizing;

use super::{Keys, Wallet, WalletMember};
use crate::configuration::{ConfigurationError, read};
use crate::file_stamp::FileStamp;
use crate::sealing::SealingError;
use crate::sealing::software::SoftwareKey;

/// A certificate that nobody is bound to makes the folder be read again, but not more often than this.
const REREAD_INTERVAL: Duration = Duration::from_secs(1);

/// Members by the SHA-256 of their TLS client certificate.
type Members = HashMap<[u8; 32], Entry>;

/// The files of a member's folder.
const FILES: [&str; 4] = ["certificate.pem", "key.pem", "encryption.pem", "tls-certificate.pem"];

/// A wallet in a folder. A member that is added while the gateway runs is found at its first request, and one that is removed or
/// bound to another certificate is not found from the next request on.
pub struct FolderWallet {
    folder: PathBuf,
    msp_id: String,
    state: RwLock<State>,
}

struct State {
    members: Members,
    read_at: Instant,
}

struct Entry {
    folder: PathBuf,
    stamps: [Option<FileStamp>; FILES.len()],
    member: Arc<WalletMember>,
}

impl Entry {
    fn is_as_read(&self) -> bool {
        self.stamps == stamps(&self.folder)
    }
}

/// Why a wallet cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigurationError),
    /// A member's folder cannot be used.
    #[error("wallet folder {}: {reason}", folder.display())]
    Member {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl FolderWallet {
    /// Reads the wallet of an organisation. A folder that cannot be used is an error: better no start than a member missing.
    pub fn open(folder: &Path, msp_id: &str) -> Result<Self, WalletError> {
        let mut members = Members::new();
        for member in member_folders(folder)? {
            let (binding, entry) = load(&member, msp_id)?;
            members.insert(binding, entry);
        }
        let state = RwLock::new(State { members, read_at: Instant::now() });
        Ok(Self { folder: folder.to_owned(), msp_id: msp_id.to_owned(), state })
    }
}

impl Wallet for FolderWallet {
    fn holder_of<'a>(&'a self, certificate: &'a [u8]) -> BoxFuture<'a, Option<Arc<WalletMember>>> {
        let binding = openssl::sha::sha256(certificate);
        Box::pin(self.find(move |members| members.get(&binding)))
    }

    fn signer_with<'a>(&'a self, key_hash: &'a [u8; 32]) -> BoxFuture<'a, Option<Arc<WalletMember>>> {
        let signs = |entry: &&Entry| entry.member.creator().certificate().key_hash() == *key_hash;
        Box::pin(self.find(move |members| members.values().find(signs)))
    }

    fn member<'a>(&'a self, id: &'a MemberId) -> BoxFuture<'a, Option<Arc<WalletMember>>> {
        Box::pin(self.find(move |members| members.values().find(|entry| entry.member.id == *id)))
    }
}

impl FolderWallet {
    async fn find(&self, entry: impl Fn(&Members) -> Option<&Entry>) -> Option<Arc<WalletMember>> {
        if let Some(entry) = entry(&self.state.read().await.members)
            && entry.is_as_read()
        {
            return Some(Arc::clone(&entry.member));
        }
        let mut state = self.state.write().await;
        let is_outdated = entry(&state.members).is_some_and(|entry| !entry.is_as_read());
        if is_outdated || state.read_at.elapsed() >= REREAD_INTERVAL {
            let (folder, msp_id) = (self.folder.clone(), self.msp_id.clone());
            state.members = match tokio::task::spawn_blocking(move || read_again(&folder, &msp_id)).await {
                Ok(members) => members,
                Err(error) => {
                    tracing::error!(%error, "the wallet could not be read again: nobody is in it until it can");
                    Members::new()
                }
            };
            state.read_at = Instant::now();
        }
        entry(&state.members).map(|entry| Arc::clone(&entry.member))
    }
}

/// Reads the folder again; folders that cannot be used are logged and passed over.
fn read_again(folder: &Path, msp_id: &str) -> Members {
    let folders = member_folders(folder).unwrap_or_else(|error| {
        tracing::error!(%error, "the wallet cannot be read");
        Vec::new()
    });
    let loaded = folders.iter().filter_map(|folder| {
        load(folder, msp_id).inspect_err(|error| tracing::error!(%error, "a member is passed over")).ok()
    });
    loaded.collect()
}

fn member_folders(folder: &Path) -> Result<Vec<PathBuf>, WalletError> {
    let unreadable = |source| ConfigurationError::Unreadable { path: folder.to_owned(), source };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

fn stamps(folder: &Path) -> [Option<FileStamp>; FILES.len()] {
    FILES.map(|file| FileStamp::of(&folder.join(file)))
}

/// The hash of the bound certificate, and the member.
fn load(folder: &Path, msp_id: &str) -> Result<([u8; 32], Entry), WalletError> {
    let stamps = stamps(folder);
    let unusable = |reason: String| WalletError::Member { folder: folder.to_owned(), reason };
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let id: MemberId = name.parse().map_err(|error| unusable(format!("{error}")))?;

    let bound = CertificateDer::from_pem_slice(&read(&folder.join("tls-certificate.pem"))?)
        .map_err(|error| unusable(format!("tls-certificate.pem: {error}")))?;
    let certificate = read(&folder.join("certificate.pem"))?;
    let encryption_file = folder.join("encryption.pem");
    let keys = match folder.join("key.pem") {
        file if file.exists() => {
            let key = Zeroizing::new(read(&file)?);
            let encryption_key =
                if encryption_file.exists() { Zeroizing::new(read(&encryption_file)?) } else { key.clone() };
            let signer = SigningIdentity::from_pem(msp_id, &certificate, &key);
            let encryption_key =
                SoftwareKey::from_pem(&encryption_key).map_err(|error: SealingError| unusable(error.to_string()))?;
            Keys::Here {
                signer: signer.map_err(|error| unusable(error.to_string()))?,
                encryption_key: Arc::new(encryption_key),
            }
        }
        _ if encryption_file.exists() => {
            return Err(unusable(
                "encryption.pem without key.pem: a member's keys are both here or both elsewhere".into(),
            ));
        }
        _ => Keys::Elsewhere(Creator::from_pem(msp_id, &certificate).map_err(|error| unusable(error.to_string()))?),
    };

    let member = Arc::new(WalletMember { id, keys });
    Ok((openssl::sha::sha256(&bound), Entry { folder: folder.to_owned(), stamps, member }))
}

#[cfg(test)]
mod tests {
    use fabric_msp::issue::{Authority, Request};

    use super::*;

    /// A wallet with one member; returns the DER of the bound certificate.
    fn wallet(folder: &Path) -> Vec<u8> {
        let authority = Authority::create("root", "Hospital").unwrap();
        let signing = authority.issue(&Request::signing("dr-grey", "client")).unwrap();
        let tls = authority.issue(&Request::tls("dr-grey", &[], &[])).unwrap();
        let member = folder.join("dr-grey");
        std::fs::create_dir_all(&member).unwrap();
        std::fs::write(member.join("certificate.pem"), signing.certificate_pem()).unwrap();
        std::fs::write(member.join("key.pem"), signing.key_pem()).unwrap();
        std::fs::write(member.join("tls-certificate.pem"), tls.certificate_pem()).unwrap();
        tls.certificate().der().to_vec()
    }

    #[tokio::test]
    async fn a_member_is_found_by_exactly_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        let wallet = FolderWallet::open(folder.path(), "HospitalMSP").unwrap();
        let member = wallet.holder_of(&certificate).await.unwrap();
        assert_eq!(member.id.as_str(), "dr-grey");
        let certificate_key = hex::encode(member.signer().unwrap().certificate().key_hash());
        assert_eq!(member.encryption_key().unwrap().key_hash(), certificate_key);
        assert!(wallet.holder_of(&certificate[1..]).await.is_none());
        assert!(wallet.holder_of(&[]).await.is_none());
    }

    #[tokio::test]
    async fn a_member_is_found_by_its_signing_key_and_by_its_id_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        let wallet = FolderWallet::open(folder.path(), "HospitalMSP").unwrap();
        let member = wallet.holder_of(&certificate).await.unwrap();
        let key_hash = member.creator().certificate().key_hash();
        assert_eq!(wallet.signer_with(&key_hash).await.unwrap().id, member.id);
        assert_eq!(wallet.member(&member.id).await.unwrap().id, member.id);
        assert!(wallet.signer_with(&[7; 32]).await.is_none());
        assert!(wallet.member(&"dr-yang".parse().unwrap()).await.is_none());
        std::fs::remove_dir_all(folder.path().join("dr-grey")).unwrap();
        assert!(wallet.signer_with(&key_hash).await.is_none());
        assert!(wallet.member(&member.id).await.is_none());
    }

    #[tokio::test]
    async fn a_member_removed_from_the_wallet_is_bound_no_more_at_the_next_request() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        let wallet = FolderWallet::open(folder.path(), "HospitalMSP").unwrap();
        assert!(wallet.holder_of(&certificate).await.is_some());
        std::fs::remove_dir_all(folder.path().join("dr-grey")).unwrap();
        assert!(wallet.holder_of(&certificate).await.is_none());
    }

    #[tokio::test]
    async fn another_certificate_for_a_member_takes_the_place_of_the_one_before_at_the_next_request() {
        let folder = tempfile::tempdir().unwrap();
        let before = wallet(folder.path());
        let of_folder = FolderWallet::open(folder.path(), "HospitalMSP").unwrap();
        assert!(of_folder.holder_of(&before).await.is_some());
        let after = wallet(folder.path());
        assert!(of_folder.holder_of(&before).await.is_none());
        assert_eq!(of_folder.holder_of(&after).await.unwrap().id.as_str(), "dr-grey");
    }

    #[tokio::test]
    async fn a_member_whose_certificate_cannot_be_read_any_more_is_bound_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        let wallet = FolderWallet::open(folder.path(), "HospitalMSP").unwrap();
        std::fs::write(folder.path().join("dr-grey/tls-certificate.pem"), "none").unwrap();
        assert!(wallet.holder_of(&certificate).await.is_none());
    }

    #[tokio::test]
    async fn an_encryption_key_of_its_own_is_used_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        let authority = Authority::create("root", "Hospital").unwrap();
        let issued = authority.issue(&Request::signing("encryption", "client")).unwrap();
        std::fs::write(folder.path().join("dr-grey/encryption.pem"), issued.key_pem()).unwrap();
        let member = FolderWallet::open(folder.path(), "HospitalMSP").unwrap().holder_of(&certificate).await.unwrap();
        assert_eq!(member.encryption_key().unwrap().key_hash(), hex::encode(issued.certificate().key_hash()));
    }

    #[tokio::test]
    async fn a_member_without_a_key_keeps_it_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        std::fs::remove_file(folder.path().join("dr-grey/key.pem")).unwrap();
        let member = FolderWallet::open(folder.path(), "HospitalMSP").unwrap().holder_of(&certificate).await.unwrap();
        assert!(matches!(member.signer(), Err(crate::failure::Failure::KeyElsewhere)));
        assert!(member.encryption_key().is_none());
        assert!(member.creator().certificate().subject().contains("dr-grey"));

        std::fs::write(folder.path().join("dr-grey/encryption.pem"), "half of it").unwrap();
        let error = FolderWallet::open(folder.path(), "HospitalMSP").err().unwrap().to_string();
        assert!(error.contains("both here or both elsewhere"), "{error}");
    }

    #[test]
    fn a_wallet_that_cannot_be_used_names_the_file() {
        for (file, content) in
            [("key.pem", "no key"), ("certificate.pem", ""), ("tls-certificate.pem", "none"), ("encryption.pem", "x")]
        {
            let folder = tempfile::tempdir().unwrap();
            wallet(folder.path());
            std::fs::write(folder.path().join("dr-grey").join(file), content).unwrap();
            let error = FolderWallet::open(folder.path(), "HospitalMSP").err().unwrap().to_string();
            assert!(error.contains("dr-grey"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("Dr Grey")).unwrap();
        assert!(FolderWallet::open(folder.path(), "HospitalMSP").err().unwrap().to_string().contains("Dr Grey"));
        assert!(FolderWallet::open(&folder.path().join("nowhere"), "HospitalMSP").is_err());
    }

    #[tokio::test]
    async fn debug_of_a_member_shows_only_the_pseudonym() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        let wallet = FolderWallet::open(folder.path(), "HospitalMSP").unwrap();
        let member = wallet.holder_of(&certificate).await.unwrap();
        assert_eq!(format!("{member:?}"), r#"WalletMember { id: MemberId("dr-grey"), .. }"#);
    }
}
