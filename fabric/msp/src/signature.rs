//! ECDSA as Fabric wants it: over SHA-256 whatever the curve, DER, and S not above half the curve's order.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::EcKeyRef;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::pkey::{HasParams, Id, PKey, Private, Public};
use openssl::sha::sha256;
use openssl::sign::Verifier;

use crate::SignatureError;

/// Signs with an elliptic-curve key.
pub(crate) fn sign(key: &PKey<Private>, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = key.ec_key()?;
    let signature = EcdsaSig::sign(&sha256(message), &key)?;
    low(&signature, &key)?.to_der()
}

/// Checks a signature; one with a high S is refused even though the mathematics would hold.
pub(crate) fn verify(key: &PKey<Public>, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    match key.id() {
        Id::EC => verify_ecdsa(key, message, signature),
        Id::ED25519 => match Verifier::new_without_digest(key).and_then(|mut v| v.verify_oneshot(signature, message)) {
            Ok(true) => Ok(()),
            _ => Err(SignatureError::Wrong),
        },
        _ => Err(SignatureError::KeyAlgorithm),
    }
}

fn verify_ecdsa(key: &PKey<Public>, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let key = key.ec_key().map_err(|_| SignatureError::KeyAlgorithm)?;
    let parsed = EcdsaSig::from_der(signature).map_err(|_| SignatureError::Malformed)?;
    let half = half_order(&key).map_err(|_| SignatureError::KeyAlgorithm)?;
    if parsed.s() > &half {
        return Err(SignatureError::HighS);
    }
    match parsed.verify(&sha256(message), &key) {
        Ok(true) => Ok(()),
        _ => Err(SignatureError::Wrong),
    }
}

