//! The key under which the state holds what nobody may read who has only the database.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// 256 bits. Each use has a label, and works with a key of its own that is derived from this one and the label.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct StateKey([u8; BYTES]);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("[state] key_file {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error(
        "[state] key_file {0}: it holds no key, which is {BYTES} random bytes; restore it from where it is kept safe"
    )]
    NoKey(String),
}

/// Sealed under another key, for another place, or not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed under this key, or not for this place")]
pub struct DoesNotOpen;

impl StateKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(random())
    }

    /// The key in this file, which is made, for this user only, when it is missing. Gateways that make it at once agree on one.
    pub fn in_file(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.display().to_string(), source };
        if !path.try_exists().map_err(failed)? {
            let new = path.with_extension(format!("new-{}", std::process::id()));
            let made = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new);
            let written = made.and_then(|mut file| {
                file.write_all(Zeroizing::new(random::<BYTES>()).as_slice())?;
                file.sync_all()
            });
            // Unlike a renaming, a link leaves alone what another has made in the meantime.
            let linked = written.and_then(|()| std::fs::hard_link(&new, path));
            let _ = std::fs::remove_file(&new);
            linked.or_else(|error| if path.exists() { Ok(()) } else { Err(failed(error)) })?;
        }
        let bytes = Zeroizing::new(std::fs::read(path).map_err(failed)?);
        let key = bytes.as_slice().try_into().map_err(|_| KeyError::NoKey(path.display().to_string()))?;
        Ok(Self(key))
    }

    /// HMAC-SHA-256 (RFC 2104) of these parts in hexadecimal digits: equal things are found again, and nobody without the key can
    /// try out guesses.
    pub fn keyed_hash(&self, label: &str, parts: &[&[u8]]) -> String {
        hex::encode(hmac(&self.derived("hash", label), &joined(parts)))
    }

    /// Seals with AES-256-GCM (NIST SP 800-38D, random nonce). It opens for the same label and place only.
    pub fn seal(&self, label: &str, place: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random();
        let mut tag = [0; TAG_BYTES];
        let key = self.derived("seal", label);
        let sealed = encrypt_aead(Cipher::aes_256_gcm(), key.as_slice(), Some(&nonce), place, plain, &mut tag)
            .expect("AES-256-GCM takes this key, this nonce and any plain text");
        [nonce.as_slice(), &sealed, &tag].concat()
    }

    /// Opens what [`Self::seal`] sealed.
    pub fn open(&self, label: &str, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(DoesNotOpen)?;
        let (sealed, tag) = sealed.split_at_checked(sealed.len().wrapping_sub(TAG_BYTES)).ok_or(DoesNotOpen)?;
        let key = self.derived("seal", label);
        let plain = decrypt_aead(Cipher::aes_256_gcm(), key.as_slice(), Some(nonce), place, sealed, tag);
        plain.map(Zeroizing::new).map_err(|_| DoesNotOpen)
    }

    fn derived(&self, use_: &str, label: &str) -> Zeroizing<Vec<u8>> {
        let context = joined(&[b"healthchain gateway state", use_.as_bytes(), label.as_bytes()]);
        Zeroizing::new(hmac(&self.0, &context))
    }
}

impl std::fmt::Debug for StateKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("StateKey(…)")
    }
}

/// Each part behind its length, so that no two lists of parts are one text.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes(), *part].concat()).collect()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let sign = || Signer::new(MessageDigest::sha256(), &*PKey::hmac(key)?)?.sign_oneshot_to_vec(message);
    sign().expect("HMAC-SHA-256 takes any key and any message")
}

fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    openssl::rand::rand_bytes(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_missing_key_is_made_once_and_for_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.key");
        let hash = || StateKey::in_file(&file).unwrap().keyed_hash("test", &[b"a"]);
        assert_eq!(hash(), hash());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_with_something_else_is_no_key_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.key");
        for content in [&b""[..], b"password", &[0; 33]] {
            std::fs::write(&file, content).unwrap();
            let error = StateKey::in_file(&file).unwrap_err().to_string();
            assert!(error.contains("state.key") && error.contains("32 random bytes"), "{error}");
            assert_eq!(std::fs::read(&file).unwrap(), content);
        }
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_for_its_label_and_place_only() {
        let key = StateKey::generate();
        let sealed = key.seal("mrn", b"1", b"plain");
        assert_eq!(key.open("mrn", b"1", &sealed).unwrap().as_slice(), b"plain");
        assert_ne!(key.seal("mrn", b"1", b"plain"), sealed);
        assert_eq!(key.open("mrn", b"2", &sealed), Err(DoesNotOpen));
        assert_eq!(key.open("answer", b"1", &sealed), Err(DoesNotOpen));
        assert_eq!(StateKey::generate().open("mrn", b"1", &sealed), Err(DoesNotOpen));
        for length in 0..sealed.len() {
            assert_eq!(key.open("mrn", b"1", &sealed[..length]), Err(DoesNotOpen), "{length}");
        }
    }

    #[test]
    fn a_keyed_hash_depends_on_key_label_and_each_part() {
        let key = StateKey::generate();
        let hash = key.keyed_hash("mrn", &[b"ab", b"c"]);
        assert_eq!(hash, key.keyed_hash("mrn", &[b"ab", b"c"]));
        assert_ne!(hash, key.keyed_hash("mrn", &[b"a", b"bc"]));
        assert_ne!(hash, key.keyed_hash("other", &[b"ab", b"c"]));
        assert_ne!(hash, StateKey::generate().keyed_hash("mrn", &[b"ab", b"c"]));
    }
}
