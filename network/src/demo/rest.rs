//! A member at its gateway, over REST with its TLS client certificate.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use healthchain_rules::{MemberId, MspId};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::failed;
use crate::{
    MemberAccess, NetworkError,
    health::{client_identity, with_causes},
    tell,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A member at its gateway.
pub(super) struct Session {
    access: MemberAccess,
    client: reqwest::Client,
}

/// What the gateway answered.
pub(super) struct Answer {
    request: String,
    pub(super) status: StatusCode,
    body: Vec<u8>,
    took: Duration,
}

/// A refusal, as problem+json (RFC 9457) tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    /// The stable reason.
    pub(super) code: String,
    opening: Option<String>,
}

impl Problem {
    /// The start of the transaction's id, under which the denial is on the ledger.
    pub(super) fn opening(&self) -> &str {
        self.opening.as_deref().and_then(|id| id.get(..16)).unwrap_or("nothing")
    }
}

impl Session {
    pub(super) fn open(access: MemberAccess) -> Result<Self, NetworkError> {
        let identity = |error: &dyn fmt::Display| NetworkError::identity(access.id.to_string(), error);
        let root = std::fs::read(&access.tls_root).map_err(NetworkError::file(&access.tls_root))?;
        let root = reqwest::Certificate::from_pem(&root).map_err(|error| identity(&error))?;
        let own = client_identity(&access.tls).map_err(|error| identity(&error))?;
        let client =
            reqwest::Client::builder().tls_certs_only([root]).identity(own).timeout(TIMEOUT).no_proxy().build();
        let client = client.map_err(|error| identity(&error))?;
        Ok(Self { access, client })
    }

    pub(super) fn id(&self) -> &MemberId {
        &self.access.id
    }

    pub(super) fn msp_id(&self) -> &MspId {
        &self.access.msp_id
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, NetworkError> {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, NetworkError> {
        self.post_bytes(path, &[("content-type", "application/json")], json(body)).await
    }

    pub(super) async fn post_bytes(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, NetworkError> {
        self.send(Method::POST, path, headers, body).await
    }

    /// Prints the curl line that does the same.
    pub(super) fn show_curl(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let headers: String = headers.iter().map(|(name, value)| format!(" -H '{name}: {value}'")).collect();
        let line = format!("{} -X {method}{headers} {body} '{}{path}'", curl(&self.access), self.access.gateway_url);
        tell!("   {}", line.replace("  ", " "));
    }

    /// As [`Session::show_curl`], for a POST of JSON.
    pub(super) fn show_curl_json(&self, path: &str, body: &impl Serialize) {
        let body = format!("-d '{}'", String::from_utf8_lossy(&json(body)));
        self.show_curl("POST", path, &[("content-type", "application/json")], &body);
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, NetworkError> {
        let request = format!("{} {method} {path}", self.access.id);
        let lost = |error: reqwest::Error| failed(&request, with_causes(&error));
        let begun = Instant::now();
        let mut values = HeaderMap::new();
        for (name, value) in headers {
            values.insert(*name, value.parse().map_err(|error| failed(&request, error))?);
        }
        let url = format!("{}{path}", self.access.gateway_url);
        let response = self.client.request(method, url).headers(values).body(body).send().await.map_err(lost)?;
        let status = response.status();
        let body = response.bytes().await.map_err(lost)?.to_vec();
        Ok(Answer { request, status, body, took: begun.elapsed() })
    }
}

impl fmt::Display for Session {
    /// Id and organisation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.access.id, self.access.msp_id)
    }
}

impl Answer {
    /// Fails unless it has this status.
    pub(super) fn expect(&self, status: StatusCode) -> Result<&Self, NetworkError> {
        if self.status == status {
            return Ok(self);
        }
        Err(self.unexpected(&status.to_string()))
    }

    /// The refusal; fails unless it is this one.
    pub(super) fn problem(&self, status: StatusCode, code: &str) -> Result<Problem, NetworkError> {
        let problem: Problem = self.expect(status)?.json()?;
        if problem.code == code { Ok(problem) } else { Err(self.unexpected(&format!("{status} {code}"))) }
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, NetworkError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| failed(&self.request, format!("the answer cannot be read: {error}")))
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Milliseconds from the request to the whole answer.
    pub(super) fn ms(&self) -> u128 {
        self.took.as_millis()
    }

    fn unexpected(&self, expected: &str) -> NetworkError {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(500).collect();
        failed(&self.request, format!("expected {expected}, and the answer is {}: {body}", self.status))
    }
}

/// The beginning of a curl line with which a member calls the own gateway.
pub(crate) fn curl(MemberAccess { tls, tls_root, .. }: &MemberAccess) -> String {
    format!("curl --cacert {} --cert {} --key {}", shown(tls_root), shown(&tls.certificate), shown(&tls.key))
}

/// A path as short as it can be from where the person is.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("requests are structs and enums whose keys are text")
}