/// A signature in the form that Fabric wants, made of whatever form a signer gives: DER or IEEE P1363 (`r ‖ s`, as WebCrypto and
/// JWS have it), S low or high. One that is not of this key and message is refused.
pub(crate) fn accept(key: &PKey<Public>, message: &[u8], signature: &[u8]) -> Result<Vec<u8>, SignatureError> {
    if key.id() != Id::EC {
        return verify(key, message, signature).map(|()| signature.to_vec());
    }
    let ec_key = key.ec_key().map_err(|_| SignatureError::KeyAlgorithm)?;
    // Bytes that could be read as both are what verifies.
    let forms = [from_p1363(&ec_key, signature), EcdsaSig::from_der(signature).ok()];
    let mut refusal = SignatureError::Malformed;
    for form in forms.into_iter().flatten() {
        let normal = low(&form, &ec_key).and_then(|form| form.to_der()).map_err(|_| SignatureError::Wrong)?;
        match verify(key, message, &normal) {
            Ok(()) => return Ok(normal),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// `r ‖ s`, each as long as the curve's order.
fn from_p1363<T: HasParams>(key: &EcKeyRef<T>, signature: &[u8]) -> Option<EcdsaSig> {
    let number = order(key).ok()?.num_bytes() as usize;
    if signature.len() != 2 * number {
        return None;
    }
    let (r, s) = signature.split_at(number);
    EcdsaSig::from_private_components(BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?).ok()
}

/// The same signature in its low form, as DER.
pub(crate) fn to_low_s<T: HasParams>(signature: &[u8], key: &PKey<T>) -> Result<Vec<u8>, ErrorStack> {
    low(&EcdsaSig::from_der(signature)?, &*key.ec_key()?)?.to_der()
}

fn low<T: HasParams>(signature: &EcdsaSig, key: &EcKeyRef<T>) -> Result<EcdsaSig, ErrorStack> {
    let s = if signature.s() > &half_order(key)? {
        let mut flipped = BigNum::new()?;
        let order = order(key)?;
        flipped.checked_sub(&order, signature.s())?;
        flipped
    } else {
        signature.s().to_owned()?
    };
    EcdsaSig::from_private_components(signature.r().to_owned()?, s)
}

fn half_order<T: HasParams>(key: &EcKeyRef<T>) -> Result<BigNum, ErrorStack> {
    let mut half = BigNum::new()?;
    half.rshift1(&*order(key)?)?;
    Ok(half)
}

fn order<T: HasParams>(key: &EcKeyRef<T>) -> Result<BigNum, ErrorStack> {
    let mut order = BigNum::new()?;
    key.group().order(&mut order, &mut *BigNumContext::new()?)?;
    Ok(order)
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::rsa::Rsa;

    use super::*;

    fn pair(curve: Nid) -> (PKey<Private>, PKey<Public>) {
        let key = PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap();
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        (key, public)
    }

    /// The other, high form of a low signature: what a careless signer produces half of the time.
    fn to_high_s(signature: &[u8], key: &PKey<Private>) -> Vec<u8> {
        let parsed = EcdsaSig::from_der(signature).unwrap();
        let mut flipped = BigNum::new().unwrap();
        flipped.checked_sub(&order(&key.ec_key().unwrap()).unwrap(), parsed.s()).unwrap();
        EcdsaSig::from_private_components(parsed.r().to_owned().unwrap(), flipped).unwrap().to_der().unwrap()
    }

    #[test]
    fn signatures_are_always_in_the_low_form() {
        let (key, public) = pair(Nid::X9_62_PRIME256V1);
        for round in 0..64u8 {
            verify(&public, &[round], &sign(&key, &[round]).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_high_s_is_refused_although_the_mathematics_holds() {
        let (key, public) = pair(Nid::X9_62_PRIME256V1);
        let low = sign(&key, b"message").unwrap();
        let high = to_high_s(&low, &key);
        let parsed = EcdsaSig::from_der(&high).unwrap();
        assert!(parsed.verify(&sha256(b"message"), &key.ec_key().unwrap()).unwrap());
        assert_eq!(verify(&public, b"message", &high), Err(SignatureError::HighS));
        assert_eq!(to_low_s(&high, &key).unwrap(), low);
    }

    fn p1363(signature: &[u8], length: i32) -> Vec<u8> {
        let parsed = EcdsaSig::from_der(signature).unwrap();
        [parsed.r().to_vec_padded(length).unwrap(), parsed.s().to_vec_padded(length).unwrap()].concat()
    }

    #[test]
    fn a_signature_from_elsewhere_is_taken_in_any_form_and_given_on_in_one() {
        for (curve, length) in [(Nid::X9_62_PRIME256V1, 32), (Nid::SECP384R1, 48)] {
            let (key, public) = pair(curve);
            for round in 0..32u8 {
                let low = sign(&key, &[round]).unwrap();
                let high = to_high_s(&low, &key);
                for form in [p1363(&low, length), p1363(&high, length), high, low.clone()] {
                    assert_eq!(accept(&public, &[round], &form), Ok(low.clone()), "{}", hex::encode(form));
                }
            }
        }
    }

    #[test]
    fn a_signature_from_elsewhere_that_is_none_is_refused() {
        let (key, public) = pair(Nid::X9_62_PRIME256V1);
        let (_, stranger) = pair(Nid::X9_62_PRIME256V1);
        let der = sign(&key, b"message").unwrap();
        for signature in [der.clone(), p1363(&der, 32)] {
            assert_eq!(accept(&public, b"other", &signature), Err(SignatureError::Wrong));
            assert_eq!(accept(&stranger, b"message", &signature), Err(SignatureError::Wrong));
        }
        // Of a longer curve, cut, empty; of zeros, of nothing but ones.
        for garbage in [p1363(&der, 48), der[1..].to_vec(), vec![]] {
            assert_eq!(
                accept(&public, b"message", &garbage),
                Err(SignatureError::Malformed),
                "{}",
                hex::encode(garbage)
            );
        }
        for worthless in [vec![0; 64], vec![0xff; 64], vec![0x30, 6, 2, 1, 0, 2, 1, 0]] {
            assert_eq!(accept(&public, b"message", &worthless), Err(SignatureError::Wrong));
        }
    }

    #[test]
    fn another_message_another_key_and_garbage_are_refused() {
        let (key, public) = pair(Nid::X9_62_PRIME256V1);
        let (_, stranger) = pair(Nid::X9_62_PRIME256V1);
        let signature = sign(&key, b"message").unwrap();
        assert_eq!(verify(&public, b"other", &signature), Err(SignatureError::Wrong));
        assert_eq!(verify(&stranger, b"message", &signature), Err(SignatureError::Wrong));
        for garbage in [&b""[..], b"signature", &signature[..signature.len() - 1]] {
            assert_eq!(verify(&public, b"message", garbage), Err(SignatureError::Malformed));
        }
        let zero = [0x30, 6, 2, 1, 0, 2, 1, 0];
        assert_eq!(verify(&public, b"message", &zero), Err(SignatureError::Wrong));
    }

    #[test]
    fn a_longer_curve_signs_sha_256_too() {
        let (key, public) = pair(Nid::SECP384R1);
        verify(&public, b"message", &sign(&key, b"message").unwrap()).unwrap();
    }

    #[test]
    fn ed25519_signs_the_message_itself() {
        let key = PKey::generate_ed25519().unwrap();
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        let signature =
            openssl::sign::Signer::new_without_digest(&key).unwrap().sign_oneshot_to_vec(b"message").unwrap();
        verify(&public, b"message", &signature).unwrap();
        assert_eq!(verify(&public, b"other", &signature), Err(SignatureError::Wrong));
    }

    #[test]
    fn rsa_is_refused() {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        assert_eq!(verify(&public, b"message", b"signature"), Err(SignatureError::KeyAlgorithm));
    }
}
