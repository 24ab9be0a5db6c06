use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthchain_interface::OpenLink;
use healthchain_rules::{Envelope, LinkId, Opening, Purpose, TransactionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::detached::{Signing, Telling, ask_to_sign};
use crate::http::input::{Json, Path};
use crate::http::problem::{OpeningProblems, Problem, SealedContentProblems};
use crate::use_cases::open_link::{Brought, OpenedRecord, open_link, receive, sealed_content};
use crate::use_cases::sign_elsewhere::Purpose::Write;
use crate::wallet::WalletMember;

/// What a record is opened for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpeningRequest {
    /// For what; stays on the audit trail.
    purpose: Purpose,
    /// The emergency access that is claimed, if any.
    #[serde(default)]
    emergency: Option<TransactionId>,
}

/// An opening whose envelope is sealed to a key that the caller keeps elsewhere.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SealedOpening {
    /// The committed opening, which says what the content must be.
    opening: Opening,
    /// Holds address and key of the content, sealed to the caller's key (HPKE, RFC 9180).
    envelope: Envelope,
    /// Where the encrypted content is had: a compact JWE (`dir`, `A256GCM`).
    content: String,
}

/// Media type of a [`SealedOpening`]: a record may be JSON, too.
const SEALED: &str = "application/vnd.healthchain.sealed-opening+json";

/// Open a link
///
/// Commits the ledger's decision, then answers with the record's bytes under their own media type. A denial is committed, too,
/// and answered as a problem that names the opening. Who signs with a key that is elsewhere (`Healthchain-Signing: detached`), and for whose key
/// the record is sealed, gets the sealed envelope and opens it there.
#[utoipa::path(post, path = "/v1/links/{link}/openings",
    operation_id = "openLink", tag = "links", params(("link" = String, Path)),
    request_body(content = ref("#/components/schemas/OpeningRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "The record", content_type = "*/*", headers(
            ("Opening-Transaction" = String, description = "Transaction id of the committed opening"),
            ("Repr-Digest" = String, description = "SHA-256 of the record (RFC 9530)"),
        )),
        OpeningProblems,
    ))]
pub(crate) async fn open(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(link): Path<LinkId>,
    headers: HeaderMap,
    Json(OpeningRequest { purpose, emergency }): Json<OpeningRequest>,
) -> Result<Response, Problem> {
    let call = OpenLink { link, purpose, emergency };
    match Signing::of(&headers)? {
        Signing::Here => Ok(opened(open_link(&gateway, &member, &call).await?)),
        Signing::Elsewhere => {
            let argument = serde_json::to_vec(&call).expect("ids and names always serialise");
            ask_to_sign(&gateway, &member, Write, "Links:open", vec![argument], &Telling::Opening).await
        }
    }
}

/// Tells the answer to an opening that was signed elsewhere.
pub(crate) async fn tell(gateway: &Gateway, member: &WalletMember, answer: &[u8]) -> Result<Response, Problem> {
    let answer = serde_json::from_slice(answer).map_err(|error| Failure::Unintelligible(error.to_string()))?;
    Ok(match receive(gateway, member, answer).await? {
        Brought::Record(record) => opened(record),
        Brought::Sealed(opening, envelope) => {
            let content = format!("/v1/openings/{}/content", opening.transaction);
            let headers = [
                (header::CONTENT_TYPE, SEALED.to_owned()),
                (header::HeaderName::from_static("opening-transaction"), opening.transaction.to_string()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            (headers, axum::Json(SealedOpening { opening: *opening, envelope, content })).into_response()
        }
    })
}

/// The encrypted content of an opening
///
/// For the opener, who opens it with the key from the opening's envelope. As long as the opening is recent and in force.
#[utoipa::path(get, path = "/v1/openings/{opening}/content",
    operation_id = "openedContent", tag = "links", params(("opening" = String, Path)),
    responses(
        (status = 200, description = "Compact JWE (dir, A256GCM)", content_type = "application/jose"),
        SealedContentProblems,
    ))]
pub(crate) async fn content(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(opening): Path<TransactionId>,
) -> Result<Response, Problem> {
    let content = sealed_content(&gateway, &member, &opening).await?;
    let headers = [(header::CONTENT_TYPE, "application/jose"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, content).into_response())
}

fn opened(opened: OpenedRecord) -> Response {
    let digest = STANDARD.encode(openssl::sha::sha256(&opened.record));
    let headers = [
        (header::CONTENT_TYPE, opened.content.media_type.to_string()),
        (header::HeaderName::from_static("opening-transaction"), opened.opening.transaction.to_string()),
        (header::HeaderName::from_static("repr-digest"), format!("sha-256=:{digest}:")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        // A record is data: whatever its publisher calls it, no browser shall run it in this origin.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    (headers, opened.record).into_response()
}
