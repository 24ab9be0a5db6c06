//! HPKE's receiving side where somebody else does the Diffie-Hellman: a device that never gives the key away.
//!
//! RFC 9180: base mode (5.1.1), DHKEM(P-256, HKDF-SHA256) (4.1), HKDF-SHA256, one message (6.1). The crate that seals, and that opens
//! with keys in memory, takes no Diffie-Hellman from outside.

use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::{HkdfMode, PkeyCtx};
use openssl::symm::{Cipher, decrypt_aead};
use zeroize::Zeroizing;

use super::SealingError;

const VERSION: &[u8] = b"HPKE-v1";
/// "KEM" ‖ DHKEM(P-256, HKDF-SHA256).
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
const HASH_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const MODE_BASE: u8 = 0;

/// A cipher of RFC 9180's table 5.
struct Aead {
    id: u16,
    cipher: Cipher,
}

/// Opens one message. `shared` is the x coordinate of the Diffie-Hellman of recipient and `encapsulated`; both points are uncompressed.
pub(super) fn open(
    shared: &[u8],
    encapsulated: &[u8],
    recipient: &[u8],
    info: &[u8],
    associated_data: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealingError> {
    let aead = Aead { id: 2, cipher: Cipher::aes_256_gcm() };
    let opened = decapsulate(shared, encapsulated, recipient)
        .and_then(|secret| key_schedule(&aead, &secret, info))
        .map_err(|_| SealingError::Failed)?
        .open(&aead, associated_data, ciphertext);
    opened.ok_or(SealingError::DoesNotOpen)
}

/// `ExtractAndExpand` of section 4.1.
fn decapsulate(shared: &[u8], encapsulated: &[u8], recipient: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let extracted = labeled_extract(KEM_SUITE, &[], b"eae_prk", shared)?;
    labeled_expand(KEM_SUITE, &extracted, b"shared_secret", &[encapsulated, recipient].concat(), HASH_BYTES)
}

struct Context {
    key: Zeroizing<Vec<u8>>,
    nonce: Zeroizing<Vec<u8>>,
}

/// `KeySchedule` of section 5.1, without what only the other modes and exported secrets need.
fn key_schedule(aead: &Aead, secret: &[u8], info: &[u8]) -> Result<Context, ErrorStack> {
    // "HPKE" ‖ kem ‖ kdf ‖ aead
    let suite = [b"HPKE\x00\x10\x00\x01", &aead.id.to_be_bytes()[..]].concat();
    let id_hash = labeled_extract(&suite, &[], b"psk_id_hash", &[])?;
    let info_hash = labeled_extract(&suite, &[], b"info_hash", info)?;
    let context = [&[MODE_BASE], &id_hash[..], &info_hash[..]].concat();
    let secret = labeled_extract(&suite, secret, b"secret", &[])?;
    Ok(Context {
        key: labeled_expand(&suite, &secret, b"key", &context, aead.cipher.key_len())?,
        nonce: labeled_expand(&suite, &secret, b"base_nonce", &context, NONCE_BYTES)?,
    })
}

impl Context {
    fn open(&self, aead: &Aead, associated_data: &[u8], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (text, tag) = ciphertext.split_at(ciphertext.len().checked_sub(TAG_BYTES)?);
        let opened = decrypt_aead(aead.cipher, &self.key, Some(&self.nonce), associated_data, text, tag);
        opened.ok().map(Zeroizing::new)
    }
}

/// `LabeledExtract` of section 4.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], input: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let labeled = Zeroizing::new([VERSION, suite, label, input].concat());
    // RFC 5869: no salt is as many zeros as the hash has bytes.
    let salt = if salt.is_empty() { &[0; HASH_BYTES] } else { salt };
    hkdf(HkdfMode::EXTRACT_ONLY, &labeled, Some(salt), &[], HASH_BYTES)
}

/// `LabeledExpand` of section 4.
fn labeled_expand(
    suite: &[u8],
    key: &[u8],
    label: &[u8],
    info: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let labeled = [&(length as u16).to_be_bytes(), VERSION, suite, label, info].concat();
    hkdf(HkdfMode::EXPAND_ONLY, key, None, &labeled, length)
}

