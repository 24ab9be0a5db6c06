use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_rules::MemberId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input;
use crate::http::problem::{IndexProblems, Problem};
use crate::http::repeatable::{self, Wish, fingerprint};
use crate::state::patient_index::{Entry, Identifier};
use crate::use_cases::patient_index::{self, may_use_index};

/// What is looked for: one of both.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum IndexSearch {
    /// The patient of a record number.
    Identifier(Identifier),
    /// The record numbers of a patient.
    Patient(MemberId),
}

/// What was found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct IndexEntries {
    /// At most 100; none when nothing is known.
    entries: Vec<Entry>,
}

/// Which record number is taken out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexRemoval {
    identifier: Identifier,
}

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Enter a patient's record number
///
/// For the organisation's clinicians and maintainers. The number stays in this organisation: the ledger never learns it.
#[utoipa::path(post, path = "/v1/patient-index",
    operation_id = "enterIdentifier", tag = "patient index",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible characters, the same for a repeated request")),
    request_body(content = ref("#/components/schemas/PatientIndexEntry"), content_type = "application/json"),
    responses(
        (status = 201, description = "Entered", body = ref("#/components/schemas/PatientIndexEntry")),
        (status = 200, description = "Entered before", body = ref("#/components/schemas/PatientIndexEntry")),
        IndexProblems,
    ))]
pub(crate) async fn enter(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    headers: HeaderMap,
    input::Json(entry): input::Json<Entry>,
) -> Result<Response, Problem> {
    let said = serde_json::to_vec(&entry).map_err(|error| Failure::Internal(error.to_string()))?;
    let wish = Wish { route: "POST /v1/patient-index".into(), fingerprint: fingerprint(&gateway, [said.as_slice()]) };
    let (its_gateway, its_member) = (Arc::clone(&gateway), Arc::clone(&member));
    let work = async move {
        let may = may_use_index(&its_gateway, &its_member).await?;
        let new = patient_index::enter(&its_gateway, &its_member, &may, &entry).await?;
        let status = if new { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, NO_STORE, Json(entry)).into_response())
    };
    repeatable::answer(&gateway, &member.id, &headers, wish, work).await
}

/// Find a record number's patient, or a patient's record numbers
///
/// For the organisation's clinicians and maintainers. What is looked for is in the body, because addresses are logged on their way.
#[utoipa::path(post, path = "/v1/patient-index/searches",
    operation_id = "searchIdentifiers", tag = "patient index",
    request_body(content = ref("#/components/schemas/IndexSearch"), content_type = "application/json"),
    responses((status = 200, description = "What is known", body = ref("#/components/schemas/IndexEntries")), IndexProblems))]
pub(crate) async fn search(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    input::Json(search): input::Json<IndexSearch>,
) -> Result<Response, Problem> {
    let may = may_use_index(&gateway, &member).await?;
    let entries = match search {
        IndexSearch::Identifier(identifier) => {
            patient_index::find(&gateway, &may, identifier).await?.into_iter().collect()
        }
        IndexSearch::Patient(patient) => patient_index::of_patient(&gateway, &may, &patient).await?,
    };
    Ok((NO_STORE, Json(IndexEntries { entries })).into_response())
}

/// Take a record number out
///
/// For the organisation's clinicians and maintainers, so that it can be entered for another patient.
#[utoipa::path(post, path = "/v1/patient-index/removals",
    operation_id = "removeIdentifier", tag = "patient index",
    request_body(content = ref("#/components/schemas/IndexRemoval"), content_type = "application/json"),
    responses((status = 200, description = "The entry that was taken out", body = ref("#/components/schemas/PatientIndexEntry")), IndexProblems))]
pub(crate) async fn remove(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    input::Json(IndexRemoval { identifier }): input::Json<IndexRemoval>,
) -> Result<Response, Problem> {
    let may = may_use_index(&gateway, &member).await?;
    let removed = patient_index::remove(&gateway, &may, identifier).await?;
    Ok((NO_STORE, Json(removed)).into_response())
}
