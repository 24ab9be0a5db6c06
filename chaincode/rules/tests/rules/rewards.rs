//! Reward programs, taking part, attestations and points.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::support::*;
use healthchain_rules::reward::*;
use healthchain_rules::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn pia() -> Caller {
    caller("pia", Role::PayerOfficer)
}

fn carol() -> Caller {
    caller("carol", Role::Clinician)
}

fn moment(text: &str) -> LedgerTime {
    id::<Month>(text).start()
}

/// From June 2026 to the end of June 2027, 10 points a month up to 50 a year, each worth 2: 100 a year.
fn terms() -> ProgramTerms {
    ProgramTerms {
        metric: id("blood-pressure"),
        target: id("below-140-90"),
        alternative_standard: Some(id("education")),
        kind: ProgramKind::Outcome,
        period: PeriodLength::Month,
        points: 10,
        points_a_year: 50,
        point_value: 2,
        coverage_cost: 1000,
        from: moment("2026-06"),
        until: moment("2027-07"),
    }
}

fn program() -> Program {
    Program { id: id("walk"), sponsor: id("payer"), terms: terms(), by: id("pia"), defined: at(-9), ended: None }
}

/// Alice's, since November 2026.
fn participation() -> Participation {
    Participation {
        program: id("walk"),
        patient: id("alice"),
        enrolment: Enrolment::Enrolled { at: moment("2026-11"), by: id("alice") },
        met: BTreeMap::new(),
        redeemed: 0,
    }
}

fn left(participation: Participation) -> Participation {
    Participation { enrolment: Enrolment::Left { at: at(-1) }, ..participation }
}

fn state(participation: Option<Participation>) -> RewardState {
    RewardState { program: Some(program()), participation, delegation: None }
}

fn nothing() -> RewardState {
    RewardState::default()
}

/// Alice lets gwen collect rewards.
fn delegation(power: Power) -> Delegation {
    Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gwen"),
        powers: [power].into(),
        categories: [].into(),
        from: at(-1),
        until: at(10),
        state: DelegationState::Granted,
    }
}

fn value<T: std::fmt::Debug, P: std::fmt::Debug>(outcome: Result<Outcome<T, P>, Refusal>) -> T {
    match outcome.unwrap() {
        Outcome::Decided(value, _) => value,
        Outcome::Repeated(value) => panic!("repeated: {value:?}"),
    }
}

fn is_refused_to_others<T: std::fmt::Debug>(
    permission: Permission,
    name: &str,
    decide: impl Fn(&Caller) -> Result<T, Refusal>,
) {
    for role in Role::ALL {
        let decided = decide(&caller(name, role));
        assert_eq!(decided.is_ok(), role.may(permission), "{role}");
        if role.may(permission) {
            assert_eq!(code(decide(&suspended(caller(name, role)))), RefusalCode::MemberSuspended);
        } else {
            assert_eq!(code(decided), RefusalCode::NotPermitted);
        }
    }
    assert_eq!(code(decide(&Caller::Custodian(hospital()))), RefusalCode::NotPermitted);
}

/// Whoever may act for alice: alice, and gwen whom she lets; bob, other roles and gwen with another power may not.
fn is_for_the_patient_and_guardian<T: std::fmt::Debug>(
    decide: impl Fn(&Caller, Option<Delegation>) -> Result<T, Refusal>,
) {
    let gwen = caller("gwen", Role::Guardian);
    assert!(decide(&alice(), None).is_ok());
    assert!(decide(&gwen, Some(delegation(Power::CollectRewards))).is_ok());
    for power in [Power::Open, Power::Consent, Power::AnswerRequests, Power::Subscribe, Power::ReadAudit] {
        assert_eq!(code(decide(&gwen, Some(delegation(power)))), RefusalCode::NotPermitted, "{power:?}");
    }
    assert_eq!(code(decide(&gwen, None)), RefusalCode::NotPermitted);
    assert_eq!(code(decide(&caller("bob", Role::Patient), None)), RefusalCode::NotPermitted);
    assert_eq!(code(decide(&suspended(alice()), None)), RefusalCode::MemberSuspended);
    assert_eq!(code(decide(&Caller::Custodian(hospital()), None)), RefusalCode::NotPermitted);
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Patient) {
        assert_eq!(code(decide(&caller("alice", role), None)), RefusalCode::NotPermitted, "{role}");
    }
}

