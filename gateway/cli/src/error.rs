use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why a verb did not succeed. Each kind ends the program with a code of its own; they are documented in docs/operators.md.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What the person gave cannot be used.
    #[error("{0}")]
    Input(String),
    /// The gateway was not reached, or the connection broke.
    #[error("the gateway cannot be reached: {0}")]
    Unreachable(String),
    /// The gateway answered with a problem.
    #[error("{}", .0.title)]
    Problem(Box<Problem>),
    /// What came is not what was promised.
    #[error("{0}")]
    Broken(String),
}

/// A problem as the gateway tells it (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// In words.
    #[serde(default)]
    pub(crate) title: String,
    /// HTTP status.
    #[serde(default)]
    pub(crate) status: u16,
    /// Stable.
    #[serde(default)]
    pub(crate) code: String,
    /// What happened and what to do about it.
    #[serde(default)]
    pub(crate) detail: String,
    /// The opening that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opening: Option<String>,
    /// Seconds after which the same may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<u64>,
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }

    /// Code 2 is clap's, for a command line that is none.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Input(_) => 3,
            Self::Unreachable(_) => 4,
            Self::Problem(problem) => match problem.status {
                401 | 403 => 5,
                404 | 410 => 6,
                429 | 500.. => 4,
                _ => 7,
            },
            Self::Broken(_) => 8,
        }
    }

    /// What the person can do, where the error itself does not say.
    pub(crate) fn remedy(&self) -> Option<String> {
        match self {
            Self::Unreachable(_) => {
                Some("check the address with `healthchain profiles`, and that the gateway runs".into())
            }
            Self::Problem(problem) => match (problem.retry_after, problem.status) {
                (Some(seconds), _) => Some(format!("try the same again in {seconds} s")),
                (None, 401) => Some("log in with another certificate: `healthchain login --help`".into()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        let mut innermost: &dyn std::error::Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Unreachable(innermost.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16) -> u8 {
        let problem = serde_json::from_value(serde_json::json!({ "status": status })).unwrap();
        Error::Problem(Box::new(problem)).exit_code()
    }

    #[test]
    fn a_script_can_tell_a_refusal_from_what_may_succeed_later() {
        assert_eq!([401, 403, 404, 410, 409, 422].map(code), [5, 5, 6, 6, 7, 7]);
        assert_eq!([429, 500, 502, 503, 504].map(code), [4; 5]);
        assert_eq!(Error::Unreachable(String::new()).exit_code(), 4);
        assert_eq!(Error::Input(String::new()).exit_code(), 3);
    }
}
