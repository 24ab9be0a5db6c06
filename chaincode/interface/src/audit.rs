use fabric_contract::{Context, contract};
use healthchain_rules::accounting::Statement;
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::{
    Disclosure, Hold, HoldId, LedgerEvent, LedgerTime, MemberId, MspId, Reading, Reason, Refusal, Replay, Trail,
    TransactionId,
};
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

/// Asks for an accounting of disclosures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountingQuery {
    /// The transaction of a reading of the patient's trail.
    pub reading: TransactionId,
    /// Whether to list also the openings that need not be accounted for, with the exception that holds for each.
    #[serde(default)]
    pub all: bool,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Places a hold on a patient's accounting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceHold {
    /// Its id, chosen by the caller among the organisation's.
    pub hold: HoldId,
    /// Whose accounting.
    pub patient: MemberId,
    /// Disclosures to whom.
    pub recipient: MspId,
    /// How the recipient stated that an accounting would impede its work.
    pub statement: Statement,
    /// Until when (that moment excluded).
    pub until: LedgerTime,
    /// Why: the statement's reference.
    pub reason: Reason,
}

/// Asks which of the ledger's events a member may know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownQuery {
    /// The member, of the caller's organisation.
    pub member: MemberId,
    /// What the ledger told, at most 100; none to ask whether the member may be told anything.
    pub events: Vec<LedgerEvent>,
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

    /// Who received what of a patient's records in the last six years, newest first (45 CFR 164.528): what was disclosed for treatment,
    /// payment or operations, to the individual, by the individual's authorisation or within the publisher is left out unless all is
    /// asked for; accesses in an emergency are always listed. For whoever made a reading of the patient's trail, for an hour.
    #[evaluate]
    async fn accounting(&self, context: &Context, query: AccountingQuery) -> Result<Page<Disclosure>, Refusal>;

    /// Holds back from a patient's accounting and trail what the caller's organisation disclosed to a health-oversight agency or law
    /// enforcement, which stated that an accounting would impede its work. For privacy officers. On the organisation's trail, not on
    /// the patient's. Repeating it is harmless.
    #[submit]
    async fn hold(&self, context: &mut Context, call: PlaceHold) -> Result<Hold, Refusal>;

    /// Ends a hold of the caller's organisation before its time. Repeating it is harmless.
    #[submit]
    async fn release_hold(&self, context: &mut Context, hold: HoldId) -> Result<Hold, Refusal>;

    /// A hold of the caller's organisation. For its privacy officers.
    #[evaluate]
    async fn held(&self, context: &Context, hold: HoldId) -> Result<Hold, Refusal>;

    /// Decides an opening again, by its transaction, on the values that it read, which are found in the peer's history: whether the
    /// decision is the recorded one. For the patient, and for administrators and privacy officers of the opener's and the publisher's
    /// organisations; an opening of a ledger of the first release answers `no-evidence`.
    #[evaluate]
    async fn replay(&self, context: &Context, opening: TransactionId) -> Result<Replay, Refusal>;

    /// The transactions of those of these events of which a member may know: whoever may read a trail, of what stands on it, and the
    /// auditors of the publisher's organisation of its records' openings, and the readers of a payer's statements of the end of what it
    /// pays for. For the gateway of the member's organisation, before it passes events on; refused when the member may not act.
    #[evaluate]
    async fn known(&self, context: &Context, query: KnownQuery) -> Result<Vec<TransactionId>, Refusal>;
}
