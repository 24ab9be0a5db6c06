use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use healthchain_interface::{AuditClient, MemberAuditQuery, Page, PatientAuditQuery};
use healthchain_rules::MemberId;
use healthchain_rules::audit::AuditEntry;

use super::PageQuery;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{Path, Query};
use crate::http::problem::{AuditProblems, Problem};

/// What was done with a patient's records and consents
///
/// Newest first, across all organisations. For the patient.
#[utoipa::path(get, path = "/v1/patients/{patient}/audit",
    operation_id = "auditOfPatient", tag = "audit",
    params(
        ("patient" = String, Path),
        ("page_token" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/PageOfAuditEntries")), AuditProblems))]
pub(crate) async fn of_patient(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(patient): Path<MemberId>,
    Query(PageQuery { page_token, limit }): Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let query = PatientAuditQuery { patient, page_token, limit };
    Ok(Json(AuditClient::new(gateway.contract(&member.signer)).of_patient(&query).await?))
}

/// What a member did
///
/// Newest first. For the member, and for administrators and privacy officers of its organisation.
#[utoipa::path(get, path = "/v1/members/{member}/audit",
    operation_id = "auditOfMember", tag = "audit",
    params(
        ("member" = String, Path),
        ("page_token" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/PageOfAuditEntries")), AuditProblems))]
pub(crate) async fn of_member(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    Path(member): Path<MemberId>,
    Query(PageQuery { page_token, limit }): Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let query = MemberAuditQuery { member, page_token, limit };
    Ok(Json(AuditClient::new(gateway.contract(&caller.signer)).of_member(&query).await?))
}