fn define(all: &[Program], name: &str, terms: ProgramTerms) -> Result<Outcome<Program, MayDefineProgram>, Refusal> {
    decide_program(&pia(), all, id(name), terms, NOW)
}

#[test]
fn a_program_is_defined_once_by_its_sponsor() {
    let defined = value(define(&[], "walk", terms()));
    assert_eq!(defined, Program { defined: NOW, ..program() });
    assert_eq!(define(&[program()], "walk", terms()), Ok(Outcome::Repeated(program())));
    let other = ProgramTerms { points: 9, ..terms() };
    assert_eq!(code(define(&[program()], "walk", other)), RefusalCode::ProgramExists);
    let elsewhere = caller("max", Role::Maintainer);
    assert_eq!(code(decide_program(&elsewhere, &[program()], id("walk"), terms(), NOW)), RefusalCode::ProgramExists);
    is_refused_to_others(Permission::SponsorProgram, "who", |who| decide_program(who, &[], id("w"), terms(), NOW));
    let many = |count: usize| (0..count).map(|n| Program { id: id(&format!("p{n}")), sponsor: id("o"), ..program() });
    assert!(define(&many(1023).collect::<Vec<_>>(), "walk", terms()).is_ok());
    assert_eq!(code(define(&many(1024).collect::<Vec<_>>(), "walk", terms())), RefusalCode::TooManyPrograms);
}

#[test]
fn the_terms_of_a_program_are_bounded_and_offer_an_alternative() {
    assert_eq!(terms().checked(), Ok(terms()));
    for bad in [
        ProgramTerms { until: terms().from, ..terms() },
        ProgramTerms { points: 0, ..terms() },
        ProgramTerms { points: 51, ..terms() },
        ProgramTerms { points_a_year: 1_000_001, ..terms() },
        ProgramTerms { alternative_standard: None, ..terms() },
        ProgramTerms { alternative_standard: None, kind: ProgramKind::ActivityOnly, ..terms() },
    ] {
        assert!(bad.clone().checked().is_err(), "{bad:?}");
    }
    for good in [
        ProgramTerms { points: 50, ..terms() },
        ProgramTerms { points_a_year: 1_000_000, ..terms() },
        ProgramTerms { alternative_standard: None, kind: ProgramKind::Participatory, ..terms() },
    ] {
        assert!(good.checked().is_ok());
    }
}

#[test]
fn rewards_are_30_percent_of_what_coverage_costs_at_most() {
    let costing = |coverage_cost: u64| ProgramTerms { coverage_cost, ..terms() };
    assert!(define(&[], "walk", costing(334)).is_ok(), "100 of 334");
    assert_eq!(code(define(&[], "walk", costing(333))), RefusalCode::RewardTooLarge);
    let participatory = ProgramTerms { kind: ProgramKind::Participatory, ..costing(0) };
    assert!(define(&[], "walk", participatory.clone()).is_ok(), "taking part is not bounded by law");

    let beside = |terms: ProgramTerms| vec![Program { id: id("run"), terms, ..program() }];
    assert!(define(&beside(terms()), "walk", costing(667)).is_ok(), "200 of 667");
    assert_eq!(code(define(&beside(terms()), "walk", costing(666))), RefusalCode::RewardTooLarge);
    assert_eq!(code(define(&beside(costing(666)), "walk", costing(9999))), RefusalCode::RewardTooLarge);
    let two = ["run", "swim"].map(|name| Program { id: id(name), ..beside(costing(9999)).remove(0) });
    assert!(define(&two, "walk", costing(1000)).is_ok(), "300 of 1000 are 30 percent");
    assert_eq!(code(define(&two, "walk", costing(999))), RefusalCode::RewardTooLarge);
    let activity = ProgramTerms { kind: ProgramKind::ActivityOnly, ..terms() };
    assert_eq!(code(define(&beside(activity), "walk", costing(666))), RefusalCode::RewardTooLarge);
    for unrelated in [
        beside(participatory),
        beside(ProgramTerms { from: moment("2025-01"), until: moment("2026-01"), ..costing(666) }),
        beside(ProgramTerms { from: moment("2028-01"), until: moment("2029-01"), ..costing(666) }),
        vec![Program { sponsor: id("hospital"), ..beside(costing(666)).remove(0) }],
        vec![Program { ended: Some(moment("2026-01")), ..beside(costing(666)).remove(0) }],
    ] {
        assert!(define(&unrelated, "walk", costing(334)).is_ok(), "{unrelated:?}");
    }
}

