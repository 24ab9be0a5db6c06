//! Port: the ledger as this gateway reaches it, signed by a member or by the gateway itself.

pub mod fabric;

use std::sync::Arc;

use fabric_contract::{CallFailure, ChaincodeResponse, Transact};
use fabric_msp::{Creator, SignatureError, SigningIdentity};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use healthchain_rules::LedgerEvent;
use serde::{Deserialize, Serialize};

/// Calls of the chaincode, its events, and the channel's height.
pub trait Ledger: Send + Sync {
    /// Asks one peer; nothing is written.
    fn evaluate<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>>;

    /// Has a transaction endorsed, ordered and committed. Conflicts with other transactions are tried again, a few times.
    fn submit<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>>;

    /// A call of the chaincode, for its caller to sign.
    fn propose(
        &self,
        own: &SigningIdentity,
        creator: &Creator,
        function: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Unsigned, LedgerFailure>;

    /// Asks one peer what was proposed; nothing is written.
    fn evaluate_signed<'a>(
        &'a self,
        own: &'a SigningIdentity,
        signed: Signed<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>>;

    /// Has what was proposed endorsed: the transaction, for its caller to sign.
    fn endorse_signed<'a>(
        &'a self,
        own: &'a SigningIdentity,
        signed: Signed<'a>,
    ) -> BoxFuture<'a, Result<Endorsed, LedgerFailure>>;

    /// Has an endorsed transaction ordered and committed. One that may have gone out before is looked up first.
    fn submit_signed<'a>(
        &'a self,
        own: &'a SigningIdentity,
        signed: Signed<'a>,
        before: Before,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>>;

    /// Events of valid transactions in ledger order.
    fn events(&self, signer: &SigningIdentity, start: Start) -> BoxStream<'static, Result<Notice, LedgerFailure>>;

    /// The channel's height as the organisation's peer knows it.
    fn height<'a>(&'a self, signer: &'a SigningIdentity) -> BoxFuture<'a, Result<u64, LedgerFailure>>;
}

/// What waits for the signature of somebody whose key is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// The id that the transaction will have.
    pub transaction: String,
    /// What is signed: of a proposal Fabric's `protos.Proposal`, of a transaction its `common.Payload`.
    pub bytes: Vec<u8>,
}

/// A transaction that is endorsed, and waits for the second signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsed {
    /// What is signed.
    pub unsigned: Unsigned,
    /// What the chaincode answered; of no account until the transaction is committed.
    pub result: Vec<u8>,
}

/// What somebody signed whose key is elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// Who.
    pub creator: &'a Creator,
    /// The bytes of an [`Unsigned`].
    pub bytes: &'a [u8],
    /// ECDSA over their SHA-256, in DER or IEEE P1363.
    pub signature: &'a [u8],
}

/// What is known of a transaction before it is handed to the orderers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It has not gone out.
    New,
    /// It may have gone out.
    MayBeOut,
}

/// Where to begin with events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Behind this place.
    After(Position),
    /// At the beginning of this block.
    Block(u64),
}

/// A place in the ledger's order of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Block number.
    pub block: u64,
    /// Transaction id.
    pub transaction: String,
}

/// One event with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where it stands.
    pub position: Position,
    /// What it says; none when this release does not know the event.
    pub event: Option<LedgerEvent>,
}

/// Why a call of the ledger did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerFailure {
    /// The chaincode refused; nothing was written.
    #[error("chaincode response {status}, {message}")]
    Refused {
        /// 400 to 599.
        status: i32,
        /// The refusal's text form.
        message: String,
    },
    /// The peer cannot be reached or does not answer; nothing was written.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// The peer is there, but its chaincode does not run or ended during the call; nothing was written.
    #[error("the chaincode cannot be reached: {0}")]
    ChaincodeUnavailable(String),
    /// Too few of the other organisations' peers can be reached to endorse; nothing was written.
    #[error("too few peers can be reached to endorse: {0}")]
    TooFewPeers(String),
    /// The transaction went out, and whether it was committed is not known.
    #[error("whether transaction {transaction} was committed is not known: {reason}")]
    OutcomeUnknown {
        /// Its id.
        transaction: String,
        /// What went wrong.
        reason: String,
    },
    /// Other transactions changed the same keys first, again and again; nothing was written.
    #[error("the transaction conflicted with others, repeatedly")]
    Conflict,
    /// The signature is not the caller's, or not of these bytes; nothing was sent.
    #[error("the signature is refused: {0}")]
    NotSigned(SignatureError),
    /// Anything else; nothing was written.
    #[error("{0}")]
    Failed(String),
}

impl CallFailure for LedgerFailure {
    fn chaincode_response(&self) -> Option<ChaincodeResponse<'_>> {
        match self {
            Self::Refused { status, message } => Some(ChaincodeResponse { status: *status, message }),
            _ => None,
        }
    }
}

/// The chaincode as one identity calls it: what the typed clients of `healthchain_interface` are made of.
#[derive(Clone)]
pub struct Contract {
    ledger: Arc<dyn Ledger>,
    signer: SigningIdentity,
}

impl Contract {
    /// Calls signed by this identity.
    pub fn new(ledger: &Arc<dyn Ledger>, signer: &SigningIdentity) -> Self {
        Self { ledger: Arc::clone(ledger), signer: signer.clone() }
    }
}

impl Transact for Contract {
    type Error = LedgerFailure;

    async fn evaluate(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, LedgerFailure> {
        self.ledger.evaluate(&self.signer, function, arguments).await
    }

    async fn submit(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, LedgerFailure> {
        self.ledger.submit(&self.signer, function, arguments).await
    }
}
