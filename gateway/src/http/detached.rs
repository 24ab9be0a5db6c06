//! Requests whose caller signs: how they are told from others, what is answered to them, and how the answer is told in the end.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use healthchain_rules::LedgerTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::problem::{Problem, SIGNING_UNKNOWN};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::awaited_signatures::{Awaited, Step};
use crate::state::uploads::UploadId;
use crate::use_cases::sign_elsewhere::{Purpose, prepare};
use crate::wallet::WalletMember;

/// Says who signs.
pub(crate) const HEADER: &str = "healthchain-signing";

/// Who signs what a request has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    /// The gateway, with the member's key.
    Here,
    /// The member.
    Elsewhere,
}

impl Signing {
    /// As the header `Healthchain-Signing` says; the gateway signs when it is absent.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        match headers.get(HEADER).map(|value| value.as_bytes()) {
            None => Ok(Self::Here),
            Some(b"detached") => Ok(Self::Elsewhere),
            Some(_) => Err(SIGNING_UNKNOWN.into()),
        }
    }
}

/// How an answer is told, once it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Telling {
    /// As that of a line of the table.
    Line { method: String, path: String, named: Map<String, Value>, uri: String },
    /// As that of an opening.
    Opening,
    /// As that of a publication, perhaps of an upload, with which that one is done.
    Publication { upload: Option<UploadId> },
    /// As that of a proposed version.
    Amendment { upload: Option<UploadId> },
}

/// What the caller has to sign.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AwaitedSignature {
    /// The transaction's id, 64 hexadecimal digits.
    transaction: String,
    /// What is signed.
    signs: Signs,
    /// The very bytes, base64url: of a proposal Fabric's `protos.Proposal`, of a transaction its `common.Payload`. They hold what is
    /// asked of the ledger; whoever signs can read it.
    bytes: String,
    /// Their SHA-256, base64url: what ECDSA signs.
    digest: String,
    /// Where the signature goes: `POST` of `{"signature": …}`.
    signature_to: String,
    /// Until when, in milliseconds since 1970.
    expires_at: LedgerTime,
    /// What the contract answered; of no account until the transaction is committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

/// What is signed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Signs {
    /// A question or a proposal.
    Proposal,
    /// An endorsed transaction.
    Transaction,
}

/// Prepares a call and answers what its caller has to sign.
pub(crate) async fn ask_to_sign(
    gateway: &Gateway,
    member: &WalletMember,
    purpose: Purpose,
    function: &str,
    arguments: Vec<Vec<u8>>,
    telling: &Telling,
) -> Result<Response, Problem> {
    let telling = serde_json::to_string(telling).expect("names and texts always serialise");
    let awaited = prepare(gateway, member, purpose, function, arguments, telling).await?;
    Ok(awaited_signature(&awaited, None))
}

/// 202, and what to sign.
pub(crate) fn awaited_signature(awaited: &Awaited, result: Option<Value>) -> Response {
    let (signs, name) = match awaited.step {
        Step::Question | Step::Proposal => (Signs::Proposal, "proposal"),
        Step::Transaction | Step::Submitted => (Signs::Transaction, "transaction"),
    };
    let body = AwaitedSignature {
        transaction: awaited.transaction.clone(),
        signs,
        bytes: URL_SAFE_NO_PAD.encode(&awaited.bytes),
        digest: URL_SAFE_NO_PAD.encode(openssl::sha::sha256(&awaited.bytes)),
        signature_to: format!("/v1/transactions/{}/{name}-signature", awaited.transaction),
        expires_at: awaited.expires_at,
        result,
    };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}

/// Reads how an answer is told.
pub(crate) fn telling(text: &str) -> Result<Telling, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Internal(format!("the state's telling cannot be read: {error}")))
}
