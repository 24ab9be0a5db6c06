use crate::support::*;
use healthchain_rules::delegation::{DelegationState, Power};
use healthchain_rules::limit::READING_MILLISECONDS;
use healthchain_rules::reading::{ReadingAct, TrailState, decide_entries, decide_reading};
use healthchain_rules::*;

fn of_alice() -> Trail {
    Trail::OfPatient(id("alice"))
}

fn of_carol() -> Trail {
    Trail::OfMember(id("carol"))
}

fn of_hospital() -> Trail {
    Trail::OfOrganisation(id("hospital"))
}

fn carol() -> Member {
    member_of(&hospital(), "carol", Role::Clinician)
}

fn read(caller: &Caller, trail: Trail) -> Result<Reading, Refusal> {
    let state = TrailState { member: Some(carol()), delegation: None };
    decide_reading(caller, &state, trail, (None, None), hash("reading"), NOW).map(|(reading, _)| reading)
}

fn entries(caller: &Caller, reading: &Reading, at: LedgerTime) -> Result<Reading, Refusal> {
    let state = TrailState { member: Some(carol()), delegation: None };
    decide_entries(caller, &state, Some(reading.clone()), at).map(|(reading, _)| reading)
}

fn pam() -> Caller {
    caller("pam", Role::PrivacyOfficer)
}

#[test]
fn a_reading_says_who_reads_what() {
    let bounds = (Some(at(-7)), Some(at(-3)));
    let (reading, _) =
        decide_reading(&alice(), &TrailState::default(), of_alice(), bounds, hash("reading"), NOW).unwrap();
    let expected = Reading {
        transaction: hash("reading"),
        by: id("alice"),
        trail: of_alice(),
        from: Some(at(-7)),
        until: Some(at(-3)),
        time: NOW,
    };
    assert_eq!(reading, expected);
    let act = ReadingAct::AuditRead { trail: of_alice(), from: Some(at(-7)), until: Some(at(-3)) };
    assert_eq!(reading.act(), act);
    for (time, is_covered) in [(-8, false), (-7, true), (-4, true), (-3, false), (0, false)] {
        assert_eq!(reading.covers(at(time)), is_covered, "{time}");
    }
    let unbounded = Reading { from: None, until: None, ..reading };
    assert!(unbounded.covers(at(-1_000_000)) && unbounded.covers(at(1_000_000)));
}

#[test]
fn a_reading_ends_after_it_begins() {
    for (from, until, is_refused) in [(1, 1, true), (2, 1, true), (1, 2, false)] {
        let bounds = (Some(at(from)), Some(at(until)));
        let found = decide_reading(&alice(), &TrailState::default(), of_alice(), bounds, hash("reading"), NOW);
        assert_eq!(found.map_err(|refusal| refusal.code()).err(), is_refused.then_some(RefusalCode::Malformed));
    }
}

#[test]
fn a_patients_trail_is_for_the_patient() {
    assert!(read(&alice(), of_alice()).is_ok());
    for role in Role::ALL {
        assert_eq!(code(read(&caller("other", role), of_alice())), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(read(&Caller::Custodian(hospital()), of_alice())), RefusalCode::NotPermitted);
    assert_eq!(code(read(&suspended(alice()), of_alice())), RefusalCode::MemberSuspended);
}

#[test]
fn a_guardian_reads_a_patients_trail_as_far_as_the_patient_lets() {
    let let_gus = Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gus"),
        powers: [Power::ReadAudit].into(),
        categories: [].into(),
        from: at(-10),
        until: at(10),
        state: DelegationState::Granted,
    };
    let gus = caller("gus", Role::Guardian);
    let read = |caller: &Caller, delegation: Delegation, at| {
        let state = TrailState { member: None, delegation: Some(delegation) };
        let reading = decide_reading(caller, &state, of_alice(), (None, None), hash("reading"), at)?.0;
        decide_entries(caller, &state, Some(reading), at).map(|(reading, _)| reading.by)
    };
    assert_eq!(read(&gus, let_gus.clone(), NOW), Ok(id("gus")));
    let ended = Delegation { state: DelegationState::Ended { by: id("alice"), at: NOW }, ..let_gus.clone() };
    for (delegation, when) in [
        (let_gus.clone(), 10),
        (let_gus.clone(), -11),
        (ended.clone(), 0),
        (Delegation { powers: [Power::Open, Power::Consent].into(), ..let_gus.clone() }, 0),
        (Delegation { patient: id("bob"), ..let_gus.clone() }, 0),
        (Delegation { guardian: id("gesa"), ..let_gus.clone() }, 0),
    ] {
        assert_eq!(code(read(&gus, delegation, at(when))), RefusalCode::NotPermitted);
    }
    assert_eq!(code(read(&caller("gus", Role::Patient), let_gus.clone(), NOW)), RefusalCode::NotPermitted);
    assert_eq!(code(read(&suspended(gus.clone()), let_gus.clone(), NOW)), RefusalCode::MemberSuspended);

    let state = TrailState { member: None, delegation: Some(let_gus) };
    let (reading, _) = decide_reading(&gus, &state, of_alice(), (None, None), hash("reading"), NOW).unwrap();
    let state = TrailState { member: None, delegation: Some(ended) };
    let entries = decide_entries(&gus, &state, Some(reading), NOW).map(|(reading, _)| reading);
    assert_eq!(code(entries), RefusalCode::NotPermitted, "ended after the reading");
}

