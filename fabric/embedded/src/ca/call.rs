//! One call: who makes it, and what comes of it.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_msp::Certificate;
use openssl::ecdsa::EcdsaSig;
use openssl::sha::sha256;
use openssl::x509::X509;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::registry::{Registration, Registry, Revocation, Wish};

pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// HTTP status, Fabric CA's code and words (`lib/caerrors/servererror.go`).
#[derive(Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) i64, pub(super) String);

impl Refusal {
    /// The server does not say to strangers what is wrong.
    pub(super) fn authentication() -> Self {
        Self(401, 20, "Authentication failure".into())
    }

    pub(super) fn authorization() -> Self {
        Self(403, 71, "Authorization failure".into())
    }

    pub(super) fn internal(reason: impl ToString) -> Self {
        Self(500, 0, reason.to_string())
    }
}

type Answer = Result<(u16, Value), Refusal>;

pub(super) fn response(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok((status, result)) => (status, json!({ "result": result, "errors": [], "messages": [], "success": true })),
        Err(Refusal(status, code, message)) => {
            let error = json!({ "code": code, "message": message });
            (status, json!({ "result": "", "errors": [error], "messages": [], "success": false }))
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[derive(Deserialize)]
struct Enrollment {
    certificate_request: String,
    #[serde(default)]
    attr_reqs: Option<Vec<Wish>>,
}

impl Call<'_> {
    pub(super) fn answer(&self, registry: &mut Registry) -> Answer {
        let asked = self.uri.query().and_then(|query| query.strip_prefix("ca="));
        if asked.is_some_and(|name| name != registry.name()) {
            return Err(Refusal(404, 19, format!("CA '{}' does not exist", asked.unwrap_or_default())));
        }
        match (self.method.as_str(), self.uri.path().trim_start_matches("/api/v1/")) {
            ("GET" | "POST", "cainfo") => Ok((200, info(registry))),
            ("POST", "enroll") => {
                let id = self.with_secret(registry)?;
                self.enroll(registry, &id)
            }
            ("POST", "reenroll") => {
                let id = self.with_token(registry)?;
                self.enroll(registry, &id)
            }
            ("POST", "register") => {
                let caller = self.with_token(registry)?;
                let registration: Registration = self.read()?;
                Ok((201, json!({ "secret": registry.register(&caller, registration)? })))
            }
            ("POST", "revoke") => {
                let caller = self.with_token(registry)?;
                let revocation: Revocation = self.read()?;
                let revoked = registry.revoke(&caller, &revocation)?;
                let revoked: Vec<_> =
                    revoked.iter().map(|(serial, aki)| json!({ "Serial": serial, "AKI": aki })).collect();
                Ok((200, json!({ "RevokedCerts": revoked, "CRL": "" })))
            }
            ("POST", "gencrl") => {
                let caller = self.with_token(registry)?;
                Ok((200, json!({ "CRL": STANDARD.encode(registry.revocation_list(&caller)?) })))
            }
            (method, "enroll" | "reenroll" | "register" | "revoke" | "gencrl" | "cainfo") => {
                Err(Refusal(405, 1, format!("Method {method} is not allowed")))
            }
            _ => Err(Refusal(404, 0, "no such call".into())),
        }
    }

    fn enroll(&self, registry: &mut Registry, id: &str) -> Answer {
        let request: Enrollment = self.read()?;
        let certificate = registry.enroll(id, &request.certificate_request, request.attr_reqs.as_deref())?;
        Ok((201, json!({ "Cert": STANDARD.encode(certificate.pem()), "ServerInfo": info(registry) })))
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| Refusal(400, 5, format!("Invalid request body: {error}")))
    }

    fn authorization(&self) -> Result<&str, Refusal> {
        let value = self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| Refusal(401, 2, "No authorization header".into()))
    }

    /// Who enrols, by id and secret.
    fn with_secret(&self, registry: &mut Registry) -> Result<String, Refusal> {
        let encoded = self.authorization()?.strip_prefix("Basic ").ok_or_else(Refusal::authentication)?;
        let decoded = STANDARD.decode(encoded).map_err(|_| Refusal::authentication())?;
        let decoded = String::from_utf8(decoded).map_err(|_| Refusal::authentication())?;
        let (id, secret) = decoded.split_once(':').ok_or_else(Refusal::authentication)?;
        registry.log_in(id, secret)?;
        Ok(id.to_owned())
    }

    /// Who calls, by certificate and signature (`util/util.go`, `VerifyToken`).
    fn with_token(&self, registry: &Registry) -> Result<String, Refusal> {
        let (certificate, signature) = self.authorization()?.split_once('.').ok_or_else(Refusal::authentication)?;
        let target = self.uri.path_and_query().map_or("", |target| target.as_str());
        let signed =
            format!("{}.{}.{}.{certificate}", self.method, STANDARD.encode(target), STANDARD.encode(self.body));
        let pem = STANDARD.decode(certificate).map_err(|_| Refusal::authentication())?;
        let signature = STANDARD.decode(signature).map_err(|_| Refusal::authentication())?;
        let certificate = Certificate::from_pem(pem).map_err(|_| Refusal::authentication())?;
        let holds = EcdsaSig::from_der(&signature)
            .and_then(|signature| signature.verify(&sha256(signed.as_bytes()), &*certificate.public_key().ec_key()?))
            .and_then(|holds| {
                Ok(holds && X509::from_der(certificate.der())?.verify(registry.authority().public_key())?)
            });
        if !holds.unwrap_or(false) {
            return Err(Refusal::authentication());
        }
        registry.holder(&certificate)
    }
}

fn info(registry: &Registry) -> Value {
    json!({
        "CAName": registry.name(),
        "CAChain": STANDARD.encode(registry.authority().pem()),
        "IssuerPublicKey": "",
        "IssuerRevocationPublicKey": "",
        "Version": concat!("embedded ", env!("CARGO_PKG_VERSION")),
    })
}
