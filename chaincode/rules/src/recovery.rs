//! Recovery: a patient who lost the key gets another by t of n trustees, named in advance, after a waiting time in which whoever has
//! the old key can object.

mod decision;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{KeyHash, Malformed, MemberId, MspId, Reason, RecoveryId};
use crate::limit;
use crate::member::{Actor, KeyHolder, Member, Standing};
use crate::organisation::{EncryptionKey, Organisation};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Role;
use crate::rotation::NewKeys;
use crate::time::LedgerTime;

pub use decision::{
    decide_approval, decide_beginning, decide_completion, decide_objection, decide_plan, decide_reading,
};

/// Who may replace a patient's lost key. JSON: `{"member": "…"}` or `{"organisation": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trustee {
    /// A person.
    Member(MemberId),
    /// An organisation: any of its administrators.
    Organisation(MspId),
}

/// The trustees of a patient, and how many of them it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trustees {
    named: BTreeSet<Trustee>,
    threshold: u32,
}

/// What a patient decided in advance about a lost key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryPlan {
    /// Whose key.
    pub patient: MemberId,
    /// Who may replace it.
    pub trustees: Trustees,
    /// When the patient decided so.
    pub made: LedgerTime,
}

/// A patient's key being replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// Its id, chosen by who began it.
    pub id: RecoveryId,
    /// Whose key.
    pub patient: MemberId,
    /// The patient's organisation, which issues the new certificate.
    pub organisation: MspId,
    /// The hash of the new certificate's public key.
    pub key_hash: KeyHash,
    /// The new encryption key.
    pub encryption_key: EncryptionKey,
    /// Why.
    pub reason: Reason,
    /// The trustees at its beginning: a plan changed later does not change it.
    pub trustees: Trustees,
    /// Who began it.
    pub by: MemberId,
    /// When.
    pub begun: LedgerTime,
    /// Who approved it, one approval a trustee; who began it is among them.
    pub approvals: Vec<Approval>,
    /// The recovery that it replaced, which another trustee had begun and too few had approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
    /// How far it is.
    pub state: RecoveryState,
}

/// A recovery that another trustee's replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replaced {
    /// Which.
    pub recovery: RecoveryId,
    /// Who had approved it: they cannot replace the other one in turn.
    pub approved_by: BTreeSet<Trustee>,
}

/// A trustee's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// Which trustee approved.
    pub trustee: Trustee,
    /// That person, or an administrator of that organisation.
    pub by: MemberId,
    /// That member's organisation.
    pub organisation: MspId,
    /// When.
    pub at: LedgerTime,
}

/// How far a recovery is. One that is neither completed nor objected to lapses 30 days after it began to collect or to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RecoveryState {
    /// Too few trustees have approved it.
    Collecting,
    /// Enough have; now whoever has the old key can object.
    Waiting {
        /// When it can be completed.
        until: LedgerTime,
    },
    /// The patient has the new key.
    Completed {
        /// The trustee who completed it.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
    /// Ended by an objection.
    Objected {
        /// The patient, or who had begun it.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
}

/// What is done to recoveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum RecoveryAct {
    /// A patient named trustees.
    RecoveryPlanned {
        /// How many there are.
        trustees: u32,
        /// How many it takes.
        threshold: u32,
    },
    /// A trustee began to replace the patient's key, and so approved it.
    RecoveryBegun {
        /// Which.
        recovery: RecoveryId,
        /// The hash of the new certificate's public key.
        key_hash: KeyHash,
        /// Why.
        reason: Reason,
        /// When it can be completed, if one approval is enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits_until: Option<LedgerTime>,
        /// The recovery that it replaced, which has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<RecoveryId>,
    },
    /// Another trustee approved it.
    RecoveryApproved {
        /// Which.
        recovery: RecoveryId,
        /// When it can be completed, once enough have approved it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits_until: Option<LedgerTime>,
    },
    /// It was objected to, and has ended.
    RecoveryObjected {
        /// Which.
        recovery: RecoveryId,
    },
    /// The patient's key was replaced.
    RecoveryCompleted {
        /// Which.
        recovery: RecoveryId,
        /// The hash of the old signing key.
        from: KeyHash,
        /// The hash of the new one.
        to: KeyHash,
    },
}

/// Proof that the plan may be made.
#[derive(Debug, PartialEq, Eq)]
pub struct MayPlan(());

/// Proof that the recovery may go on so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayGoOn(());

/// Proof that the recovery may be completed.
#[derive(Debug, PartialEq, Eq)]
pub struct MayComplete(());

/// A recovery to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecovery {
    /// Its id.
    pub id: RecoveryId,
    /// The keys that the patient is to have.
    pub keys: NewKeys,
    /// Why.
    pub reason: Reason,
}

/// What the ledger holds of what a beginning names.
#[derive(Clone, Copy, Debug)]
pub struct BeginningState<'a> {
    /// The patient.
    pub patient: Option<&'a Member>,
    /// The patient's plan.
    pub plan: Option<&'a RecoveryPlan>,
    /// The patient's latest recovery.
    pub latest: Option<&'a Recovery>,
    /// What the new signing key is registered as in the patient's organisation.
    pub taken: Option<&'a KeyHolder>,
}

/// What the ledger holds, now, of what a completion rests on.
#[derive(Clone, Copy, Debug)]
pub struct CompletionState<'a> {
    /// The patient.
    pub patient: Option<&'a Member>,
    /// What the patient's present signing key is registered as.
    pub present: Option<&'a KeyHolder>,
    /// What the new signing key is registered as in the patient's organisation.
    pub taken: Option<&'a KeyHolder>,
    /// Those who approved.
    pub approvers: &'a [Member],
    /// Their organisations.
    pub organisations: &'a [Organisation],
}