/// Found by review: a sponsor defined, ended and defined programs again, and gave 30 percent several times in a calendar year.
#[test]
fn programs_of_one_calendar_year_count_together_also_when_they_ended() {
    let of = |from: &str, until: &str| ProgramTerms {
        from: moment(from),
        until: moment(until),
        coverage_cost: 334,
        ..terms()
    };
    let beside = |terms: ProgramTerms, ended: Option<&str>| {
        vec![Program { id: id("run"), terms, ended: ended.map(moment), ..program() }]
    };
    let new = || of("2026-06", "2027-07");
    for together in [
        beside(of("2026-01", "2026-02"), None),
        beside(of("2025-01", "2026-02"), None),
        beside(of("2027-12", "2028-02"), None),
        beside(of("2026-01", "2028-01"), Some("2026-02")),
        beside(of("2026-05", "2028-01"), Some("2026-04")),
    ] {
        assert_eq!(code(define(&together, "walk", new())), RefusalCode::RewardTooLarge, "{together:?}");
    }
    for apart in [
        beside(of("2025-01", "2026-01"), None),
        beside(of("2028-01", "2029-01"), None),
        beside(of("2025-01", "2028-01"), Some("2026-01")),
        beside(of("2026-05", "2028-01"), Some("2025-12")),
    ] {
        assert!(define(&apart, "walk", new()).is_ok(), "{apart:?}");
    }
    let before_and_after = [beside(of("2026-01", "2026-02"), None), beside(of("2027-12", "2028-01"), None)].concat();
    let costing = |coverage_cost: u64| ProgramTerms { coverage_cost, ..new() };
    let before_and_after: Vec<Program> = before_and_after
        .into_iter()
        .map(|one| Program { terms: ProgramTerms { coverage_cost: 9999, ..one.terms.clone() }, ..one })
        .collect();
    assert!(define(&before_and_after, "walk", costing(667)).is_ok(), "two in each year, not three");
    assert_eq!(code(define(&before_and_after, "walk", costing(666))), RefusalCode::RewardTooLarge);
}

#[test]
fn a_program_is_ended_by_its_sponsor() {
    let ended = Program { ended: Some(NOW), ..program() };
    assert_eq!(value(decide_program_end(&pia(), Some(program()), NOW)), ended);
    assert_eq!(decide_program_end(&pia(), Some(ended.clone()), at(5)), Ok(Outcome::Repeated(ended)));
    assert_eq!(code(decide_program_end(&pia(), None, NOW)), RefusalCode::UnknownProgram);
    let elsewhere = caller("max", Role::Maintainer);
    assert_eq!(code(decide_program_end(&elsewhere, Some(program()), NOW)), RefusalCode::OtherOrganisation);
    assert_eq!(code(decide_program_end(&carol(), Some(program()), NOW)), RefusalCode::NotPermitted);
    assert_eq!(code(decide_program_end(&suspended(pia()), Some(program()), NOW)), RefusalCode::MemberSuspended);
}

