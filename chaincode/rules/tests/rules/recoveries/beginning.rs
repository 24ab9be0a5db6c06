//! Plans, beginnings and approvals.

use super::*;
use healthchain_rules::recovery::{Approval, MayPlan, RecoveryAct, RecoveryState, decide_plan, decide_reading};

#[test]
fn a_plan_names_one_to_sixteen_trustees_and_a_threshold_among_them() {
    let of = |count: usize, threshold| {
        Trustees::new((0..count).map(|number| person(&format!("m{number}"))).collect(), threshold)
    };
    for (count, threshold) in [(1, 1), (16, 1), (16, 16)] {
        assert!(of(count, threshold).is_ok(), "{threshold} of {count}");
    }
    for (count, threshold) in [(0, 0), (0, 1), (1, 0), (1, 2), (16, 17), (17, 1)] {
        assert!(of(count, threshold).is_err(), "{threshold} of {count}");
    }
}

fn plan_of(
    by: &Caller,
    existing: Option<RecoveryPlan>,
    trustees: Trustees,
) -> Result<Outcome<RecoveryPlan, MayPlan>, Refusal> {
    let away = Standing::Suspended { by: id("admin"), at: at(-1), reason: id("left") };
    let members = [
        approver(&gina()),
        approver(&carol()),
        member_of(&hospital(), "bot", Role::Agent),
        Member { standing: away, ..member_of(&hospital(), "dora", Role::Clinician) },
        patient(),
    ];
    let founded = Organisation { state: OrganisationState::Founded, ..organisation("late", OrganisationKind::Payer) };
    decide_plan(by, existing, (&members, &[hospital(), founded]), &id("alice"), trustees, at(-10))
}

#[test]
fn a_patient_plans_changes_the_plan_and_repeats_it() {
    let first = decided(plan_of(&alice(), None, plan().trustees));
    assert_eq!(first, plan());
    assert_eq!(first.trustees.threshold(), 2);
    assert_eq!(first.trustees.named().len(), 3);
    assert_eq!(plan_of(&alice(), Some(first.clone()), plan().trustees), Ok(Outcome::Repeated(first.clone())));
    let other = decided(plan_of(&alice(), Some(first), trustees(&[person("gina")], 1)));
    assert_eq!(other.trustees, trustees(&[person("gina")], 1));
    assert_eq!(RecoveryAct::of_plan(&plan()), RecoveryAct::RecoveryPlanned { trustees: 3, threshold: 2 });
}

