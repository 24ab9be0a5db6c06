//! Client of a Fabric CA server (version 1.5): enrolment, renewal, registration, revocation.
//!
//! Facts: `swagger/swagger-fabric-ca.json` and `util/util.go` (tokens) of hyperledger/fabric-ca.

mod error;
mod token;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_msp::{Certificate, SigningIdentity};
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, Url};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub use self::error::CaError;
pub use self::wire::{Attribute, AttributeRequest, Registration, Revocation, RevokedCertificate};
use self::wire::{EnrollmentRequest, EnrollmentResult, InfoResult, ListResult, RegistrationResult, RevocationResult};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One certificate authority of a Fabric CA server. Clones are cheap.
#[derive(Debug, Clone)]
pub struct CaClient {
    http: reqwest::Client,
    url: Url,
    name: Option<String>,
}

/// What a certificate shall have beside its key and name.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// A signing profile of the server, such as `tls`; its default one where absent.
    pub profile: Option<String>,
    /// Attributes to put into the certificate; the server's choice where absent.
    pub attributes: Option<Vec<AttributeRequest>>,
}

/// An authority about itself.
#[derive(Debug, Clone)]
pub struct CaInfo {
    /// Its name.
    pub name: String,
    /// Its certificates in PEM, its own first.
    pub chain: String,
    /// The server's version.
    pub version: String,
}

impl CaClient {
    /// The authority of this name on a server, or the server's default one. Secrets go there, so only `https` will do.
    pub fn new(url: &str, tls_root_pem: &[u8], name: Option<String>) -> Result<Self, CaError> {
        let url: Url = url.parse().map_err(|error| CaError::Setup(format!("{url:?} is no address: {error}")))?;
        if url.scheme() != "https" {
            return Err(CaError::Setup(format!("the address must begin with https:// but is {url}")));
        }
        let config = tls(tls_root_pem).map_err(CaError::Setup)?;
        let http = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().timeout(TIMEOUT).build();
        Ok(Self { http: http.map_err(|error| CaError::Setup(error.to_string()))?, url, name })
    }

    /// The authority of this name on the same server.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Asks the authority about itself; nobody has to be known to it.
    pub async fn info(&self) -> Result<CaInfo, CaError> {
        let result: InfoResult = self.call(Method::GET, "cainfo", Vec::new(), None).await?;
        Ok(CaInfo {
            chain: String::from_utf8(decode(&result.chain)?).map_err(|_| malformed("the chain is no PEM"))?,
            name: result.name,
            version: result.version,
        })
    }

    /// Exchanges the secret of a registration for a certificate. `request` is a PKCS#10 request in PEM whose common name is `id`.
    pub async fn enroll(&self, id: &str, secret: &str, request: &str, wishes: &Wishes) -> Result<Certificate, CaError> {
        let authorization = Zeroizing::new(format!("{id}:{secret}"));
        let authorization = Zeroizing::new(format!("Basic {}", STANDARD.encode(authorization.as_bytes())));
        let body = self.enrollment(request, wishes)?;
        self.certificate(self.call(Method::POST, "enroll", body, Some(authorization)).await?)
    }

    /// Has a new certificate issued for the identity's own key and name.
    pub async fn reenroll(&self, identity: &SigningIdentity, wishes: &Wishes) -> Result<Certificate, CaError> {
        let asking = identity.clone();
        let request = on_a_waiting_thread(move || Ok(asking.certification_request()?)).await?;
        let body = self.enrollment(&request, wishes)?;
        self.certificate(self.signed(identity, "reenroll", body).await?)
    }

    /// Makes somebody known; returns the secret with which they enrol. The registrar's attributes decide whether it may.
    pub async fn register(
        &self,
        registrar: &SigningIdentity,
        registration: &Registration,
    ) -> Result<Zeroizing<String>, CaError> {
        let result: RegistrationResult = self.signed(registrar, "register", json(registration)?).await?;
        Ok(Zeroizing::new(result.secret))
    }

    /// Revokes one certificate, or somebody with all certificates. Peers and gateways learn of it by the next revocation list.
    pub async fn revoke(
        &self,
        revoker: &SigningIdentity,
        revocation: &Revocation,
    ) -> Result<Vec<RevokedCertificate>, CaError> {
        let result: RevocationResult = self.signed(revoker, "revoke", json(revocation)?).await?;
        Ok(result.revoked.unwrap_or_default())
    }

    /// The list of all revoked certificates that have not expired, PEM. The identity needs the attribute `hf.GenCRL`.
    pub async fn revocation_list(&self, identity: &SigningIdentity) -> Result<String, CaError> {
        let result: ListResult = self.signed(identity, "gencrl", b"{}".to_vec()).await?;
        String::from_utf8(decode(&result.list)?).map_err(|_| malformed("the revocation list is no PEM"))
    }

    fn enrollment(&self, request: &str, wishes: &Wishes) -> Result<Vec<u8>, CaError> {
        json(&EnrollmentRequest {
            certificate_request: request,
            profile: wishes.profile.as_deref(),
            attr_reqs: wishes.attributes.as_deref(),
        })
    }

    fn certificate(&self, result: EnrollmentResult) -> Result<Certificate, CaError> {
        Certificate::from_pem(decode(&result.certificate)?).map_err(|error| malformed(&error.to_string()))
    }

    /// A call under an identity of the authority's own.
    async fn signed<T: DeserializeOwned>(
        &self,
        identity: &SigningIdentity,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, CaError> {
        let (identity, address) = (identity.clone(), self.address(path)?);
        let (token, body) = on_a_waiting_thread(move || {
            let token = token::token(&identity, "POST", &address, &body)?;
            Ok((Zeroizing::new(token), body))
        })
        .await?;
        self.call(Method::POST, path, body, Some(token)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        authorization: Option<Zeroizing<String>>,
    ) -> Result<T, CaError> {
        let mut request = self.http.request(method, self.address(path)?);
        if !body.is_empty() {
            request = request.body(body);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.as_str());
        }
        let response = request.send().await.map_err(CaError::unreachable)?;
        let status = response.status().as_u16();
        let answer = response.bytes().await.map_err(CaError::unreachable)?;
        wire::result(status, &answer)
    }

    /// The authority's name goes into the query, which tokens cover; bodies need not repeat it.
    fn address(&self, path: &str) -> Result<Url, CaError> {
        let mut url = self.url.join(&format!("/api/v1/{path}")).map_err(|error| CaError::Setup(error.to_string()))?;
        if let Some(name) = &self.name {
            url.query_pairs_mut().append_pair("ca", name);
        }
        Ok(url)
    }
}

fn tls(root_pem: &[u8]) -> Result<rustls::ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(root_pem) {
        let certificate = certificate.map_err(|error| format!("the TLS root: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the TLS root: {error}"))?;
    }
    if roots.is_empty() {
        return Err("the TLS root holds no certificate in PEM".into());
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// A device that holds a key may keep its thread waiting.
async fn on_a_waiting_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CaError> + Send + 'static,
) -> Result<T, CaError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| CaError::Setup(error.to_string()))?
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, CaError> {
    serde_json::to_vec(body).map_err(|error| CaError::Setup(error.to_string()))
}

fn decode(text: &str) -> Result<Vec<u8>, CaError> {
    STANDARD.decode(text).map_err(|_| malformed("what should be base64 is not"))
}

fn malformed(reason: &str) -> CaError {
    CaError::Unintelligible(reason.to_owned())
}
