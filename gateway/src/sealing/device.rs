//! A private key in a device that does the Diffie-Hellman and never gives the key away.

use std::sync::Arc;

use openssl::bn::BigNumContext;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use zeroize::Zeroizing;

use super::{DecryptionKey, ENCAPSULATED_BYTES, EnvelopeContext, INFO, SealingError, point, receiver};

/// Does the Diffie-Hellman of a P-256 key with a point (uncompressed): the x coordinate of the product, 32 bytes.
pub trait DiffieHellman: Send + Sync {
    /// Blocks the thread for as long as the device takes.
    fn shared(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError>;
}

/// An encryption key whose private half is elsewhere.
pub struct DeviceKey {
    key_hash: String,
    point: Vec<u8>,
    device: Arc<dyn DiffieHellman>,
}

impl DeviceKey {
    /// Joins a public key (SPKI, DER) and the holder of its private half, after both have come to the same secret.
    pub fn new(public_key_der: &[u8], device: Arc<dyn DiffieHellman>) -> Result<Self, SealingError> {
        let point = point(public_key_der)?;
        let (probe, expected) = probe(&point).map_err(|_| SealingError::Failed)?;
        if device.shared(&probe)? != expected {
            return Err(SealingError::NotAPrivateKey);
        }
        Ok(Self { key_hash: hex::encode(fabric_msp::key_hash(public_key_der)), point, device })
    }
}

impl DecryptionKey for DeviceKey {
    fn key_hash(&self) -> &str {
        &self.key_hash
    }

    fn unseal(&self, context: &EnvelopeContext<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let (encapsulated, ciphertext) =
            sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(SealingError::DoesNotOpen)?;
        // RFC 9180, 7.1.4: a point that is not on the curve is refused, and no device has to be trusted with that.
        public_key(encapsulated).map_err(|_| SealingError::DoesNotOpen)?;
        let shared = self.device.shared(encapsulated)?;
        receiver::open(&shared, encapsulated, &self.point, INFO, &context.associated_data(), ciphertext)
    }
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DeviceKey").field("key_hash", &self.key_hash).finish_non_exhaustive()
    }
}

/// A fresh point, and what the holder of the private key of `point` makes of it.
fn probe(point: &[u8]) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let fresh = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let other = public_key(point)?;
    let mut deriver = Deriver::new(&fresh)?;
    deriver.set_peer(&other)?;
    let expected = Zeroizing::new(deriver.derive_to_vec()?);
    let fresh = fresh.ec_key()?.public_key().to_bytes(
        &group,
        openssl::ec::PointConversionForm::UNCOMPRESSED,
        &mut *BigNumContext::new()?,
    )?;
    Ok((fresh, expected))
}

fn public_key(point: &[u8]) -> Result<PKey<Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let point = EcPoint::from_bytes(&group, point, &mut *BigNumContext::new()?)?;
    PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)
}
