//! Sessions: a challenge signed with the X.509 key gives a token that counts only together with proofs made by that key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use fabric_msp::Certificate;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::jwt::SKEW;
use super::{Unproven, dpop, possession};
use crate::state::StateKey;

/// How long a challenge can be answered, in seconds.
pub const CHALLENGE_SECONDS: u64 = 120;
/// How long a session lasts, in seconds.
pub const SESSION_SECONDS: u64 = 15 * 60;

/// Makes challenges and recognises its own again, without remembering them: strangers may ask for as many as they like. All gateways of
/// an organisation share the key.
pub(super) struct Challenges {
    origin: String,
}

/// What is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Stands in the signed text.
    pub nonce: String,
    /// As does this: the gateway that the signature is for.
    pub origin: String,
    /// Until when it can be answered, in seconds since 1970.
    pub expires: u64,
}

/// An answer to a challenge.
pub struct Answer<'a> {
    /// The signing certificate, PEM.
    pub certificate: &'a str,
    /// The challenge's.
    pub nonce: &'a str,
    /// When it was signed (RFC 3339), as in the signed text.
    pub time: &'a str,
    /// The signature, base64 or base64url, in DER or P1363.
    pub signature: &'a str,
}

/// Who answered a challenge well.
#[derive(Debug)]
pub(super) struct Possessor {
    pub(super) certificate: Certificate,
    /// Names the key, as DPoP proofs do.
    pub(super) thumbprint: String,
}

const RANDOM_BYTES: usize = 16;
const TIME_BYTES: usize = 8;
const MAC_BYTES: usize = 32;

impl Challenges {
    pub(super) fn new(origin: String) -> Self {
        Self { origin }
    }

    /// A new challenge: when it ends, something random, and a MAC over both and the origin.
    pub(super) fn make(&self, key: &StateKey, now: u64) -> Challenge {
        let expires = now + CHALLENGE_SECONDS;
        let mut nonce = expires.to_be_bytes().to_vec();
        nonce.extend_from_slice(&random::<RANDOM_BYTES>());
        let mac = self.mac(key, &nonce);
        nonce.extend_from_slice(&mac);
        Challenge { nonce: URL_SAFE_NO_PAD.encode(nonce), origin: self.origin.clone(), expires }
    }

    /// Judges an answer; whether the challenge was answered before is for the caller to find out.
    pub(super) fn judge(&self, key: &StateKey, answer: &Answer<'_>, now: u64) -> Result<Possessor, Unproven> {
        let expires = self.expiry(key, answer.nonce).ok_or(Unproven::ChallengeUnknown)?;
        if expires < now {
            return Err(Unproven::ChallengeUnknown);
        }
        let certificate = Certificate::from_pem(answer.certificate.trim())
            .map_err(|_| Unproven::PossessionNotProven("certificate"))?;
        let signed_at = OffsetDateTime::parse(answer.time, &Rfc3339)
            .map_err(|_| Unproven::PossessionNotProven("time is not RFC 3339"))?
            .unix_timestamp();
        if signed_at.abs_diff(i64::try_from(now).unwrap_or(i64::MAX)) > SKEW + CHALLENGE_SECONDS {
            return Err(Unproven::PossessionNotProven("time is not now"));
        }
        let signature = base64(answer.signature).ok_or(Unproven::PossessionNotProven("signature is not base64"))?;
        let text = possession::signed_text(&self.origin, answer.nonce, answer.time);
        if !possession::is_signed_by(certificate.public_key(), text.as_bytes(), &signature) {
            return Err(Unproven::PossessionNotProven("signature"));
        }
        let thumbprint = dpop::thumbprint(certificate.public_key()).ok_or(Unproven::PossessionNotProven("key"))?;
        Ok(Possessor { certificate, thumbprint })
    }

    /// When a nonce ends that was made here with this key.
    fn expiry(&self, key: &StateKey, nonce: &str) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        if bytes.len() != TIME_BYTES + RANDOM_BYTES + MAC_BYTES {
            return None;
        }
        let (said, mac) = bytes.split_at(TIME_BYTES + RANDOM_BYTES);
        if !openssl::memcmp::eq(mac, &self.mac(key, said)) {
            return None;
        }
        said[..TIME_BYTES].try_into().map(u64::from_be_bytes).ok()
    }

    fn mac(&self, key: &StateKey, said: &[u8]) -> Vec<u8> {
        let mac = key.keyed_hash("challenge", &[self.origin.as_bytes(), said]);
        hex::decode(mac).expect("a keyed hash is hexadecimal")
    }
}

