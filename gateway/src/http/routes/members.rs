use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use healthchain_interface::{Me, MembersClient, NewMember, SuspendMember};
use healthchain_rules::{Member, MemberId};

use super::Because;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{self, Path};
use crate::http::problem::{
    MeProblems, MemberProblems, Problem, RegistrationProblems, ReinstatementProblems, SuspensionProblems,
};

/// Who the caller is to the ledger
#[utoipa::path(get, path = "/v1/me",
    operation_id = "me", tag = "members",
    responses((status = 200, description = "The caller", body = ref("#/components/schemas/Me")), MeProblems))]
pub(crate) async fn me(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
) -> Result<Json<Me>, Problem> {
    Ok(Json(MembersClient::new(gateway.contract(member.signer()?)).me().await?))
}

/// One member
#[utoipa::path(get, path = "/v1/members/{member}",
    operation_id = "member", tag = "members", params(("member" = String, Path)),
    responses((status = 200, description = "The member", body = ref("#/components/schemas/Member")), MemberProblems))]
pub(crate) async fn member(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    Path(member): Path<MemberId>,
) -> Result<Json<Member>, Problem> {
    Ok(Json(MembersClient::new(gateway.contract(caller.signer()?)).member(&member).await?))
}

/// Register a member of the own organisation
///
/// For administrators. The member's keys lie in the gateway's wallet; a certificate that is bound there signs it in.
#[utoipa::path(post, path = "/v1/members",
    operation_id = "registerMember", tag = "members",
    request_body(content = ref("#/components/schemas/NewMember"), content_type = "application/json"),
    responses((status = 200, description = "Registered", body = ref("#/components/schemas/Member")), RegistrationProblems))]
pub(crate) async fn register(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    input::Json(call): input::Json<NewMember>,
) -> Result<Json<Member>, Problem> {
    Ok(Json(MembersClient::new(gateway.contract(caller.signer()?)).register(&call).await?))
}

/// Suspend a member of the own organisation
///
/// From the next transaction on it may do nothing, and its openings are denied. For administrators.
#[utoipa::path(post, path = "/v1/members/{member}/suspension",
    operation_id = "suspendMember", tag = "members", params(("member" = String, Path)),
    request_body(content = ref("#/components/schemas/Because"), content_type = "application/json"),
    responses((status = 200, description = "Suspended", body = ref("#/components/schemas/Member")), SuspensionProblems))]
pub(crate) async fn suspend(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    Path(member): Path<MemberId>,
    input::Json(Because { reason }): input::Json<Because>,
) -> Result<Json<Member>, Problem> {
    let call = SuspendMember { member, reason };
    Ok(Json(MembersClient::new(gateway.contract(caller.signer()?)).suspend(&call).await?))
}

/// Let a suspended member of the own organisation act again
///
/// For administrators.
#[utoipa::path(post, path = "/v1/members/{member}/reinstatement",
    operation_id = "reinstateMember", tag = "members", params(("member" = String, Path)),
    responses((status = 200, description = "Reinstated", body = ref("#/components/schemas/Member")), ReinstatementProblems))]
pub(crate) async fn reinstate(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    Path(member): Path<MemberId>,
) -> Result<Json<Member>, Problem> {
    Ok(Json(MembersClient::new(gateway.contract(caller.signer()?)).reinstate(&member).await?))
}
