//! What callers make: signed challenges and DPoP proofs, good ones and bad ones.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Value, json};

use super::world::{Organisation, answer};

/// Somebody with a signing certificate and its key, who shows no TLS certificate.
pub(crate) struct Holder {
    pub(crate) certificate: String,
    key_pem: Vec<u8>,
}

impl Holder {
    pub(crate) fn new(certificate: String, key_pem: &[u8]) -> Self {
        Self { certificate, key_pem: key_pem.to_vec() }
    }

    /// The holder of a member's keys, as they lie in the wallet.
    pub(crate) fn of(organisation: &Organisation, member: &str) -> Self {
        let certificate = String::from_utf8(organisation.wallet_file(member, "certificate.pem")).unwrap();
        Self::new(certificate, &organisation.wallet_file(member, "key.pem"))
    }

    fn key(&self) -> EncodingKey {
        EncodingKey::from_ec_pem(&self.key_pem).unwrap()
    }

    /// What proofs and answers are signed by: as the curve is strong.
    fn algorithm(&self) -> (Algorithm, MessageDigest) {
        let key = PKey::private_key_from_pem(&self.key_pem).unwrap().ec_key().unwrap();
        match key.group().curve_name() {
            Some(Nid::SECP384R1) => (Algorithm::ES384, MessageDigest::sha384()),
            _ => (Algorithm::ES256, MessageDigest::sha256()),
        }
    }

    /// A signature over the digest of bytes, in DER.
    pub(crate) fn sign(&self, digest: MessageDigest, bytes: &[u8]) -> Vec<u8> {
        let key = PKey::private_key_from_pem(&self.key_pem).unwrap();
        Signer::new(digest, &key).unwrap().sign_oneshot_to_vec(bytes).unwrap()
    }

    /// An answer to a challenge, ready to be sent.
    pub(crate) fn answer(&self, nonce: &str, origin: &str, time: &str) -> Value {
        self.answer_over(self.algorithm().1, nonce, origin, time)
    }

    /// An answer to a challenge whose digest is this one.
    pub(crate) fn answer_over(&self, digest: MessageDigest, nonce: &str, origin: &str, time: &str) -> Value {
        let text = format!("Healthchain session v1\norigin: {origin}\nnonce: {nonce}\ntime: {time}\n");
        let signature = STANDARD.encode(self.sign(digest, text.as_bytes()));
        json!({"certificate": self.certificate, "nonce": nonce, "time": time, "signature": signature})
    }

    /// Names the key as tokens do that are bound to it (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        self.jwk().thumbprint(ThumbprintHash::SHA256).unwrap()
    }

    fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key(), self.algorithm().0).unwrap();
        jwk.common.key_algorithm = None;
        jwk
    }

    /// Opens a session at a gateway; status and body.
    pub(crate) async fn try_session(&self, organisation: &Organisation) -> (u16, Value) {
        let challenge = challenge(organisation).await;
        let body = self.answer(&challenge.0, &challenge.1, &now_text());
        open(organisation, &body).await
    }

    /// Opens a session at a gateway; the token.
    pub(crate) async fn session(&self, organisation: &Organisation) -> String {
        let (status, body) = self.try_session(organisation).await;
        assert_eq!(status, 201, "{body}");
        body["token"].as_str().unwrap().to_owned()
    }

    /// A DPoP proof; `changed` replaces claims.
    pub(crate) fn proof(&self, method: &str, url: &str, token: &str, changed: &Value) -> String {
        let mut header = Header::new(self.algorithm().0);
        header.typ = Some("dpop+jwt".into());
        header.jwk = Some(self.jwk());
        let mut claims = json!({
            "jti": hex::encode(random()), "htm": method, "htu": url, "iat": now(),
            "ath": URL_SAFE_NO_PAD.encode(openssl::sha::sha256(token.as_bytes())),
        });
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        encode(&header, &claims, &self.key()).unwrap()
    }

    /// A request with a token and a fresh proof.
    pub(crate) fn request(
        &self,
        organisation: &Organisation,
        method: &str,
        path: &str,
        token: &str,
    ) -> reqwest::RequestBuilder {
        let url = organisation.at(path);
        let plain = url.split('?').next().unwrap().to_owned();
        let proof = self.proof(method, &plain, token, &json!({}));
        let request = organisation.client(None).request(method.parse().unwrap(), url);
        request.header("authorization", format!("DPoP {token}")).header("dpop", proof)
    }
}

/// Nonce and origin of a new challenge.
pub(crate) async fn challenge(organisation: &Organisation) -> (String, String) {
    let response = organisation.client(None).post(organisation.at("/v1/sessions/challenges")).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, body) = answer(response).await;
    assert_eq!(status, 201, "{body}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("nonce"), text("origin"))
}

pub(crate) async fn open(organisation: &Organisation, body: &Value) -> (u16, Value) {
    let request = organisation.client(None).post(organisation.at("/v1/sessions"));
    let request = request.header("content-type", "application/json").body(body.to_string());
    answer(request.send().await.unwrap()).await
}

pub(crate) fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

pub(crate) fn now_text() -> String {
    healthchain_gateway::callers::sessions::rfc3339(now())
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    bytes
}
