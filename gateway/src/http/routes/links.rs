use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_rules::{Category, MemberId};
use serde::Deserialize;

use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{self, Query};
use crate::http::problem::{Problem, PublishProblems};
use crate::use_cases::share_link::{Record, Shared, may_share, share_link};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishQuery {
    patient: MemberId,
    category: Category,
}

/// Publish a record
///
/// Encrypts the body, keeps it in this organisation's store, and publishes a link to it, sealed to the patient and to whoever is
/// entitled. The same request again, with the same Idempotency-Key, publishes nothing new and answers 200.
#[utoipa::path(post, path = "/v1/links",
    operation_id = "publishLink", tag = "links",
    params(
        ("patient" = String, Query, description = "Whose record: a member id"),
        ("category" = String, Query, description = "What kind of record"),
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
    let media_type = input::media_type(&headers)?;
    let PublishQuery { patient, category } = query;
    input::require_length_within(&headers, gateway.max_record_bytes)?;
    // Who may not publish is refused before the record is taken into memory.
    let prospect = may_share(&gateway, &member, key, &patient, category).await?;
    let bytes = input::record(&headers, body, gateway.max_record_bytes).await?;

    let record = Record { patient, category, media_type, bytes };
    let (status, link) = match share_link(&gateway, &member, prospect, record).await? {
        Shared::Now(link) => (StatusCode::CREATED, link),
        Shared::Before(link) => (StatusCode::OK, link),
    };
    let location = [(header::LOCATION, format!("/v1/links/{}", link.id))];
    Ok((status, location, Json(link)).into_response())
}
<<<<<<< HEAD

/// One link
///
/// For its patient, its publisher's members, and whoever may open it now. For all others it is unknown.
#[utoipa::path(get, path = "/v1/links/{link}",
    operation_id = "link", tag = "links", params(("link" = String, Path)),
    responses((status = 200, description = "The link", body = ref("#/components/schemas/Link")), LinkProblems))]
pub(crate) async fn link(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(link): Path<LinkId>,
) -> Result<Json<Link>, Problem> {
    Ok(Json(LinksClient::new(gateway.contract(member.signer()?)).link(&link).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PermittedParameters {
    purpose: Purpose,
    page_token: Option<PageToken>,
    limit: Option<PageLimit>,
}

/// A patient's links that the caller may open now
#[utoipa::path(get, path = "/v1/patients/{patient}/links",
    operation_id = "permittedLinks", tag = "links",
    params(
        ("patient" = String, Path),
        ("purpose" = String, Query, description = "For what"),
        ("page_token" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses(
        (status = 200, description = "A page", body = ref("#/components/schemas/PageOfPermittedLinks")),
        PermittedProblems,
    ))]
pub(crate) async fn permitted(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(patient): Path<MemberId>,
    Query(PermittedParameters { purpose, page_token, limit }): Query<PermittedParameters>,
) -> Result<Json<Page<PermittedLink>>, Problem> {
    let query = PermittedQuery { patient, purpose, page_token, limit };
    Ok(Json(LinksClient::new(gateway.contract(member.signer()?)).permitted(&query).await?))
}

/// Withdraw a link
///
/// From the next transaction on it opens to nobody.
#[utoipa::path(post, path = "/v1/links/{link}/withdrawal",
    operation_id = "withdrawLink", tag = "links", params(("link" = String, Path)),
    request_body(content = ref("#/components/schemas/Because"), content_type = "application/json"),
    responses((status = 200, description = "Withdrawn", body = ref("#/components/schemas/Link")), WithdrawalProblems))]
pub(crate) async fn withdraw(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(link): Path<LinkId>,
    input::Json(Because { reason }): input::Json<Because>,
) -> Result<Json<Link>, Problem> {
    let call = WithdrawLink { link, reason, superseded_by: None };
    Ok(Json(LinksClient::new(gateway.contract(member.signer()?)).withdraw(&call).await?))
}
=======
>>>>>>> b5a7c9c (REST over the contracts is a table: one line a function, one handler)