#[test]
fn a_plan_is_the_patients_and_names_persons_and_organisations_that_can_act() {
    for role in Role::ALL {
        let refused = plan_of(&caller("somebody", role), None, plan().trustees);
        assert_eq!(code(refused), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(plan_of(&suspended(alice()), None, plan().trustees)), RefusalCode::MemberSuspended);
    for (trustee, expected) in [
        (person("alice"), RefusalCode::NotPermitted),
        (person("nobody"), RefusalCode::UnknownMember),
        (person("dora"), RefusalCode::UnknownMember),
        (person("bot"), RefusalCode::UnknownMember),
        (administrators("nowhere"), RefusalCode::UnknownOrganisation),
        (administrators("late"), RefusalCode::UnknownOrganisation),
    ] {
        let refused = plan_of(&alice(), None, trustees(&[person("gina"), trustee.clone()], 1));
        assert_eq!(code(refused), expected, "{trustee:?}");
    }
}

#[test]
fn a_trustee_begins_and_so_approves() {
    let expected = Recovery {
        id: id("r1"),
        patient: id("alice"),
        organisation: id("patients"),
        key_hash: hash("s-next"),
        encryption_key: key("next"),
        reason: id("lost the phone"),
        trustees: plan().trustees,
        by: id("gina"),
        begun: NOW,
        approvals: vec![Approval { trustee: person("gina"), by: id("gina"), organisation: id("patients"), at: NOW }],
        replaced: None,
        state: RecoveryState::Collecting,
    };
    assert_eq!(begun(), expected);
    assert_eq!(begun().waits_until(), None);
    let alone = RecoveryPlan { trustees: trustees(&[person("gina"), person("carol")], 1), ..plan() };
    let at_once = decided(begin(&gina(), Some(&alone), None, NOW));
    assert_eq!(at_once.state, RecoveryState::Waiting { until: at(WAIT) });
    let act = RecoveryAct::RecoveryBegun {
        recovery: id("r1"),
        key_hash: hash("s-next"),
        reason: id("lost the phone"),
        waits_until: Some(at(WAIT)),
        replaced: None,
    };
    assert_eq!(RecoveryAct::of_beginning(&at_once), act);
    assert!(begin(&adam(), Some(&plan()), None, NOW).is_ok(), "an administrator of a trustee");
}

#[test]
fn a_beginning_is_refused_without_a_plan_to_others_and_while_another_is_open() {
    assert_eq!(code(begin(&gina(), None, None, NOW)), RefusalCode::NoRecoveryPlan);
    let others = [
        caller("greg", Role::Guardian),
        caller("dora", Role::Clinician),
        caller_of(clinic(), "adele", Role::Administrator),
        alice(),
        agent_of(actor("carol", Role::Clinician), "bot", "Recoveries:begin"),
        agent_of(actor("adam", Role::Administrator), "bot", "Recoveries:begin"),
    ];
    for other in others {
        assert_eq!(code(begin(&other, Some(&plan()), None, NOW)), RefusalCode::NotPermitted);
    }
    assert_eq!(code(begin(&suspended(gina()), Some(&plan()), None, NOW)), RefusalCode::MemberSuspended);
    assert_eq!(code(begin(&Caller::Custodian(hospital()), Some(&plan()), None, NOW)), RefusalCode::NotPermitted);

    let other = Recovery { id: id("r0"), ..begun() };
    assert_eq!(code(begin(&gina(), Some(&plan()), Some(&other), NOW)), RefusalCode::RecoveryOpen);
    for over in
        [RecoveryState::Objected { by: id("alice"), at: NOW }, RecoveryState::Completed { by: id("gina"), at: NOW }]
    {
        let over = Recovery { state: over, ..other.clone() };
        assert!(begin(&gina(), Some(&plan()), Some(&over), NOW).is_ok());
    }
}

#[test]
fn a_beginning_names_an_existing_patient_and_a_free_key() {
    let plan = plan();
    let begin = |patient: Option<&Member>, taken: Option<&KeyHolder>| {
        let state = BeginningState { patient, plan: Some(&plan), latest: None, taken };
        decide_beginning(&gina(), state, new("r1"), HOURS, NOW)
    };
    assert_eq!(code(begin(None, None)), RefusalCode::UnknownPatient);
    let clinician = Member { role: Role::Clinician, ..patient() };
    assert_eq!(code(begin(Some(&clinician), None)), RefusalCode::UnknownPatient);
    let retired = Member { standing: Standing::Retired { at: NOW, by: None, reason: None }, ..patient() };
    assert_eq!(code(begin(Some(&retired), None)), RefusalCode::StandingConflict);
    for taken in [KeyHolder::Member(id("bob")), KeyHolder::Former(id("alice"))] {
        assert_eq!(code(begin(Some(&patient()), Some(&taken))), RefusalCode::KeyTaken);
    }
    let away = Standing::Suspended { by: id("admin"), at: at(-1), reason: id("stolen key") };
    assert!(begin(Some(&Member { standing: away, ..patient() }), None).is_ok(), "until the key is replaced");
}

#[test]
fn a_beginning_repeated_is_harmless_and_its_id_is_not_for_another() {
    let first = waiting();
    assert_eq!(begin(&gina(), Some(&plan()), Some(&first), at(9)), Ok(Outcome::Repeated(first.clone())));
    assert_eq!(code(begin(&carol(), Some(&plan()), Some(&first), at(9))), RefusalCode::RecoveryExists);
    let (plan, patient) = (plan(), patient());
    let state = BeginningState { patient: Some(&patient), plan: Some(&plan), latest: Some(&first), taken: None };
    let keys = |key_hash: &str, encryption: &str| NewKeys { key_hash: hash(key_hash), encryption_key: key(encryption) };
    for other in [
        NewRecovery { keys: keys("s-other", "next"), ..new("r1") },
        NewRecovery { keys: keys("s-next", "other"), ..new("r1") },
        NewRecovery { reason: id("stolen"), ..new("r1") },
    ] {
        assert_eq!(code(decide_beginning(&gina(), state, other, HOURS, NOW)), RefusalCode::RecoveryExists);
    }
}

#[test]
fn enough_approvals_begin_the_waiting_time() {
    let waiting = decided(approve(&carol(), &begun(), at(5)));
    assert_eq!(waiting.state, RecoveryState::Waiting { until: at(5 + WAIT) });
    assert_eq!(waiting.waits_until(), Some(at(5 + WAIT)));
    let third = decided(approve(&adam(), &waiting, at(9)));
    assert_eq!(third.state, waiting.state, "a further approval changes nothing of it");
    assert_eq!(third.approvals.len(), 3);
    let all = RecoveryPlan { trustees: trustees(&[person("gina"), person("carol")], 2), ..plan() };
    let first = decided(begin(&gina(), Some(&all), None, NOW));
    assert_eq!(first.state, RecoveryState::Collecting);
}

#[test]
fn an_approval_is_a_trustees_and_counts_once() {
    assert_eq!(approve(&gina(), &begun(), at(5)), Ok(Outcome::Repeated(begun())));
    for other in [caller("dora", Role::Clinician), caller_of(clinic(), "adele", Role::Administrator), alice()] {
        assert_eq!(code(approve(&other, &begun(), NOW)), RefusalCode::UnknownRecovery);
    }
    assert_eq!(code(approve(&suspended(carol()), &begun(), NOW)), RefusalCode::MemberSuspended);
    assert_eq!(code(approve(&Caller::Custodian(hospital()), &begun(), NOW)), RefusalCode::NotPermitted);
    assert_eq!(
        code(decide_approval(&carol(), None, &id("r1"), Some(&patient()), HOURS, NOW)),
        RefusalCode::UnknownRecovery
    );
    let other = decide_approval(&carol(), Some(begun()), &id("r2"), Some(&patient()), HOURS, NOW);
    assert_eq!(code(other), RefusalCode::UnknownRecovery);
    let gone = decide_approval(&carol(), Some(begun()), &id("r1"), None, HOURS, NOW);
    assert_eq!(code(gone), RefusalCode::UnknownPatient);
}

#[test]
fn an_organisations_approvals_count_once_and_the_later_one_stays() {
    let three = trustees(&[person("gina"), person("carol"), administrators("hospital")], 3);
    let begun = decided(begin(&gina(), Some(&RecoveryPlan { trustees: three, ..plan() }), None, NOW));
    let first = decided(approve(&adam(), &begun, at(1)));
    let second = decided(approve(&caller("anna", Role::Administrator), &first, at(2)));
    assert_eq!(second.state, RecoveryState::Collecting);
    let by: Vec<&str> = second.approvals.iter().map(|approval| approval.by.as_str()).collect();
    assert_eq!(by, ["gina", "anna"]);
}

#[test]
fn an_administrator_who_is_named_as_a_person_too_counts_once_in_each_capacity() {
    let named = trustees(&[person("adam"), administrators("hospital"), person("gina")], 2);
    let begun = decided(begin(&adam(), Some(&RecoveryPlan { trustees: named, ..plan() }), None, NOW));
    let capacities: Vec<&Trustee> = begun.approvals.iter().map(|approval| &approval.trustee).collect();
    assert_eq!(capacities, [&person("adam"), &administrators("hospital")]);
    assert_eq!(begun.state, RecoveryState::Waiting { until: at(WAIT) });
    assert_eq!(approve(&adam(), &begun, at(1)), Ok(Outcome::Repeated(begun)));
}

#[test]
fn a_changed_plan_does_not_change_an_open_recovery() {
    let named = trustees(&[person("greg")], 1);
    let changed = RecoveryPlan { trustees: named, ..plan() };
    assert_eq!(decided(approve(&carol(), &begun(), NOW)).trustees, plan().trustees);
    let next = Recovery { id: id("r0"), ..waiting() };
    let greg = caller("greg", Role::Guardian);
    assert_eq!(code(begin(&greg, Some(&changed), Some(&next), NOW)), RefusalCode::RecoveryOpen);
    assert_eq!(code(approve(&greg, &begun(), NOW)), RefusalCode::UnknownRecovery);
}

#[test]
fn a_recovery_is_known_to_its_patient_trustees_and_the_patients_administrators() {
    let patient = patient();
    let read = |by: &Caller, plan: Option<&RecoveryPlan>, latest: Option<&Recovery>| {
        decide_reading(by, Some(&patient), plan, latest)
    };
    let own = caller_of(home(Role::Patient), "arno", Role::Administrator);
    for reader in [alice(), gina(), carol(), adam(), own.clone()] {
        assert_eq!(read(&reader, Some(&plan()), None), Ok(()));
        assert_eq!(read(&reader, None, Some(&begun())), Ok(()));
    }
    assert_eq!(read(&alice(), None, None), Ok(()));
    assert_eq!(read(&own, None, None), Ok(()));
    assert_eq!(code(read(&gina(), None, None)), RefusalCode::UnknownRecovery);
    let gateway = Caller::Custodian(home(Role::Patient));
    assert_eq!(code(read(&gateway, None, None)), RefusalCode::NotPermitted);
    assert_eq!(code(read(&suspended(gina()), Some(&plan()), None)), RefusalCode::MemberSuspended);
    for other in [
        caller("bob", Role::Patient),
        caller("dora", Role::Clinician),
        caller_of(clinic(), "adele", Role::Administrator),
        caller_of(home(Role::Patient), "pat", Role::PrivacyOfficer),
    ] {
        assert_eq!(code(read(&other, Some(&plan()), Some(&begun()))), RefusalCode::UnknownRecovery);
    }
    assert_eq!(code(decide_reading(&gina(), None, Some(&plan()), None)), RefusalCode::UnknownRecovery);
}
