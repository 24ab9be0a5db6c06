//! A private key in this process's memory.

use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use rustls::crypto::hpke::{EncapsulatedSecret, HpkePrivateKey};
use zeroize::Zeroizing;

use super::{DecryptionKey, ENCAPSULATED_BYTES, EnvelopeContext, INFO, SUITE, SealingError};

/// A P-256 key read from a PEM file; its memory is overwritten when it is dropped.
pub struct SoftwareKey {
    key_hash: String,
    public_key: Vec<u8>,
    scalar: HpkePrivateKey,
}

impl SoftwareKey {
    /// Reads a P-256 private key in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SealingError> {
        // OpenSSL's question for a passphrase is answered with an empty one: nobody sits at the terminal.
        let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| SealingError::NotAPrivateKey)?;
        Self::from_key(&key)
    }

    /// Takes a P-256 private key that was read elsewhere.
    pub fn from_key(pkey: &PKey<Private>) -> Result<Self, SealingError> {
        let key = pkey.ec_key().map_err(|_| SealingError::NotAPrivateKey)?;
        if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
            return Err(SealingError::NotAPrivateKey);
        }
        let scalar = key.private_key().to_vec_padded(32).map_err(|_| SealingError::NotAPrivateKey)?;
        let public_key = pkey.public_key_to_der().map_err(|_| SealingError::NotAPrivateKey)?;
        Ok(Self { key_hash: hex::encode(fabric_msp::key_hash(&public_key)), public_key, scalar: scalar.into() })
    }

    /// The public half (SPKI, DER).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

impl DecryptionKey for SoftwareKey {
    fn key_hash(&self) -> &str {
        &self.key_hash
    }

    fn unseal(&self, context: &EnvelopeContext<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let (encapsulated, ciphertext) =
            sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(SealingError::DoesNotOpen)?;
        let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
        let opened = SUITE.open(&encapsulated, INFO, &context.associated_data(), ciphertext, &self.scalar);
        opened.map(Zeroizing::new).map_err(|_| SealingError::DoesNotOpen)
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SoftwareKey").field("key_hash", &self.key_hash).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};

    use super::super::seal;
    use super::*;

    fn pem(curve: Nid) -> Vec<u8> {
        let group = EcGroup::from_curve_name(curve).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap()
    }

    fn key() -> SoftwareKey {
        SoftwareKey::from_pem(&pem(Nid::X9_62_PRIME256V1)).unwrap()
    }

    fn context(recipient: &SoftwareKey) -> EnvelopeContext<'_> {
        EnvelopeContext { link: "link-1", version: 1, category: "summary", recipient_key_hash: recipient.key_hash() }
    }

    /// Sealed by npm `@hpke/core` 1 to the private key 01 02 … 20, in the context of [`context`]; that library also opens ours.
    const GOLDEN: &str = "04d5458e29f828f9fe3f571842e9269c0ae293b569ec1d6eecc6fd0350e79c16ba830c0bbf94a6a3a99142485f9f76a19\
         4e7ab1ac7c8c3a35affdd640ef0e159211879831be6e5b2d14496c3f3230323aa0f0a7f903d5822";

    #[test]
    fn an_envelope_that_another_library_made_opens() {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let bytes: Vec<u8> = (1..=32).collect();
        let number = openssl::bn::BigNum::from_slice(&bytes).unwrap();
        let mut numbers = openssl::bn::BigNumContext::new().unwrap();
        let mut public = openssl::ec::EcPoint::new(&group).unwrap();
        public.mul_generator2(&group, &number, &mut numbers).unwrap();
        let key = EcKey::from_private_components(&group, &number, &public).unwrap();
        let pem = PKey::from_ec_key(key).unwrap().private_key_to_pem_pkcs8().unwrap();

        let recipient = SoftwareKey::from_pem(&pem).unwrap();
        let sealed = hex::decode(GOLDEN).unwrap();
        assert_eq!(recipient.key_hash(), "f1d59449b727165de732bf283338122b99628a615918fedc67d878fffcf47da7");
        assert_eq!(recipient.unseal(&context(&recipient), &sealed).unwrap().as_slice(), b"payload");
    }

    #[test]
    fn an_envelope_opens_for_its_recipient() {
        let recipient = key();
        let sealed = seal(recipient.public_key(), &context(&recipient), b"payload").unwrap();
        assert_eq!(recipient.unseal(&context(&recipient), &sealed).unwrap().as_slice(), b"payload");
    }

    #[test]
    fn an_envelope_does_not_open_for_another_member() {
        let (recipient, other) = (key(), key());
        let sealed = seal(recipient.public_key(), &context(&recipient), b"payload").unwrap();
        assert_eq!(other.unseal(&context(&recipient), &sealed), Err(SealingError::DoesNotOpen));
        assert_eq!(other.unseal(&context(&other), &sealed), Err(SealingError::DoesNotOpen));
    }

    #[test]
    fn an_envelope_moved_to_another_link_version_category_or_recipient_does_not_open() {
        let recipient = key();
        let bound = context(&recipient);
        let sealed = seal(recipient.public_key(), &bound, b"payload").unwrap();
        for moved in [
            EnvelopeContext { link: "link-2", ..bound },
            EnvelopeContext { version: 2, ..bound },
            EnvelopeContext { category: "restricted", ..bound },
            EnvelopeContext { recipient_key_hash: "00", ..bound },
        ] {
            assert_eq!(recipient.unseal(&moved, &sealed), Err(SealingError::DoesNotOpen), "{moved:?}");
        }
    }

    #[test]
    fn a_cut_or_changed_envelope_does_not_open() {
        let recipient = key();
        let sealed = seal(recipient.public_key(), &context(&recipient), b"payload").unwrap();
        for length in [0, 1, ENCAPSULATED_BYTES - 1, ENCAPSULATED_BYTES, sealed.len() - 1] {
            assert!(recipient.unseal(&context(&recipient), &sealed[..length]).is_err(), "{length}");
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(recipient.unseal(&context(&recipient), &changed).is_err(), "{index}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        for pem in [pem(Nid::SECP384R1), b"no key".to_vec(), vec![]] {
            assert!(matches!(SoftwareKey::from_pem(&pem), Err(SealingError::NotAPrivateKey)));
        }
    }

    #[test]
    fn debug_shows_only_the_hash_of_the_public_key() {
        let key = key();
        assert_eq!(format!("{key:?}"), format!("SoftwareKey {{ key_hash: {:?}, .. }}", key.key_hash()));
    }
}
