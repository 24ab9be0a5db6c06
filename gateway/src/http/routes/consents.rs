use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use healthchain_interface::{ConsentsClient, GrantConsent, RevokeConsent};
use healthchain_rules::{Consent, ConsentId, MemberId};

use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{self, Path};
use crate::http::problem::{ConsentsProblems, GrantProblems, Problem, RevocationProblems};

/// Grant a consent
///
/// A permission or a denial over the caller's own records. The id is the caller's: the same request again is harmless.
#[utoipa::path(post, path = "/v1/consents",
    operation_id = "grantConsent", tag = "consents",
    request_body(content = ref("#/components/schemas/GrantConsent"), content_type = "application/json"),
    responses((status = 200, description = "Granted", body = ref("#/components/schemas/Consent")), GrantProblems))]
pub(crate) async fn grant(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    input::Json(call): input::Json<GrantConsent>,
) -> Result<Json<Consent>, Problem> {
    Ok(Json(ConsentsClient::new(gateway.contract(member.signer()?)).grant(&call).await?))
}

/// Revoke a consent
///
/// It permits and denies nothing from the next transaction on.
#[utoipa::path(post, path = "/v1/patients/{patient}/consents/{consent}/revocation",
    operation_id = "revokeConsent", tag = "consents",
    params(("patient" = String, Path), ("consent" = String, Path)),
    responses((status = 200, description = "Revoked", body = ref("#/components/schemas/Consent")), RevocationProblems))]
pub(crate) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path((patient, consent)): Path<(MemberId, ConsentId)>,
) -> Result<Json<Consent>, Problem> {
    let call = RevokeConsent { consent, patient };
    Ok(Json(ConsentsClient::new(gateway.contract(member.signer()?)).revoke(&call).await?))
}

/// The patient's consents that stand now or will
#[utoipa::path(get, path = "/v1/patients/{patient}/consents",
    operation_id = "consentsOfPatient", tag = "consents", params(("patient" = String, Path)),
    responses(
        (status = 200, description = "The consents, by id", body = ref("#/components/schemas/Consents")),
        ConsentsProblems,
    ))]
pub(crate) async fn of_patient(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(patient): Path<MemberId>,
) -> Result<Json<Vec<Consent>>, Problem> {
    Ok(Json(ConsentsClient::new(gateway.contract(member.signer()?)).of_patient(&patient).await?))
}