impl Trustees {
    /// 1 to 16 trustees, of whom it takes at least one and at most all.
    pub fn new(named: BTreeSet<Trustee>, threshold: u32) -> Result<Self, Malformed> {
        if !(1..=limit::TRUSTEES).contains(&named.len()) {
            return Err(Malformed::new("the list of trustees", "1 to 16 members and organisations"));
        }
        if threshold == 0 || threshold as usize > named.len() {
            return Err(Malformed::new("the threshold of a recovery", "at least 1 and at most the number of trustees"));
        }
        Ok(Self { named, threshold })
    }

    /// Who they are.
    pub const fn named(&self) -> &BTreeSet<Trustee> {
        &self.named
    }

    /// How many of them it takes.
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// As which of the trustees this member can act: as itself, and as an administrator of its organisation.
    fn capacities(&self, actor: &Actor) -> Vec<&Trustee> {
        self.named.iter().filter(|trustee| trustee.is(&actor.member)).collect()
    }
}

impl Trustee {
    /// The person, if it is one.
    pub const fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Member(id) => Some(id),
            Self::Organisation(_) => None,
        }
    }

    /// The organisation, if it is one.
    pub const fn organisation(&self) -> Option<&MspId> {
        match self {
            Self::Organisation(msp_id) => Some(msp_id),
            Self::Member(_) => None,
        }
    }

    fn is(&self, member: &Member) -> bool {
        match self {
            Self::Member(id) => member.id == *id,
            Self::Organisation(msp_id) => member.organisation == *msp_id && member.role == Role::Administrator,
        }
    }
}

impl RecoveryAct {
    /// What a plan leaves on the trail: who the trustees are is for them to know.
    pub fn of_plan(plan: &RecoveryPlan) -> Self {
        let trustees = u32::try_from(plan.trustees.named.len()).unwrap_or(u32::MAX);
        Self::RecoveryPlanned { trustees, threshold: plan.trustees.threshold }
    }

    /// What a beginning leaves on the trail.
    pub fn of_beginning(recovery: &Recovery) -> Self {
        Self::RecoveryBegun {
            recovery: recovery.id.clone(),
            key_hash: recovery.key_hash.clone(),
            reason: recovery.reason.clone(),
            waits_until: recovery.waits_until(),
            replaced: recovery.replaced.as_ref().map(|replaced| replaced.recovery.clone()),
        }
    }
}

impl Recovery {
    /// Whether it can still be approved, objected to or completed.
    pub fn is_open(&self, at: LedgerTime) -> bool {
        match self.state {
            RecoveryState::Collecting => at < self.begun.plus_days(limit::RECOVERY_DAYS),
            RecoveryState::Waiting { until } => at < until.plus_days(limit::RECOVERY_DAYS),
            RecoveryState::Completed { .. } | RecoveryState::Objected { .. } => false,
        }
    }

    /// When it can be completed, once enough trustees have approved it.
    pub const fn waits_until(&self) -> Option<LedgerTime> {
        match self.state {
            RecoveryState::Waiting { until } => Some(until),
            RecoveryState::Collecting | RecoveryState::Completed { .. } | RecoveryState::Objected { .. } => None,
        }
    }

    /// Adds the approvals that the actor can give, and begins to wait when they are enough. The silent trustee has no voice.
    fn approved_by(mut self, actor: &Actor, silent: Option<&Trustee>, hours: u32, at: LedgerTime) -> Self {
        let (by, organisation) = (&actor.member.id, &actor.organisation.msp_id);
        for trustee in self.trustees.capacities(actor).into_iter().filter(|trustee| silent != Some(*trustee)) {
            let is_there = |one: &Approval| one.trustee == *trustee && one.by == *by;
            if !self.approvals.iter().any(is_there) {
                self.approvals.retain(|one| one.trustee != *trustee);
                let (trustee, by, organisation) = (trustee.clone(), by.clone(), organisation.clone());
                self.approvals.push(Approval { trustee, by, organisation, at });
            }
        }
        let audible = self.approvals.iter().filter(|one| silent != Some(&one.trustee)).count();
        if self.state == RecoveryState::Collecting && self.is_enough(audible) {
            self.state = RecoveryState::Waiting { until: at.plus_hours(hours) };
        }
        self
    }

    fn is_enough(&self, approvals: usize) -> bool {
        approvals >= self.trustees.threshold as usize
    }

    fn require_open(&self, at: LedgerTime) -> Result<(), Refusal> {
        if self.is_open(at) {
            Ok(())
        } else {
            Err(Refusal::new(RefusalCode::RecoveryNotOpen, "the recovery has ended: begin another"))
        }
    }

    /// How many trustees approve it who may still act; the silent one is none of them.
    fn standing_approvals(
        &self,
        approvers: &[Member],
        organisations: &[Organisation],
        silent: Option<&Trustee>,
    ) -> usize {
        let is_active_organisation = |member: &Member| {
            let is_its = |one: &&Organisation| one.msp_id == member.organisation;
            organisations.iter().find(is_its).is_some_and(Organisation::is_active)
        };
        let stands = |approval: &&Approval| {
            approvers.iter().any(|member| {
                member.id == approval.by
                    && approval.trustee.is(member)
                    && member.standing == Standing::Active
                    && is_active_organisation(member)
            })
        };
        self.approvals.iter().filter(|approval| silent != Some(&approval.trustee)).filter(stands).count()
    }
}

/// The trustee that has no voice: the patient's own organisation while the patient is suspended. It suspends its members, and who is
/// suspended cannot object.
fn silent_trustee(patient: &Member) -> Option<Trustee> {
    let is_suspended = matches!(patient.standing, Standing::Suspended { .. });
    is_suspended.then(|| Trustee::Organisation(patient.organisation.clone()))
}
