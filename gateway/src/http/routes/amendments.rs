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
use crate::http::incoming::Incoming;
use crate::http::input::{self, Path, Query};
use crate::http::problem::{AmendProblems, Problem};
use crate::http::repeatable;
use crate::state::uploads::UploadId;
use crate::use_cases::amend_link::{
    Draft, Proposed, Prospect, amend_link, compose, may_amend, require_facts, will_amend,
};
use crate::use_cases::sign_elsewhere::Purpose::Write;
use crate::use_cases::upload::settle;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposeQuery {
    base_version: u32,
    reason: Reason,
    upload: Option<UploadId>,
}

/// Propose a record's next version
///
/// Encrypts the body, keeps it in this organisation's store, and proposes it as the version that follows `base_version`, sealed to the
/// patient and to whoever is entitled. Instead of a body it may name an upload of the member's that is whole. It takes effect when enough
/// of the other care organisations approve it. The same request again, with the same Idempotency-Key, proposes nothing new and answers 200.
#[utoipa::path(post, path = "/v1/links/{link}/amendments",
    operation_id = "proposeAmendment", tag = "amendments",
    params(
        ("link" = String, Path, description = "Which link"),
        ("base_version" = u32, Query, description = "The version that is followed: the link's current one"),
        ("reason" = String, Query, description = "Why; stays on the ledger for ever"),
        ("upload" = Option<String>, Query, description = "The upload that is the version, instead of a body"),
        ("Repr-Digest" = Option<String>, Header, description = "What the version's bytes have to be: `sha-256` or `sha-512` (RFC 9530)"),
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
    let ProposeQuery { base_version, reason, upload } = query;
    let Incoming { media_type, bytes, upload, used_for } =
        Incoming::of(&gateway, &member, upload, &headers, body).await?;
    let draft = Draft { link, base_version, reason, media_type };
    if Signing::of(&headers)? == Signing::Elsewhere {
        let (id, sealing) = will_amend(&gateway, &member, key, &draft).await?;
        let (call, _) = compose(&gateway, &id, sealing, draft, bytes).await?;
        let argument = serde_json::to_vec(&call).expect("ids, texts and numbers always serialise");
        let telling = Telling::Amendment { upload };
        return ask_to_sign(&gateway, &member, Write, "Amendments:propose", vec![argument], &telling).await;
    }
    // What may not be proposed is refused before the record is taken.
    let prospect = may_amend(&gateway, &member, key, &draft).await?;
    if let (Prospect::Proposed(amendment, _), Some(used_for)) = (&prospect, &used_for)
        && amendment.id.as_str() == used_for
    {
        require_facts(&gateway, amendment, &draft)?;
        return Ok(repeatable::marked_replayed(proposed(StatusCode::OK, Amendment::clone(amendment))));
    }
    let amended = amend_link(&gateway, &member, prospect, draft, bytes).await?;
    if let (Some(upload), Proposed::Now(amendment) | Proposed::Before(amendment)) = (&upload, &amended) {
        settle(&gateway, upload, amendment.id.as_str()).await;
    }
    match amended {
        Proposed::Now(amendment) => Ok(proposed(StatusCode::CREATED, amendment)),
        Proposed::Before(amendment) => Ok(repeatable::marked_replayed(proposed(StatusCode::OK, amendment))),
    }
}

/// Tells the answer to a proposal that was signed elsewhere.
pub(crate) async fn tell(gateway: &Gateway, upload: Option<&UploadId>, answer: &[u8]) -> Result<Response, Problem> {
    let amendment: Amendment =
        serde_json::from_slice(answer).map_err(|error| Failure::Unintelligible(error.to_string()))?;
    if let Some(upload) = upload {
        settle(gateway, upload, amendment.id.as_str()).await;
    }
    Ok(proposed(StatusCode::CREATED, amendment))
}

fn proposed(status: StatusCode, amendment: Amendment) -> Response {
    let location = [(header::LOCATION, format!("/v1/amendments/{}", amendment.id))];
    (status, location, Json(amendment)).into_response()
}