#[test]
fn to_enrol_is_to_consent_that_the_named_sponsor_learns_the_points() {
    let enrol = |state: RewardState, sponsor: &str, at: LedgerTime| {
        decide_enrolment(&alice(), &id("alice"), &id(sponsor), state, at)
    };
    let enrolled = value(enrol(state(None), "payer", NOW));
    let since_now = Enrolment::Enrolled { at: NOW, by: id("alice") };
    assert_eq!(enrolled, Participation { enrolment: since_now.clone(), ..participation() });
    let again = enrol(state(Some(participation())), "payer", NOW);
    assert_eq!(again, Ok(Outcome::Repeated(participation())));
    let former = Participation { met: [(2026, 2)].into(), redeemed: 10, ..participation() };
    let back = value(enrol(state(Some(left(former.clone()))), "payer", NOW));
    assert_eq!(back, Participation { enrolment: since_now, ..former }, "with what was earned");

    assert_eq!(code(enrol(state(None), "hospital", NOW)), RefusalCode::OtherSponsor);
    assert_eq!(code(enrol(nothing(), "payer", NOW)), RefusalCode::UnknownProgram);
    assert_eq!(code(enrol(state(None), "payer", terms().until)), RefusalCode::ProgramOver);
    let ended = |at: LedgerTime| RewardState { program: Some(Program { ended: Some(at), ..program() }), ..nothing() };
    assert_eq!(code(enrol(ended(NOW), "payer", NOW)), RefusalCode::ProgramOver);
    assert!(enrol(ended(at(1)), "payer", NOW).is_ok());
    assert!(enrol(state(None), "payer", moment("2026-01")).is_ok(), "ahead of its beginning");
    is_for_the_patient_and_guardian(|who, delegation| {
        decide_enrolment(who, &id("alice"), &id("payer"), RewardState { delegation, ..state(None) }, NOW)
    });
}

#[test]
fn a_patient_leaves_at_any_time() {
    let leave = |state: RewardState| decide_leaving(&alice(), &id("alice"), state, NOW);
    let gone = value(leave(state(Some(participation()))));
    assert_eq!(gone, Participation { enrolment: Enrolment::Left { at: NOW }, ..participation() });
    assert_eq!(leave(state(Some(left(participation())))), Ok(Outcome::Repeated(left(participation()))));
    assert_eq!(code(leave(state(None))), RefusalCode::NotEnrolled);
    assert_eq!(code(leave(nothing())), RefusalCode::UnknownProgram);
    is_for_the_patient_and_guardian(|who, delegation| {
        decide_leaving(who, &id("alice"), RewardState { delegation, ..state(Some(participation())) }, NOW)
    });
}

fn attest(
    state: RewardState,
    period: &str,
    at: LedgerTime,
) -> Result<Outcome<TargetAttestation, MayAttestTarget>, Refusal> {
    decide_target_attestation(&carol(), &id("alice"), state, None, (id(period), Standard::Target), at)
}

fn attestation(standard: Standard) -> TargetAttestation {
    TargetAttestation {
        program: id("walk"),
        patient: id("alice"),
        period: id("2026-12"),
        standard,
        by: id("carol"),
        at: NOW,
    }
}