fn hkdf(
    mode: HkdfMode,
    key: &[u8],
    salt: Option<&[u8]>,
    info: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_mode(mode)?;
    context.set_hkdf_md(Md::sha256())?;
    context.set_hkdf_key(key)?;
    if let Some(salt) = salt {
        context.set_hkdf_salt(salt)?;
    }
    if !info.is_empty() {
        context.add_hkdf_info(info)?;
    }
    let mut derived = Zeroizing::new(vec![0; length]);
    context.derive(Some(&mut derived))?;
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use openssl::bn::{BigNum, BigNumContext};
    use openssl::derive::Deriver;
    use openssl::ec::{EcGroup, EcKey, EcPoint};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;

    use super::*;

    /// RFC 9180, appendix A.3.1: base mode with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM, message 0.
    const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
    const RECIPIENT_SECRET: &str = "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
    const RECIPIENT: &str = "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d3\
        0ad6aa8f80e30f1d128aafd68a2ce72ea0";
    const ENCAPSULATED: &str = "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c09\
        00be863c403ce65c9bfcb9382657222d18c4";
    const SHARED_SECRET: &str = "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8";
    const KEY: &str = "868c066ef58aae6dc589b6cfdd18f97e";
    const BASE_NONCE: &str = "4e0bc5018beba4bf004cca59";
    const PLAINTEXT: &str = "4265617574792069732074727574682c20747275746820626561757479";
    const ASSOCIATED_DATA: &str = "436f756e742d30";
    const CIPHERTEXT: &str =
        "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434";

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        hex::decode(hexadecimal).unwrap()
    }

    /// The Diffie-Hellman of a scalar and a point.
    fn shared(scalar: &[u8], point: &[u8]) -> Vec<u8> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let mut numbers = BigNumContext::new().unwrap();
        let scalar = BigNum::from_slice(scalar).unwrap();
        let mut own = EcPoint::new(&group).unwrap();
        own.mul_generator2(&group, &scalar, &mut numbers).unwrap();
        let own = PKey::from_ec_key(EcKey::from_private_components(&group, &scalar, &own).unwrap()).unwrap();
        let other = EcPoint::from_bytes(&group, point, &mut numbers).unwrap();
        let other = PKey::from_ec_key(EcKey::from_public_key(&group, &other).unwrap()).unwrap();
        let mut deriver = Deriver::new(&own).unwrap();
        deriver.set_peer(&other).unwrap();
        deriver.derive_to_vec().unwrap()
    }

    #[test]
    fn decapsulation_key_schedule_and_opening_are_those_of_the_rfc() {
        let shared = shared(&bytes(RECIPIENT_SECRET), &bytes(ENCAPSULATED));
        let secret = decapsulate(&shared, &bytes(ENCAPSULATED), &bytes(RECIPIENT)).unwrap();
        assert_eq!(hex::encode(&*secret), SHARED_SECRET);
        let aead = Aead { id: 1, cipher: Cipher::aes_128_gcm() };
        let context = key_schedule(&aead, &secret, &bytes(INFO)).unwrap();
        assert_eq!(hex::encode(&*context.key), KEY);
        assert_eq!(hex::encode(&*context.nonce), BASE_NONCE);
        let opened = context.open(&aead, &bytes(ASSOCIATED_DATA), &bytes(CIPHERTEXT)).unwrap();
        assert_eq!(hex::encode(&*opened), PLAINTEXT);
        for (associated_data, ciphertext) in
            [("", CIPHERTEXT), (ASSOCIATED_DATA, &CIPHERTEXT[2..]), (ASSOCIATED_DATA, "00"), (ASSOCIATED_DATA, "")]
        {
            assert!(context.open(&aead, &bytes(associated_data), &bytes(ciphertext)).is_none(), "{ciphertext}");
        }
    }

    #[test]
    fn what_the_sealing_crate_seals_opens_and_nothing_else_does() {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let scalar = key.private_key().to_vec_padded(32).unwrap();
        let public = PKey::from_ec_key(key).unwrap().public_key_to_der().unwrap();
        let recipient = super::super::point(&public).unwrap();
        let context = super::super::EnvelopeContext { link: "l", version: 1, category: "c", recipient_key_hash: "h" };
        let sealed = super::super::seal(&public, &context, b"payload").unwrap();
        let (encapsulated, ciphertext) = sealed.split_at(65);
        let associated_data = context.associated_data();
        let shared = shared(&scalar, encapsulated);
        let open_as = |info: &[u8], associated_data: &[u8], recipient: &[u8]| {
            open(&shared, encapsulated, recipient, info, associated_data, ciphertext)
        };
        let opened = open_as(super::super::INFO, &associated_data, &recipient).unwrap();
        assert_eq!(opened.as_slice(), b"payload");
        for (info, associated_data, recipient) in [
            (&b"another"[..], &associated_data[..], &recipient[..]),
            (super::super::INFO, b"another", &recipient),
            (super::super::INFO, &associated_data, encapsulated),
        ] {
            assert_eq!(open_as(info, associated_data, recipient), Err(SealingError::DoesNotOpen));
        }
    }
}
