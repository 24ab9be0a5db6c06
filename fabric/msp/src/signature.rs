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

/// The other, high form of a low signature: what a careless signer produces half of the time.
#[cfg(test)]
pub(crate) fn to_high_s<T: HasParams>(signature: &[u8], key: &PKey<T>) -> Vec<u8> {
    let parsed = EcdsaSig::from_der(signature).unwrap();
    let mut flipped = BigNum::new().unwrap();
    flipped.checked_sub(&order(&key.ec_key().unwrap()).unwrap(), parsed.s()).unwrap();
    EcdsaSig::from_private_components(parsed.r().to_owned().unwrap(), flipped).unwrap().to_der().unwrap()
}
