use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_rules::MemberId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::callers::sessions::{Answer, rfc3339};
use crate::gateway::Gateway;
use crate::http::caller::{Authorization, MemberCaller};
use crate::http::input;
use crate::http::problem::{ChallengeProblems, NO_SESSION, Problem, SessionEndProblems, SessionProblems};

/// What is to be signed to open a session.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SessionChallenge {
    /// Stands in the signed text; can be answered once.
    nonce: String,
    /// As does this gateway's address.
    origin: String,
    /// Until when it can be answered (RFC 3339).
    expires: String,
}

/// An answer to a challenge.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// The member's signing certificate, PEM.
    certificate: String,
    /// The challenge's.
    nonce: String,
    /// When it was signed (RFC 3339), letter for letter as in the signed text.
    time: String,
    /// ECDSA over `Healthchain session v1`, `origin: …`, `nonce: …`, `time: …`, each a line that ends with a line feed: P-256 with
    /// SHA-256 or P-384 with SHA-384, DER or P1363, base64 or base64url.
    signature: String,
}

/// An open session.
#[derive(Serialize, JsonSchema)]
pub(crate) struct OpenSession {
    /// Send it as `Authorization: DPoP TOKEN`, each time with a DPoP proof (RFC 9449) made with the certificate's key.
    token: String,
    /// `DPoP`.
    token_type: &'static str,
    /// Whose session it is.
    member: MemberId,
    /// Until when (RFC 3339).
    expires: String,
    /// Thumbprint (RFC 7638) of the key that makes the proofs.
    thumbprint: String,
}

/// Ask for a challenge
///
/// Anybody may; only a member's signing key answers it.
#[utoipa::path(post, path = "/v1/sessions/challenges",
    operation_id = "createSessionChallenge", tag = "signing in",
    responses(
        (status = 201, description = "What to sign", body = ref("#/components/schemas/SessionChallenge")),
        ChallengeProblems,
    ))]
pub(crate) async fn challenge(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let challenge = gateway.callers.challenge()?;
    let expires = rfc3339(challenge.expires);
    let body = SessionChallenge { nonce: challenge.nonce, origin: challenge.origin, expires };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// Open a session
///
/// For browsers and scripts that hold a member's signing key: a signed challenge gives a token for fifteen minutes. The token is bound to
/// that key; whoever steals it alone can do nothing with it.
#[utoipa::path(post, path = "/v1/sessions",
    operation_id = "openSession", tag = "signing in",
    request_body(content = ref("#/components/schemas/NewSession"), content_type = "application/json"),
    responses(
        (status = 201, description = "Open", body = ref("#/components/schemas/OpenSession"), headers(("Location" = String))),
        SessionProblems,
    ))]
pub(crate) async fn open(
    State(gateway): State<Arc<Gateway>>,
    input::Json(request): input::Json<NewSession>,
) -> Result<Response, Problem> {
    let NewSession { certificate, nonce, time, signature } = &request;
    let session =
        gateway.callers.open_session(&Answer { certificate, nonce, time, signature }, gateway.wallet.as_ref()).await?;
    let body = OpenSession {
        token: session.token,
        token_type: "DPoP",
        member: session.member,
        expires: rfc3339(session.expires),
        thumbprint: session.thumbprint,
    };
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::LOCATION, "/v1/sessions/current")];
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

/// Close the session
///
/// The token counts no more, from the next request on.
#[utoipa::path(delete, path = "/v1/sessions/current",
    operation_id = "closeSession", tag = "sessions",
    responses((status = 204, description = "Closed"), SessionEndProblems))]
pub(crate) async fn close(
    State(gateway): State<Arc<Gateway>>,
    _: MemberCaller,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let shown = Authorization::of(&headers)?.ok_or(NO_SESSION)?;
    if gateway.callers.close_session(shown.token).await? { Ok(StatusCode::NO_CONTENT) } else { Err(NO_SESSION.into()) }
}
