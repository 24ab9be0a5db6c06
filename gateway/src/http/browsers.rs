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

use super::tus;
use crate::configuration::CorsConfiguration;

/// Shorter answers are sent as they are.
const SHORT: u64 = 512;
/// How long a browser need not ask again whether it may ask.
const PREFLIGHT: Duration = Duration::from_secs(10 * 60);

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
        let sent = ["dpop", "idempotency-key", "prefer", "repr-digest", "traceparent", "x-request-id"];
        let sent = sent.map(HeaderName::from_static).into_iter();
        let sent = sent.chain([tus::RESUMABLE, tus::LENGTH, tus::OFFSET, tus::METADATA, tus::CHECKSUM]);
        let sent =
            [header::CONTENT_TYPE, header::AUTHORIZATION, header::IF_MATCH, header::IF_NONE_MATCH, header::RANGE]
                .into_iter()
                .chain(sent);
        let read = [
            "idempotency-replayed",
            "opening-transaction",
            "preference-applied",
            "ratelimit",
            "ratelimit-policy",
            "repr-digest",
            "x-request-id",
        ]
        .map(HeaderName::from_static);
        let read = read.into_iter().chain([
            tus::RESUMABLE,
            tus::KNOWN_VERSIONS,
            tus::LENGTH,
            tus::OFFSET,
            tus::METADATA,
            tus::EXPIRES,
        ]);
        let read = [header::ETAG, header::LINK, header::LOCATION, header::RETRY_AFTER, header::WWW_AUTHENTICATE]
            .into_iter()
            .chain(read);
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.iter().cloned()))
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(sent.collect::<Vec<_>>())
            .expose_headers(read.collect::<Vec<_>>())
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
