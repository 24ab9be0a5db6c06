//! While the patient is suspended and cannot object, the patient's own organisation has no voice.

use super::*;
use healthchain_rules::recovery::RecoveryState;

/// The administrators of the patient's organisation, carol, and arno, an administrator there, as a person.
fn own(threshold: u32) -> RecoveryPlan {
    let trustees = trustees(&[administrators("patients"), person("carol"), person("arno")], threshold);
    RecoveryPlan { trustees, ..plan() }
}

fn arla() -> Caller {
    caller_of(home(Role::Patient), "arla", Role::Administrator)
}

fn arno() -> Caller {
    caller_of(home(Role::Patient), "arno", Role::Administrator)
}

fn away() -> Member {
    let standing = Standing::Suspended { by: id("arla"), at: at(-1), reason: id("stolen key") };
    Member { standing, ..patient() }
}

fn begin_for(patient: &Member, by: &Caller, threshold: u32) -> GoesOn {
    let plan = own(threshold);
    let state = BeginningState { patient: Some(patient), plan: Some(&plan), latest: None, taken: None };
    decide_beginning(by, state, new("r1"), HOURS, NOW)
}

fn approve_for(patient: &Member, by: &Caller, recovery: &Recovery) -> GoesOn {
    decide_approval(by, Some(recovery.clone()), &recovery.id, Some(patient), HOURS, at(5))
}

fn complete_for(patient: &Member, recovery: &Recovery) -> Result<Recovery, Refusal> {
    let approvers: Vec<Member> = [arla(), arno(), carol()].iter().map(approver).collect();
    let present = KeyHolder::Member(id("alice"));
    let organisations = [home(Role::Patient), hospital()];
    let state = CompletionState {
        patient: Some(patient),
        present: Some(&present),
        taken: None,
        approvers: &approvers,
        organisations: &organisations,
    };
    let completed = decide_completion(&carol(), Some(recovery.clone()), &recovery.id, state, at(5 + WAIT));
    completed.map(|outcome| match outcome {
        Outcome::Decided((recovery, _), _) | Outcome::Repeated((recovery, _)) => recovery,
    })
}

/// Found by review: the patient's organisation suspended the patient, recovered the key without an objection, and reinstated.
#[test]
fn a_suspended_patients_organisation_begins_and_approves_nothing() {
    assert_eq!(code(begin_for(&away(), &arla(), 1)), RefusalCode::NotPermitted);
    assert!(begin_for(&patient(), &arla(), 1).is_ok());
    let by_carol = decided(begin_for(&away(), &carol(), 2));
    assert_eq!(code(approve_for(&away(), &arla(), &by_carol)), RefusalCode::NotPermitted);
    assert_eq!(decided(approve_for(&patient(), &arla(), &by_carol)).approvals.len(), 2);

    let by_arno = decided(begin_for(&away(), &arno(), 2));
    let voices: Vec<_> = by_arno.approvals.iter().map(|approval| &approval.trustee).collect();
    assert_eq!(voices, [&person("arno")], "whom the patient named as a person keeps that voice");
    assert_eq!(by_arno.state, RecoveryState::Collecting);
    assert_eq!(approve_for(&away(), &arno(), &by_arno), Ok(Outcome::Repeated(by_arno.clone())));
}

/// Found by review: the patient's organisation suspended the patient, recovered the key without an objection, and reinstated.
#[test]
fn what_a_patients_organisation_approved_before_does_not_count_while_the_patient_is_suspended() {
    let begun = decided(begin_for(&patient(), &arla(), 2));
    let second = decided(approve_for(&away(), &carol(), &begun));
    assert_eq!((second.approvals.len(), &second.state), (2, &RecoveryState::Collecting), "one of two has a voice");
    assert_eq!(approve_for(&away(), &arla(), &second), Ok(Outcome::Repeated(second.clone())));
    let reinstated = decided(approve_for(&patient(), &carol(), &second));
    assert_eq!(reinstated.state, RecoveryState::Waiting { until: at(5 + WAIT) }, "approved again, it begins to wait");
    assert_eq!(reinstated.approvals, second.approvals);
    let third = decided(approve_for(&away(), &arno(), &second));
    assert_eq!(third.state, RecoveryState::Waiting { until: at(5 + WAIT) }, "two others are enough");
}

/// Found by review: the patient's organisation suspended the patient, recovered the key without an objection, and reinstated.
#[test]
fn a_suspended_patients_recovery_is_completed_only_if_enough_others_approved_it() {
    let begun = decided(begin_for(&patient(), &arla(), 2));
    let waiting = decided(approve_for(&patient(), &carol(), &begun));
    assert_eq!(code(complete_for(&away(), &waiting)), RefusalCode::RecoveryNotApproved);
    let completed = RecoveryState::Completed { by: id("carol"), at: at(5 + WAIT) };
    assert_eq!(complete_for(&patient(), &waiting).unwrap().state, completed);
    let third = decided(approve_for(&away(), &arno(), &waiting));
    assert_eq!(complete_for(&away(), &third).unwrap().state, completed, "carol and arno");
}