/// A second of time as RFC 3339 text.
pub fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Bytes that nobody can guess.
pub(super) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    openssl::rand::rand_bytes(&mut bytes).expect("the system gives random bytes");
    bytes
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let standard = text.replace('-', "+").replace('_', "/");
    STANDARD_NO_PAD.decode(standard).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use fabric_msp::issue::{Authority, Issued, Request};
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::sign::Signer;

    use super::*;

    static KEY: LazyLock<StateKey> = LazyLock::new(StateKey::generate);
    const NOW: u64 = 1_800_000_000;

    fn challenges() -> Challenges {
        Challenges::new("https://hospital.example:8443".into())
    }

    fn member() -> Issued {
        Authority::create("root", "Hospital").unwrap().issue(&Request::signing("dr-grey", "client")).unwrap()
    }

    fn sign(issued: &Issued, text: &str) -> String {
        let key = PKey::private_key_from_pem(issued.key_pem()).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        STANDARD_NO_PAD.encode(signer.sign_oneshot_to_vec(text.as_bytes()).unwrap())
    }

    fn answer(member: &Issued, nonce: &str, text: &str, now: u64) -> Result<Possessor, Unproven> {
        let (pem, signature) = (member.certificate_pem(), sign(member, text));
        let answer = Answer { certificate: &pem, nonce, time: &rfc3339(NOW), signature: &signature };
        challenges().judge(&KEY, &answer, now)
    }

    #[test]
    fn whoever_signs_the_challenge_possesses_the_key() {
        let (member, challenge) = (member(), challenges().make(&KEY, NOW));
        let text = possession::signed_text(&challenge.origin, &challenge.nonce, &rfc3339(NOW));
        let possessor = answer(&member, &challenge.nonce, &text, NOW + CHALLENGE_SECONDS).unwrap();
        assert_eq!(possessor.certificate.der(), member.certificate().der());
        let late = answer(&member, &challenge.nonce, &text, NOW + CHALLENGE_SECONDS + 1).unwrap_err();
        assert!(matches!(late, Unproven::ChallengeUnknown));
    }

    #[test]
    fn a_signature_for_another_gateway_nonce_or_time_proves_nothing() {
        let (member, challenge) = (member(), challenges().make(&KEY, NOW));
        let other = challenges().make(&KEY, NOW);
        let (origin, nonce, time) = (challenge.origin.as_str(), challenge.nonce.as_str(), rfc3339(NOW));
        for text in [
            possession::signed_text("https://clinic.example", nonce, &time),
            possession::signed_text(origin, &other.nonce, &time),
            possession::signed_text(origin, nonce, &rfc3339(NOW + 1)),
            possession::signed_text(origin, nonce, &time).trim_end().to_owned(),
            nonce.to_owned(),
        ] {
            let refused = answer(&member, nonce, &text, NOW).unwrap_err();
            assert!(matches!(refused, Unproven::PossessionNotProven("signature")), "{text}");
        }
    }

    #[test]
    fn a_nonce_that_was_not_made_here_is_unknown() {
        let member = member();
        let text = |nonce: &str| possession::signed_text("https://hospital.example:8443", nonce, &rfc3339(NOW));
        let good = challenges().make(&KEY, NOW).nonce;
        let elsewhere = Challenges::new("https://clinic.example".into()).make(&KEY, NOW).nonce;
        let other_key = challenges().make(&StateKey::generate(), NOW).nonce;
        let mut longer = URL_SAFE_NO_PAD.decode(&good).unwrap();
        longer[7] ^= 0xff;
        for nonce in [elsewhere, other_key, URL_SAFE_NO_PAD.encode(longer), good[1..].to_owned(), String::new()] {
            let refused = answer(&member, &nonce, &text(&nonce), NOW).unwrap_err();
            assert!(matches!(refused, Unproven::ChallengeUnknown));
        }
    }

    #[test]
    fn another_certificates_key_does_not_serve() {
        let (member, thief, challenge) = (member(), member(), challenges().make(&KEY, NOW));
        let text = possession::signed_text(&challenge.origin, &challenge.nonce, &rfc3339(NOW));
        let (pem, signature) = (member.certificate_pem(), sign(&thief, &text));
        let answer = Answer { certificate: &pem, nonce: &challenge.nonce, time: &rfc3339(NOW), signature: &signature };
        let refused = challenges().judge(&KEY, &answer, NOW).unwrap_err();
        assert!(matches!(refused, Unproven::PossessionNotProven("signature")));
    }
}
