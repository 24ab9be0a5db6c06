//! Mutual TLS to the publisher's gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use rustls::RootCertStore;
use serde::Deserialize;

use super::{ContentRequest, Contents, ContentsError};
use crate::configuration::Configuration;
use crate::observe::observe;
use crate::telemetry::trace_headers;
use crate::tls::{OwnCertificate, TlsError, roots};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence in the middle of a transfer.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// As much of a refusal as is read.
const PROBLEM_BYTES: usize = 64 << 10;

/// One HTTP client an organisation, which trusts that organisation's TLS authority and no other.
pub struct HttpsContents {
    clients: BTreeMap<String, reqwest::Client>,
}

impl HttpsContents {
    /// Clients for the organisations of the configuration.
    pub fn load(configuration: &Configuration, own: &OwnCertificate) -> Result<Self, TlsError> {
        let others = configuration.organisations.iter();
        let others = others.map(|other| Ok((other.msp_id.clone(), roots(&other.tls_root)?)));
        Self::new(own, others.collect::<Result<Vec<_>, TlsError>>()?)
    }

    /// Clients for these organisations (MSP id, TLS authority).
    pub fn new(
        own: &OwnCertificate,
        others: impl IntoIterator<Item = (String, RootCertStore)>,
    ) -> Result<Self, TlsError> {
        let clients = others.into_iter().map(|(msp_id, roots)| {
            let failed = |reason: String| TlsError::Material { file: format!("client for {msp_id}"), reason };
            let tls = own.client(roots).map_err(|error| failed(error.to_string()))?;
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .https_only(true)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .build()
                .map_err(|error| failed(error.to_string()))?;
            Ok((msp_id, client))
        });
        Ok(Self { clients: clients.collect::<Result<_, TlsError>>()? })
    }
}

impl Contents for HttpsContents {
    fn fetch<'a>(&'a self, request: ContentRequest<'a>) -> BoxFuture<'a, Result<Bytes, ContentsError>> {
        Box::pin(observe("contents", "fetch", async move {
            let publisher = request.publisher.to_owned();
            let Some(client) = self.clients.get(request.publisher) else {
                return Err(ContentsError::UnknownOrganisation(publisher));
            };
            let unreachable = |error: &(dyn std::error::Error + 'static)| {
                ContentsError::Unreachable(publisher.clone(), innermost(error).to_string())
            };
            let mut url = request.url.clone();
            url.query_pairs_mut().append_pair("opening", request.opening);

            let response =
                client.get(url).headers(trace_headers()).send().await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            if status.is_success() {
                let length = usize::try_from(request.length).unwrap_or(usize::MAX);
                return match body(response, length).await.map_err(|error| unreachable(&error))? {
                    Some(content) => Ok(content),
                    None => Err(ContentsError::TooLong(publisher)),
                };
            }
            let refusal = body(response, PROBLEM_BYTES).await.ok().flatten().unwrap_or_default();
            let refusal: RemoteProblem = serde_json::from_slice(&refusal).unwrap_or_default();
            match refusal.code.as_deref() {
                Some("record-lost") => Err(ContentsError::Lost(publisher)),
                Some(code) if !status.is_server_error() => Err(ContentsError::Refused(publisher, code.to_owned())),
                code => Err(ContentsError::Unreachable(publisher, code.unwrap_or(status.as_str()).to_owned())),
            }
        }))
    }
}

#[derive(Default, Deserialize)]
struct RemoteProblem {
    code: Option<String>,
}

/// The whole body, or nothing when it is longer than `limit`.
async fn body(mut response: reqwest::Response, limit: usize) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
