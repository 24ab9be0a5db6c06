//! How the ledger, and an invocation, can fail.

/// A read or write of the ledger that brought no answer. The transaction cannot succeed any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The peer's stream ended while the transaction ran; the client may try again.
    #[error("the connection to the peer ended during the transaction; try again")]
    StreamEnded,
    /// The peer refused the request, in its own words.
    #[error("the peer refused {request}: {message}")]
    Refused {
        /// The request's message type, such as `GET_STATE`.
        request: &'static str,
        /// The peer's text.
        message: String,
    },
    /// The peer's answer is not the message that Fabric's protocol promises.
    #[error("the peer's answer to {request} cannot be read: {reason}; check the version of the peer")]
    Unreadable {
        /// The request's message type, such as `GET_STATE`.
        request: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A key, an attribute of a key, or an event's name that Fabric does not take.
    #[error("{0}")]
    InvalidKey(#[from] KeyError),
}

/// A key that Fabric does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Keys are not empty.
    #[error("a key must not be empty")]
    Empty,
    /// The object type of a composite key is not empty.
    #[error("the object type of a composite key must not be empty")]
    EmptyObjectType,
    /// U+0000 separates the parts of a composite key and U+10FFFF ends its ranges, so that neither may occur in a part.
    #[error("{0:?} contains U+0000 or U+10FFFF, which separate and bound composite keys")]
    ReservedCharacter(String),
    /// Ranges of simple keys do not begin or end among the composite keys.
    #[error("{0:?} begins with U+0000 as composite keys do; use a partial composite key instead of a range")]
    CompositeInRange(String),
    /// Not made by [`composite_key`](crate::composite_key).
    #[error("{0:?} is not a composite key")]
    NotComposite(String),
    /// Events are found by their names.
    #[error("the name of an event must not be empty")]
    EmptyEventName,
}

/// Why an invocation is not endorsed: what the client sees as "chaincode response {status}, {message}".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("chaincode response {status}, {message}")]
pub struct Failure {
    status: u16,
    message: String,
}

impl Failure {
    /// A failure with a status of 400–599; any other status becomes 500, since a lower one would be endorsed.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        let status = if (400..600).contains(&status) { status } else { 500 };
        Self { status, message: message.into() }
    }

    /// 400–599, as in HTTP.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text for the client; for a contract's refusal the refusal's own form.
    pub fn message(&self) -> &str {
        &self.message
    }
}
