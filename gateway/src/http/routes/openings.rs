use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthchain_interface::OpenLink;
use healthchain_rules::{LinkId, Purpose, TransactionId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{Json, Path};
use crate::http::problem::{OpeningProblems, Problem};
use crate::use_cases::open_link::open_link;

/// What a record is opened for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpeningRequest {
    /// For what; stays on the audit trail.
    purpose: Purpose,
    /// The emergency access that is claimed, if any.
    #[serde(default)]
    emergency: Option<TransactionId>,
}

/// Open a link
///
/// Commits the ledger's decision, then answers with the record's bytes under their own media type. A denial is committed, too,
/// and answered as a problem that names the opening.
#[utoipa::path(post, path = "/v1/links/{link}/openings",
    operation_id = "openLink", tag = "links", params(("link" = String, Path)),
    request_body(content = ref("#/components/schemas/OpeningRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "The record", content_type = "*/*", headers(
            ("Opening-Transaction" = String, description = "Transaction id of the committed opening"),
            ("Repr-Digest" = String, description = "SHA-256 of the record (RFC 9530)"),
        )),
        OpeningProblems,
    ))]
pub(crate) async fn open(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(link): Path<LinkId>,
    Json(OpeningRequest { purpose, emergency }): Json<OpeningRequest>,
) -> Result<Response, Problem> {
    let opened = open_link(&gateway, &member, &OpenLink { link, purpose, emergency }).await?;
    let digest = STANDARD.encode(openssl::sha::sha256(&opened.record));
    let headers = [
        (header::CONTENT_TYPE, opened.content.media_type.to_string()),
        (header::HeaderName::from_static("opening-transaction"), opened.opening.transaction.to_string()),
        (header::HeaderName::from_static("repr-digest"), format!("sha-256=:{digest}:")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        // A record is data: whatever its publisher calls it, no browser shall run it in this origin.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    Ok((headers, opened.record).into_response())
}
