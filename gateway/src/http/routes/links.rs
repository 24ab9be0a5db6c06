use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_rules::{Category, Link, MemberId};
use serde::Deserialize;

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::detached::{Signing, Telling, ask_to_sign};
use crate::http::incoming::Incoming;
use crate::http::input::{self, Query};
use crate::http::problem::{Problem, PublishProblems};
use crate::http::repeatable;
use crate::state::uploads::UploadId;
use crate::use_cases::share_link::{
    Prospect, Record, Shared, compose, may_share, require_facts, share_link, will_share,
};
use crate::use_cases::sign_elsewhere::Purpose::Write;
use crate::use_cases::upload::settle;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishQuery {
    patient: MemberId,
    category: Category,
    upload: Option<UploadId>,
}

/// Publish a record
///
/// Encrypts the body, keeps it in this organisation's store, and publishes a link to it, sealed to the patient and to whoever is
/// entitled. Instead of a body it may name an upload of the member's that is whole. The same request again, with the same Idempotency-Key, publishes nothing new and answers 200.
#[utoipa::path(post, path = "/v1/links",
    operation_id = "publishLink", tag = "links",
    params(
        ("patient" = String, Query, description = "Whose record: a member id"),
        ("category" = String, Query, description = "What kind of record"),
        ("upload" = Option<String>, Query, description = "The upload that is the record, instead of a body"),
        ("Repr-Digest" = Option<String>, Header, description = "What the record's bytes have to be: `sha-256` or `sha-512` (RFC 9530)"),
        ("Idempotency-Key" = String, Header, description = "1 to 128 visible characters, the same for a repeated request"),
    ),
    request_body(content_type = "*/*", description = "The record's bytes; Content-Type is the record's media type"),
    responses(
        (status = 201, description = "Published", body = ref("#/components/schemas/Link"), headers(("Location" = String))),
        (status = 200, description = "Published before, by the same request", body = ref("#/components/schemas/Link"),
            headers(("Location" = String))),
        PublishProblems,
    ))]
pub(crate) async fn publish(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Query(query): Query<PublishQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = input::idempotency_key(&headers)?;
    let PublishQuery { patient, category, upload } = query;
    let Incoming { media_type, bytes, upload, used_for } =
        Incoming::of(&gateway, &member, upload, &headers, body).await?;
    if Signing::of(&headers)? == Signing::Elsewhere {
        let (id, recipients) = will_share(&gateway, &member, key, &patient, category).await?;
        let record = Record { patient, category, media_type, bytes };
        let (call, _) = compose(&gateway, &id, recipients, record).await?;
        let argument = serde_json::to_vec(&call).expect("ids, texts and numbers always serialise");
        let telling = Telling::Publication { upload };
        return ask_to_sign(&gateway, &member, Write, "Links:publish", vec![argument], &telling).await;
    }
    // Who may not publish is refused before the record is taken.
    let prospect = may_share(&gateway, &member, key, &patient, category).await?;
    if let (Prospect::Published(link), Some(used_for)) = (&prospect, &used_for)
        && link.id.as_str() == used_for
    {
        require_facts(&gateway, link, &patient, category, &media_type)?;
        return Ok(repeatable::marked_replayed(published(StatusCode::OK, Link::clone(link))));
    }
    let record = Record { patient, category, media_type, bytes };
    let shared = share_link(&gateway, &member, prospect, record).await?;
    if let (Some(upload), Shared::Now(link) | Shared::Before(link)) = (&upload, &shared) {
        settle(&gateway, upload, link.id.as_str()).await;
    }
    match shared {
        Shared::Now(link) => Ok(published(StatusCode::CREATED, link)),
        Shared::Before(link) => Ok(repeatable::marked_replayed(published(StatusCode::OK, link))),
    }
}

/// Tells the answer to a publication that was signed elsewhere.
pub(crate) async fn tell(gateway: &Gateway, upload: Option<&UploadId>, answer: &[u8]) -> Result<Response, Problem> {
    let link: Link = serde_json::from_slice(answer).map_err(|error| Failure::Unintelligible(error.to_string()))?;
    if let Some(upload) = upload {
        settle(gateway, upload, link.id.as_str()).await;
    }
    Ok(published(StatusCode::CREATED, link))
}

fn published(status: StatusCode, link: Link) -> Response {
    let location = [(header::LOCATION, format!("/v1/links/{}", link.id))];
    (status, location, Json(link)).into_response()
}
