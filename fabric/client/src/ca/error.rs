use fabric_msp::SigningError;

use crate::connection::with_sources;

/// Why a certificate authority did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The address or the TLS authority cannot be used.
    #[error("the certificate authority cannot be called: {0}")]
    Setup(String),
    /// No answer.
    #[error("the certificate authority cannot be reached: {0}; is it running, and is its TLS root the configured one?")]
    Unreachable(String),
    /// It refused. What it says may name people, so it is shown only where [`explanation`](CaError::explanation) is.
    #[error("the certificate authority refused (HTTP {status}, code {code})")]
    Refused {
        /// HTTP status: 401 who are you, 403 you may not, 404 there is no such thing, 409 it is there already.
        status: u16,
        /// Fabric CA's own code (`lib/caerrors/servererror.go`).
        code: i64,
        /// In its words.
        message: String,
    },
    /// The answer is none of a Fabric CA.
    #[error("the certificate authority's answer is not understood: {0}")]
    Unintelligible(String),
    /// The request could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl CaError {
    /// The authority's own words, where it refused. They may name whom the call was about: for the caller's eyes, not for a log.
    pub fn explanation(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } => Some(message),
            _ => None,
        }
    }

    /// HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        Self::Unreachable(with_sources(&error.without_url()))
    }
}
