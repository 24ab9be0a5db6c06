//! Failures that say what they mean for the ledger.

use std::fmt;

use fabric_contract::{CallFailure, ChaincodeResponse};
use fabric_protos::google::rpc;
use fabric_protos::protos::TxValidationCode;
use prost::Message;
use tonic::{Code, Status};

use crate::call::is_overload;
use crate::connection::with_sources;

/// Where on its way a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Asking the chaincode, without a transaction. The ledger is as before.
    Evaluate,
    /// Collecting endorsements. The ledger is as before.
    Endorse,
    /// Handing the transaction to the orderers. See [`Error::may_have_committed`].
    Submit,
    /// Asking whether the transaction is committed. It may be, now or later.
    CommitStatus,
    /// The transaction is in a block, but invalid: see [`Error::validation_code`]. It changed nothing.
    Commit,
    /// Listening to chaincode events.
    ChaincodeEvents,
}

impl Stage {
    /// As logs, traces and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::Endorse => "endorse",
            Self::Submit => "submit",
            Self::CommitStatus => "commit-status",
            Self::Commit => "commit",
            Self::ChaincodeEvents => "chaincode-events",
        }
    }
}

/// One peer's or orderer's part in a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDetail {
    /// `host:port`.
    pub address: String,
    /// Its organisation.
    pub msp_id: String,
    /// What it says.
    pub message: String,
}

/// A failed call. The texts of peers are for logs: they name hosts and may repeat what a chaincode says.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    stage: Stage,
    code: Code,
    message: String,
    details: Vec<ErrorDetail>,
    transaction_id: Option<String>,
    committed: Option<(TxValidationCode, u64)>,
    /// No answer came: the connection could not be made or was lost.
    transport: bool,
    may_have_committed: bool,
}

impl Error {
    /// Where the call failed.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The gRPC code; [`Code::Aborted`] for an invalid transaction.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What the gateway peer says, or the transport.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the single peers or orderers say.
    pub fn details(&self) -> &[ErrorDetail] {
        &self.0.details
    }

    /// The transaction, where there is one.
    pub fn transaction_id(&self) -> Option<&str> {
        self.0.transaction_id.as_deref()
    }

    /// Why an ordered transaction is invalid. Only at [`Stage::Commit`].
    pub fn validation_code(&self) -> Option<TxValidationCode> {
        self.0.committed.map(|(code, _)| code)
    }

    /// The block that holds the invalid transaction. Only at [`Stage::Commit`].
    pub fn block_number(&self) -> Option<u64> {
        self.0.committed.map(|(_, block)| block)
    }

    /// Whether no answer came: the peer cannot be reached, or the connection was lost.
    pub fn is_transport(&self) -> bool {
        self.0.transport
    }

    /// Whether the transaction may be committed, now or later, in spite of the error. Then ask for the commit status of the
    /// same transaction id before doing anything again; [`Contract::submit`](crate::Contract::submit) has done so already.
    pub fn may_have_committed(&self) -> bool {
        self.0.may_have_committed
    }

    /// Whether another transaction changed what this one had read. Endorsing it anew may succeed.
    pub fn is_conflict(&self) -> bool {
        use TxValidationCode::{MvccReadConflict, PhantomReadConflict};
        matches!(self.validation_code(), Some(MvccReadConflict | PhantomReadConflict))
    }

    pub(crate) fn from_status(stage: Stage, transaction_id: Option<&str>, status: &Status, endpoint: &str) -> Self {
        let source = std::error::Error::source(status);
        let expired =
            source.is_some() && status.code() == Code::Cancelled && status.message().contains("Timeout expired");
        let code = if expired { Code::DeadlineExceeded } else { status.code() };
        let message = match source {
            _ if expired => format!("{endpoint} gave no answer before the deadline"),
            Some(source) => format!("{endpoint}: {}", with_sources(source)),
            None => status.message().to_owned(),
        };
        Self(Box::new(Inner {
            stage,
            code,
            message,
            details: details(status.details()),
            transaction_id: transaction_id.map(str::to_owned),
            committed: None,
            transport: source.is_some() && !expired,
            may_have_committed: match stage {
                Stage::Submit => !is_refusal(code) && !is_overload(status),
                Stage::CommitStatus => true,
                Stage::Evaluate | Stage::Endorse | Stage::Commit | Stage::ChaincodeEvents => false,
            },
        }))
    }

    pub(crate) fn own(stage: Stage, code: Code, transaction_id: Option<&str>, message: impl Into<String>) -> Self {
        Self::from_status(stage, transaction_id, &Status::new(code, message), "")
    }