#[test]
fn a_clinician_attests_once_a_period_that_a_standard_was_met() {
    for standard in [Standard::Target, Standard::Alternative] {
        let attest = |existing: Option<TargetAttestation>, caller: Caller| {
            let state = state(Some(participation()));
            decide_target_attestation(&caller, &id("alice"), state, existing, (id("2026-12"), standard), NOW)
        };
        let Ok(Outcome::Decided(made, proof)) = attest(None, carol()) else { panic!("not new") };
        assert_eq!(made, attestation(standard));
        assert_eq!(*proof.participation(), Participation { met: [(2026, 1)].into(), ..participation() });
        let again = attest(Some(made.clone()), caller("dora", Role::Clinician));
        assert_eq!(again, Ok(Outcome::Repeated(made)), "whoever repeats it");
        let other = if standard == Standard::Target { Standard::Alternative } else { Standard::Target };
        assert_eq!(code(attest(Some(attestation(other)), carol())), RefusalCode::TargetAttested);
    }
    let twice = Participation { met: [(2026, 4), (2027, 1)].into(), ..participation() };
    let Ok(Outcome::Decided(_, proof)) = attest(state(Some(twice)), "2026-12", NOW) else { panic!("not new") };
    assert_eq!(proof.participation().met, [(2026, 5), (2027, 1)].into(), "counted in the period's year");
}

#[test]
fn targets_are_attested_by_clinicians_of_care_organisations() {
    let attest = |who: &Caller| {
        let state = state(Some(participation()));
        decide_target_attestation(who, &id("alice"), state, None, (id("2026-12"), Standard::Target), NOW)
    };
    is_refused_to_others(Permission::AttestTarget, "carol", attest);
    for kind in OrganisationKind::ALL {
        let decided = attest(&caller_of(organisation("home", kind), "carol", Role::Clinician));
        assert_eq!(decided.is_ok(), kind.is_care(), "{kind:?}");
    }
}

#[test]
fn only_who_takes_part_is_attested_anything() {
    assert_eq!(code(attest(nothing(), "2026-12", NOW)), RefusalCode::UnknownProgram);
    assert_eq!(code(attest(state(None), "2026-12", NOW)), RefusalCode::NotEnrolled);
    assert_eq!(code(attest(state(Some(left(participation()))), "2026-12", NOW)), RefusalCode::NotEnrolled);
    assert_eq!(code(attest(state(Some(participation())), "2026-10", NOW)), RefusalCode::NotEnrolled, "not in October");
    assert!(attest(state(Some(participation())), "2026-11", NOW).is_ok());
}

#[test]
fn only_periods_of_the_program_are_rewarded_and_none_too_early_or_too_late() {
    let since_long = || {
        let enrolment = Enrolment::Enrolled { at: moment("2026-01"), by: id("alice") };
        state(Some(Participation { enrolment, ..participation() }))
    };
    let refused = |state: RewardState, period: &str, at: LedgerTime| {
        assert_eq!(code(attest(state, period, at)), RefusalCode::PeriodNotRewarded, "{period} at {at}");
    };
    for period in ["2026", "2026-Q4"] {
        refused(since_long(), period, NOW);
    }
    refused(since_long(), "2026-05", moment("2026-06"));
    assert!(attest(since_long(), "2026-06", moment("2026-06")).is_ok());
    refused(since_long(), "2027-07", moment("2027-07"));
    assert!(attest(since_long(), "2027-06", moment("2027-07")).is_ok(), "after the end, for a period before it");
    let ended =
        |text: &str| RewardState { program: Some(Program { ended: Some(moment(text)), ..program() }), ..since_long() };
    refused(ended("2026-12"), "2026-12", NOW);
    assert!(attest(ended("2026-12"), "2026-11", NOW).is_ok());
    refused(ended("2028-01"), "2027-07", moment("2027-07"));

    let before = LedgerTime::from_milliseconds(moment("2026-12").milliseconds() - 1);
    refused(since_long(), "2026-12", before);
    assert!(attest(since_long(), "2026-12", moment("2026-12")).is_ok());
    let late = moment("2027-01").plus_days(90);
    refused(since_long(), "2026-12", late);
    assert!(attest(since_long(), "2026-12", LedgerTime::from_milliseconds(late.milliseconds() - 1)).is_ok());
    let mid_june = ProgramTerms { from: moment("2026-06").plus_days(10), ..terms() };
    let mid_june = || RewardState { program: Some(Program { terms: mid_june.clone(), ..program() }), ..since_long() };
    refused(mid_june(), "2026-06", moment("2026-06").plus_days(9));
    assert!(attest(mid_june(), "2026-06", moment("2026-06").plus_days(10)).is_ok());
}

