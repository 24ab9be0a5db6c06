//! Delegations: what a guardian may do for a patient, and until when.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::identifier::{DelegationId, MemberId};
use crate::member::{Actor, Caller};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// What a patient lets a guardian do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delegation {
    /// Its id, chosen by the patient.
    pub id: DelegationId,
    /// For whom.
    pub patient: MemberId,
    /// Who acts.
    pub guardian: MemberId,
    /// What the guardian may do.
    pub powers: BTreeSet<Power>,
    /// About which records; restricted ones only if named.
    pub categories: BTreeSet<Category>,
    /// From when.
    pub from: LedgerTime,
    /// Until when (that moment excluded).
    pub until: LedgerTime,
    /// Whether it still stands.
    pub state: DelegationState,
}

/// Something that a guardian may do for a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// List and open the patient's records.
    Open,
    /// Grant and revoke consents.
    Consent,
    /// Answer access requests, and set standing rules.
    AnswerRequests,
    /// Order subscriptions.
    Subscribe,
    /// Read the patient's trail.
    ReadAudit,
    /// Enrol in reward programs and redeem points.
    CollectRewards,
}

/// Whether a delegation still stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum DelegationState {
    /// Stands, within its period.
    Granted,
    /// Ended by the patient or the guardian.
    Ended {
        /// By whom.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
}

impl Delegation {
    /// Whether it lets this guardian use this power for this patient now.
    pub fn lets(&self, guardian: &MemberId, patient: &MemberId, power: Power, at: LedgerTime) -> bool {
        self.guardian == *guardian
            && self.patient == *patient
            && self.powers.contains(&power)
            && self.from <= at
            && at < self.until
            && self.state == DelegationState::Granted
    }
}

/// The caller, if it is the patient and has the permission, or a guardian whom the patient lets use this power. `delegation` is the
/// patient's for the caller.
pub fn require_acting_for<'a>(
    caller: &'a Caller,
    patient: &MemberId,
    permission: Permission,
    power: Power,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<&'a Actor, Refusal> {
    let actor = caller.active_member()?;
    let is_let = |delegation: &Delegation| delegation.lets(&actor.member.id, patient, power, at);
    if actor.role() == Role::Guardian && delegation.is_some_and(is_let) {
        return Ok(actor);
    }
    let actor = caller.permitted_member(permission)?;
    if actor.member.id == *patient {
        Ok(actor)
    } else {
        Err(Refusal::new(
            RefusalCode::NotPermitted,
            "only the patient may do this, or a guardian whom the patient lets do it",
        ))
    }
}
