//! DPoP proofs (RFC 9449): each request with a token that is bound to a key is signed with that key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use openssl::bn::BigNumContext;
use openssl::ec::PointConversionForm;
use openssl::pkey::{PKey, Public};
use serde::Deserialize;
use url::Url;

use super::jwt::{Flaw, Unverified, fits};

/// Algorithms of proofs.
pub(super) const ALGORITHMS: &[Algorithm] = &[Algorithm::ES256, Algorithm::ES384];
/// How far a proof's `iat` may be from now, in seconds, to both sides.
pub(super) const WINDOW: u64 = 60;
/// Longest `jti`.
const MAX_ID: usize = 128;

/// A proof that fits its request. Whether it was used before is for the caller to find out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Names the key (RFC 7638, SHA-256).
    pub(super) thumbprint: String,
    /// Names the proof among all of its key.
    pub(super) id: String,
    /// From this second on the proof is too old in any case.
    pub(super) over: u64,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    ath: Option<String>,
}

/// What a proof must be of.
pub(super) struct Bound<'a> {
    pub(super) method: &'a str,
    /// The request's URL without query and fragment, as the caller knows this gateway.
    pub(super) url: &'a Url,
    pub(super) token: &'a str,
}

/// Checks a proof as RFC 9449 section 4.3 says.
pub(super) fn check(proof: &str, bound: &Bound<'_>, now: u64) -> Result<Proof, Flaw> {
    let unverified = Unverified::parse(proof)?;
    if unverified.header.typ.as_deref() != Some("dpop+jwt") {
        return Err(Flaw("typ"));
    }
    let algorithm = unverified.algorithm(ALGORITHMS)?;
    let key = unverified.header.jwk.clone().ok_or(Flaw("jwk"))?;
    if key.get("d").is_some() {
        return Err(Flaw("jwk holds a private key"));
    }
    let key: Jwk = serde_json::from_value(key).map_err(|_| Flaw("jwk"))?;
    if !fits(&key, algorithm) {
        return Err(Flaw("jwk"));
    }
    let claims: Claims = unverified.verify(&key, algorithm)?;
    if claims.htm != bound.method {
        return Err(Flaw("htm"));
    }
    let mut url = Url::parse(&claims.htu).map_err(|_| Flaw("htu"))?;
    url.set_query(None);
    url.set_fragment(None);
    if url != *bound.url {
        return Err(Flaw("htu"));
    }
    if claims.iat.abs_diff(now) > WINDOW {
        return Err(Flaw("iat"));
    }
    if !(1..=MAX_ID).contains(&claims.jti.len()) {
        return Err(Flaw("jti"));
    }
    if claims.ath.as_deref() != Some(&token_hash(bound.token)) {
        return Err(Flaw("ath"));
    }
    let thumbprint = key.thumbprint(ThumbprintHash::SHA256).map_err(|_| Flaw("jwk"))?;
    Ok(Proof { thumbprint, id: claims.jti, over: claims.iat + WINDOW + 1 })
}

/// How a proof names the token that it is sent with.
pub(super) fn token_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(openssl::sha::sha256(token.as_bytes()))
}

