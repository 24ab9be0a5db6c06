//! Objections, completions, and what lapses.

use super::*;
use healthchain_rules::recovery::RecoveryState;

#[test]
fn the_patient_ends_a_recovery_at_any_time_before_it_is_completed() {
    for open in [begun(), waiting()] {
        let ended = decided(object(&alice(), &open, at(WAIT + 5)));
        assert_eq!(ended.state, RecoveryState::Objected { by: id("alice"), at: at(WAIT + 5) });
        assert_eq!(object(&alice(), &ended, at(WAIT + 6)), Ok(Outcome::Repeated(ended.clone())));
        assert_eq!(code(object(&gina(), &ended, NOW)), RefusalCode::RecoveryNotOpen);
        assert_eq!(code(approve(&adam(), &ended, NOW)), RefusalCode::RecoveryNotOpen);
        assert_eq!(code(complete(&gina(), &ended, at(WAIT + 7))), RefusalCode::RecoveryNotOpen);
    }
    let (completed, _) = complete(&gina(), &waiting(), at(WAIT)).unwrap();
    assert_eq!(code(object(&alice(), &completed, at(WAIT))), RefusalCode::RecoveryNotOpen);
}

#[test]
fn who_began_a_recovery_ends_it_too_and_nobody_else() {
    let ended = decided(object(&gina(), &waiting(), at(1)));
    assert_eq!(ended.state, RecoveryState::Objected { by: id("gina"), at: at(1) });
    assert_eq!(code(object(&carol(), &waiting(), NOW)), RefusalCode::NotPermitted);
    assert_eq!(code(object(&caller("bob", Role::Patient), &waiting(), NOW)), RefusalCode::UnknownRecovery);
    assert_eq!(code(object(&suspended(alice()), &waiting(), NOW)), RefusalCode::MemberSuspended);
    assert_eq!(code(object(&Caller::Custodian(hospital()), &waiting(), NOW)), RefusalCode::NotPermitted);
    assert_eq!(code(decide_objection(&alice(), None, &id("r1"), NOW)), RefusalCode::UnknownRecovery);
    let other = decide_objection(&alice(), Some(waiting()), &id("r2"), NOW);
    assert_eq!(code(other), RefusalCode::UnknownRecovery);
}

#[test]
fn a_recovery_is_completed_after_the_waiting_time_and_gives_the_patient_the_new_keys() {
    assert_eq!(code(complete(&gina(), &waiting(), at(WAIT - 1))), RefusalCode::RecoveryTooEarly);
    let (completed, rotation) = complete(&adam(), &waiting(), at(WAIT)).unwrap();
    assert_eq!(completed.state, RecoveryState::Completed { by: id("adam"), at: at(WAIT) });
    let member = Member { key_hash: hash("s-next"), encryption_key: key("next"), ..patient() };
    let expected = Rotation { member, former: hash("s-alice"), holder: KeyHolder::Member(id("alice")) };
    assert_eq!(rotation, expected);

    let again = complete_with(&carol(), &completed, &[], at(WAIT + 1));
    let unchanged = Rotation { member: patient(), former: hash("s-alice"), holder: KeyHolder::Member(id("alice")) };
    assert_eq!(again, Ok(Outcome::Repeated((completed, unchanged))));
}

#[test]
fn a_completion_is_refused_to_others_and_when_too_few_approved() {
    assert_eq!(code(complete(&gina(), &begun(), at(WAIT))), RefusalCode::RecoveryNotApproved);
    for other in [caller("dora", Role::Clinician), alice(), caller_of(clinic(), "adele", Role::Administrator)] {
        assert_eq!(code(complete(&other, &waiting(), at(WAIT))), RefusalCode::UnknownRecovery);
    }
    assert_eq!(code(complete(&suspended(gina()), &waiting(), at(WAIT))), RefusalCode::MemberSuspended);
    assert_eq!(code(complete(&Caller::Custodian(hospital()), &waiting(), at(WAIT))), RefusalCode::NotPermitted);
}

