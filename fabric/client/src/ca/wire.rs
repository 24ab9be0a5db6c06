//! What goes over the wire.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::CaError;

/// An attribute of an identity.
#[derive(Debug, Clone, Serialize)]
pub struct Attribute {
    /// Its name, such as `hf.GenCRL`.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether certificates have it without being asked to.
    pub ecert: bool,
}

/// An attribute that a certificate shall have.
#[derive(Debug, Clone, Serialize)]
pub struct AttributeRequest {
    /// Its name.
    pub name: String,
    /// Whether the certificate is issued without it too.
    pub optional: bool,
}

/// Who is made known.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Registration {
    /// The enrolment id: the common name of all certificates.
    pub id: String,
    /// `client`, `peer`, `admin` or `orderer`: the organizational unit.
    #[serde(rename = "type")]
    pub kind: String,
    /// The secret; made by the server where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// How often the secret can be used; the server's limit where absent, no limit with -1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_enrollments: Option<i64>,
    /// The affiliation, such as `hospital.cardiology`; the registrar's where empty.
    pub affiliation: String,
    /// Attributes.
    #[serde(rename = "attrs")]
    pub attributes: Vec<Attribute>,
}

/// What is revoked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Revocation {
    /// An enrolment id: all its certificates, and it cannot enrol any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// One certificate's serial number, hexadecimal; with `aki`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The key identifier of that certificate's authority, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aki: Option<String>,
    /// Of RFC 5280, in small letters: `keycompromise`, `superseded`, `cessationofoperation`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A certificate that was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RevokedCertificate {
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// The key identifier of its authority, hexadecimal.
    #[serde(rename = "AKI")]
    pub aki: String,
}

#[derive(Serialize)]
pub(super) struct EnrollmentRequest<'a> {
    pub(super) certificate_request: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attr_reqs: Option<&'a [AttributeRequest]>,
}

#[derive(Deserialize)]
pub(super) struct EnrollmentResult {
    #[serde(rename = "Cert")]
    pub(super) certificate: String,
}

#[derive(Deserialize)]
pub(super) struct InfoResult {
    #[serde(rename = "CAName")]
    pub(super) name: String,
    #[serde(rename = "CAChain")]
    pub(super) chain: String,
    #[serde(rename = "Version", default)]
    pub(super) version: String,
}

#[derive(Deserialize)]
pub(super) struct RegistrationResult {
    pub(super) secret: String,
}

#[derive(Deserialize)]
pub(super) struct RevocationResult {
    #[serde(rename = "RevokedCerts")]
    pub(super) revoked: Option<Vec<RevokedCertificate>>,
}

#[derive(Deserialize)]
pub(super) struct ListResult {
    #[serde(rename = "CRL")]
    pub(super) list: String,
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default)]
    result: serde_json::Value,
    #[serde(default)]
    errors: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    code: i64,
    message: String,
}

/// The result of an answer.
pub(super) fn result<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, CaError> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| CaError::Unintelligible(format!("HTTP {status}, and no answer of a Fabric CA: {error}")))?;
    if !answer.success || !(200..300).contains(&status) {
        let message = answer.errors.into_iter().next();
        let (code, message) = message.map_or((0, String::new()), |message| (message.code, message.message));
        return Err(CaError::Refused { status, code, message });
    }
    serde_json::from_value(answer.result).map_err(|error| CaError::Unintelligible(error.to_string()))
}
