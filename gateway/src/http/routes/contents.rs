use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use healthchain_rules::{LinkId, TransactionId};
use serde::Deserialize;

use crate::gateway::Gateway;
use crate::http::caller::GatewayCaller;
use crate::http::input::{Path, Query};
use crate::http::problem::{ContentProblems, Problem};
use crate::use_cases::serve_content::serve_content;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContentQuery {
    opening: TransactionId,
}

/// The encrypted content of a link's version
///
/// For the gateways of other organisations. Given out only for a committed, permitted opening of this link and version by the
/// organisation that asks, not older than five minutes. Each transfer is logged.
#[utoipa::path(get, path = "/v1/contents/{link}/{version}",
    operation_id = "content", tag = "between gateways",
    params(
        ("link" = String, Path),
        ("version" = u32, Path),
        ("opening" = String, Query, description = "Transaction id of the opening"),
    ),
    responses(
        (status = 200, description = "Compact JWE (dir, A256GCM)", content_type = "application/jose"),
        ContentProblems,
    ))]
pub(crate) async fn content(
    State(gateway): State<Arc<Gateway>>,
    GatewayCaller(asking): GatewayCaller,
    Path((link, version)): Path<(LinkId, u32)>,
    Query(ContentQuery { opening }): Query<ContentQuery>,
) -> Result<Response, Problem> {
    let content = serve_content(&gateway, &asking, &link, version, &opening).await?;
    let headers = [(header::CONTENT_TYPE, "application/jose"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, content).into_response())
}