    pub(crate) fn invalid(transaction_id: &str, code: TxValidationCode, block: u64) -> Self {
        let message = format!("the transaction is in block {block} but invalid: {}", code.as_str_name());
        let mut error = Self::own(Stage::Commit, Code::Aborted, Some(transaction_id), message);
        error.0.committed = Some((code, block));
        error
    }

    /// The same failure, where it is known by now that the transaction may be committed.
    pub(crate) fn uncertain(mut self) -> Self {
        self.0.may_have_committed = true;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage() {
            Stage::Evaluate => "evaluate",
            Stage::Endorse => "endorse",
            Stage::Submit => "submit",
            Stage::CommitStatus => "commit status",
            Stage::Commit => "commit",
            Stage::ChaincodeEvents => "chaincode events",
        };
        write!(f, "{stage} failed ({:?}): {}", self.code(), self.message())?;
        for detail in self.details() {
            write!(f, "; {} of {}: {}", detail.address, detail.msp_id, detail.message)?;
        }
        if let Some(transaction_id) = self.transaction_id() {
            write!(f, "; transaction {transaction_id}")?;
        }
        if self.may_have_committed() {
            f.write_str(", which may be committed: ask for its commit status before repeating it")?;
        }
        if self.is_transport() {
            f.write_str("; check that the peer runs and is reached")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl CallFailure for Error {
    /// Found in the gateway peer's text or in a peer's detail, as "chaincode response \<status\>, \<message\>".
    fn chaincode_response(&self) -> Option<ChaincodeResponse<'_>> {
        let details = self.details().iter().map(|detail| detail.message.as_str());
        std::iter::once(self.message()).chain(details).find_map(|text| {
            let (_, answer) = text.split_once("chaincode response ")?;
            let (status, message) = answer.split_once(", ")?;
            let status = status.parse().ok().filter(|status| *status >= 400)?;
            Some(ChaincodeResponse { status, message })
        })
    }
}

/// Codes with which a peer says that it handed nothing on, or the orderer that it took nothing. UNAVAILABLE is not one of
/// them: a BFT orderer answers so for a transaction that it already ordered.
fn is_refusal(code: Code) -> bool {
    use Code::{
        Aborted, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated, Unimplemented,
    };
    matches!(
        code,
        Aborted | FailedPrecondition | InvalidArgument | NotFound | PermissionDenied | Unauthenticated | Unimplemented
    )
}

/// The `gateway.ErrorDetail`s of a `grpc-status-details-bin` trailer.
fn details(trailer: &[u8]) -> Vec<ErrorDetail> {
    let Ok(status) = rpc::Status::decode(trailer) else { return Vec::new() };
    status
        .details
        .iter()
        .filter(|any| any.type_url.rsplit('/').next() == Some("gateway.ErrorDetail"))
        .filter_map(|any| fabric_protos::gateway::ErrorDetail::decode(any.value.as_slice()).ok())
        .map(|detail| ErrorDetail { address: detail.address, msp_id: detail.msp_id, message: detail.message })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Error {
        Error::own(Stage::Evaluate, Code::Unknown, None, message)
    }

    #[test]
    fn the_chaincodes_own_answer_is_found_in_the_message() {
        let error =
            said("evaluate call to endorser returned error: chaincode response 404, {\"code\":\"unknown, link\"}");
        let expected = ChaincodeResponse { status: 404, message: "{\"code\":\"unknown, link\"}" };
        assert_eq!(error.chaincode_response(), Some(expected));
    }

    #[test]
    fn what_the_chaincode_did_not_say_is_not_its_answer() {
        for message in
            ["access denied", "chaincode response", "chaincode response x, y", "chaincode response 200, fine"]
        {
            assert_eq!(said(message).chaincode_response(), None, "{message}");
        }
    }

    #[test]
    fn details_that_are_no_error_details_are_passed_over() {
        let other = prost_types::Any { type_url: "type.googleapis.com/google.rpc.Help".to_owned(), value: vec![255] };
        let status = rpc::Status { code: 10, message: String::new(), details: vec![other] };
        assert_eq!(details(&status.encode_to_vec()), []);
        assert_eq!(details(b"\xff"), []);
    }

    #[test]
    fn only_a_refused_submit_is_certain_to_have_changed_nothing() {
        let may = |stage, code| Error::own(stage, code, Some("t"), "").may_have_committed();
        assert!(may(Stage::Submit, Code::Unavailable));
        assert!(may(Stage::Submit, Code::DeadlineExceeded));
        assert!(may(Stage::CommitStatus, Code::PermissionDenied));
        assert!(!may(Stage::Submit, Code::Aborted));
        assert!(!may(Stage::Submit, Code::InvalidArgument));
        assert!(!may(Stage::Endorse, Code::Unavailable));
        assert!(!may(Stage::Evaluate, Code::DeadlineExceeded));
    }
}