/// The thumbprint of an elliptic-curve key, as proofs made with it have it; none for other keys.
pub(super) fn thumbprint(key: &PKey<Public>) -> Option<String> {
    let key = key.ec_key().ok()?;
    let mut context = BigNumContext::new().ok()?;
    let point = key.public_key().to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut context).ok()?;
    let key = jsonwebtoken::DecodingKey::from_ec_der(&point);
    Jwk::from_decoding_key(&key, None).ok()?.thumbprint(ThumbprintHash::SHA256).ok()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const TOKEN: &str = "token";

    struct Key {
        signs: EncodingKey,
        public: PKey<Public>,
        algorithm: Algorithm,
    }

    impl Key {
        fn new(curve: Nid, algorithm: Algorithm) -> Self {
            let key = EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap();
            let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
            let pkcs8 = PKey::from_ec_key(key).unwrap().private_key_to_pkcs8().unwrap();
            Self { signs: EncodingKey::from_ec_der(&pkcs8), public, algorithm }
        }

        fn p256() -> Self {
            Self::new(Nid::X9_62_PRIME256V1, Algorithm::ES256)
        }

        fn jwk(&self) -> Jwk {
            let mut jwk = Jwk::from_encoding_key(&self.signs, self.algorithm).unwrap();
            jwk.common.key_algorithm = None;
            jwk
        }

        fn proof(&self, claims: &Value) -> String {
            let mut header = Header::new(self.algorithm);
            header.typ = Some("dpop+jwt".into());
            header.jwk = Some(self.jwk());
            encode(&header, claims, &self.signs).unwrap()
        }

        /// A proof with any header, well signed.
        fn with_header(&self, header: &Value, claims: &str) -> String {
            let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.signs, self.algorithm).unwrap();
            format!("{message}.{signature}")
        }
    }

    fn claims() -> Value {
        json!({"jti": "1", "htm": "POST", "htu": "https://hospital.example/v1/links", "iat": NOW, "ath": token_hash(TOKEN)})
    }

    fn checked(proof: &str) -> Result<Proof, Flaw> {
        let url = "https://hospital.example/v1/links".parse().unwrap();
        check(proof, &Bound { method: "POST", url: &url, token: TOKEN }, NOW)
    }

    #[test]
    fn a_proof_of_either_algorithm_names_the_key_of_a_certificate() {
        for key in [Key::p256(), Key::new(Nid::SECP384R1, Algorithm::ES384)] {
            let proof = checked(&key.proof(&claims())).unwrap();
            assert_eq!(Some(proof.thumbprint), thumbprint(&key.public));
            assert_eq!((proof.id.as_str(), proof.over), ("1", NOW + 61));
        }
    }

    #[test]
    fn the_url_counts_without_query_and_as_urls_are_equal() {
        let key = Key::p256();
        for url in ["https://hospital.example:443/v1/links?patient=anna#top", "HTTPS://HOSPITAL.example/v1/links"] {
            let mut claims = claims();
            claims["htu"] = json!(url);
            assert!(checked(&key.proof(&claims)).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_proof_of_another_request_time_or_token_is_refused() {
        let key = Key::p256();
        for (name, value) in [
            ("htm", json!("GET")),
            ("htm", json!("post")),
            ("htu", json!("https://hospital.example/v1/consents")),
            ("htu", json!("https://hospital.example/v1/links/")),
            ("htu", json!("https://clinic.example/v1/links")),
            ("htu", json!("http://hospital.example/v1/links")),
            ("htu", json!("/v1/links")),
            ("iat", json!(NOW - WINDOW - 1)),
            ("iat", json!(NOW + WINDOW + 1)),
            ("ath", json!(token_hash("another"))),
            ("ath", Value::Null),
            ("jti", json!("")),
            ("jti", json!("x".repeat(MAX_ID + 1))),
        ] {
            let mut claims = claims();
            claims[name] = value.clone();
            assert_eq!(checked(&key.proof(&claims)), Err(Flaw(name)), "{value}");
        }
        for name in ["jti", "htm", "htu", "iat"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(checked(&key.proof(&claims)), Err(Flaw("claims")), "{name}");
        }
    }

    #[test]
    fn a_header_that_names_no_signature_of_a_public_key_is_refused() {
        let (key, other) = (Key::p256(), Key::p256());
        let text = claims().to_string();
        let header = |changed: Value| {
            let mut header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()});
            header.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            key.with_header(&header, &text)
        };
        let mut private = serde_json::to_value(key.jwk()).unwrap();
        private["d"] = json!("AAAA");
        let secret = json!({"kty": "oct", "k": "AAAA"});
        assert!(checked(&header(json!({}))).is_ok());
        for (changed, flaw) in [
            (json!({"alg": "none"}), "alg"),
            (json!({"alg": "HS256", "jwk": secret}), "alg"),
            (json!({"alg": "ES384"}), "jwk"),
            (json!({"alg": "RS256"}), "alg"),
            (json!({"jwk": secret}), "jwk"),
            (json!({"jwk": private}), "jwk holds a private key"),
            (json!({"jwk": other.jwk()}), "signature"),
            (json!({"typ": "JWT"}), "typ"),
            (json!({"crit": ["exp"], "exp": 1}), "crit"),
        ] {
            assert_eq!(checked(&header(changed.clone())), Err(Flaw(flaw)), "{changed}");
        }
    }

    #[test]
    fn what_is_no_token_or_says_a_thing_twice_is_refused() {
        let key = Key::p256();
        let proof = key.proof(&claims());
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()});
        let twice = claims().to_string().replacen('{', r#"{"htm":"GET","#, 1);
        assert_eq!(checked(&key.with_header(&header, &twice)), Err(Flaw("claims")));
        let stripped = proof.rsplit_once('.').unwrap().0;
        for text in
            ["", ".", "..", "a.b.c", &format!("{proof}.x"), &format!("{stripped}."), stripped, &"a".repeat(9000)]
        {
            assert!(checked(text).is_err(), "{text}");
        }
        let twice = r#"{"typ":"dpop+jwt","alg":"none","alg":"ES256"}"#;
        let forged = format!("{}.e30.", URL_SAFE_NO_PAD.encode(twice));
        assert_eq!(checked(&forged), Err(Flaw("header")));
    }
}