#[test]
fn an_alternative_is_attested_only_where_the_program_has_one() {
    let terms = ProgramTerms { alternative_standard: None, kind: ProgramKind::Participatory, ..terms() };
    let state = RewardState { program: Some(Program { terms, ..program() }), ..state(Some(participation())) };
    let attested = decide_target_attestation(
        &carol(),
        &id("alice"),
        state.clone(),
        None,
        (id("2026-12"), Standard::Alternative),
        NOW,
    );
    assert_eq!(code(attested), RefusalCode::NoAlternativeStandard);
    assert!(attest(state, "2026-12", NOW).is_ok());
}

#[test]
fn points_are_capped_a_year_and_redeemed_once() {
    let earned = Participation { met: [(2026, 7), (2027, 1)].into(), redeemed: 20, ..participation() };
    let account = earned.account(&program());
    let expected = PointsAccount {
        program: id("walk"),
        patient: id("alice"),
        is_enrolled: true,
        earned: [(2026, 50), (2027, 10)].into(),
        redeemed: 20,
        available: 40,
    };
    assert_eq!(account, expected);
    let redeem = |participation: Option<Participation>, existing: Option<Redemption>, points: u32| {
        decide_redemption(&alice(), &id("alice"), state(participation), existing, (id("r1"), points), NOW)
    };
    let Ok(Outcome::Decided(made, proof)) = redeem(Some(earned.clone()), None, 40) else { panic!("not new") };
    let expected = Redemption {
        id: id("r1"),
        program: id("walk"),
        patient: id("alice"),
        points: 40,
        value: 80,
        by: id("alice"),
        at: NOW,
    };
    assert_eq!((&made, proof.participation()), (&expected, &Participation { redeemed: 60, ..earned.clone() }));
    assert_eq!(redeem(Some(earned.clone()), Some(made.clone()), 40), Ok(Outcome::Repeated(made.clone())));
    assert_eq!(code(redeem(Some(earned.clone()), Some(made), 39)), RefusalCode::RedemptionExists);
    assert_eq!(code(redeem(Some(earned.clone()), None, 41)), RefusalCode::PointsInsufficient);
    assert_eq!(code(redeem(Some(earned.clone()), None, 0)), RefusalCode::Malformed);
    assert!(redeem(Some(left(earned.clone())), None, 40).is_ok(), "also after leaving");
    assert_eq!(code(redeem(None, None, 1)), RefusalCode::NotEnrolled);
    let unknown = decide_redemption(&alice(), &id("alice"), nothing(), None, (id("r1"), 1), NOW);
    assert_eq!(code(unknown), RefusalCode::UnknownProgram);
    is_for_the_patient_and_guardian(|who, delegation| {
        let state = RewardState { delegation, ..state(Some(earned.clone())) };
        decide_redemption(who, &id("alice"), state, None, (id("r1"), 1), NOW)
    });
}

