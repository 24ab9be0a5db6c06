//! What a request carries, parsed at the edge; what does not parse is answered with a problem.

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use healthchain_rules::MediaType;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{
    BODY_TOO_LARGE, IDEMPOTENCY_KEY_MISSING, JSON_EXPECTED, MALFORMED_BODY, MALFORMED_PATH, MALFORMED_QUERY,
    MEDIA_TYPE_NOT_A_RECORD, Problem, RECORD_EMPTY, RECORD_TOO_LARGE,
};

/// The ids of the path.
pub(crate) struct Path<T>(pub(crate) T);

/// The query.
pub(crate) struct Query<T>(pub(crate) T);

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|error| Problem::new(MALFORMED_PATH).because(error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error| Problem::new(MALFORMED_QUERY).because(error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = |error: &JsonRejection| match error {
            JsonRejection::MissingJsonContentType(_) => JSON_EXPECTED,
            error if error.status() == StatusCode::PAYLOAD_TOO_LARGE => BODY_TOO_LARGE,
            _ => MALFORMED_BODY,
        };
        let json = axum::Json::from_request(request, state).await;
        json.map(|json| Self(json.0)).map_err(|error| Problem::new(kind(&error)).because(error.body_text()))
    }
}

/// A body that is a JSON object, or nothing.
pub(crate) async fn optional_object(request: Request) -> Result<Map<String, Value>, Problem> {
    let media_type = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let is_json = media_type.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let is_json = is_json.map(|kind| kind == "application/json");
    if is_json == Some(false) {
        return Err(JSON_EXPECTED.into());
    }
    let body = Bytes::from_request(request, &()).await.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(BODY_TOO_LARGE),
        _ => Problem::new(MALFORMED_BODY).because(error.body_text()),
    })?;
    match (body.is_empty(), is_json) {
        (true, _) => Ok(Map::new()),
        (false, None) => Err(JSON_EXPECTED.into()),
        (false, _) => serde_json::from_slice(&body).map_err(|error| Problem::new(MALFORMED_BODY).because(error)),
    }
}

/// Refuses a record that is announced to be larger than `limit` bytes.
pub(crate) fn require_length_within(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    if announced(headers).is_some_and(|length| length > limit as u64) { Err(too_large(limit)) } else { Ok(()) }
}

/// Reads a record, at most `limit` bytes. It is held in memory whole.
pub(crate) async fn record(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    require_length_within(headers, limit)?;
    let mut record = BytesMut::with_capacity(announced(headers).unwrap_or(0) as usize);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::new(MALFORMED_BODY).because(error))?;
        if record.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        record.extend_from_slice(&chunk);
    }
    if record.is_empty() { Err(RECORD_EMPTY.into()) } else { Ok(record.freeze()) }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(RECORD_TOO_LARGE).because(format!("at most {limit} bytes"))
}

/// The record's media type. Forms are refused: what arrives then is not the record but its wrapping, and a form is what curl
/// claims to send when it is not told otherwise.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let refused = |reason: &str| Problem::new(MEDIA_TYPE_NOT_A_RECORD).because(reason);
    let text = headers.get(header::CONTENT_TYPE).ok_or_else(|| refused("there is no Content-Type"))?;
    let text: String = text.to_str().unwrap_or_default().chars().filter(|letter| *letter != ' ').collect();
    let text = text.to_ascii_lowercase();
    if text.starts_with("multipart/") || text.starts_with("application/x-www-form-urlencoded") {
        return Err(refused(&text));
    }
    MediaType::try_from(text).map_err(|error| refused(&error.to_string()))
}

/// The key under which a repeated request is recognised, if it has one.
pub(crate) fn optional_idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if headers.contains_key("idempotency-key") { idempotency_key(headers).map(Some) } else { Ok(None) }
}

/// The key under which a repeated request is recognised.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let is_key = (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(key) } else { Err(IDEMPOTENCY_KEY_MISSING.into()) }
}
