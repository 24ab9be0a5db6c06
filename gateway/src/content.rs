//! How a record is encrypted, committed to and described to those it is sealed for.
//!
//! The content is a compact JWE (RFC 7516) with `alg` = `dir` and `enc` = `A256GCM` under a fresh key, so that any JOSE
//! library opens it, or, of a large record, a sequence of them ([`parts`]). The ledger holds the SHA-256 of the content
//! (integrity that anybody can check) and a commitment to the plain bytes under the content key (which only a holder of the key
//! can check). docs/record-format.md says it to those who write another implementation.

pub mod parts;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use openssl::pkey::PKey;
use openssl::symm::{Cipher, Crypter, Mode};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Separates the key of the commitment from the key of the encryption.
const COMMITMENT_LABEL: &[u8] = b"healthchain commitment v1";
const KEY_BYTES: usize = 32;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Plain bytes that are encrypted, or decrypted, before they are encoded, or decoded: whole groups of base64, whole blocks of AES.
const BLOCK_BYTES: usize = 12 << 10;
/// Base64 of ciphertexts, as fast as they are made.
const FAST_BASE64: base64_simd::Base64 = base64_simd::URL_SAFE_NO_PAD;
/// Room for the header (with a media type of at most 128 characters), the nonce and the tag of one JWE, in base64.
const JWE_HEAD_BYTES: u64 = 512;

/// The key of one version of one record: 32 random bytes, used for that content alone.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ContentKey([u8; KEY_BYTES]);

/// Why content cannot be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The bytes are not a compact JWE with `dir` and `A256GCM`.
    #[error("the content is not a compact JWE with dir and A256GCM")]
    NotAJwe,
    /// The key is another one, or the content was changed.
    #[error("the content does not open with its key: it was changed, or belongs to another link")]
    DoesNotOpen,
    /// The sealed payload does not hold what a link needs.
    #[error("the sealed payload is not that of a link")]
    MalformedPayload,
    /// The cryptographic library failed (out of memory or of randomness).
    #[error("the cryptographic library failed")]
    Library,
}

impl ContentKey {
    /// A new random key.
    pub fn generate() -> Result<Self, ContentError> {
        let mut key = Self([0; KEY_BYTES]);
        openssl::rand::rand_priv_bytes(&mut key.0).map_err(library)?;
        Ok(key)
    }