#[test]
fn a_members_trail_is_for_the_member_and_its_organisations_auditors() {
    assert!(read(&caller("carol", Role::Clinician), of_carol()).is_ok());
    for role in Role::ALL {
        let found = read(&caller_of(hospital(), "other", role), of_carol());
        if matches!(role, Role::Administrator | Role::PrivacyOfficer) {
            assert_eq!(found.unwrap().by, id("other"));
            let elsewhere = read(&caller_of(clinic(), "other", role), of_carol());
            assert_eq!(code(elsewhere), RefusalCode::OtherOrganisation);
        } else {
            assert_eq!(code(found), RefusalCode::NotPermitted, "{role}");
        }
    }
    assert_eq!(code(read(&suspended(caller("carol", Role::Clinician)), of_carol())), RefusalCode::MemberSuspended);
    assert_eq!(code(read(&suspended(pam()), of_carol())), RefusalCode::MemberSuspended);
    assert_eq!(code(read(&Caller::Custodian(hospital()), of_carol())), RefusalCode::NotPermitted);
    assert_eq!(code(read(&pam(), Trail::OfMember(id("nobody")))), RefusalCode::UnknownMember);
}

#[test]
fn an_organisations_trail_is_for_its_auditors() {
    for role in Role::ALL {
        let found = read(&caller_of(hospital(), "other", role), of_hospital());
        if matches!(role, Role::Administrator | Role::PrivacyOfficer) {
            assert!(found.is_ok());
            let elsewhere = read(&caller_of(clinic(), "other", role), of_hospital());
            assert_eq!(code(elsewhere), RefusalCode::OtherOrganisation);
        } else {
            assert_eq!(code(found), RefusalCode::NotPermitted, "{role}");
        }
    }
    assert_eq!(code(read(&suspended(pam()), of_hospital())), RefusalCode::MemberSuspended);
    assert_eq!(code(read(&Caller::Custodian(hospital()), of_hospital())), RefusalCode::NotPermitted);
}

#[test]
fn entries_are_for_the_reader_alone() {
    let reading = read(&pam(), of_carol()).unwrap();
    assert_eq!(entries(&pam(), &reading, NOW), Ok(reading.clone()));
    for other in
        [caller("paula", Role::PrivacyOfficer), caller("carol", Role::Clinician), caller("adam", Role::Administrator)]
    {
        assert_eq!(code(entries(&other, &reading, NOW)), RefusalCode::UnknownReading);
    }
    assert_eq!(code(entries(&Caller::Custodian(hospital()), &reading, NOW)), RefusalCode::NotPermitted);
    let none = decide_entries(&pam(), &TrailState::default(), None, NOW);
    assert_eq!(code(none.map(|(reading, _)| reading)), RefusalCode::UnknownReading);
}

#[test]
fn a_reading_gives_entries_for_an_hour() {
    let reading = read(&alice(), of_alice()).unwrap();
    let hour = i64::try_from(READING_MILLISECONDS).unwrap();
    assert_eq!(hour, 3_600_000);
    assert!(entries(&alice(), &reading, at(hour - 1)).is_ok());
    assert_eq!(code(entries(&alice(), &reading, at(hour))), RefusalCode::ReadingExpired);
    assert!(entries(&alice(), &reading, at(-1)).is_ok(), "clients' clocks differ by minutes");
}

#[test]
fn a_reader_who_may_not_read_any_more_gets_no_entries() {
    let reading = read(&pam(), of_carol()).unwrap();
    assert_eq!(code(entries(&suspended(pam()), &reading, NOW)), RefusalCode::MemberSuspended);
    assert_eq!(code(entries(&caller("pam", Role::Clinician), &reading, NOW)), RefusalCode::NotPermitted);
    let moved = caller_of(clinic(), "pam", Role::PrivacyOfficer);
    assert_eq!(code(entries(&moved, &reading, NOW)), RefusalCode::OtherOrganisation);
}

#[test]
fn the_patient_or_member_whose_trail_is_read_is_told() {
    assert_eq!((of_alice().patient(), of_alice().member()), (Some(&id("alice")), None));
    assert_eq!((of_carol().patient(), of_carol().member()), (None, Some(&id("carol"))));
    assert_eq!((of_hospital().patient(), of_hospital().member()), (None, None));
}
