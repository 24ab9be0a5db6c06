//! The token with which an enrolled identity signs a call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_msp::SigningIdentity;
use reqwest::Url;

use super::CaError;

/// `base64(certificate) . base64(signature)`, the signature over `method . base64(path and query) . base64(body) . base64(certificate)`.
pub(super) fn token(identity: &SigningIdentity, method: &str, url: &Url, body: &[u8]) -> Result<String, CaError> {
    let certificate = STANDARD.encode(identity.certificate().pem());
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let signed = format!("{method}.{}.{}.{certificate}", STANDARD.encode(target), STANDARD.encode(body));
    let signature = identity.sign(signed.as_bytes())?;
    Ok(format!("{certificate}.{}", STANDARD.encode(signature)))
}