    /// The key's form in a link payload: base64url without padding, 43 characters.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Reads what [`ContentKey::to_text`] writes.
    pub fn from_text(text: &str) -> Result<Self, ContentError> {
        let mut bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ContentError::MalformedPayload)?;
        let key = bytes.as_slice().try_into().map(Self).map_err(|_| ContentError::MalformedPayload);
        bytes.zeroize();
        key
    }

    /// Encrypts a record. `media_type` becomes the JWE's `cty`.
    pub fn encrypt(&self, media_type: &str, record: &[u8]) -> Result<Vec<u8>, ContentError> {
        let mut iv = [0; IV_BYTES];
        openssl::rand::rand_bytes(&mut iv).map_err(library)?;
        self.encrypt_with(&iv, media_type, record)
    }

    fn encrypt_with(&self, iv: &[u8; IV_BYTES], media_type: &str, record: &[u8]) -> Result<Vec<u8>, ContentError> {
        let (alg, enc) = ("dir".into(), "A256GCM".into());
        let header = Header { alg, enc, cty: Some(media_type.into()), zip: None, crit: None };
        self.seal_jwe(&serde_json::to_vec(&header).map_err(library)?, iv, record)
    }

    /// Decrypts a record. A JWE with a header of another kind is refused before any key is used.
    pub fn decrypt(&self, jwe: &[u8]) -> Result<Vec<u8>, ContentError> {
        self.open_jwe(jwe, |header| {
            let header: Header = serde_json::from_slice(header).map_err(|_| ContentError::NotAJwe)?;
            let plain = header.zip.is_none() && header.crit.is_none();
            let expected = header.alg == "dir" && header.enc == "A256GCM" && plain;
            expected.then_some(()).ok_or(ContentError::NotAJwe)
        })
    }

    /// The compact JWE with this protected header. Encryption and encoding take turns on blocks that stay in the processor's cache.
    fn seal_jwe(&self, header: &[u8], iv: &[u8; IV_BYTES], plain: &[u8]) -> Result<Vec<u8>, ContentError> {
        let mut jwe = String::with_capacity(jwe_bytes(header.len(), plain.len()));
        URL_SAFE_NO_PAD.encode_string(header, &mut jwe);
        let mut cipher = Crypter::new(Cipher::aes_256_gcm(), Mode::Encrypt, &self.0, Some(iv)).map_err(library)?;
        cipher.aad_update(jwe.as_bytes()).map_err(library)?;
        jwe.push_str("..");
        URL_SAFE_NO_PAD.encode_string(iv, &mut jwe);
        jwe.push('.');
        let mut encrypted = [0; BLOCK_BYTES];
        for block in plain.chunks(BLOCK_BYTES) {
            let length = cipher.update(block, &mut encrypted).map_err(library)?;
            FAST_BASE64.encode_append(&encrypted[..length], &mut jwe);
        }
        cipher.finalize(&mut encrypted).map_err(library)?;
        let mut tag = [0; TAG_BYTES];
        cipher.get_tag(&mut tag).map_err(library)?;
        jwe.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut jwe);
        Ok(jwe.into_bytes())
    }

    /// What a compact JWE holds, whose protected header is first judged by `accept`.
    fn open_jwe(
        &self,
        jwe: &[u8],
        accept: impl FnOnce(&[u8]) -> Result<(), ContentError>,
    ) -> Result<Vec<u8>, ContentError> {
        let parts: Vec<&[u8]> = jwe.split(|byte| *byte == b'.').collect();
        let [protected, [], iv, encrypted, tag] = parts[..] else { return Err(ContentError::NotAJwe) };
        accept(&decode(protected)?)?;
        let (iv, tag) = (decode(iv)?, decode(tag)?);
        if iv.len() != IV_BYTES || tag.len() != TAG_BYTES {
            return Err(ContentError::NotAJwe);
        }
        let mut cipher = Crypter::new(Cipher::aes_256_gcm(), Mode::Decrypt, &self.0, Some(&iv)).map_err(library)?;
        cipher.aad_update(protected).map_err(library)?;
        cipher.set_tag(&tag).map_err(library)?;
        let mut plain = Zeroizing::new(vec![0; encrypted.len()]);
        let (mut length, mut block) = (0, Vec::with_capacity(BLOCK_BYTES));
        for digits in encrypted.chunks(BLOCK_BYTES / 3 * 4) {
            block.clear();
            FAST_BASE64.decode_append(digits, &mut block).map_err(|_| ContentError::NotAJwe)?;
            length += cipher.update(&block, &mut plain[length..]).map_err(library)?;
        }
        cipher.finalize(&mut block).map_err(|_| ContentError::DoesNotOpen)?;
        plain.truncate(length);
        Ok(std::mem::take(&mut plain))
    }

    /// Commitment to a record's plain bytes: hex HMAC-SHA-256 under a key derived from this one. It binds (one record only
    /// fits) and hides (without the key nobody can test a guess).
    pub fn commitment(&self, record: &[u8]) -> Result<String, ContentError> {
        let mut commitment = self.committing()?;
        commitment.update(record)?;
        commitment.finish()
    }

    /// The commitment to a record that comes piece by piece.
    pub fn committing(&self) -> Result<Committing, ContentError> {
        Ok(Committing(Hmac::new(&self.derived(COMMITMENT_LABEL)?)?))
    }

    /// A key of its own for one use.
    fn derived(&self, label: &[u8]) -> Result<Zeroizing<Vec<u8>>, ContentError> {
        let mut hmac = Hmac::new(&self.0)?;
        hmac.update(label)?;
        Ok(Zeroizing::new(hmac.finish()?))
    }
}

/// A commitment on its way: see [`ContentKey::commitment`].
pub struct Committing(Hmac);

impl Committing {
    /// Takes the next bytes of the record.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        self.0.update(bytes)
    }

    /// The commitment to all bytes that were taken.
    pub fn finish(self) -> Result<String, ContentError> {
        Ok(hex::encode(self.0.finish()?))
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ContentKey(…)")
    }
}

/// Bytes that the content of a record takes at most.
pub fn content_bytes_at_most(record_bytes: usize) -> u64 {
    let lines = record_bytes.div_ceil(parts::PART_BYTES).max(1) as u64;
    (record_bytes as u64).div_ceil(3) * 4 + lines * JWE_HEAD_BYTES
}

/// Hex SHA-256, as the ledger holds it for an encrypted content.
pub fn content_hash(content: &[u8]) -> String {
    hex::encode(openssl::sha::sha256(content))
}

/// What is sealed into an envelope: the payload of a SMART Health Link, as far as Healthchain uses it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Payload {
    /// Where the encrypted content is had: `GET /v1/contents/{link}/{version}` of the publisher's gateway. A gateway that opens a link
    /// takes the host from the ledger instead, so that nobody is made to call an address of the publisher's invention.
    pub url: String,
    /// The content's key.
    pub key: ContentKey,
    /// Name of the content in the publisher's own store; only in the publishing organisation's own envelope.
    pub record: Option<String>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct PayloadText {
    url: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<String>,
}

