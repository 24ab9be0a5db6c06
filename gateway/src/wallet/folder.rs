//! A folder with one folder a member: `certificate.pem`, `key.pem`, `tls-certificate.pem` and, where the encryption key is not
//! the signing key, `encryption.pem`. Keys in the token are named in `key.toml` instead. A member who keeps the key elsewhere has none
//! of these.

use std::collections::{HashMap, hash_map};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_msp::{Certificate, Creator};
use futures::future::BoxFuture;
use healthchain_rules::MemberId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use tokio::sync::RwLock;

use super::key_store::{KeyStore, KeyStoreError};
use super::{Keys, Wallet, WalletMember};
use crate::configuration::{ConfigurationError, FileOr, read};
use crate::file_stamp::FileStamp;
use crate::hsm::KeyName;

/// A certificate that nobody is bound to makes the folder be read again, but not more often than this.
const REREAD_INTERVAL: Duration = Duration::from_secs(1);

/// Members by the SHA-256 of their TLS client certificate.
type Members = HashMap<[u8; 32], Entry>;

/// The files of a member's folder.
const FILES: [&str; 5] = [CERTIFICATE, KEY, KEY_NAMES, ENCRYPTION_KEY, BOUND_CERTIFICATE];
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";
pub(crate) const KEY_NAMES: &str = "key.toml";
pub(crate) const ENCRYPTION_KEY: &str = "encryption.pem";
pub(crate) const BOUND_CERTIFICATE: &str = "tls-certificate.pem";

/// A wallet in a folder. A member that is added while the gateway runs is found at its first request, and one that is removed or
/// bound to another certificate is not found from the next request on.
pub struct FolderWallet {
    folder: PathBuf,
    msp_id: String,
    store: KeyStore,
    state: RwLock<State>,
}

struct State {
    members: Members,
    read_at: Instant,
}

