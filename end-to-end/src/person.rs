use std::fs;
use std::time::{Duration, Instant};

use healthchain_network::MemberAccess;
use healthchain_rules::{ConsentId, LinkId, MemberId, TransactionId};
use openssl::base64::encode_block;
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::peers::Peers;

/// Somebody who calls the REST interface of the own organisation's gateway with the own TLS certificate.
#[derive(Clone)]
pub struct Person {
    access: MemberAccess,
    http: Client,
    peers: Peers,
}

/// What a gateway answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: header::HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Person {
    /// The member with its own certificate.
    pub(crate) fn new(access: MemberAccess, peers: Peers) -> Self {
        let http = client(&access, Some((&access.tls.certificate, &access.tls.key)));
        Self { access, http, peers }
    }

    /// Somebody at the same gateway who shows another member's certificate, or none.
    pub fn showing(&self, certificate_of: Option<&MemberAccess>) -> Self {
        let files = certificate_of.map(|other| (other.tls.certificate.as_path(), other.tls.key.as_path()));
        Self { http: client(&self.access, files), ..self.clone() }
    }

    /// Somebody at the same gateway who shows this certificate (PEM files).
    pub fn showing_files(&self, certificate: &std::path::Path, key: &std::path::Path) -> Self {
        Self { http: client(&self.access, Some((certificate, key))), ..self.clone() }
    }

    /// The member's id on the ledger.
    pub fn id(&self) -> &MemberId {
        &self.access.id
    }

    /// Where the member's files and gateway are.
    pub fn access(&self) -> &MemberAccess {
        &self.access
    }

    /// Any request to the own gateway.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        self.try_request(method, path, with).await.expect("the gateway answers")
    }

    /// Any request to the own gateway, which may be down.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> reqwest::Result<Answer> {
        let request = self.http.request(method, format!("{}{path}", self.access.gateway_url.trim_end_matches('/')));
        let response = with(request).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, |request| request).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, |request| request.json(body)).await
    }

    /// Publishes a record under an idempotency key.
    pub async fn publish_as(&self, key: &str, patient: &MemberId, category: &str, record: &[u8]) -> Answer {
        self.try_publish(key, patient, category, record).await.expect("the gateway answers")
    }

    /// As [`Person::publish_as`], at a gateway that may be down.
    pub async fn try_publish(
        &self,
        key: &str,
        patient: &MemberId,
        category: &str,
        record: &[u8],
    ) -> reqwest::Result<Answer> {
        let path = format!("/v1/links?patient={patient}&category={category}");
        let with = |request: RequestBuilder| {
            request
                .header("Idempotency-Key", key)
                .header(header::CONTENT_TYPE, "application/fhir+json")
                .body(record.to_vec())
        };
        self.try_request(Method::POST, &path, with).await
    }

    /// Publishes a record and gives the new link, known to every organisation's peer.
    pub async fn publish(&self, patient: &MemberId, category: &str, record: &[u8]) -> LinkId {
        let answer = self.publish_as(&Uuid::new_v4().to_string(), patient, category, record).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.peers.level().await;
        answer.link()
    }

    /// Opens a link for a purpose.
    pub async fn open(&self, link: &LinkId, purpose: &str) -> Answer {
        self.post(&format!("/v1/links/{link}/openings"), &json!({ "purpose": purpose })).await
    }

    /// The ids of the patient's links that are permitted for a purpose (first page).
    pub async fn permitted(&self, patient: &MemberId, purpose: &str) -> Vec<String> {
        let answer = self.get(&format!("/v1/patients/{patient}/links?purpose={purpose}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| Some(item["link"].as_str()?.to_owned())).collect()
    }

    /// As a patient: permits an organisation a category of the own records for a purpose.
    pub async fn permit(&self, organisation: &str, category: &str, purpose: &str) -> ConsentId {
        self.grant(json!({ "organisation": organisation }), category, purpose, "permit").await
    }

    /// As a patient: grants a consent on a category.
    pub async fn grant(&self, grantee: Value, category: &str, purpose: &str, effect: &str) -> ConsentId {
        let consent = Uuid::new_v4().to_string();
        let body = json!({
            "consent": consent, "patient": self.id(), "grantee": grantee, "scope": { "categories": [category] },
            "purposes": [purpose], "effect": effect,
        });
        let answer = self.post("/v1/consents", &body).await;
        assert!(answer.is_success(), "{}", answer.text());
        self.peers.level().await;
        consent.parse().expect("a UUID is a consent id")
    }

    /// As a patient: revokes a consent.
    pub async fn revoke(&self, consent: &ConsentId) {
        let path = format!("/v1/patients/{}/consents/{consent}/revocation", self.id());
        let answer = self.request(Method::POST, &path, |request| request).await;
        assert!(answer.is_success(), "{}", answer.text());
        self.peers.level().await;
    }

    /// Has the ledger know the member by other keys from now on (SubjectPublicKeyInfo, DER).
    pub async fn rotate_keys(&self, signing: &[u8], encryption: &[u8]) {
        let keys = json!({ "key_hash": sha256(signing), "encryption_key": encode_block(encryption) });
        let path = format!("/v1/members/{}/keys", self.id());
        let answer = self.request(Method::PUT, &path, |request| request.json(&keys)).await;
        assert!(answer.is_success(), "{}", answer.text());
        self.peers.level().await;
    }

    /// Lists until exactly these of the patient's links are permitted for a purpose: the own peer may be a block behind the others.
    pub async fn comes_to_see(&self, patient: &MemberId, purpose: &str, links: &[&LinkId]) {
        let wanted: Vec<_> = links.iter().map(ToString::to_string).collect();
        until("the list of permitted links", || async {
            let seen = self.permitted(patient, purpose).await;
            if seen == wanted { Ok(()) } else { Err(format!("{seen:?}, not {wanted:?}")) }
        })
        .await;
    }

    /// As a patient: the own audit trail's first page, newest first, as soon as it has this transaction (the own peer may be a
    /// block behind the others).
    pub async fn trail_with(&self, transaction: &TransactionId) -> Vec<Value> {
        until("the audit trail", || async {
            let answer = self.get(&format!("/v1/patients/{}/audit?limit=100", self.id())).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let entries = answer.json()["items"].as_array().cloned().unwrap_or_default();
            let there = entries.iter().any(|entry| entry["transaction"] == json!(transaction));
            if there { Ok(entries) } else { Err(format!("no entry of {transaction}")) }
        })
        .await
    }
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// Status and stable code of a problem (RFC 9457).
    pub fn problem(&self) -> (u16, String) {
        let media_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        assert_eq!(media_type, Some("application/problem+json"), "{}", self.text());
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The link that a publication made.
    pub fn link(&self) -> LinkId {
        self.json()["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no link: {}", self.text()))
    }

    /// The transaction of an opening, permitted or denied.
    pub fn opening(&self) -> TransactionId {
        let named = self.headers.get("Opening-Transaction").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let named = named.unwrap_or_else(|| self.json()["opening"].as_str().unwrap_or_default().to_owned());
        named.parse().unwrap_or_else(|_| panic!("no opening: {}", self.text()))
    }
}

/// Asks until the answer is the one wanted, as somebody would who is told to come again; fails after half a minute.
pub async fn until<T, F: Future<Output = Result<T, String>>>(what: &str, ask: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(reason) if begun.elapsed() > Duration::from_secs(30) => panic!("{what}: after 30 s still {reason}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Hexadecimal SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(openssl::sha::sha256(bytes))
}

fn client(access: &MemberAccess, files: Option<(&std::path::Path, &std::path::Path)>) -> Client {
    let root = fs::read(&access.tls_root).expect("the network wrote its TLS root");
    let mut builder = Client::builder()
        .tls_certs_only([Certificate::from_pem(&root).expect("a TLS root is PEM")])
        .timeout(Duration::from_secs(60));
    if let Some((certificate, key)) = files {
        let pem = [fs::read(certificate), fs::read(key)].map(|file| file.expect("the network wrote the certificate"));
        builder = builder.identity(Identity::from_pem(&pem.concat()).expect("certificate and key are PEM"));
    }
    builder.build().expect("the client's TLS configuration is complete")
}
