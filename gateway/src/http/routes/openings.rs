use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_interface::{LinksClient, OpenLink, Opened};
use healthchain_rules::{Envelope, LinkId, Opening, Purpose, TransactionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::detached::{Signing, Telling, ask_to_sign};
use crate::http::input::{self, Json, Path};
use crate::http::problem::{OpenedContentProblems, OpeningProblems, Problem};
use crate::http::routes::contents::encrypted;
use crate::use_cases::open_link::{Brought, OpenedRecord, open_link, opened_content, receive, sealed_content};
use crate::use_cases::sign_elsewhere::Purpose::Write;
use crate::wallet::{Keys, WalletMember};

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
    /// Where the encrypted content is had: a compact JWE (`dir`, `A256GCM`), or one for each part of the record on a line of its own.
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
            ("Content-Location" = String, description = "Where the same bytes are had again, and in ranges, for five minutes"),
            ("Repr-Digest" = Option<String>, description = "SHA-256 of the record (RFC 9530), of one that is not in parts"),
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
    let answer: Opened = serde_json::from_slice(answer).map_err(|error| Failure::Unintelligible(error.to_string()))?;
    let opening = &answer.opening;
    // The same signature may come again after a revocation. Another publisher's gateway asks the ledger, and so does this one.
    if opening.decision.is_permitted() && opening.publisher == gateway.organisation.msp_id {
        LinksClient::new(gateway.own_contract()).in_force(&opening.transaction).await?;
    }
    Ok(match receive(gateway, member, answer).await? {
        Brought::Record(record) => opened(*record),
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

/// The record of an opening, again, or a range of it
///
/// For whoever opened it, for five minutes, and only while the opening would still be permitted. A transfer that broke off is taken
/// up with a Range. Each part of a record is checked before it is released, and the last one only when the whole record is the one that
/// was published. A member whose key is elsewhere has the encrypted content, to open with the key from the opening's envelope.
#[utoipa::path(get, path = "/v1/openings/{opening}/content",
    operation_id = "openedContent", tag = "links",
    params(
        ("opening" = String, Path, description = "Transaction id of the opening"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, description = "The ETag that the range is of"),
    ),
    responses(
        (status = 200, description = "The record", content_type = "*/*", headers(
            ("ETag" = String, description = "The same as long as the bytes are"),
            ("Opening-Transaction" = String, description = "Transaction id of the committed opening"),
        )),
        (status = 206, description = "The bytes that the Range header wants", content_type = "*/*", headers(
            ("Content-Range" = String, description = "Which bytes of how many"),
        )),
        OpenedContentProblems,
    ))]
pub(crate) async fn content(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(opening): Path<TransactionId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Keys::Elsewhere(_) = member.keys {
        let wanted = input::range(&headers, None);
        let content = sealed_content(&gateway, &member, &opening, wanted).await?;
        return Ok(encrypted(content, wanted.is_some()));
    }
    // Of an opening there is one content for ever: its transaction tells one state from another.
    let etag = etag(&opening);
    let wanted = input::range(&headers, Some(&etag));
    let record = opened_content(&gateway, &member, &opening, wanted).await?;
    Ok(([(header::ACCEPT_RANGES, "bytes")], answer(record, wanted.is_some())).into_response())
}

fn opened(opened: OpenedRecord) -> Response {
    let place = format!("/v1/openings/{}/content", opened.opening.transaction);
    ([(header::CONTENT_LOCATION, place)], answer(opened, false)).into_response()
}

fn etag(opening: &TransactionId) -> String {
    format!("\"{opening}\"")
}

fn answer(opened: OpenedRecord, is_partial: bool) -> Response {
    let OpenedRecord { opening, content, record } = opened;
    let headers = [
        (header::CONTENT_TYPE, content.media_type.to_string()),
        (header::CONTENT_LENGTH, (record.range.end - record.range.start).to_string()),
        (header::ETAG, etag(&opening.transaction)),
        (header::HeaderName::from_static("opening-transaction"), opening.transaction.to_string()),
        // What is compressed on the way has no ranges.
        (header::CACHE_CONTROL, "no-store, no-transform".to_owned()),
        // A record is data: whatever its publisher calls it, no browser shall run it in this origin.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    let digest = record.repr_digest().map(|digest| [(header::HeaderName::from_static("repr-digest"), digest)]);
    let range = is_partial.then(|| [(header::CONTENT_RANGE, input::content_range(&record.range, record.length))]);
    let status = if is_partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = (status, headers, Body::from_stream(record.bytes)).into_response();
    for (name, value) in digest.into_iter().chain(range).flatten() {
        response.headers_mut().extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    response
}
