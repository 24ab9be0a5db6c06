use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_rules::{Amendment, LinkId, Reason};
use serde::Deserialize;

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::detached::{Signing, Telling, ask_to_sign};
use crate::http::input::{self, Path, Query};
use crate::http::problem::{AmendProblems, Problem};
use crate::http::repeatable;
use crate::use_cases::amend_link::{Draft, Proposed, amend_link, compose, may_amend, will_amend};
use crate::use_cases::sign_elsewhere::Purpose::Write;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposeQuery {
    base_version: u32,
    reason: Reason,
}

/// Propose a record's next version
///
/// Encrypts the body, keeps it in this organisation's store, and proposes it as the version that follows `base_version`, sealed to the
/// patient and to whoever is entitled. It takes effect when enough of the other care organisations approve it. The same request again,
/// with the same Idempotency-Key, proposes nothing new and answers 200.
#[utoipa::path(post, path = "/v1/links/{link}/amendments",
    operation_id = "proposeAmendment", tag = "amendments",
    params(
        ("link" = String, Path, description = "Which link"),
        ("base_version" = u32, Query, description = "The version that is followed: the link's current one"),
        ("reason" = String, Query, description = "Why; stays on the ledger for ever"),
        ("Idempotency-Key" = String, Header, description = "1 to 128 visible characters, the same for a repeated request"),
    ),
    request_body(content_type = "*/*", description = "The version's bytes; Content-Type is its media type"),
    responses(
        (status = 201, description = "Proposed, and in effect if nobody is to be asked", body = ref("#/components/schemas/Amendment"),
            headers(("Location" = String))),
        (status = 200, description = "Proposed before, by the same request", body = ref("#/components/schemas/Amendment"),
            headers(("Location" = String))),
        AmendProblems,
    ))]
pub(crate) async fn propose(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(link): Path<LinkId>,
    Query(query): Query<ProposeQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = input::idempotency_key(&headers)?;
    let media_type = input::media_type(&headers)?;
    let ProposeQuery { base_version, reason } = query;
    let draft = Draft { link, base_version, reason, media_type };
    input::require_length_within(&headers, gateway.max_record_bytes)?;
    if Signing::of(&headers)? == Signing::Elsewhere {
        let (id, sealing) = will_amend(&gateway, &member, key, &draft).await?;
        let bytes = input::record(body, gateway.max_record_bytes);
        let (call, _) = compose(&gateway, &id, sealing, draft, bytes).await?;
        let argument = serde_json::to_vec(&call).expect("ids, texts and numbers always serialise");
        return ask_to_sign(&gateway, &member, Write, "Amendments:propose", vec![argument], &Telling::Amendment).await;
    }
    // What may not be proposed is refused before the record is taken.
    let prospect = may_amend(&gateway, &member, key, &draft).await?;
    let bytes = input::record(body, gateway.max_record_bytes);
    match amend_link(&gateway, &member, prospect, draft, bytes).await? {
        Proposed::Now(amendment) => Ok(proposed(StatusCode::CREATED, amendment)),
        Proposed::Before(amendment) => Ok(repeatable::marked_replayed(proposed(StatusCode::OK, amendment))),
    }
}

/// Tells the answer to a proposal that was signed elsewhere.
pub(crate) fn tell(answer: &[u8]) -> Result<Response, Problem> {
    let amendment = serde_json::from_slice(answer).map_err(|error| Failure::Unintelligible(error.to_string()))?;
    Ok(proposed(StatusCode::CREATED, amendment))
}

fn proposed(status: StatusCode, amendment: Amendment) -> Response {
    let location = [(header::LOCATION, format!("/v1/amendments/{}", amendment.id))];
    (status, location, Json(amendment)).into_response()
}
