//! What may be done to plans and recoveries, by whom.

use super::{
    BeginningState, CompletionState, MayComplete, MayGoOn, MayPlan, NewRecovery, Recovery, RecoveryPlan, RecoveryState,
    Replaced, Trustee, Trustees, silent_trustee,
};
use crate::consent;
use crate::identifier::{MemberId, RecoveryId};
use crate::link::require_patient;
use crate::member::{Actor, Caller, Member, Standing};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::rotation::{self, NewKeys, Rotation};
use crate::time::LedgerTime;

/// Whether the patient may name these trustees; `members` and `organisations` are those of them that exist.
pub fn decide_plan(
    caller: &Caller,
    existing: Option<RecoveryPlan>,
    (members, organisations): (&[Member], &[Organisation]),
    patient: &MemberId,
    trustees: Trustees,
    at: LedgerTime,
) -> Result<Outcome<RecoveryPlan, MayPlan>, Refusal> {
    consent::require_patient(caller, patient, Permission::Delegate)?;
    if let Some(existing) = existing.filter(|existing| existing.trustees == trustees) {
        return Ok(Outcome::Repeated(existing));
    }
    let is_person = |member: &Member| member.standing == Standing::Active && member.role != Role::Agent;
    for trustee in &trustees.named {
        match trustee {
            Trustee::Member(id) if id == patient => {
                return Err(Refusal::new(RefusalCode::NotPermitted, "name others: who lost the key cannot help"));
            }
            Trustee::Member(id) if !members.iter().any(|member| member.id == *id && is_person(member)) => {
                return Err(Refusal::new(RefusalCode::UnknownMember, format!("{id} is no person who may act")));
            }
            Trustee::Organisation(id) if !organisations.iter().any(|one| one.msp_id == *id && one.is_active()) => {
                return Err(Refusal::new(RefusalCode::UnknownOrganisation, format!("{id} does not take part")));
            }
            Trustee::Member(_) | Trustee::Organisation(_) => {}
        }
    }
    Ok(Outcome::Decided(RecoveryPlan { patient: patient.clone(), trustees, made: at }, MayPlan(())))
}

/// Whether the caller, a trustee, may begin this recovery; counts as the caller's approval. `hours` is how long
/// the recovery waits once enough have approved it. It replaces another trustee's that still collects approvals, so that nobody
/// can block recovery by beginning it.
pub fn decide_beginning(
    caller: &Caller,
    state: BeginningState<'_>,
    new: NewRecovery,
    hours: u32,
    at: LedgerTime,
) -> Result<Outcome<Recovery, MayGoOn>, Refusal> {
    let actor = caller.active_member()?;
    let patient = require_patient(state.patient)?;
    let NewRecovery { id, keys: NewKeys { key_hash, encryption_key }, reason } = new;
    if let Some(latest) = state.latest.filter(|latest| latest.id == id) {
        let is_same = latest.by == actor.member.id
            && latest.key_hash == key_hash
            && latest.encryption_key == encryption_key
            && latest.reason == reason;
        return if is_same {
            Ok(Outcome::Repeated(latest.clone()))
        } else {
            Err(Refusal::new(RefusalCode::RecoveryExists, "the recovery's id is taken: choose another"))
        };
    }
    let plan = state.plan.ok_or_else(|| {
        Refusal::new(
            RefusalCode::NoRecoveryPlan,
            "the patient named nobody who may replace a lost key: register the patient anew under another id",
        )
    })?;
    let capacities = plan.trustees.capacities(actor);
    if capacities.is_empty() {
        return Err(Refusal::new(RefusalCode::NotPermitted, "only those whom the patient named may do this"));
    }
    let silent = silent_trustee(patient);
    if capacities.iter().all(|trustee| silent.as_ref() == Some(*trustee)) {
        return Err(silenced());
    }
    let open = state.latest.filter(|latest| latest.is_open(at));
    let replaced = open.map(|open| replace(open, actor, &capacities)).transpose()?;
    if matches!(patient.standing, Standing::Retired { .. }) {
        return Err(Refusal::new(RefusalCode::StandingConflict, "the patient is retired"));
    }
    if state.taken.is_some() {
        return Err(rotation::key_taken());
    }
    let recovery = Recovery {
        id,
        patient: patient.id.clone(),
        organisation: patient.organisation.clone(),
        key_hash,
        encryption_key,
        reason,
        trustees: plan.trustees.clone(),
        by: actor.member.id.clone(),
        begun: at,
        approvals: Vec::new(),
        replaced,
        state: RecoveryState::Collecting,
    };
    Ok(Outcome::Decided(recovery.approved_by(actor, silent.as_ref(), hours, at), MayGoOn(())))
}

/// Whether the caller, a trustee, may approve this recovery: in each capacity once. An organisation's later approval replaces its
/// earlier one; the patient's own has no voice while the patient is suspended.
pub fn decide_approval(
    caller: &Caller,
    latest: Option<Recovery>,
    id: &RecoveryId,
    patient: Option<&Member>,
    hours: u32,
    at: LedgerTime,
) -> Result<Outcome<Recovery, MayGoOn>, Refusal> {
    let actor = caller.active_member()?;
    let recovery = require_trustee(actor, latest, id)?;
    let silent = silent_trustee(require_patient(patient)?);
    let approved = recovery.clone().approved_by(actor, silent.as_ref(), hours, at);
    if approved == recovery {
        let has_approved = recovery.approvals.iter().any(|approval| approval.by == actor.member.id);
        return if has_approved { Ok(Outcome::Repeated(recovery)) } else { Err(silenced()) };
    }
    recovery.require_open(at)?;
    Ok(Outcome::Decided(approved, MayGoOn(())))
}

