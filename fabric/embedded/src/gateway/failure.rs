//! What a gateway makes of its peers' answers: codes, messages and details.

use fabric_protos::{gateway::ErrorDetail, google::rpc, protos::ProposalResponse};
use prost::Message;
use tonic::{Code, Status};

use crate::endorser::{Answer, Endorser};

/// A peer's answer that is no success.
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    /// Whether another peer may do better.
    pub(super) retry: bool,
}

/// Sorts a peer's answer. `remote` peers send either a response or an error, never both.
pub(super) fn judge(answer: Answer, remote: bool) -> Result<ProposalResponse, Failure> {
    match answer {
        Answer { error: Some(text), .. } if remote => {
            let message = format!("rpc error: code = Unknown desc = {text}");
            Err(Failure { code: Code::Unavailable, message, retry: true })
        }
        Answer { error: Some(message), response: None } => {
            Err(Failure { code: Code::Unavailable, message, retry: true })
        }
        Answer { error: Some(message), response: Some(_) } => {
            Err(Failure { code: Code::FailedPrecondition, message, retry: false })
        }
        Answer { error: None, response } => judge_response(response.unwrap_or_default()),
    }
}

fn judge_response(response: ProposalResponse) -> Result<ProposalResponse, Failure> {
    let answer = response.response.clone().unwrap_or_default();
    if (200..400).contains(&answer.status) {
        return Ok(response);
    }
    if answer.status == 500 && response.payload.is_empty() {
        return Err(Failure { code: Code::Aborted, message: answer.message, retry: true });
    }
    let message = format!("chaincode response {}, {}", answer.status, answer.message);
    Err(Failure { code: Code::Unknown, message, retry: false })
}

/// A peer's failure as the client reads it in the status.
pub(super) fn detail(endorser: &Endorser, message: impl Into<String>) -> ErrorDetail {
    ErrorDetail {
        address: endorser.address().to_owned(),
        msp_id: endorser.msp_id().to_owned(),
        message: message.into(),
    }
}

/// A gRPC status with peers' details.
pub(super) fn status(code: Code, message: impl Into<String>, details: &[ErrorDetail]) -> Status {
    let message = message.into();
    if details.is_empty() {
        return Status::new(code, message);
    }
    let rpc = rpc::Status {
        code: code as i32,
        message: message.clone(),
        details: details
            .iter()
            .map(|detail| prost_types::Any {
                type_url: "type.googleapis.com/gateway.ErrorDetail".into(),
                value: detail.encode_to_vec(),
            })
            .collect(),
    };
    Status::with_details(code, message, rpc.encode_to_vec().into())
}