impl Payload {
    /// The JSON that is sealed.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let text =
            PayloadText { url: self.url.clone(), key: self.key.to_text().to_string(), record: self.record.clone() };
        Zeroizing::new(serde_json::to_vec(&text).expect("three strings always serialise"))
    }

    /// Reads what was unsealed; members that a newer publisher adds are passed over.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        let text: PayloadText = serde_json::from_slice(bytes).map_err(|_| ContentError::MalformedPayload)?;
        Ok(Self { url: text.url.clone(), key: ContentKey::from_text(&text.key)?, record: text.record.clone() })
    }

    /// The payload as somebody else may have it: without the name in the publisher's store.
    pub fn for_others(&self) -> Self {
        Self { url: self.url.clone(), key: self.key.clone(), record: None }
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Payload").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    enc: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cty: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zip: Option<String>,
    /// Extensions that must be understood (RFC 7516, 4.1.13); of a whole record there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Vec<String>>,
}

/// HMAC-SHA-256.
struct Hmac(MdCtx);

impl Hmac {
    fn new(key: &[u8]) -> Result<Self, ContentError> {
        let key = PKey::hmac(key).map_err(library)?;
        let mut context = MdCtx::new().map_err(library)?;
        context.digest_sign_init(Some(Md::sha256()), &key).map_err(library)?;
        Ok(Self(context))
    }

    fn update(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        self.0.digest_sign_update(bytes).map_err(library)
    }

    fn finish(mut self) -> Result<Vec<u8>, ContentError> {
        let mut tag = Vec::new();
        self.0.digest_sign_final_to_vec(&mut tag).map_err(library)?;
        Ok(tag)
    }
}

/// Length of the compact JWE of a header and plain bytes of these lengths.
fn jwe_bytes(header: usize, plain: usize) -> usize {
    [header, IV_BYTES, plain, TAG_BYTES].into_iter().map(base64_bytes).sum::<usize>() + ".".len() * 4
}

/// Length of bytes in base64url without padding.
fn base64_bytes(length: usize) -> usize {
    length / 3 * 4 + [0, 2, 3][length % 3]
}

fn decode(part: &[u8]) -> Result<Vec<u8>, ContentError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| ContentError::NotAJwe)
}