#[test]
fn an_account_is_for_the_patient_and_while_enrolled_for_the_sponsor() {
    let account = |who: &Caller, state: RewardState| decide_account(who, &id("alice"), state, NOW);
    let shown = participation().account(&program());
    let payers_maintainer = caller_of(home(Role::PayerOfficer), "mia", Role::Maintainer);
    for who in [alice(), pia(), caller("paul", Role::PayerOfficer), payers_maintainer] {
        assert_eq!(account(&who, state(Some(participation()))), Ok(shown.clone()));
    }
    let gone = PointsAccount { is_enrolled: false, ..shown };
    assert_eq!(account(&alice(), state(Some(left(participation())))), Ok(gone));
    let to_sponsor_after = account(&pia(), state(Some(left(participation()))));
    assert_eq!(to_sponsor_after, account(&pia(), state(None)), "who left and who never came look alike");
    assert_eq!(code(to_sponsor_after), RefusalCode::UnknownParticipation);
    assert_eq!(code(account(&alice(), state(None))), RefusalCode::UnknownParticipation);
    assert_eq!(code(account(&alice(), nothing())), RefusalCode::UnknownProgram);
    assert_eq!(code(account(&pia(), nothing())), RefusalCode::UnknownProgram);
    let elsewhere = caller_of(organisation("insurer", OrganisationKind::Payer), "ida", Role::PayerOfficer);
    assert_eq!(code(account(&elsewhere, state(Some(participation())))), RefusalCode::OtherOrganisation);
    for who in [carol(), caller("bob", Role::Patient), Caller::Custodian(home(Role::PayerOfficer))] {
        assert_eq!(code(account(&who, state(Some(participation())))), RefusalCode::NotPermitted);
    }
    assert_eq!(code(account(&suspended(pia()), state(Some(participation())))), RefusalCode::MemberSuspended);
}

