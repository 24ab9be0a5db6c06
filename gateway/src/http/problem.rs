//! Failures as problem details (RFC 9457): the only place that knows which failure has which HTTP status.

mod challenges;
mod documentation;
mod failures;
mod kinds;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use documentation::*;
pub use kinds::*;

/// Media type of every answer that is not a success.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A kind of problem: its stable code, its status and what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What it means and what to do, in one sentence.
    pub meaning: &'static str,
    /// Seconds after which the same request may succeed.
    pub retry_after: Option<u32>,
}

/// One problem, on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable reason code, the gateway's or the ledger's.
    pub code: String,
    detail: String,
    opening: Option<String>,
    provision: Option<serde_json::Value>,
    retry_after: Option<u32>,
}

/// A problem as it is answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Details {
    /// `urn:healthchain:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code in words.
    title: String,
    /// HTTP status.
    status: u16,
    /// Stable reason code, the gateway's or the ledger's.
    code: String,
    /// What happened and what to do about it.
    detail: String,
    /// Transaction id of the opening that the problem is about: a denial is on the ledger, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<String>,
    /// The consent or rule that decided, where the ledger names one: `{"consent": "…"}` or `{"rule": "…"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    provision: Option<serde_json::Value>,
}

impl Problem {
    /// A problem of a kind, with its meaning as detail.
    pub fn new(kind: Kind) -> Self {
        Self { retry_after: kind.retry_after, ..Self::of_code(kind.status, kind.code, kind.meaning) }
    }

    /// A problem whose code is the ledger's.
    pub fn of_code(status: u16, code: &str, detail: &str) -> Self {
        let (code, detail) = (code.to_owned(), detail.to_owned());
        Self { status, code, detail, opening: None, provision: None, retry_after: None }
    }

    /// The same with more about this occurrence behind the kind's meaning.
    pub fn because(mut self, reason: impl std::fmt::Display) -> Self {
        self.detail = format!("{} ({reason})", self.detail);
        self
    }

    /// The same, to be tried again after this many seconds.
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same, naming the opening it is about.
    pub fn of_opening(mut self, opening: impl ToString) -> Self {
        self.opening = Some(opening.to_string());
        self
    }
}

impl Problem {
    /// As it is answered.
    pub(crate) fn into_json(self) -> serde_json::Value {
        serde_json::to_value(self.into_details()).expect("a problem always serialises")
    }

    fn into_details(self) -> Details {
        let Self { status, code, detail, opening, provision, .. } = self;
        let (kind, title) = (format!("urn:healthchain:problem:{code}"), code.replace('-', " "));
        Details { kind, title, status, code, detail, opening, provision }
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let challenges = challenges::of(self.status, &self.code);
        let mut response = (status, Json(self.into_details())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for challenge in challenges {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_its_own_code_and_a_status_of_an_error() {
        let codes: BTreeSet<_> = ALL.iter().copied().flatten().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), ALL.iter().map(|kinds| kinds.len()).sum::<usize>());
        for kind in ALL.iter().copied().flatten() {
            assert!((400..600).contains(&kind.status), "{}", kind.code);
            assert!(kind.code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'), "{}", kind.code);
            let passing = kind.status >= 500 || [409, 429].contains(&kind.status);
            assert!(kind.retry_after.is_none() || passing, "{}", kind.code);
        }
    }

    #[test]
    fn a_problem_says_when_to_come_again_in_the_header_alone() {
        let response = Problem::new(PEER_UNAVAILABLE).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        assert!(!serde_json::to_string(&Problem::new(PEER_UNAVAILABLE).into_details()).unwrap().contains("retry"));
    }

    #[test]
    fn problems_are_a_golden_table() {
        let mut table = String::new();
        for kind in ALL.iter().copied().flatten() {
            table += &format!("{} {:<36} {}\n", kind.status, kind.code, kind.meaning);
        }
        insta::assert_snapshot!(table);
    }
}
