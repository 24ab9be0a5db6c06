//! What browsers ask for: pages of other sites (CORS, WHATWG Fetch), and short answers.
//!
//! Compression is for JSON only: never for records, whose bytes go out as they were published, and never for an answer that says
//! `no-store`, as those with a token, a key or an envelope do. The length of a compressed secret beside what an attacker chooses tells
//! of the secret (the BREACH attack).

use std::time::Duration;

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate as _, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::configuration::CorsConfiguration;

/// Shorter answers are sent as they are.
const SHORT: u64 = 512;
/// How long a browser need not ask again whether it may ask.
const PREFLIGHT: Duration = Duration::from_secs(10 * 60);

/// What their pages may send, besides what any page may.
const SENT: &[&str] = &[
    "authorization",
    "content-type",
    "dpop",
    "healthchain-signing",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "if-range",
    "last-event-id",
    "prefer",
    "range",
    "repr-digest",
    "traceparent",
    "tus-resumable",
    "upload-checksum",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "x-request-id",
];
/// What their pages may read of an answer, besides what any page may.
const READ: &[&str] = &[
    "accept-ranges",
    "content-location",
    "content-range",
    "etag",
    "healthchain-ledger",
    "idempotency-replayed",
    "link",
    "location",
    "opening-transaction",
    "preference-applied",
    "ratelimit",
    "ratelimit-policy",
    "repr-digest",
    "retry-after",
    "tus-resumable",
    "tus-version",
    "upload-expires",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "www-authenticate",
    "x-request-id",
];

/// Other sites whose pages may use this gateway.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<HeaderValue>);

impl Origins {
    /// As configured.
    pub fn new(cors: &CorsConfiguration) -> Self {
        Self(cors.origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect())
    }

    /// Whether the page that sends this is on one of these sites.
    pub(crate) fn include(&self, headers: &HeaderMap) -> bool {
        headers.get(header::ORIGIN).is_some_and(|origin| self.0.contains(origin))
    }

    /// Tells browsers so.
    pub(crate) fn layer(&self) -> CorsLayer {
        let named = |names: &[&'static str]| names.iter().copied().map(HeaderName::from_static).collect::<Vec<_>>();
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.iter().cloned()))
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(named(SENT))
            .expose_headers(named(READ))
            .allow_credentials(true)
            .max_age(PREFLIGHT)
    }
}

type Test = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// gzip and Brotli, for what may be compressed.
pub(crate) fn compression() -> CompressionLayer<And<SizeAbove, Test>> {
    CompressionLayer::new().compress_when(SizeAbove::new(SHORT).and(may_be_compressed as Test))
}

fn may_be_compressed(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let says = |name, text: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(text))
    };
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    is_json && !says(header::CACHE_CONTROL, "no-store")
}

/// Whether this may stand in the log and in the answer as a request's id: short, and nothing but letters, digits, `-`, `_` and `.`.
pub(crate) fn is_request_id(id: &HeaderValue) -> bool {
    let visible = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=64).contains(&id.len()) && id.as_bytes().iter().all(visible)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// The names of all headers that `openapi.json` describes: of requests, and of answers.
    fn described() -> [BTreeSet<String>; 2] {
        let document = crate::http::router::openapi_document();
        let (mut sent, mut read) = (BTreeSet::new(), BTreeSet::new());
        let operations = document["paths"].as_object().unwrap().values().filter_map(Value::as_object);
        for operation in operations.flat_map(|path| path.values()) {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let headers = parameters.filter(|parameter| parameter["in"] == "header");
            sent.extend(headers.map(|header| header["name"].as_str().unwrap().to_ascii_lowercase()));
            let answers = operation["responses"].as_object().into_iter().flat_map(|answers| answers.values());
            let headers = answers.filter_map(|answer| match answer["$ref"].as_str() {
                Some(place) => document.pointer(place.trim_start_matches('#'))?["headers"].as_object(),
                None => answer["headers"].as_object(),
            });
            read.extend(headers.flat_map(|headers| headers.keys()).map(|name| name.to_ascii_lowercase()));
        }
        [sent, read]
    }

    /// Found with a browser: no page could ask for what it was to sign, for the header that says so was none that it may send.
    #[test]
    fn pages_of_other_sites_may_send_and_read_every_header_that_is_described() {
        let [sent, read] = described();
        assert!(sent.contains("idempotency-key") && read.contains("retry-after"), "{sent:?} {read:?}");
        for (described, allowed) in [(sent, SENT), (read, READ)] {
            let missing: Vec<_> = described.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
        assert!(SENT.contains(&crate::http::detached::HEADER));
    }
}