/// Whether the caller may end this recovery: the patient, who has the key after all, or who began it, by mistake.
pub fn decide_objection(
    caller: &Caller,
    latest: Option<Recovery>,
    id: &RecoveryId,
    at: LedgerTime,
) -> Result<Outcome<Recovery, MayGoOn>, Refusal> {
    let actor = caller.active_member()?;
    let by = &actor.member.id;
    let is_patients = |recovery: &Recovery| recovery.patient == *by && recovery.id == *id;
    let recovery = match latest {
        Some(recovery) if is_patients(&recovery) => recovery,
        other => require_trustee(actor, other, id)?,
    };
    if recovery.patient != *by && recovery.by != *by {
        return Err(Refusal::new(RefusalCode::NotPermitted, "only the patient, or who began the recovery, may end it"));
    }
    match &recovery.state {
        RecoveryState::Objected { by: objector, .. } if objector == by => Ok(Outcome::Repeated(recovery)),
        _ => {
            recovery.require_open(at)?;
            let state = RecoveryState::Objected { by: by.clone(), at };
            Ok(Outcome::Decided(Recovery { state, ..recovery }, MayGoOn(())))
        }
    }
}

/// Whether the caller, a trustee, may complete this recovery: the waiting time is over, and enough of those who approved it may still
/// act and have a voice. Gives the patient's new keys, too.
pub fn decide_completion(
    caller: &Caller,
    latest: Option<Recovery>,
    id: &RecoveryId,
    state: CompletionState<'_>,
    at: LedgerTime,
) -> Result<Outcome<(Recovery, Rotation), MayComplete>, Refusal> {
    let actor = caller.active_member()?;
    let recovery = require_trustee(actor, latest, id)?;
    let patient = require_patient(state.patient)?;
    if matches!(recovery.state, RecoveryState::Completed { .. }) {
        return Ok(Outcome::Repeated((recovery, Rotation::none(patient, state.present))));
    }
    recovery.require_open(at)?;
    match recovery.state {
        RecoveryState::Waiting { until } if until <= at => {}
        RecoveryState::Waiting { until } => {
            let detail = format!("whoever has the old key can object until {until} (milliseconds since 1970): wait");
            return Err(Refusal::new(RefusalCode::RecoveryTooEarly, detail));
        }
        _ => return Err(not_approved()),
    }
    let silent = silent_trustee(patient);
    if !recovery.is_enough(recovery.standing_approvals(state.approvers, state.organisations, silent.as_ref())) {
        return Err(not_approved());
    }
    let keys = NewKeys { key_hash: recovery.key_hash.clone(), encryption_key: recovery.encryption_key.clone() };
    let (Outcome::Decided(rotation, _) | Outcome::Repeated(rotation)) =
        rotation::rotate(patient, state.present, state.taken, keys)?;
    let completed = RecoveryState::Completed { by: actor.member.id.clone(), at };
    Ok(Outcome::Decided((Recovery { state: completed, ..recovery }, rotation), MayComplete(())))
}

/// Whether the caller may see this patient's plan and latest recovery: the patient, the trustees, and administrators of the patient's
/// organisation. For all others there is none.
pub fn decide_reading(
    caller: &Caller,
    patient: Option<&Member>,
    plan: Option<&RecoveryPlan>,
    latest: Option<&Recovery>,
) -> Result<(), Refusal> {
    let actor = caller.active_member()?;
    let named = [plan.map(|plan| &plan.trustees), latest.map(|latest| &latest.trustees)];
    let is_trustee = || named.into_iter().flatten().any(|trustees| !trustees.capacities(actor).is_empty());
    let is_party = |patient: &Member| {
        let administrators = Trustee::Organisation(patient.organisation.clone());
        patient.id == actor.member.id || administrators.is(&actor.member) || is_trustee()
    };
    let is_patient = |member: &&Member| member.role == Role::Patient;
    if patient.filter(is_patient).is_some_and(is_party) { Ok(()) } else { Err(unknown_recovery()) }
}

/// The recovery with this id, if the actor is a trustee of it; for others it is unknown.
fn require_trustee(actor: &Actor, latest: Option<Recovery>, id: &RecoveryId) -> Result<Recovery, Refusal> {
    latest
        .filter(|latest| latest.id == *id && !latest.trustees.capacities(actor).is_empty())
        .ok_or_else(unknown_recovery)
}

/// What beginning another recovery replaces: one that still collects approvals, of another trustee, and none of those whose own
/// was replaced by it (they approve this one).
fn replace(open: &Recovery, actor: &Actor, capacities: &[&Trustee]) -> Result<Replaced, Refusal> {
    let was_replaced = |one: &Replaced| capacities.iter().any(|trustee| one.approved_by.contains(trustee));
    let is_own = open.by == actor.member.id || open.replaced.as_ref().is_some_and(was_replaced);
    if open.state != RecoveryState::Collecting || is_own {
        return Err(Refusal::new(
            RefusalCode::RecoveryOpen,
            "another recovery of this patient is open: approve that one, or have it objected to",
        ));
    }
    let approved_by = open.approvals.iter().map(|approval| approval.trustee.clone()).collect();
    Ok(Replaced { recovery: open.id.clone(), approved_by })
}

fn silenced() -> Refusal {
    Refusal::new(
        RefusalCode::NotPermitted,
        "the patient is suspended and cannot object: until then the patient's own organisation has no voice",
    )
}

fn not_approved() -> Refusal {
    Refusal::new(
        RefusalCode::RecoveryNotApproved,
        "too few trustees who may act have approved the recovery: have others approve it",
    )
}

fn unknown_recovery() -> Refusal {
    Refusal::new(RefusalCode::UnknownRecovery, "no such recovery")
}
