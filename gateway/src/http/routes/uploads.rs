//! Resumable uploads: what the tus protocol asks for. How they are published, `links` and `amendments` say.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{self, Path};
use crate::http::problem::{INTERNAL, NewUploadProblems, Problem, UploadProblems};
use crate::http::tus;
use crate::state::uploads::UploadId;
use crate::use_cases::upload::{self, Chunk};

/// Begin an upload
///
/// For a record that is too large for one request over a bad line (tus 1.0.0). `Upload-Metadata` names the record's media type as
/// `filetype`. The upload is its member's alone, waits for a day (`Upload-Expires`), and is published by `POST /v1/links?upload=…` or
/// `POST /v1/links/{link}/amendments?upload=…`.
#[utoipa::path(post, path = "/v1/uploads",
    operation_id = "beginUpload", tag = "uploads",
    params(
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Length" = u64, Header, description = "Bytes that the record has"),
        ("Upload-Metadata" = String, Header, description = "`filetype` and the record's media type in base64; other pairs are given back"),
    ),
    responses(
        (status = 201, description = "Begun: send its bytes to Location",
            headers(("Location" = String), ("Upload-Offset" = u64), ("Upload-Expires" = String))),
        NewUploadProblems,
    ))]
pub(crate) async fn begin(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let proof = upload::may_upload(&gateway, &member).await?;
    tus::require_version(&headers)?;
    let begun = upload::begin(&gateway, &member, proof, tus::description(&headers)?).await?;
    let location = [(header::LOCATION, format!("/v1/uploads/{}", begun.id))];
    Ok((StatusCode::CREATED, location, tus::progress(&begun)).into_response())
}

/// How far an upload has come
#[utoipa::path(head, path = "/v1/uploads/{upload}",
    operation_id = "uploadProgress", tag = "uploads",
    params(("upload" = String, Path), ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses(
        (status = 200, description = "Go on at Upload-Offset",
            headers(("Upload-Offset" = u64), ("Upload-Length" = u64), ("Upload-Metadata" = String), ("Upload-Expires" = String))),
        UploadProblems,
    ))]
pub(crate) async fn progress(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    tus::require_version(&headers)?;
    let found = upload::find(&gateway, &member, &id).await?;
    let mut response = (StatusCode::OK, tus::progress(&found)).into_response();
    let told = response.headers_mut();
    told.insert(tus::LENGTH, found.length.into());
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(metadata) = upload::metadata(&gateway, &found).await? {
        let metadata = HeaderValue::try_from(metadata);
        told.insert(tus::METADATA, metadata.map_err(|error| Failure::Internal(error.to_string()))?);
    }
    Ok(response)
}

/// Go on with an upload
///
/// Takes the bytes from `Upload-Offset` on, which is where the upload has come to. When they break off, what came is kept, unless
/// `Upload-Checksum` speaks of all of them. Of two who go on at once the later one does.
#[utoipa::path(patch, path = "/v1/uploads/{upload}",
    operation_id = "continueUpload", tag = "uploads",
    params(
        ("upload" = String, Path),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Offset" = u64, Header, description = "Where these bytes begin"),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1`, `sha256` or `sha512`, a space, and these bytes' sum in base64"),
    ),
    request_body(content_type = "application/offset+octet-stream", description = "The next bytes"),
    responses(
        (status = 204, description = "Taken", headers(("Upload-Offset" = u64), ("Upload-Expires" = String))),
        UploadProblems,
    ))]
pub(crate) async fn proceed(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    tus::require_version(&headers)?;
    tus::require_offset_body(&headers)?;
    let chunk = Chunk {
        offset: tus::offset(&headers)?,
        length: input::announced(&headers),
        checksum: tus::checksum(&headers)?,
        bytes: input::record(body, gateway.max_record_bytes),
    };
    // A connection that breaks takes its request with it; what came is kept all the same.
    let (tracker, state) = (gateway.under_way.clone(), gateway);
    let taken = async move { upload::append(&state, &member, &id, chunk).await }.in_current_span();
    let upload = tracker.spawn(taken).await.map_err(|_| Problem::new(INTERNAL))??;
    Ok((StatusCode::NO_CONTENT, tus::progress(&upload)).into_response())
}

/// Give an upload up
///
/// What came of it is destroyed.
#[utoipa::path(delete, path = "/v1/uploads/{upload}",
    operation_id = "abandonUpload", tag = "uploads",
    params(("upload" = String, Path), ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses((status = 204, description = "Gone"), UploadProblems))]
pub(crate) async fn abandon(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    tus::require_version(&headers)?;
    upload::abandon(&gateway, &member, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
