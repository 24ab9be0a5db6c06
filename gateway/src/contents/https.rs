//! Mutual TLS to another organisation's gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use reqwest::{StatusCode, header};
use rustls::RootCertStore;
use serde::Deserialize;

use super::{ContentBytes, ContentRequest, Contents, ContentsError};
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
    fn fetch<'a>(&'a self, request: ContentRequest<'a>) -> BoxFuture<'a, Result<ContentBytes, ContentsError>> {
        Box::pin(observe("contents", "fetch", async move {
            let holder = request.holder.to_owned();
            let Some(client) = self.clients.get(request.holder) else {
                return Err(ContentsError::UnknownOrganisation(holder));
            };
            let mut url = request.url.clone();
            if let Some(opening) = request.opening {
                url.query_pairs_mut().append_pair("opening", opening);
            }

            let mut asking = client.get(url).headers(trace_headers());
            if let Some(range) = &request.range {
                asking = asking.header(header::RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            }
            let response = asking.send().await.map_err(|error| unreachable(&holder, &error))?;
            let status = response.status();
            let expected = if request.range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
            if status == expected {
                let most = request.range.map_or(request.length, |range| range.end - range.start);
                return Ok(bounded(response, holder, most));
            }
            let refusal = body(response, PROBLEM_BYTES).await.ok().flatten().unwrap_or_default();
            let refusal: RemoteProblem = serde_json::from_slice(&refusal).unwrap_or_default();
            match refusal.code.as_deref() {
                Some("record-lost") => Err(ContentsError::Lost(holder)),
                Some(code) if !status.is_server_error() => Err(ContentsError::Refused(holder, code.to_owned())),
                code => Err(ContentsError::Unreachable(holder, code.unwrap_or(status.as_str()).to_owned())),
            }
        }))
    }
}

/// The body as it comes, until it is longer than it may be.
fn bounded(response: reqwest::Response, holder: String, most: u64) -> ContentBytes {
    let mut left = most;
    let chunks = response.bytes_stream().map(move |chunk| {
        let chunk = chunk.map_err(|error| unreachable(&holder, &error))?;
        left = left.checked_sub(chunk.len() as u64).ok_or_else(|| ContentsError::TooLong(holder.clone()))?;
        Ok(chunk)
    });
    chunks.boxed()
}

fn unreachable(holder: &str, error: &(dyn std::error::Error + 'static)) -> ContentsError {
    ContentsError::Unreachable(holder.to_owned(), innermost(error).to_string())
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
