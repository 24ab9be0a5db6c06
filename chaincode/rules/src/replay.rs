//! Replay: a decision of the past, computed again from what it rested on.
//!
//! An opening leaves the hash of every value that it read. The values themselves are in the ledger's history, so that whoever has
//! audit rights finds them there, runs the same rules on them, and gets the same decision.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounting::HoldBook;
use crate::delegation::{Delegation, Power, require_acting_for};
use crate::identifier::{KeyHash, TransactionId, ValueHash};
use crate::member::Caller;
use crate::opening::{Decision, Opening, unknown_opening};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// The rules by which this release decides on openings. A release whose rules decide otherwise raises it.
pub const RULES: u32 = 1;

/// What an opening's decision rested on. Named by the opening's transaction; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// By which rules it was decided.
    pub rules: u32,
    /// The hash of the key that signed the opening.
    pub signing_key: KeyHash,
    /// The SHA-256 of each value that was read, by its key on the ledger; none where there was no value.
    pub values: BTreeMap<String, Option<ValueHash>>,
}

/// A decision, computed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    /// Of which opening.
    pub opening: TransactionId,
    /// By which rules it was decided.
    pub decided_by_rules: u32,
    /// By which rules it was computed again.
    pub replayed_by_rules: u32,
    /// What was decided.
    pub recorded: Decision,
    /// What is decided again; absent when values are missing or nothing can be decided on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Decision>,
    /// Whether both are the same.
    pub agrees: bool,
    /// The keys of values that the peer's history does not have: it began later, or holds other values than the opening read.
    pub missing: Vec<String>,
}

/// Whether the caller may replay this opening: the patient, a guardian whom the patient lets read the trail (unless a hold hides it), and administrators and
/// privacy officers of the opener's and the publisher's organisations. For all others it is unknown.
pub fn decide_replaying(
    caller: &Caller,
    opening: Option<Opening>,
    delegation: Option<&Delegation>,
    holds: &HoldBook,
    at: LedgerTime,
) -> Result<Opening, Refusal> {
    let actor = caller.active_member()?;
    let opening = opening.ok_or_else(unknown_opening)?;
    let organisation = &actor.organisation.msp_id;
    let is_party = *organisation == opening.publisher || *organisation == opening.organisation;
    let (permission, power) = (Permission::ReadPatientAudit, Power::ReadAudit);
    let is_held = || holds.hides_opening(&opening.publisher, &opening.organisation, at);
    let may_replay = is_party && caller.permitted_member(Permission::ReadOrganisationAudit).is_ok()
        || require_acting_for(caller, &opening.patient, permission, power, delegation, at).is_ok() && !is_held();
    if may_replay { Ok(opening) } else { Err(unknown_opening()) }
}

/// The evidence, if there is any.
pub fn require_evidence(evidence: Option<Evidence>) -> Result<Evidence, Refusal> {
    evidence.ok_or_else(|| {
        Refusal::new(
            RefusalCode::NoEvidence,
            "the opening was decided by a release that kept no evidence of what it read",
        )
    })
}

impl Replay {
    /// Compares what was decided with what is decided again.
    pub fn compare(opening: Opening, evidence: &Evidence, replayed: Option<Opening>, missing: Vec<String>) -> Self {
        let agrees = missing.is_empty() && replayed.as_ref() == Some(&opening);
        Self {
            opening: opening.transaction,
            decided_by_rules: evidence.rules,
            replayed_by_rules: RULES,
            recorded: opening.decision,
            replayed: replayed.filter(|_| missing.is_empty()).map(|replayed| replayed.decision),
            agrees,
            missing,
        }
    }
}
