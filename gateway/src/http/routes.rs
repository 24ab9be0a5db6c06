//! The routes, one file a resource. A handler parses, calls the ledger or a use case, and answers.

pub(crate) mod audit;
pub(crate) mod consents;
pub(crate) mod contents;
pub(crate) mod links;
pub(crate) mod members;
pub(crate) mod openings;
pub(crate) mod operations;
pub(crate) mod organisations;

use fabric_contract::CallError;
use healthchain_interface::{PageLimit, PageToken};
use healthchain_rules::{Reason, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::Problem;
use crate::failure::Failure;
use crate::ledger::LedgerFailure;

/// Why something is withdrawn or somebody suspended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// Stays on the ledger for ever: no names, dates of birth, record numbers or findings.
    reason: Reason,
}

/// Which page of a long answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    page_token: Option<PageToken>,
    limit: Option<PageLimit>,
}

/// A call that the ledger did not carry out.
impl From<CallError<LedgerFailure, Refusal>> for Problem {
    fn from(error: CallError<LedgerFailure, Refusal>) -> Self {
        Failure::from(error).into()
    }
}
