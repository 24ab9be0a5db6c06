//! Private keys in PEM files: PKCS#8, encrypted under a passphrase or not.
//!
//! Encrypted as PBES2 of PKCS#5 v2.1 (RFC 8018): the key from PBKDF2 with HMAC-SHA-256, then AES-256-CBC. OpenSSL reads it:
//! `openssl pkey -in key.pem`.

use openssl::base64::encode_block;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::symm::{Cipher, encrypt};
use zeroize::Zeroizing;

use crate::der::{sequence, tagged};

/// Rounds of PBKDF2: what OWASP's Password Storage Cheat Sheet asks of HMAC-SHA-256.
const ROUNDS: u32 = 600_000;

/// Object identifiers, in DER.
const PBES2: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const HMAC_WITH_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9];
const AES_256_CBC: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
const NULL: &[u8] = &[5, 0];

const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Why a private key's file cannot be read or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// It is encrypted and there is no passphrase.
    #[error("the private key is encrypted and no passphrase is configured")]
    PassphraseMissing,
    /// It does not open with this passphrase, or was changed.
    #[error("the private key does not open with this passphrase")]
    PassphraseWrong,
    /// No private key in PEM.
    #[error("there is no private key in PEM (PKCS#8 or SEC 1)")]
    NoKey,
    /// The library refused.
    #[error("the private key cannot be encrypted")]
    Failed,
}

/// Whether the file is encrypted as PKCS#8 says. OpenSSL's older form (`Proc-Type: 4,ENCRYPTED`), whose key is one round of MD5 away
/// from the passphrase, does not count.
pub fn is_encrypted(pem: &[u8]) -> bool {
    let begin = format!("-----BEGIN {ENCRYPTED_LABEL}-----");
    pem.windows(begin.len()).any(|window| window == begin.as_bytes())
}

/// Reads a private key, with the passphrase where it is encrypted.
pub fn read(pem: &[u8], passphrase: Option<&[u8]>) -> Result<PKey<Private>, KeyFileError> {
    match passphrase {
        Some(passphrase) if is_encrypted(pem) => {
            PKey::private_key_from_pem_passphrase(pem, passphrase).map_err(|_| KeyFileError::PassphraseWrong)
        }
        None if is_encrypted(pem) => Err(KeyFileError::PassphraseMissing),
        // OpenSSL's question for the older form's passphrase is answered with an empty one: nobody sits at the terminal.
        _ => PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| KeyFileError::NoKey),
    }
}

/// The key as an encrypted PKCS#8 file, PEM.
pub fn encrypted(key: &PKey<Private>, passphrase: &[u8]) -> Result<String, KeyFileError> {
    encrypt_pkcs8(key, passphrase).map_err(|_| KeyFileError::Failed)
}

fn encrypt_pkcs8(key: &PKey<Private>, passphrase: &[u8]) -> Result<String, ErrorStack> {
    let (mut salt, mut vector, mut derived) = ([0; 16], [0; 16], Zeroizing::new([0; 32]));
    rand_bytes(&mut salt)?;
    rand_bytes(&mut vector)?;
    pbkdf2_hmac(passphrase, &salt, ROUNDS as usize, MessageDigest::sha256(), derived.as_mut())?;
    let plain = Zeroizing::new(key.private_key_to_pkcs8()?);
    let ciphertext = encrypt(Cipher::aes_256_cbc(), derived.as_ref(), Some(&vector), &plain)?;

    // Three bytes; the first is below 0x80, so that DER reads a positive number.
    let rounds = tagged(2, &ROUNDS.to_be_bytes()[1..]);
    let derivation =
        sequence(&[PBKDF2, &sequence(&[&tagged(4, &salt), &rounds, &sequence(&[HMAC_WITH_SHA256, NULL])])]);
    let encryption = sequence(&[AES_256_CBC, &tagged(4, &vector)]);
    let algorithm = sequence(&[PBES2, &sequence(&[&derivation, &encryption])]);
    Ok(pem(&sequence(&[&algorithm, &tagged(4, &ciphertext)])))
}

fn pem(der: &[u8]) -> String {
    let text = encode_block(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {ENCRYPTED_LABEL}-----\n{}\n-----END {ENCRYPTED_LABEL}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;

    use super::*;

    fn key() -> PKey<Private> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_and_no_other() {
        let key = key();
        let pem = encrypted(&key, b"correct horse").unwrap();
        assert!(is_encrypted(pem.as_bytes()));
        assert!(read(pem.as_bytes(), Some(b"correct horse")).unwrap().public_eq(&key));
        for passphrase in [&b""[..], b"wrong", b"correct horse\n"] {
            assert_eq!(read(pem.as_bytes(), Some(passphrase)).err(), Some(KeyFileError::PassphraseWrong));
        }
        assert_eq!(read(pem.as_bytes(), None).err(), Some(KeyFileError::PassphraseMissing));
    }

    #[test]
    fn the_passphrase_is_stretched_by_600_000_rounds_of_hmac_sha_256_and_never_twice_alike() {
        let key = key();
        let (one, other) = (encrypted(&key, b"x").unwrap(), encrypted(&key, b"x").unwrap());
        assert_ne!(one, other);
        let der = openssl::base64::decode_block(&one.lines().filter(|line| !line.starts_with('-')).collect::<String>());
        let der = der.unwrap();
        let holds = |part: &[u8]| der.windows(part.len()).any(|window| window == part);
        // INTEGER 600 000 behind it hmacWithSHA256; the cipher; and no part of the plain key.
        assert!(holds(&[&[2, 3, 0x09, 0x27, 0xc0, 0x30, 12][..], HMAC_WITH_SHA256, NULL].concat()));
        assert!(holds(AES_256_CBC));
        assert!(!holds(&key.ec_key().unwrap().private_key().to_vec()));
    }

    #[test]
    fn a_changed_file_does_not_give_a_key() {
        let pem = encrypted(&key(), b"x").unwrap();
        let cut = pem.replacen('\n', "\nAAAA", 1);
        for changed in [cut.as_str(), "", "no key", &pem.replace("ENCRYPTED ", "")] {
            assert!(read(changed.as_bytes(), Some(b"x")).is_err(), "{changed}");
        }
    }

    #[test]
    fn a_plain_key_is_read_with_and_without_a_passphrase_and_is_not_taken_for_an_encrypted_one() {
        let key = key();
        let legacy = key.ec_key().unwrap().private_key_to_pem_passphrase(Cipher::aes_256_cbc(), b"x").unwrap();
        assert!(!is_encrypted(&legacy));
        assert_eq!(read(&legacy, Some(b"x")).err(), Some(KeyFileError::NoKey));
        for pem in [key.private_key_to_pem_pkcs8().unwrap(), key.ec_key().unwrap().private_key_to_pem().unwrap()] {
            assert!(!is_encrypted(&pem));
            for passphrase in [None, Some(&b"x"[..])] {
                assert!(read(&pem, passphrase).unwrap().public_eq(&key));
            }
        }
    }
}
