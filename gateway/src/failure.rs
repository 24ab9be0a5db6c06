//! Why a use case did not succeed. What each means to an HTTP client, `http/problem/` says.

use fabric_contract::{CallError, CallFailure as _};
use healthchain_rules::{Holder, Opening, Refusal, TransactionId};

use crate::content::ContentError;
use crate::contents::ContentsError;
use crate::ledger::LedgerFailure;
use crate::records::RecordsError;
use crate::sealing::SealingError;
use crate::state::StateError;
use crate::use_cases::patient_index::IndexRefusal;
use crate::use_cases::upload::UploadRefusal;
use crate::webhooks::WebhookRefusal;

/// Why a use case did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The ledger refused the call; nothing was written.
    #[error("the ledger refused: {0}")]
    Refused(Refusal),
    /// The ledger committed that this opening is denied.
    #[error("the ledger denied opening {}", .0.transaction)]
    Denied(Box<Opening>),
    /// The member's key is not here, and so nothing can be signed on its behalf.
    #[error("the member's key is elsewhere")]
    KeyElsewhere,
    /// Nothing of this member's waits for a signature under this id, or not any more.
    #[error("nothing waits for this member's signature under this id")]
    NothingToSign,
    /// The transaction waits for its other signature.
    #[error("the transaction waits for another signature than this one")]
    SignatureNotAwaited,
    /// The ledger could not be asked, or could not answer.
    #[error(transparent)]
    Ledger(LedgerFailure),
    /// The ledger's answer is not one that this gateway understands.
    #[error("the ledger's answer is not understood: {0}")]
    Unintelligible(String),
    /// The idempotency key was used for something else.
    #[error("the idempotency key was used for something else")]
    IdempotencyKeyReused,
    /// The ledger names a recipient with a key that nothing can be sealed to.
    #[error("the encryption key of {0:?} cannot be sealed to")]
    RecipientKeyUnusable(Holder),
    /// No envelope came within the time that a caller is kept waiting.
    #[error("no envelope was sealed in time")]
    EnvelopeNotYetSealed,
    /// The envelope is not for a key that this gateway holds, or does not open, or holds no link payload.
    #[error("the envelope does not open here")]
    EnvelopeDoesNotOpen,
    /// The record that is published is not what its digest is of.
    #[error("the record is not what its digest is of")]
    RecordDigest,
    /// The device that holds the encryption key does not answer.
    #[error("the encryption key's device does not answer")]
    KeyUnavailable,
    /// The record that is published has no bytes.
    #[error("the record is empty")]
    RecordEmpty,
    /// The record that is published is larger than this gateway takes.
    #[error("the record is larger than {0} bytes")]
    RecordTooLarge(usize),
    /// The record that is published did not arrive whole.
    #[error("the record did not arrive whole: {0}")]
    RecordBroken(String),
    /// The organisation's own record store failed, or has lost a record.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The patient index does not do what it is asked.
    #[error("patient index: {0:?}")]
    Index(IndexRefusal),
    /// The upload does not do what it is asked.
    #[error("upload: {0:?}")]
    Upload(UploadRefusal),
    /// A webhook does not do what it is asked.
    #[error("webhook: {0:?}")]
    Webhook(WebhookRefusal),
    /// The gateway's state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The publisher's gateway did not give the content.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The content is not what was published.
    #[error("the content is not what was published: {0}")]
    Tampered(&'static str),
    /// The content is longer than that of the largest record that this gateway takes.
    #[error("the content is longer than this gateway takes: {0} bytes")]
    BeyondLimit(u64),
    /// Contents that can only be opened whole take all the memory that there is for them.
    #[error("too many large contents are opened whole at once")]
    Crowded,
    /// The record, of so many bytes, has none of those that are wanted.
    #[error("the record has {0} bytes, and none of those that are wanted")]
    RangeNotSatisfiable(u64),
    /// The second lock holds.
    #[error("the second lock holds: {0:?}")]
    Locked(Lock),
    /// A permitted, committed opening could not be carried through.
    #[error("opening {opening}: {failure}")]
    AfterOpening {
        /// The opening.
        opening: TransactionId,
        /// What went wrong after it.
        failure: Box<Failure>,
    },
    /// Something that should not be able to fail did.
    #[error("internal: {0}")]
    Internal(String),
}

impl Failure {
    /// Whether the same may succeed later, with nothing changed by whoever asks.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Ledger(_) | Self::State(_) | Self::Records(_) | Self::KeyUnavailable)
    }
}

/// Of an envelope that was to be opened.
impl From<SealingError> for Failure {
    fn from(error: SealingError) -> Self {
        match error {
            SealingError::DeviceUnavailable => Self::KeyUnavailable,
            SealingError::NotAPublicKey
            | SealingError::NotAPrivateKey
            | SealingError::DoesNotOpen
            | SealingError::Failed => Self::EnvelopeDoesNotOpen,
        }
    }
}

/// Why a content is not given to another organisation's gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// No such opening on this organisation's own peer.
    NoOpening,
    /// The opening was denied.
    Denied,
    /// It was permitted to another organisation.
    AnotherOrganisation,
    /// It is about another link.
    AnotherLink,
    /// It is about another version.
    AnotherVersion,
    /// It is too old, or lies in the future.
    TooOld,
    /// The record is another organisation's, and no copy of it is kept here.
    NotThePublisher,
}

impl From<CallError<LedgerFailure, Refusal>> for Failure {
    fn from(error: CallError<LedgerFailure, Refusal>) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Failed(failure) => Self::Ledger(failure),
            CallError::Undecodable(answer) => Self::Unintelligible(answer),
        }
    }
}

/// A call whose answer is passed on: a refusal is told from other failures as the typed clients do it.
impl From<LedgerFailure> for Failure {
    fn from(failure: LedgerFailure) -> Self {
        match failure.chaincode_response().and_then(|response| response.message.parse().ok()) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Ledger(failure),
        }
    }
}

/// Content that cannot be *made* is this gateway's failure; content that does not open is judged where it is opened.
impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        Self::Internal(error.to_string())
    }
}
