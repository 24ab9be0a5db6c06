//! The routes, one file a resource. A handler parses, calls the ledger or a use case, and answers.

pub(crate) mod amendments;
pub(crate) mod audit;
pub(crate) mod clients;
pub(crate) mod contents;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod links;
pub(crate) mod openings;
pub(crate) mod operations;
pub(crate) mod patient_index;
pub(crate) mod sessions;
pub(crate) mod transactions;
pub(crate) mod uploads;
pub(crate) mod webhooks;

use fabric_contract::CallError;
use healthchain_interface::{PageLimit, PageToken};
use healthchain_rules::Refusal;
use serde::Deserialize;

use super::problem::Problem;
use crate::failure::Failure;
use crate::ledger::LedgerFailure;

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
