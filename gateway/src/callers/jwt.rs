//! Signed JSON Web Tokens (RFC 7515, 7519), read strictly: a size limit, an algorithm of a list, no name twice, no extension that must be
//! understood (RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Longest token that is read, in bytes.
pub(super) const MAX_BYTES: usize = 8 << 10;
/// How far clocks may differ, in seconds.
pub(super) const SKEW: u64 = 60;

/// Why a token is not what it should be; the text names the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) &'static str);

/// What a header says (RFC 7515 section 4.1). A name that stands twice is refused.
#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    pub(super) typ: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) jwk: Option<serde_json::Value>,
    crit: Option<IgnoredAny>,
}

/// A token whose signature nobody has looked at yet.
pub(super) struct Unverified<'a> {
    pub(super) header: Header,
    message: &'a str,
    payload: Vec<u8>,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, Flaw> {
        if token.len() > MAX_BYTES {
            return Err(Flaw("it is too long"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Flaw("it has not three parts"));
        };
        let message = &token[..header.len() + 1 + payload.len()];
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw("a part is not base64url"));
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Flaw("header"))?;
        if header.crit.is_some() {
            return Err(Flaw("crit"));
        }
        Ok(Self { header, message, payload: decode(payload)?, signature })
    }

    /// What the token says, not yet believed.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, Flaw> {
        serde_json::from_slice(&self.payload).map_err(|_| Flaw("claims"))
    }

    /// The token's algorithm, if it is one of these.
    pub(super) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, Flaw> {
        let named = self.header.alg.parse().map_err(|_| Flaw("alg"))?;
        allowed.iter().copied().find(|allowed| *allowed == named).ok_or(Flaw("alg"))
    }

    /// What the token says, signed by this key.
    pub(super) fn verify<T: DeserializeOwned>(&self, key: &Jwk, algorithm: Algorithm) -> Result<T, Flaw> {
        let key = DecodingKey::from_jwk(key).map_err(|_| Flaw("key"))?;
        match jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), &key, algorithm) {
            Ok(true) => self.claims(),
            _ => Err(Flaw("signature")),
        }
    }
}

/// Whether a key is a public one, made for signatures of this algorithm. A secret key never is: a token signed with what is published is
/// signed by anybody.
pub(super) fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use jsonwebtoken::AlgorithmFamily::{Ec, Ed, Hmac, Rsa};
    let family = match (&key.algorithm, algorithm.family()) {
        (AlgorithmParameters::RSA(_), Rsa) => true,
        (AlgorithmParameters::EllipticCurve(parameters), Ec) => {
            use jsonwebtoken::jwk::EllipticCurve::{P256, P384};
            matches!((&parameters.curve, algorithm), (P256, Algorithm::ES256) | (P384, Algorithm::ES384))
        }
        (AlgorithmParameters::OctetKeyPair(_), Ed) => true,
        (_, Rsa | Ec | Ed | Hmac) => false,
    };
    let usage = key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    family && usage && key.common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm))
}

/// The period of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// It counts now.
    Now,
    /// It is over.
    Over,
    /// It has not begun.
    Ahead,
}

/// Where now is in a period, clocks differing by at most [`SKEW`].
pub(super) fn period(begins: Option<u64>, ends: u64, now: u64) -> Period {
    if ends.saturating_add(SKEW) <= now {
        Period::Over
    } else if begins.is_some_and(|begins| begins > now.saturating_add(SKEW)) {
        Period::Ahead
    } else {
        Period::Now
    }
}

/// One text, or several (RFC 7519 section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// Whether this is one of them.
    pub(super) fn contains(&self, text: &str) -> bool {
        match self {
            Self::One(one) => one == text,
            Self::Many(many) => many.iter().any(|one| one == text),
        }
    }
}