#[derive(Clone)]
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
    /// Reads the wallet of an organisation whose keys lie in files and are not encrypted.
    pub fn open(folder: &Path, msp_id: &str) -> Result<Self, WalletError> {
        Self::open_with(folder, msp_id, KeyStore::default())
    }

    /// Reads the wallet of an organisation. A folder that cannot be used is an error: better no start than a member missing.
    pub fn open_with(folder: &Path, msp_id: &str, store: KeyStore) -> Result<Self, WalletError> {
        let mut members = Members::new();
        for member in member_folders(folder)? {
            let (binding, entry) = load(&member, msp_id, &store)?;
            bind(&mut members, binding, entry)?;
        }
        let state = RwLock::new(State { members, read_at: Instant::now() });
        Ok(Self { folder: folder.to_owned(), msp_id: msp_id.to_owned(), store, state })
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
            let (folder, msp_id, store) = (self.folder.clone(), self.msp_id.clone(), self.store.clone());
            let before = state.members.clone();
            state.members =
                match tokio::task::spawn_blocking(move || read_again(&folder, &msp_id, &store, &before)).await {
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

/// Reads the folder again, but not the members whose files are as they were: to open an encrypted key takes a while, and a token
/// has other work. Folders that cannot be used are logged and passed over.
fn read_again(folder: &Path, msp_id: &str, store: &KeyStore, before: &Members) -> Members {
    let known: HashMap<&Path, _> =
        before.iter().map(|(binding, entry)| (entry.folder.as_path(), (binding, entry))).collect();
    let folders = member_folders(folder).unwrap_or_else(|error| {
        tracing::error!(%error, "the wallet cannot be read");
        Vec::new()
    });
    let mut members = Members::new();
    for folder in &folders {
        let loaded = match known.get(folder.as_path()) {
            Some((binding, entry)) if entry.is_as_read() => Ok((**binding, (*entry).clone())),
            _ => load(folder, msp_id, store),
        };
        if let Err(error) = loaded.and_then(|(binding, entry)| bind(&mut members, binding, entry)) {
            tracing::error!(%error, "a member is passed over");
        }
    }
    members
}

/// Binds a certificate to one member: with a second one, nobody could tell who calls.
fn bind(members: &mut Members, binding: [u8; 32], entry: Entry) -> Result<(), WalletError> {
    match members.entry(binding) {
        hash_map::Entry::Vacant(place) => {
            place.insert(entry);
            Ok(())
        }
        hash_map::Entry::Occupied(bound) => Err(WalletError::Member {
            folder: entry.folder,
            reason: format!("its {BOUND_CERTIFICATE} is bound to {} already", bound.get().folder.display()),
        }),
    }
}

pub(crate) fn member_folders(folder: &Path) -> Result<Vec<PathBuf>, WalletError> {
    let unreadable = |source| ConfigurationError::Unreadable { path: folder.to_owned(), source };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn stamps(folder: &Path) -> [Option<FileStamp>; FILES.len()] {
    FILES.map(|file| FileStamp::of(&folder.join(file)))
}

/// The hash of the bound certificate, and the member.
fn load(folder: &Path, msp_id: &str, store: &KeyStore) -> Result<([u8; 32], Entry), WalletError> {
    let stamps = stamps(folder);
    let unusable = |reason: String| WalletError::Member { folder: folder.to_owned(), reason };
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let id: MemberId = name.parse().map_err(|error| unusable(format!("{error}")))?;

    let keys = keys_of(folder, msp_id, store)?;
    let bound = CertificateDer::from_pem_slice(&read(&folder.join(BOUND_CERTIFICATE))?)
        .map_err(|error| unusable(format!("{BOUND_CERTIFICATE}: {error}")))?;

    let member = Arc::new(WalletMember { id, keys });
    Ok((openssl::sha::sha256(&bound), Entry { folder: folder.to_owned(), stamps, member }))
}

/// Reads certificate and keys of a member's folder.
pub(crate) fn keys_of(folder: &Path, msp_id: &str, store: &KeyStore) -> Result<Keys, WalletError> {
    let unusable = |reason: String| WalletError::Member { folder: folder.to_owned(), reason };
    let key_error = |error: KeyStoreError| unusable(error.to_string());
    let pem = read(&folder.join(CERTIFICATE))?;
    let Some((signing, encryption)) = places(folder)? else {
        let creator = Creator::from_pem(msp_id, &pem).map_err(|error| unusable(error.to_string()))?;
        return Ok(Keys::Elsewhere(creator));
    };
    let certificate = Certificate::from_pem(&pem).map_err(|error| unusable(error.to_string()))?;
    let signer = store.signer(msp_id, certificate.clone(), &signing).map_err(key_error)?;
    // A key of the token that does both is known by the certificate; another one's public half lies in the token.
    let public_key = encryption.is_none().then(|| certificate.spki().to_vec());
    let encryption_key =
        store.decryption_key(encryption.as_ref().unwrap_or(&signing), public_key.as_deref()).map_err(key_error)?;
    Ok(Keys::Here { signer, encryption_key })
}

/// Where the signing key is, and the encryption key where that is another one; none where both are elsewhere.
fn places(folder: &Path) -> Result<Option<(KeyPlace, Option<KeyPlace>)>, WalletError> {
    let unusable = |reason: String| WalletError::Member { folder: folder.to_owned(), reason };
    let (file, names) = (folder.join(KEY), folder.join(KEY_NAMES));
    let encryption_file = folder.join(ENCRYPTION_KEY);
    let encryption_file = encryption_file.exists().then_some(KeyPlace::File(encryption_file));
    match (file.exists(), names.exists()) {
        (true, true) => {
            Err(unusable(format!("there are both {KEY} and {KEY_NAMES}; remove the one that does not count")))
        }
        (true, false) => Ok(Some((KeyPlace::File(file), encryption_file))),
        (false, true) => {
            let text = String::from_utf8_lossy(&read(&names)?).into_owned();
            let names: KeyNames = toml::from_str(&text).map_err(|error| unusable(format!("{KEY_NAMES}: {error}")))?;
            Ok(Some((KeyPlace::Table(names.signing), names.encryption.map(KeyPlace::Table).or(encryption_file))))
        }
        (false, false) if encryption_file.is_some() => {
            Err(unusable("encryption.pem without key.pem: a member's keys are both here or both elsewhere".into()))
        }
        (false, false) => Ok(None),
    }
}

type KeyPlace = FileOr<KeyName>;

/// `key.toml`: which keys of the token are the member's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyNames {
    signing: KeyName,
    /// Absent: the signing key, or `encryption.pem`.
    #[serde(default)]
    encryption: Option<KeyName>,
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
    async fn a_certificate_of_two_members_starts_no_gateway_and_stays_with_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = wallet(folder.path());
        let wallet = FolderWallet::open(folder.path(), "HospitalMSP").unwrap();
        let copy = folder.path().join("zz-top");
        std::fs::create_dir(&copy).unwrap();
        for file in [CERTIFICATE, KEY, BOUND_CERTIFICATE] {
            std::fs::copy(folder.path().join("dr-grey").join(file), copy.join(file)).unwrap();
        }
        let error = FolderWallet::open(folder.path(), "HospitalMSP").err().expect("two of one certificate").to_string();
        assert!(error.contains("zz-top") && error.contains("dr-grey"), "{error}");
        tokio::time::sleep(REREAD_INTERVAL).await;
        assert!(wallet.member(&"zz-top".parse().unwrap()).await.is_none());
        assert_eq!(wallet.holder_of(&certificate).await.unwrap().id.as_str(), "dr-grey");
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
