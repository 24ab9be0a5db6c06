use fabric_contract::{Context, contract};
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::{LedgerTime, Reading, Refusal, Replay, Trail, TransactionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Begins to read an audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadTrail {
    /// Whose.
    pub trail: Trail,
    /// Entries of this moment or later; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LedgerTime>,
    /// Entries before this moment; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LedgerTime>,
}

/// Asks for the entries of a reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntriesQuery {
    /// The reading's transaction.
    pub reading: TransactionId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// The audit trail. Reading it is itself on it, so that it takes two steps: [`read`](Audit::read) commits who reads what, and the
/// queries then give the pages to that reader for an hour.
#[contract(name = "Audit")]
pub trait Audit {
    /// Begins to read a trail: a patient's, for the patient; a member's, for the member and for administrators and privacy officers of
    /// its organisation; an organisation's, for its administrators and privacy officers. The patient or member whose trail it is finds
    /// the reading there. Each call is another reading.
    #[submit]
    async fn read(&self, context: &mut Context, call: ReadTrail) -> Result<Reading, Refusal>;

    /// What was done, newest first, within the reading's bounds. For whoever made the reading, for an hour.
    #[evaluate]
    async fn entries(&self, context: &Context, query: EntriesQuery) -> Result<Page<AuditEntry>, Refusal>;

    /// Decides an opening again, by its transaction, on the values that it read, which are found in the peer's history: whether the
    /// decision is the recorded one. For the patient, and for administrators and privacy officers of the opener's and the publisher's
    /// organisations; an opening of a ledger of the first release answers `no-evidence`.
    #[evaluate]
    async fn replay(&self, context: &Context, opening: TransactionId) -> Result<Replay, Refusal>;
}
