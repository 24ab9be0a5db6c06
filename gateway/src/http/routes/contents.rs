use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_rules::{LinkId, TransactionId};
use serde::Deserialize;

use crate::content::parts::Place;
use crate::gateway::Gateway;
use crate::http::caller::GatewayCaller;
use crate::http::input::{self, Path, Query};
use crate::http::problem::{ContentProblems, Problem};
use crate::use_cases::serve_content::{ServedContent, serve_content};
use crate::use_cases::serve_replica::serve_replica;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContentQuery {
    opening: Option<TransactionId>,
}

/// The encrypted content of a link's version
///
/// For the gateways of other organisations. Given out, by the publisher's gateway and by those of its custodians that keep a copy, only for
/// a committed, permitted opening of this link and version by the organisation that asks, not older than five minutes; between a
/// publisher and its custodian without one. Each transfer is logged.
#[utoipa::path(get, path = "/v1/contents/{link}/{version}",
    operation_id = "content", tag = "between gateways",
    params(
        ("link" = String, Path),
        ("version" = u32, Path),
        ("opening" = Option<String>, Query, description = "Transaction id of the opening; none between a publisher and its custodian"),
        ("Range" = Option<String>, Header, description = "One range of bytes of the content"),
    ),
    responses(
        (status = 200, description = "A compact JWE (dir, A256GCM), or several, one a line: docs/record-format.md",
            content_type = "application/jose"),
        (status = 206, description = "The bytes that the Range header wants", content_type = "application/jose"),
        ContentProblems,
    ))]
pub(crate) async fn content(
    State(gateway): State<Arc<Gateway>>,
    GatewayCaller(asking): GatewayCaller,
    Path((link, version)): Path<(LinkId, u32)>,
    Query(ContentQuery { opening }): Query<ContentQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = input::range(&headers, None);
    let content = match opening {
        Some(opening) => serve_content(&gateway, &asking, &link, version, &opening, wanted).await?,
        None => serve_replica(&gateway, &asking, Place { link: &link, version }, wanted).await?,
    };
    Ok(encrypted(content, wanted.is_some()))
}

/// An encrypted content, or a range of it, as an answer.
pub(super) fn encrypted(content: ServedContent, is_partial: bool) -> Response {
    let ServedContent { length, range, bytes } = content;
    let headers = [(header::CONTENT_TYPE, "application/jose"), (header::CACHE_CONTROL, "no-store")];
    let body = Body::from_stream(bytes);
    if !is_partial {
        // Without a length: what the store holds is sent as it is, and whoever asked knows from the ledger how long it must be.
        return (headers, body).into_response();
    }
    let size = [(header::CONTENT_LENGTH, (range.end - range.start).to_string())];
    let range = [(header::CONTENT_RANGE, input::content_range(&range, length))];
    (StatusCode::PARTIAL_CONTENT, headers, size, range, body).into_response()
}
