//! Delegations: what a guardian may do for a patient, and until when.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::consent;
use crate::identifier::{DelegationId, Malformed, MemberId};
use crate::limit;
use crate::member::{Actor, Caller, Member, Standing};
use crate::outcome::Outcome;
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
    /// Answer access requests. Standing rules, which would answer beyond the delegation's end, are the patient's own.
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

/// What is done to delegations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum DelegationAct {
    /// A patient let a guardian act.
    DelegationGranted {
        /// Which.
        delegation: DelegationId,
        /// Who may act.
        guardian: MemberId,
        /// For what.
        powers: BTreeSet<Power>,
        /// Until when.
        until: LedgerTime,
    },
    /// A delegation was ended.
    DelegationEnded {
        /// Which.
        delegation: DelegationId,
        /// Who may act no longer.
        guardian: MemberId,
    },
}

/// A delegation to be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelegation {
    /// Its id.
    pub id: DelegationId,
    /// For whom.
    pub patient: MemberId,
    /// Who may act.
    pub guardian: MemberId,
    /// What the guardian may do.
    pub powers: BTreeSet<Power>,
    /// About which records.
    pub categories: BTreeSet<Category>,
    /// From when; at once if absent.
    pub from: Option<LedgerTime>,
    /// Until when (that moment excluded).
    pub until: LedgerTime,
}

/// Proof that the delegation may be granted.
#[derive(Debug, PartialEq, Eq)]
pub struct MayDelegate(());

/// Proof that the delegation may be ended.
#[derive(Debug, PartialEq, Eq)]
pub struct MayEndDelegation(());

/// Proof that the caller may see these delegations.
#[derive(Debug, PartialEq, Eq)]
pub struct MayListDelegations(());

/// Whether the caller, the patient, may let this guardian act; `existing` is the delegation that the patient gave the guardian before,
/// which one with another id replaces.
pub fn decide_delegation(
    caller: &Caller,
    guardian: Option<&Member>,
    existing: Option<Delegation>,
    new: NewDelegation,
    at: LedgerTime,
) -> Result<Outcome<Delegation, MayDelegate>, Refusal> {
    consent::require_patient(caller, &new.patient, Permission::Delegate)?;
    if let Some(existing) = existing.filter(|existing| existing.id == new.id) {
        return if existing.state == DelegationState::Granted && existing.is_same(&new, at) {
            Ok(Outcome::Repeated(existing))
        } else {
            Err(Refusal::new(
                RefusalCode::DelegationExists,
                "the delegation's id is taken, maybe by one that was ended: choose another",
            ))
        };
    }
    let guardian = guardian.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such guardian"))?;
    if guardian.role != Role::Guardian || guardian.standing != Standing::Active {
        return Err(Refusal::new(RefusalCode::NotGuardian, "the member is no guardian who may act: name another"));
    }
    new.require_bounded(at)?;
    let NewDelegation { id, patient, guardian, powers, categories, from, until } = new;
    let (from, state) = (from.unwrap_or(at), DelegationState::Granted);
    let delegation = Delegation { id, patient, guardian, powers, categories, from, until, state };
    Ok(Outcome::Decided(delegation, MayDelegate(())))
}

/// Whether the caller may end this delegation of the patient: the patient and the guardian. For all others it is unknown.
pub fn decide_end(
    caller: &Caller,
    existing: Option<Delegation>,
    at: LedgerTime,
) -> Result<Outcome<Delegation, MayEndDelegation>, Refusal> {
    let by = &caller.active_member()?.member.id;
    let delegation = existing
        .filter(|existing| existing.patient == *by || existing.guardian == *by)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownDelegation, "no such delegation"))?;
    match delegation.state {
        DelegationState::Ended { .. } => Ok(Outcome::Repeated(delegation)),
        DelegationState::Granted => {
            let state = DelegationState::Ended { by: by.clone(), at };
            Ok(Outcome::Decided(Delegation { state, ..delegation }, MayEndDelegation(())))
        }
    }
}

/// Whether the caller may see the delegations of this member, a patient or a guardian: only that member.
pub fn decide_listing(caller: &Caller, member: &MemberId) -> Result<MayListDelegations, Refusal> {
    if caller.active_member()?.member.id == *member {
        Ok(MayListDelegations(()))
    } else {
        Err(Refusal::new(RefusalCode::NotPermitted, "patients and guardians see their own delegations"))
    }
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

    fn is_same(&self, new: &NewDelegation, at: LedgerTime) -> bool {
        self.guardian == new.guardian
            && self.powers == new.powers
            && self.categories == new.categories
            && new.from.map_or(self.from <= at, |from| from == self.from)
            && self.until == new.until
    }
}

impl NewDelegation {
    fn require_bounded(&self, at: LedgerTime) -> Result<(), Malformed> {
        if self.powers.is_empty() {
            return Err(Malformed::new("a delegation's powers", "at least one"));
        }
        if self.powers.contains(&Power::Open) && self.categories.is_empty() {
            return Err(Malformed::new("a delegation's categories", "at least one, to open records"));
        }
        if self.until <= self.from.unwrap_or(at).max(at) {
            return Err(Malformed::new("a delegation's end", "in the future, and later than its beginning"));
        }
        if self.until > at.plus_days(limit::DELEGATION_DAYS) {
            return Err(Malformed::new("a delegation's end", "at most 731 days ahead"));
        }
        Ok(())
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
