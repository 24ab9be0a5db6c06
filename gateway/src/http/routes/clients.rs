use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::callers::smart::{ALGORITHM_NAMES, TOKEN_SECONDS, TokenRefusal, TokenRequest};
use crate::gateway::Gateway;
use crate::http::problem::{CLIENTS_NOT_OFFERED, ClientsProblems, Problem};

/// How a clinic system gets a token here (SMART App Launch 2.2, section "Conformance").
#[derive(Serialize, JsonSchema)]
pub(crate) struct SmartConfiguration {
    /// This gateway.
    issuer: String,
    /// Where tokens are had; also the audience of a client's assertion.
    token_endpoint: String,
    /// `client_credentials`.
    grant_types_supported: [&'static str; 1],
    /// `private_key_jwt`.
    token_endpoint_auth_methods_supported: [&'static str; 1],
    /// `RS384` and `ES384`.
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 2],
    /// What may be asked for; a client gets of it what it is registered for.
    scopes_supported: [&'static str; 2],
    /// SMART's names of what is offered.
    capabilities: [&'static str; 2],
    /// The standard asks for it of every server, also of one without an authorization endpoint.
    code_challenge_methods_supported: [&'static str; 1],
}

/// An access token (RFC 6749 section 5.1).
#[derive(Serialize, JsonSchema)]
pub(crate) struct AccessToken {
    /// Send it as `Authorization: Bearer TOKEN`.
    access_token: String,
    /// `bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// What it permits.
    scope: String,
}

/// Why there is no access token (RFC 6749 section 5.2).
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenError {
    /// `invalid_client`, `invalid_scope`, `invalid_request`, `unsupported_grant_type` or `temporarily_unavailable`.
    error: &'static str,
    /// What to do about it.
    error_description: String,
}

/// How a clinic system gets a token
#[utoipa::path(get, path = "/.well-known/smart-configuration",
    operation_id = "smartConfiguration", tag = "signing in",
    responses(
        (status = 200, description = "How", body = ref("#/components/schemas/SmartConfiguration")),
        ClientsProblems,
    ))]
pub(crate) async fn configuration(State(gateway): State<Arc<Gateway>>) -> Result<Json<SmartConfiguration>, Problem> {
    if !gateway.callers.has_clients() {
        return Err(CLIENTS_NOT_OFFERED.into());
    }
    Ok(Json(SmartConfiguration {
        issuer: gateway.public_url.origin().ascii_serialization(),
        token_endpoint: gateway.callers.token_endpoint(),
        grant_types_supported: ["client_credentials"],
        token_endpoint_auth_methods_supported: ["private_key_jwt"],
        token_endpoint_auth_signing_alg_values_supported: ALGORITHM_NAMES,
        scopes_supported: ["system/*.rs", "system/*.cruds"],
        capabilities: ["client-confidential-asymmetric", "permission-v2"],
        code_challenge_methods_supported: ["S256"],
    }))
}

/// Get an access token
///
/// For registered clinic systems (SMART Backend Services): client credentials with a signed assertion, RS384 or ES384. Refusals are those
/// of RFC 6749, no problem details.
#[utoipa::path(post, path = "/v1/token",
    operation_id = "accessToken", tag = "signing in",
    request_body(content_type = "application/x-www-form-urlencoded",
        description = "`grant_type=client_credentials`, `scope`, `client_assertion_type`, `client_assertion` (RFC 7523)"),
    responses(
        (status = 200, description = "A token for five minutes", body = ref("#/components/schemas/AccessToken")),
        (status = 400, description = "Refused", body = ref("#/components/schemas/TokenError")),
        (status = 503, description = "The client's keys cannot be had", body = ref("#/components/schemas/TokenError")),
    ))]
pub(crate) async fn token(
    State(gateway): State<Arc<Gateway>>,
    form: Result<Form<TokenRequest>, FormRejection>,
) -> Response {
    let granted = match form {
        Ok(Form(request)) => gateway.callers.grant(&request).await,
        Err(_) => Err(TokenRefusal::InvalidRequest("a form with grant_type, once, is expected")),
    };
    let (status, body) = match granted {
        Ok(access) => {
            let (access_token, scope) = (access.token, access.scope.to_string());
            let body = AccessToken { access_token, token_type: "bearer", expires_in: TOKEN_SECONDS, scope };
            (StatusCode::OK, Json(body).into_response())
        }
        Err(refusal) => refused(&refusal),
    };
    (status, [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], body).into_response()
}

fn refused(refusal: &TokenRefusal) -> (StatusCode, Response) {
    let (status, error, description) = match refusal {
        TokenRefusal::InvalidRequest(what) => (400, "invalid_request", format!("look at: {what}")),
        TokenRefusal::InvalidClient(what) => {
            (400, "invalid_client", format!("the assertion is not a registered client's; look at: {what}"))
        }
        TokenRefusal::UnsupportedGrantType => {
            (400, "unsupported_grant_type", "the only grant here is client_credentials".to_owned())
        }
        TokenRefusal::InvalidScope => (
            400,
            "invalid_scope",
            "ask for system/*. and letters of cruds that the client is registered for".to_owned(),
        ),
        TokenRefusal::Unavailable => {
            (503, "temporarily_unavailable", "the client's keys cannot be had: try again".to_owned())
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(TokenError { error, error_description: description }).into_response())
}