#[test]
fn trustees_who_may_act_no_longer_do_not_count_at_completion() {
    let away = |member: Member| {
        let standing = Standing::Suspended { by: id("admin"), at: at(1), reason: id("left") };
        Member { standing, ..member }
    };
    let without_carol = [approver(&gina()), away(approver(&carol())), approver(&adam())];
    let refused = complete_with(&gina(), &waiting(), &without_carol, at(WAIT));
    assert_eq!(code(refused), RefusalCode::RecoveryNotApproved);
    let third = decided(approve(&adam(), &waiting(), at(2)));
    assert!(complete_with(&gina(), &third, &without_carol, at(WAIT)).is_ok(), "another one stands in");
    let demoted = Member { role: Role::Clinician, ..approver(&adam()) };
    let too_few = [approver(&gina()), away(approver(&carol())), demoted];
    assert_eq!(code(complete_with(&gina(), &third, &too_few, at(WAIT))), RefusalCode::RecoveryNotApproved);
    let strangers = [approver(&gina()), Member { id: id("dora"), ..approver(&carol()) }];
    assert_eq!(code(complete_with(&gina(), &waiting(), &strangers, at(WAIT))), RefusalCode::RecoveryNotApproved);

    let left = Organisation { state: OrganisationState::Left { at: at(1) }, ..hospital() };
    let (patient, present) = (patient(), KeyHolder::Member(id("alice")));
    // Another organisation that acts stands in for nobody.
    let others = [home(Role::PayerOfficer), home(Role::Guardian), left];
    let state = CompletionState {
        patient: Some(&patient),
        present: Some(&present),
        taken: None,
        approvers: &everybody(),
        organisations: &others,
    };
    let refused = decide_completion(&gina(), Some(waiting()), &id("r1"), state, at(WAIT));
    assert_eq!(code(refused), RefusalCode::RecoveryNotApproved);
}

#[test]
fn a_trustee_is_a_person_or_an_organisation() {
    assert_eq!((person("gina").member(), person("gina").organisation()), (Some(&id("gina")), None));
    assert_eq!(
        (administrators("hospital").member(), administrators("hospital").organisation()),
        (None, Some(&id("hospital")))
    );
}

#[test]
fn a_completion_needs_the_key_to_be_free_still_and_the_patient_not_retired() {
    let present = KeyHolder::Member(id("alice"));
    let complete = |patient: Option<&Member>, taken: Option<&KeyHolder>| {
        let organisations = [home(Role::Guardian), hospital()];
        let state = CompletionState {
            patient,
            present: Some(&present),
            taken,
            approvers: &everybody(),
            organisations: &organisations,
        };
        decide_completion(&gina(), Some(waiting()), &id("r1"), state, at(WAIT))
    };
    assert_eq!(code(complete(Some(&patient()), Some(&KeyHolder::Member(id("bob"))))), RefusalCode::KeyTaken);
    assert_eq!(code(complete(None, None)), RefusalCode::UnknownPatient);
    let retired = Member { standing: Standing::Retired { at: NOW, by: None, reason: None }, ..patient() };
    assert_eq!(code(complete(Some(&retired), None)), RefusalCode::StandingConflict);
    let rotated = Member { key_hash: hash("s-next"), encryption_key: key("next"), ..patient() };
    let taken = KeyHolder::Member(id("alice"));
    assert!(matches!(complete(Some(&rotated), Some(&taken)), Ok(Outcome::Decided(..))), "the patient has it already");
}

#[test]
fn a_recovery_that_does_not_go_on_lapses_after_thirty_days() {
    assert!(begun().is_open(at(LAPSE - 1)));
    assert!(!begun().is_open(at(LAPSE)));
    assert!(waiting().is_open(at(WAIT + LAPSE - 1)));
    assert!(!waiting().is_open(at(WAIT + LAPSE)));
    assert_eq!(code(approve(&carol(), &begun(), at(LAPSE))), RefusalCode::RecoveryNotOpen);
    assert_eq!(code(complete(&gina(), &waiting(), at(WAIT + LAPSE))), RefusalCode::RecoveryNotOpen);
    assert_eq!(code(object(&alice(), &waiting(), at(WAIT + LAPSE))), RefusalCode::RecoveryNotOpen);
    let lapsed = Recovery { id: id("r0"), ..begun() };
    assert!(begin(&gina(), Some(&plan()), Some(&lapsed), at(LAPSE)).is_ok());
}
