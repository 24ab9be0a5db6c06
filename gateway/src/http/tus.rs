//! The tus protocol (version 1.0.0, <https://tus.io/protocols/resumable-upload>) as its headers have it. Offered are its core and the
//! extensions creation, expiration, checksum and termination; a method is what the request line says (no `X-HTTP-Method-Override`).

use std::time::{Duration, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthchain_rules::MediaType;

use super::input;
use super::problem::{Problem, TUS_HEADER, TUS_MEDIA_TYPE, TUS_VERSION};
use crate::digest::{Checksum, OF_UPLOADS};
use crate::state::uploads::Upload;
use crate::use_cases::upload::Description;

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: HeaderValue = HeaderValue::from_static("creation,expiration,checksum,termination");
/// Longest `Upload-Metadata` that is kept.
const METADATA_BYTES: usize = 1024;

pub(crate) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(crate) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(crate) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(crate) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(crate) const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub(crate) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(crate) const KNOWN_VERSIONS: HeaderName = HeaderName::from_static("tus-version");

/// Middleware: every answer about uploads names the protocol's version, and `OPTIONS` is told what there is of it.
pub(crate) async fn introduce(State(max_record_bytes): State<usize>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_about_uploads = path == "/v1/uploads" || path.starts_with("/v1/uploads/");
    let asks = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if is_about_uploads {
        let headers = response.headers_mut();
        headers.insert(RESUMABLE, VERSION);
        headers.insert(KNOWN_VERSIONS, VERSION);
        if asks {
            headers.insert("tus-extension", EXTENSIONS);
            headers.insert("tus-max-size", (max_record_bytes as u64).into());
            let algorithms = HeaderValue::try_from(OF_UPLOADS.join(","));
            headers.insert("tus-checksum-algorithm", algorithms.expect("names are visible letters"));
        }
    }
    response
}

/// Refuses a request of another version of the protocol, or of none.
pub(crate) fn require_version(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(RESUMABLE) == Some(&VERSION) { Ok(()) } else { Err(TUS_VERSION.into()) }
}

/// `Upload-Offset`.
pub(crate) fn offset(headers: &HeaderMap) -> Result<u64, Problem> {
    number(headers, &OFFSET)
}

/// `Upload-Checksum`, if there is one.
pub(crate) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Problem> {
    let Some(text) = headers.get(CHECKSUM) else { return Ok(None) };
    let checksum = text.to_str().ok().and_then(Checksum::of_upload);
    checksum.map(Some).ok_or_else(|| wrong(&CHECKSUM, "sha1, sha256 or sha512, a space, and the sum in base64"))
}

/// Refuses a body that is not said to be the next bytes of an upload.
pub(crate) fn require_offset_body(headers: &HeaderMap) -> Result<(), Problem> {
    let is_one = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/offset+octet-stream");
    if is_one { Ok(()) } else { Err(TUS_MEDIA_TYPE.into()) }
}

/// `Upload-Length`, and `Upload-Metadata`: pairs of a name and a value in base64. What counts is `filetype`, the record's media type; the
/// rest is given back.
pub(crate) fn description(headers: &HeaderMap) -> Result<Description, Problem> {
    let form = "filetype and the record's media type in base64, and what else you like, at most 1024 bytes";
    let text = headers.get(METADATA).and_then(|text| text.to_str().ok()).filter(|text| text.len() <= METADATA_BYTES);
    let pairs = text.map(|text| text.split(',').map(|pair| pair.trim().split_once(' ').unwrap_or((pair.trim(), ""))));
    let value = pairs.and_then(|mut pairs| pairs.find(|(name, _)| *name == "filetype"));
    let media_type = value.and_then(|(_, value)| String::from_utf8(STANDARD.decode(value).ok()?).ok());
    let (text, media_type) = text.zip(media_type).ok_or_else(|| wrong(&METADATA, form))?;
    let media_type: MediaType = input::record_media_type(&media_type)?;
    Ok(Description { length: number(headers, &LENGTH)?, media_type, metadata: text.to_owned() })
}

/// How far an upload is, and until when it waits for more.
pub(crate) fn progress(upload: &Upload) -> [(HeaderName, HeaderValue); 2] {
    let expires = UNIX_EPOCH + Duration::from_millis(upload.expires_at.milliseconds());
    let expires = HeaderValue::try_from(httpdate::fmt_http_date(expires)).expect("a date is visible letters");
    [(OFFSET, upload.received.into()), (EXPIRES, expires)]
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let text = headers.get(name).and_then(|text| text.to_str().ok());
    let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| wrong(name, "a number of bytes"))
}

fn wrong(name: &HeaderName, form: &str) -> Problem {
    Problem::new(TUS_HEADER).because(format_args!("{name}: {form}"))
}
