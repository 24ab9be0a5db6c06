//! Port: sealing a link's payload to a public key, and opening it with the key's holder.
//!
//! HPKE (RFC 9180) in base mode with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM. Link, version, category and
//! recipient are associated data: an envelope moved to another link, version or recipient does not open.

pub mod device;
mod receiver;
pub mod software;

use openssl::bn::BigNumContext;
use openssl::ec::PointConversionForm;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P256_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{Hpke, HpkePublicKey};
use zeroize::Zeroizing;

pub(crate) static SUITE: &dyn Hpke = DH_KEM_P256_HKDF_SHA256_AES_256;

pub(crate) const INFO: &[u8] = b"healthchain envelope v1";
/// Length of HPKE's encapsulated key: an uncompressed P-256 point.
pub(crate) const ENCAPSULATED_BYTES: usize = 65;

/// What an envelope is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeContext<'a> {
    /// The link's id.
    pub link: &'a str,
    /// The link's version.
    pub version: u32,
    /// The link's category, as on the wire.
    pub category: &'a str,
    /// Hex SHA-256 of the recipient's encryption key (SPKI, DER).
    pub recipient_key_hash: &'a str,
}

/// Holder of a private encryption key: a key in memory, or a device that never gives the key away.
pub trait DecryptionKey: Send + Sync + std::fmt::Debug {
    /// Hex SHA-256 of the public key (SPKI, DER).
    fn key_hash(&self) -> &str;

    /// Opens an envelope (`enc ‖ ciphertext`) that was sealed to this key in this context.
    fn unseal(&self, context: &EnvelopeContext<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError>;
}

/// Why an envelope cannot be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The recipient's public key is not a P-256 key.
    #[error("the recipient's encryption key is not a P-256 public key")]
    NotAPublicKey,
    /// The private key is not a P-256 key in PKCS#8.
    #[error("the encryption key is not a P-256 private key in PEM (PKCS#8); make one for this member or organisation")]
    NotAPrivateKey,
    /// The envelope is bound to something else, was sealed to another key, or was changed.
    #[error("the envelope does not open with this key for this link and version")]
    DoesNotOpen,
    /// The device that holds the key did not answer.
    #[error("the encryption key's device does not answer")]
    DeviceUnavailable,
    /// HPKE failed.
    #[error("sealing failed")]
    Failed,
}

/// Seals a payload to a public key (SPKI, DER): `enc ‖ ciphertext`.
pub fn seal(public_key_der: &[u8], context: &EnvelopeContext<'_>, payload: &[u8]) -> Result<Vec<u8>, SealingError> {
    let recipient = HpkePublicKey(point(public_key_der)?);
    let sealed = SUITE.seal(INFO, &context.associated_data(), payload, &recipient);
    let (encapsulated, ciphertext) = sealed.map_err(|_| SealingError::Failed)?;
    Ok([encapsulated.0, ciphertext].concat())
}

impl EnvelopeContext<'_> {
    /// Each field behind its length (32 bits, big endian), so that no two contexts share an encoding.
    pub(crate) fn associated_data(&self) -> Vec<u8> {
        let version = self.version.to_string();
        let mut bytes = Vec::new();
        for field in [self.link, &version, self.category, self.recipient_key_hash] {
            bytes.extend_from_slice(&(field.len() as u32).to_be_bytes());
            bytes.extend_from_slice(field.as_bytes());
        }
        bytes
    }
}

/// The uncompressed point of a P-256 key in SPKI.
fn point(public_key_der: &[u8]) -> Result<Vec<u8>, SealingError> {
    let key = PKey::public_key_from_der(public_key_der).map_err(|_| SealingError::NotAPublicKey)?;
    let key = key.ec_key().map_err(|_| SealingError::NotAPublicKey)?;
    if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
        return Err(SealingError::NotAPublicKey);
    }
    let mut numbers = BigNumContext::new().map_err(|_| SealingError::Failed)?;
    key.public_key()
        .to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut numbers)
        .map_err(|_| SealingError::NotAPublicKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_run_together_have_different_associated_data() {
        let one = EnvelopeContext { link: "a", version: 11, category: "b", recipient_key_hash: "c" };
        let other = EnvelopeContext { link: "a1", version: 1, category: "b", recipient_key_hash: "c" };
        assert_ne!(one.associated_data(), other.associated_data());
        assert_eq!(hex::encode(one.associated_data()), "0000000161000000023131000000016200000001".to_owned() + "63");
    }

    #[test]
    fn what_is_not_a_p256_key_is_refused_as_a_recipient() {
        let context = EnvelopeContext { link: "a", version: 1, category: "b", recipient_key_hash: "c" };
        let other_curve = openssl::ec::EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
        let other_curve = PKey::from_ec_key(openssl::ec::EcKey::generate(&other_curve).unwrap()).unwrap();
        let rsa = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
        for key in [vec![], vec![0x30, 0], other_curve.public_key_to_der().unwrap(), rsa.public_key_to_der().unwrap()] {
            assert_eq!(seal(&key, &context, b"payload"), Err(SealingError::NotAPublicKey));
        }
    }
}
