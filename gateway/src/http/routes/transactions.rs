use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use healthchain_rules::TransactionId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{amendments, links, openings};
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::detached::{Telling, awaited_signature, telling};
use crate::http::input::{Json, Path};
use crate::http::problem::{MALFORMED_BODY, Problem, SignatureProblems};
use crate::http::resources;
use crate::use_cases::sign_elsewhere::{Outcome, proposal_signed, transaction_signed};
use crate::wallet::WalletMember;

/// A signature that the caller made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureRequest {
    /// ECDSA over SHA-256 of the bytes, base64url: in DER, or r and s one after the other as WebCrypto and JWS have it.
    #[schemars(regex(
        pattern = r"^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{4}|[A-Za-z0-9_-][AQgw](==)?|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]=?)$"
    ))]
    signature: String,
}

/// Base64url with or without its padding.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl SignatureRequest {
    fn bytes(&self) -> Result<Vec<u8>, Problem> {
        let decoded = BASE64URL.decode(&self.signature);
        decoded.map_err(|error| Problem::new(MALFORMED_BODY).because(format_args!("signature is base64url: {error}")))
    }
}

/// Sign a proposal
///
/// The first signature of a request that was sent with `Healthchain-Signing: detached`. A read is answered as its route answers; a write is
/// endorsed, and the transaction is answered, for the second signature.
#[utoipa::path(post, path = "/v1/transactions/{transaction}/proposal-signature",
    operation_id = "signProposal", tag = "transactions", params(("transaction" = String, Path)),
    request_body(content = ref("#/components/schemas/SignatureRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "As the read's route answers"),
        (status = 202, description = "Endorsed: sign the transaction", body = ref("#/components/schemas/AwaitedSignature")),
        SignatureProblems,
    ))]
pub(crate) async fn sign_proposal(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(transaction): Path<TransactionId>,
    Json(request): Json<SignatureRequest>,
) -> Result<Response, Problem> {
    let outcome = proposal_signed(&gateway, &member, transaction.as_str(), &request.bytes()?).await?;
    tell(&gateway, &member, outcome).await
}

/// Sign a transaction
///
/// The second signature of a write that was sent with `Healthchain-Signing: detached`. It is submitted, and answered as its route answers when
/// it is committed. Sending the same again submits nothing twice.
#[utoipa::path(post, path = "/v1/transactions/{transaction}/transaction-signature",
    operation_id = "signTransaction", tag = "transactions", params(("transaction" = String, Path)),
    request_body(content = ref("#/components/schemas/SignatureRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "As the write's route answers"),
        (status = 201, description = "As the write's route answers"),
        SignatureProblems,
    ))]
pub(crate) async fn sign_transaction(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(transaction): Path<TransactionId>,
    Json(request): Json<SignatureRequest>,
) -> Result<Response, Problem> {
    let outcome = transaction_signed(&gateway, &member, transaction.as_str(), &request.bytes()?).await?;
    tell(&gateway, &member, outcome).await
}

async fn tell(gateway: &Gateway, member: &WalletMember, outcome: Outcome) -> Result<Response, Problem> {
    match outcome {
        Outcome::Endorsed(awaited, result) => {
            let result = result.and_then(|result| serde_json::from_slice(&result).ok());
            Ok(awaited_signature(&awaited, result))
        }
        Outcome::Answered(how, answer) => match telling(&how)? {
            Telling::Line { method, path, named, uri } => resources::tell(&method, &path, &named, &uri, answer),
            Telling::Opening => openings::tell(gateway, member, &answer).await,
            Telling::Publication { upload } => links::tell(gateway, upload.as_ref(), &answer).await,
            Telling::Amendment { upload } => amendments::tell(gateway, upload.as_ref(), &answer).await,
        },
    }
}
