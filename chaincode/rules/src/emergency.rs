//! Emergency accesses (break-glass): a clinician opens what was denied, for hours, and answers for it in a review.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{MemberId, MspId, Reason, TransactionId};
use crate::refusal::{Refusal, RefusalCode};
use crate::time::LedgerTime;

/// An emergency access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Emergency {
    /// The transaction that declared it.
    pub id: TransactionId,
    /// Whose records.
    pub patient: MemberId,
    /// Who opens them.
    pub clinician: MemberId,
    /// The clinician's organisation.
    pub organisation: MspId,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub at: LedgerTime,
    /// Until when (that moment excluded).
    pub until: LedgerTime,
    /// When its review is due.
    pub review_due: LedgerTime,
    /// Whether it was reviewed.
    pub state: EmergencyState,
}

/// Whether an emergency access was reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum EmergencyState {
    /// Not yet.
    Open,
}

/// A clinician's emergency accesses that wait for their reviews.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docket {
    /// Each with the time at which its review is due.
    pub open: BTreeMap<TransactionId, LedgerTime>,
}

/// The refusal of an emergency access that does not exist, or that the caller may not know of.
pub fn unknown_emergency() -> Refusal {
    Refusal::new(RefusalCode::UnknownEmergency, "no such emergency access")
}

impl Emergency {
    /// Whether this clinician may open this patient's records under it now.
    pub fn covers(&self, clinician: &MemberId, patient: &MemberId, at: LedgerTime) -> bool {
        self.clinician == *clinician && self.patient == *patient && self.at <= at && at < self.until
    }
}

impl Docket {
    /// Whether a review is overdue: then the clinician's emergency accesses rest.
    pub fn is_overdue(&self, at: LedgerTime) -> bool {
        self.open.values().any(|due| *due <= at)
    }
}
