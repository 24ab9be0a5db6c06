use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use healthchain_interface::OrganisationsClient;
use healthchain_rules::Organisation;

use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::problem::{OrganisationsProblems, Problem};

/// The consortium's organisations
#[utoipa::path(get, path = "/v1/organisations",
    operation_id = "organisations", tag = "organisations",
    responses(
        (status = 200, description = "All, by MSP id", body = ref("#/components/schemas/Organisations")),
        OrganisationsProblems,
    ))]
pub(crate) async fn all(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
) -> Result<Json<Vec<Organisation>>, Problem> {
    Ok(Json(OrganisationsClient::new(gateway.contract(member.signer()?)).organisations().await?))
}
