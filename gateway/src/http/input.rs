//! What a request carries, parsed at the edge; what does not parse is answered with a problem.

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt as _;
use healthchain_rules::MediaType;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{
    BODY_TOO_LARGE, IDEMPOTENCY_KEY_MISSING, JSON_EXPECTED, MALFORMED_BODY, MALFORMED_PATH, MALFORMED_QUERY,
    MEDIA_TYPE_NOT_A_RECORD, Problem,
};
use crate::failure::Failure;
use crate::use_cases::read_record::Wanted;
use crate::use_cases::store_record::RecordBytes;

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
    let too_large = announced(headers).is_some_and(|length| length > limit as u64);
    if too_large { Err(Failure::RecordTooLarge(limit).into()) } else { Ok(()) }
}

/// A record as it arrives, at most `limit` bytes.
pub(crate) fn record(body: Body, limit: usize) -> RecordBytes {
    let mut left = limit;
    let chunks = body.into_data_stream().map(move |chunk| {
        let chunk = chunk.map_err(|error| Failure::RecordBroken(error.to_string()))?;
        left = left.checked_sub(chunk.len()).ok_or(Failure::RecordTooLarge(limit))?;
        Ok(chunk)
    });
    chunks.boxed()
}

/// The one range of bytes that a request wants (RFC 9110, 14.2). A header that is not understood, or wants several ranges, is passed
/// over, as RFC 9110 allows, and so is one that holds for another state than this (`If-Range`).
pub(crate) fn range(headers: &HeaderMap, etag: Option<&str>) -> Option<Wanted> {
    let condition = headers.get(header::IF_RANGE).map(|value| value.to_str().ok());
    if condition.is_some_and(|condition| condition.is_none() || condition != etag) {
        return None;
    }
    Wanted::parse(headers.get(header::RANGE)?.to_str().ok()?)
}

/// A range as `Content-Range` says it.
pub(crate) fn content_range(range: &std::ops::Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

/// The body's length as the request announces it.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The record's media type. Forms are refused: what arrives then is not the record but its wrapping, and a form is what curl
/// claims to send when it is not told otherwise.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let refused = |reason: &str| Problem::new(MEDIA_TYPE_NOT_A_RECORD).because(reason);
    let text = headers.get(header::CONTENT_TYPE).ok_or_else(|| refused("there is no Content-Type"))?;
    record_media_type(text.to_str().unwrap_or_default())
}

/// A media type that a record may have.
pub(crate) fn record_media_type(text: &str) -> Result<MediaType, Problem> {
    let refused = |reason: &str| Problem::new(MEDIA_TYPE_NOT_A_RECORD).because(reason);
    let text: String = text.chars().filter(|letter| *letter != ' ').collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(range: &str, condition: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        condition.map(|condition| headers.insert(header::IF_RANGE, condition.parse().unwrap()));
        headers
    }

    #[test]
    fn one_range_of_bytes_is_understood() {
        for (text, wanted) in [
            ("bytes=0-", Wanted::From(0)),
            ("bytes=5-9", Wanted::Between(5, 9)),
            ("bytes=7-7", Wanted::Between(7, 7)),
            ("bytes=-3", Wanted::Last(3)),
        ] {
            assert_eq!(range(&headers(text, None), None), Some(wanted), "{text}");
        }
    }

    #[test]
    fn any_other_range_is_passed_over() {
        for text in [
            "bytes=",
            "bytes=-",
            "bytes=9-5",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=a-b",
            "bytes=0-99999999999999999999",
        ] {
            assert_eq!(range(&headers(text, None), None), None, "{text}");
        }
    }

    #[test]
    fn a_range_of_another_state_is_passed_over() {
        let given = |condition| range(&headers("bytes=0-1", Some(condition)), Some("\"this\"")).is_some();
        assert!(given("\"this\"") && !given("\"that\"") && !given("W/\"this\""));
        assert!(!given("Mon, 23 Nov 2026 00:00:00 GMT"));
    }
}