/// A ledger of two programs and two patients, as far as rewards go.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ledger {
    participations: BTreeMap<(usize, usize), Participation>,
    attestations: BTreeMap<(usize, usize, CalendarPeriod), TargetAttestation>,
    redemptions: BTreeMap<(usize, usize, u8), Redemption>,
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    Enrol,
    Leave,
    Attest { month: u8, standard: Standard },
    Redeem { id: u8, points: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Call {
    who: usize,
    program: usize,
    patient: usize,
    wish: Wish,
}

const PATIENTS: [&str; 2] = ["alice", "bob"];

static PROGRAMS: LazyLock<[Program; 2]> = LazyLock::new(|| {
    let small = ProgramTerms { points: 30, points_a_year: 30, ..terms() };
    [program(), Program { id: id("small"), terms: small, ..program() }]
});

static CALLERS: LazyLock<[Caller; 6]> = LazyLock::new(|| {
    [alice(), caller("bob", Role::Patient), carol(), caller("dora", Role::Clinician), pia(), suspended(alice())]
});

impl Ledger {
    fn call(&mut self, Call { who, program, patient, wish }: Call) -> bool {
        let (caller, patient_id): (_, MemberId) = (&CALLERS[who], id(PATIENTS[patient]));
        let place = (program, patient);
        let state = RewardState {
            program: Some(PROGRAMS[program].clone()),
            participation: self.participations.get(&place).cloned(),
            delegation: None,
        };
        let changed = match wish {
            Wish::Enrol => match decide_enrolment(caller, &patient_id, &id("payer"), state, NOW) {
                Ok(Outcome::Decided(participation, _)) => Some(participation),
                _ => None,
            },
            Wish::Leave => match decide_leaving(caller, &patient_id, state, NOW) {
                Ok(Outcome::Decided(participation, _)) => Some(participation),
                _ => None,
            },
            Wish::Attest { month, standard } => {
                let period: CalendarPeriod = id(&format!("2027-{month:02}"));
                let at = period.start().max(NOW);
                let existing = self.attestations.get(&(program, patient, period)).cloned();
                match decide_target_attestation(caller, &patient_id, state, existing, (period, standard), at) {
                    Ok(Outcome::Decided(made, proof)) => {
                        self.attestations.insert((program, patient, period), made);
                        Some(proof.participation().clone())
                    }
                    _ => None,
                }
            }
            Wish::Redeem { id: number, points } => {
                let existing = self.redemptions.get(&(program, patient, number)).cloned();
                let wanted = (id(&format!("r{number}")), points);
                match decide_redemption(caller, &patient_id, state, existing, wanted, NOW) {
                    Ok(Outcome::Decided(made, proof)) => {
                        self.redemptions.insert((program, patient, number), made);
                        Some(proof.participation().clone())
                    }
                    _ => None,
                }
            }
        };
        changed.is_some_and(|changed| {
            self.participations.insert(place, changed);
            true
        })
    }

    fn after(calls: &[Call]) -> Self {
        let mut ledger = Self::default();
        for call in calls {
            ledger.call(*call);
        }
        ledger
    }
}

fn call() -> impl Strategy<Value = Call> {
    let standard = prop::sample::select(vec![Standard::Target, Standard::Alternative]);
    let wish = prop_oneof![
        3 => Just(Wish::Enrol),
        1 => Just(Wish::Leave),
        6 => (1u8..=7, standard).prop_map(|(month, standard)| Wish::Attest { month, standard }),
        4 => (0u8..4, 0u32..40).prop_map(|(id, points)| Wish::Redeem { id, points }),
    ];
    (0..6usize, 0..2usize, 0..2usize, wish).prop_map(|(who, program, patient, wish)| Call {
        who,
        program,
        patient,
        wish,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn points_are_what_was_attested_under_the_cap_and_never_below_zero(calls in prop::collection::vec(call(), 0..40)) {
        let ledger = Ledger::after(&calls);
        for ((number, patient), participation) in &ledger.participations {
            let program = &PROGRAMS[*number];
            let account = participation.account(program);
            let of = |place: (usize, usize)| place == (*number, *patient);
            let attested = ledger.attestations.keys().filter(|(program, patient, _)| of((*program, *patient))).count();
            let earned = (attested as u64 * u64::from(program.terms.points)).min(program.terms.points_a_year.into());
            let redeemed = ledger.redemptions.iter().filter(|((program, patient, _), _)| of((*program, *patient)));
            let redeemed: u64 = redeemed.map(|(_, redemption)| u64::from(redemption.points)).sum();
            prop_assert_eq!(account.earned.values().sum::<u64>(), earned);
            prop_assert_eq!(account.redeemed, redeemed);
            prop_assert!(redeemed <= earned, "below zero");
            prop_assert_eq!(account.available, earned - redeemed);
        }
    }

    #[test]
    fn a_repeated_call_changes_nothing(calls in prop::collection::vec(call(), 0..30), again in call()) {
        let mut ledger = Ledger::after(&calls);
        ledger.call(again);
        let once = ledger.clone();
        prop_assert!(!ledger.call(again));
        prop_assert_eq!(ledger, once);
    }

    #[test]
    fn only_the_patient_and_clinicians_change_anything(calls in prop::collection::vec(call(), 0..30), next in call()) {
        let mut ledger = Ledger::after(&calls);
        if ledger.call(next) {
            let is_clinician = matches!(next.who, 2 | 3);
            prop_assert_eq!(is_clinician, matches!(next.wish, Wish::Attest { .. }));
            prop_assert!(is_clinician || next.who == next.patient);
        }
    }

    #[test]
    fn independent_calls_end_the_same_in_either_order(calls in prop::collection::vec(call(), 0..30), one in call(), other in call()) {
        let is_independent = (one.program, one.patient) != (other.program, other.patient)
            || matches!((one.wish, other.wish), (Wish::Attest { month: a, .. }, Wish::Attest { month: b, .. }) if a != b);
        prop_assume!(is_independent);
        let ends = |order: [Call; 2]| Ledger::after(&[calls.as_slice(), &order].concat());
        prop_assert_eq!(ends([one, other]), ends([other, one]));
    }
}

/// What is stored of rewards, by name.
pub(crate) fn stored() -> Vec<(&'static str, Value)> {
    let redemption = Redemption {
        id: id("r1"),
        program: id("walk"),
        patient: id("alice"),
        points: 8,
        value: 16,
        by: id("alice"),
        at: NOW,
    };
    let earned = Participation { met: [(2026, 2)].into(), redeemed: 8, ..participation() };
    vec![
        ("program ended", json!(Program { ended: Some(NOW), ..program() })),
        ("participation left", json!(left(earned.clone()))),
        ("participation", json!(earned)),
        ("target attestation", json!(attestation(Standard::Alternative))),
        ("redemption", json!(redemption)),
    ]
}
