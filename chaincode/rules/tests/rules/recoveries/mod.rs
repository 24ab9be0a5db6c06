//! How a patient's lost key is replaced: who may, when, and what stops it.

mod beginning;
mod ending;
mod histories;
mod replacing;
mod suspensions;

use crate::support::*;
use healthchain_rules::recovery::{
    BeginningState, CompletionState, MayComplete, MayGoOn, NewRecovery, Recovery, RecoveryPlan, Trustee, Trustees,
    decide_approval, decide_beginning, decide_completion, decide_objection,
};
use healthchain_rules::rotation::{NewKeys, Rotation};
use healthchain_rules::*;

const HOURS: u32 = 72;
const WAIT: i64 = 72 * 3_600_000;
const LAPSE: i64 = 30 * 86_400_000;

type GoesOn = Result<Outcome<Recovery, MayGoOn>, Refusal>;

fn person(name: &str) -> Trustee {
    Trustee::Member(id(name))
}

fn administrators(of: &str) -> Trustee {
    Trustee::Organisation(id(of))
}

fn trustees(named: &[Trustee], threshold: u32) -> Trustees {
    Trustees::new(named.iter().cloned().collect(), threshold).unwrap()
}

/// Gina, a guardian; carol, a clinician; and the hospital's administrators: two of these three.
fn plan() -> RecoveryPlan {
    let trustees = trustees(&[person("gina"), person("carol"), administrators("hospital")], 2);
    RecoveryPlan { patient: id("alice"), trustees, made: at(-10) }
}

fn patient() -> Member {
    member_of(&home(Role::Patient), "alice", Role::Patient)
}

fn gina() -> Caller {
    caller("gina", Role::Guardian)
}

fn carol() -> Caller {
    caller("carol", Role::Clinician)
}

fn adam() -> Caller {
    caller("adam", Role::Administrator)
}

fn approver(of: &Caller) -> Member {
    of.member().unwrap().member.clone()
}

fn new(name: &str) -> NewRecovery {
    NewRecovery {
        id: id(name),
        keys: NewKeys { key_hash: hash("s-next"), encryption_key: key("next") },
        reason: id("lost the phone"),
    }
}

fn begin(by: &Caller, plan: Option<&RecoveryPlan>, latest: Option<&Recovery>, when: LedgerTime) -> GoesOn {
    let patient = patient();
    let state = BeginningState { patient: Some(&patient), plan, latest, taken: None };
    decide_beginning(by, state, new("r1"), HOURS, when)
}

fn approve(by: &Caller, recovery: &Recovery, when: LedgerTime) -> GoesOn {
    decide_approval(by, Some(recovery.clone()), &recovery.id, Some(&patient()), HOURS, when)
}

fn decided<T: std::fmt::Debug, P: std::fmt::Debug>(outcome: Result<Outcome<T, P>, Refusal>) -> T {
    match outcome {
        Ok(Outcome::Decided(value, _)) => value,
        other => panic!("{other:?}"),
    }
}

/// Begun by gina.
fn begun() -> Recovery {
    decided(begin(&gina(), Some(&plan()), None, NOW))
}

/// Begun by gina, approved by carol.
fn waiting() -> Recovery {
    decided(approve(&carol(), &begun(), NOW))
}

fn everybody() -> Vec<Member> {
    [gina(), carol(), adam()].iter().map(approver).collect()
}

fn complete_with(
    by: &Caller,
    recovery: &Recovery,
    approvers: &[Member],
    when: LedgerTime,
) -> Result<Outcome<(Recovery, Rotation), MayComplete>, Refusal> {
    let (patient, present) = (patient(), KeyHolder::Member(id("alice")));
    let organisations = [home(Role::Guardian), hospital()];
    let state = CompletionState {
        patient: Some(&patient),
        present: Some(&present),
        taken: None,
        approvers,
        organisations: &organisations,
    };
    decide_completion(by, Some(recovery.clone()), &recovery.id, state, when)
}

fn complete(by: &Caller, recovery: &Recovery, when: LedgerTime) -> Result<(Recovery, Rotation), Refusal> {
    complete_with(by, recovery, &everybody(), when).map(|outcome| match outcome {
        Outcome::Decided(value, _) | Outcome::Repeated(value) => value,
    })
}

fn object(by: &Caller, recovery: &Recovery, when: LedgerTime) -> GoesOn {
    decide_objection(by, Some(recovery.clone()), &recovery.id, when)
}