fn library<E>(_: E) -> ContentError {
    ContentError::Library
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: &[u8] = br#"{"resourceType":"Patient"}"#;

    fn fixed_key() -> ContentKey {
        ContentKey(std::array::from_fn(|index| index as u8))
    }

    /// Key 00 01 … 1f, nonce twelve times 07. Checked once with npm `jose` 6 and PyPI `joserfc` 1.6, which both open it.
    const GOLDEN: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwiY3R5IjoiYXBwbGljYXRpb24vZmhpcitqc29uIn0.\
         .BwcHBwcHBwcHBwcH.dEjUORxgooal-Ef58DTWoYMM7Afhku9t3MY.c0FZxKolKmVTZtXYqE4LRg";

    /// The same record and key, encrypted by npm `jose` 6.
    const GOLDEN_OF_ANOTHER: &str = "eyJlbmMiOiJBMjU2R0NNIiwiYWxnIjoiZGlyIn0.\
         .wttZEhNNb0wsqO1e.PSroP70dyv1pDoY7wTXBo31fvBucnG3j7PM.xoxoSsU3h0L3K3_tULhzRQ";

    #[test]
    fn content_is_the_jwe_that_other_libraries_open() {
        let jwe = fixed_key().encrypt_with(&[7; IV_BYTES], "application/fhir+json", RECORD).unwrap();
        assert_eq!(String::from_utf8(jwe).unwrap(), GOLDEN);
    }

    #[test]
    fn content_that_another_library_made_opens() {
        assert_eq!(fixed_key().decrypt(GOLDEN_OF_ANOTHER.as_bytes()).unwrap(), RECORD);
    }

    #[test]
    fn the_commitment_is_what_anybody_with_the_key_computes() {
        let expected = "0174a9ec7f7390573617822899c0804657e68e7dd5635c088f15a226722e0f1a";
        assert_eq!(fixed_key().commitment(RECORD).unwrap(), expected);
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let key = ContentKey::generate().unwrap();
        let jwe = key.encrypt("application/fhir+json", RECORD).unwrap();
        assert_eq!(key.decrypt(&jwe).unwrap(), RECORD);
    }

    #[test]
    fn the_same_record_is_never_encrypted_to_the_same_bytes() {
        let key = ContentKey::generate().unwrap();
        assert_ne!(key.encrypt("a/b", RECORD).unwrap(), key.encrypt("a/b", RECORD).unwrap());
        assert_ne!(ContentKey::generate().unwrap(), key);
    }

    #[test]
    fn another_key_does_not_open_the_content() {
        let jwe = fixed_key().encrypt("a/b", RECORD).unwrap();
        assert_eq!(ContentKey::generate().unwrap().decrypt(&jwe), Err(ContentError::DoesNotOpen));
    }

    #[test]
    fn one_changed_byte_anywhere_is_noticed() {
        let key = fixed_key();
        let jwe = key.encrypt("a/b", RECORD).unwrap();
        for index in 0..jwe.len() {
            let mut changed = jwe.clone();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert!(key.decrypt(&changed).is_err(), "byte {index}");
        }
    }

    #[test]
    fn other_algorithms_and_compression_are_refused_before_the_key_is_used() {
        let key = fixed_key();
        let jwe = String::from_utf8(key.encrypt("a/b", RECORD).unwrap()).unwrap();
        let rest = jwe.split_once('.').unwrap().1;
        for header in [
            r#"{"alg":"A256KW","enc":"A256GCM"}"#,
            r#"{"alg":"dir","enc":"A128GCM"}"#,
            r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#,
            r#"{"alg":"dir","enc":"A256GCM","crit":["healthchain-part"],"healthchain-part":{}}"#,
            r#"{"enc":"A256GCM"}"#,
            "[]",
        ] {
            let jwe = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(key.decrypt(jwe.as_bytes()), Err(ContentError::NotAJwe), "{header}");
        }
    }

    #[test]
    fn what_is_not_a_jwe_is_refused() {
        for bytes in ["", ".", "....", "a.b.c.d.e", "e30..AAAA.AAAA.AAAA", "not a jwe", "a..b.c.d.e"] {
            assert_eq!(fixed_key().decrypt(bytes.as_bytes()), Err(ContentError::NotAJwe), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive_and_no_bytes_panic(record: Vec<u8>, noise: Vec<u8>) {
            let key = fixed_key();
            let jwe = key.encrypt("application/octet-stream", &record).unwrap();
            prop_assert_eq!(key.decrypt(&jwe).unwrap(), record);
            prop_assert!(key.decrypt(&noise).is_err());
            prop_assert!(Payload::from_bytes(&noise).is_err());
        }
    }

    #[test]
    fn no_content_is_longer_than_its_records_length_allows() {
        let media_type = format!("application/{}", "x".repeat(128 - "application/".len()));
        for length in [0, 1, 2, 3, 1000, 1 << 20] {
            let jwe = fixed_key().encrypt(&media_type, &vec![b'"'; length]).unwrap();
            let most = content_bytes_at_most(length);
            assert!((most - 512..=most).contains(&(jwe.len() as u64)), "{length}: {} of {most}", jwe.len());
        }
    }

    #[test]
    fn a_commitment_fits_one_record_and_one_key() {
        let key = fixed_key();
        assert_eq!(key.commitment(RECORD).unwrap(), key.commitment(RECORD).unwrap());
        assert_ne!(key.commitment(RECORD).unwrap(), key.commitment(b"").unwrap());
        assert_ne!(key.commitment(RECORD).unwrap(), ContentKey::generate().unwrap().commitment(RECORD).unwrap());
    }

    #[test]
    fn a_payload_comes_back_and_hides_the_store_from_others() {
        let payload = Payload { url: "https://h/v1/contents/l/1".into(), key: fixed_key(), record: Some("n".into()) };
        assert_eq!(Payload::from_bytes(&payload.to_bytes()).unwrap(), payload);
        assert_eq!(payload.for_others().record, None);
        assert!(!String::from_utf8_lossy(&payload.for_others().to_bytes()).contains("record"));
    }

    #[test]
    fn a_payload_with_a_short_key_is_refused() {
        let bytes = br#"{"url":"https://h","key":"AAAA"}"#;
        assert_eq!(Payload::from_bytes(bytes), Err(ContentError::MalformedPayload));
    }

    #[test]
    fn debug_shows_no_key() {
        let payload = Payload { url: "https://h".into(), key: fixed_key(), record: None };
        let shown = format!("{payload:?} {:?}", payload.key);
        assert!(!shown.contains(payload.key.to_text().as_str()) && !shown.contains("0, 1, 2"));
    }
}
