//! Signatures of the Standard Webhooks specification, version 1.0.0: HMAC-SHA-256 (RFC 2104).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

const SECRET_BYTES: usize = 32;

/// A new secret; the specification asks for 24 to 64 random bytes.
pub(super) fn new_secret() -> Zeroizing<Vec<u8>> {
    let mut secret = Zeroizing::new(vec![0; SECRET_BYTES]);
    openssl::rand::rand_priv_bytes(&mut secret).expect("the operating system gives random bytes");
    secret
}

/// A secret as its receiver is told it.
pub(super) fn secret_text(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The header `webhook-signature` of a message.
pub(super) fn sign(secret: &[u8], id: &str, timestamp: u64, body: &[u8]) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let sign = || Signer::new(MessageDigest::sha256(), &*PKey::hmac(secret)?)?.sign_oneshot_to_vec(&signed);
    let mac = sign().expect("HMAC-SHA-256 takes any key and any message");
    format!("v1,{}", STANDARD.encode(mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own libraries test with this message.
    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_new_each_time_and_as_long_as_the_specification_asks() {
        let (one, other) = (new_secret(), new_secret());
        assert_ne!(one, other);
        let text = secret_text(&one);
        let bytes = STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!((bytes.as_slice(), bytes.len()), (one.as_slice(), 32));
    }
}
