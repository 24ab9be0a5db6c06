//! Checks a key that envelopes will be sealed to: nobody could seal to a point off the curve, and a publication would fail for all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthchain_rules::{EncryptionKey, KeyHash, Malformed, PublicKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::sha::sha256;

/// Refuses a key that [`encryption_key`] would refuse, or that has another hash.
pub(crate) fn require_hash(key: &EncryptionKey) -> Result<(), Malformed> {
    let is_its_hash = encryption_key(key.public_key.clone())?.key_hash == key.key_hash;
    is_its_hash.then_some(()).ok_or(Malformed::new("a key's hash", "SHA-256 of the key's SPKI DER"))
}

/// The key with its hash; refused unless it is a P-256 key in exactly its DER form.
pub(crate) fn encryption_key(public_key: PublicKey) -> Result<EncryptionKey, Malformed> {
    let malformed = || Malformed::new("an encryption key", "a point of P-256, as SPKI DER in base64 (RFC 5480)");
    let der = STANDARD.decode(public_key.as_str()).map_err(|_| malformed())?;
    let key = PKey::public_key_from_der(&der).and_then(|key| key.ec_key()).map_err(|_| malformed())?;
    key.check_key().map_err(|_| malformed())?;
    if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
        return Err(malformed());
    }
    Ok(EncryptionKey { key_hash: KeyHash::from_bytes(&sha256(&der)), public_key })
}
