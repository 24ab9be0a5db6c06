//! Proof that a caller holds the key of an X.509 certificate: an ECDSA signature over a text that can be nothing else.

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};

/// The bytes that are signed to open a session: UTF-8, each line ended by one line feed, the last one too. No Fabric message (protobuf,
/// first byte 0x0a) and no JWT (`ey…`) can begin like it.
pub(super) fn signed_text(origin: &str, nonce: &str, time: &str) -> String {
    format!("Healthchain session v1\norigin: {origin}\nnonce: {nonce}\ntime: {time}\n")
}

/// Whether the signature is one of this key over these bytes: with P-256 over their SHA-256, with P-384 over their SHA-384; in DER or
/// as r and s beside each other (IEEE P1363, what browsers make); S high or low, for each challenge counts once only.
pub(super) fn is_signed_by(key: &PKey<Public>, bytes: &[u8], signature: &[u8]) -> bool {
    let Some((key, digest, length)) = key.ec_key().ok().and_then(|key| {
        let (digest, length) = match key.group().curve_name()? {
            Nid::X9_62_PRIME256V1 => (MessageDigest::sha256(), 32),
            Nid::SECP384R1 => (MessageDigest::sha384(), 48),
            _ => return None,
        };
        Some((key, digest, length))
    }) else {
        return false;
    };
    let Ok(digest) = hash(digest, bytes) else { return false };
    let forms = [side_by_side(signature, length), der(signature)];
    forms.into_iter().flatten().any(|signature| signature.verify(&digest, &key).unwrap_or(false))
}

fn side_by_side(signature: &[u8], length: usize) -> Option<EcdsaSig> {
    if signature.len() != 2 * length {
        return None;
    }
    let (r, s) = signature.split_at(length);
    EcdsaSig::from_private_components(BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?).ok()
}

/// Only the one encoding that DER has: nothing before, between or after.
fn der(signature: &[u8]) -> Option<EcdsaSig> {
    EcdsaSig::from_der(signature).ok().filter(|parsed| parsed.to_der().is_ok_and(|again| again == signature))
}

#[cfg(test)]
mod tests {
    use openssl::bn::BigNumContext;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;

    use super::*;

    fn pair(curve: Nid) -> (EcKey<Private>, PKey<Public>) {
        let key = EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap();
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        (key, public)
    }

    fn sign(key: &EcKey<Private>, digest: MessageDigest, bytes: &[u8]) -> EcdsaSig {
        EcdsaSig::sign(&hash(digest, bytes).unwrap(), key).unwrap()
    }

    fn p1363(signature: &EcdsaSig, length: i32) -> Vec<u8> {
        [signature.r().to_vec_padded(length).unwrap(), signature.s().to_vec_padded(length).unwrap()].concat()
    }

    fn other_s(signature: &EcdsaSig, key: &EcKey<Private>) -> EcdsaSig {
        let (mut order, mut s) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        key.group().order(&mut order, &mut BigNumContext::new().unwrap()).unwrap();
        s.checked_sub(&order, signature.s()).unwrap();
        EcdsaSig::from_private_components(signature.r().to_owned().unwrap(), s).unwrap()
    }

    #[test]
    fn the_text_is_what_the_documentation_says() {
        let text = signed_text("https://hospital.example:8443", "n", "2026-11-23T14:25:43Z");
        let expected =
            "Healthchain session v1\norigin: https://hospital.example:8443\nnonce: n\ntime: 2026-11-23T14:25:43Z\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn both_curves_both_forms_and_both_values_of_s_prove_possession() {
        for (curve, digest, length) in
            [(Nid::X9_62_PRIME256V1, MessageDigest::sha256(), 32), (Nid::SECP384R1, MessageDigest::sha384(), 48)]
        {
            let (key, public) = pair(curve);
            let signature = sign(&key, digest, b"text");
            for signature in [other_s(&signature, &key), signature] {
                for bytes in [signature.to_der().unwrap(), p1363(&signature, length)] {
                    assert!(is_signed_by(&public, b"text", &bytes));
                    assert!(!is_signed_by(&public, b"other text", &bytes));
                    assert!(!is_signed_by(&pair(curve).1, b"text", &bytes));
                    assert!(!is_signed_by(&public, b"text", &bytes[..bytes.len() - 1]));
                    assert!(!is_signed_by(&public, b"text", &[bytes.as_slice(), &[0]].concat()));
                }
            }
        }
    }

    #[test]
    fn weaker_hashes_other_curves_and_other_algorithms_prove_nothing() {
        for (curve, digest) in [
            (Nid::X9_62_PRIME256V1, MessageDigest::sha1()),
            (Nid::SECP384R1, MessageDigest::sha1()),
            (Nid::SECP384R1, MessageDigest::sha256()),
            (Nid::SECP521R1, MessageDigest::sha512()),
            (Nid::SECP256K1, MessageDigest::sha256()),
        ] {
            let (key, public) = pair(curve);
            assert!(!is_signed_by(&public, b"text", &sign(&key, digest, b"text").to_der().unwrap()), "{curve:?}");
        }
        let rsa = Rsa::generate(2048).unwrap();
        let public = PKey::public_key_from_der(&rsa.public_key_to_der().unwrap()).unwrap();
        assert!(!is_signed_by(&public, b"text", &[1; 256]));
    }

    #[test]
    fn what_is_no_signature_proves_nothing() {
        let (_, public) = pair(Nid::X9_62_PRIME256V1);
        for bytes in [&[][..], &[0; 64], &[0xff; 64], &[0x30, 0], &[0x30, 6, 2, 1, 0, 2, 1, 0], &[7; 10_000]] {
            assert!(!is_signed_by(&public, b"text", bytes));
        }
    }
}
