//! Emergency accesses and their reviews.

use crate::support::*;
use healthchain_rules::emergency::*;
use healthchain_rules::opening::decide_opening;
use healthchain_rules::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn carol() -> Caller {
    caller("carol", Role::Clinician)
}

/// A privacy officer of another organisation.
fn olga() -> Caller {
    caller_of(clinic(), "olga", Role::PrivacyOfficer)
}

fn patient() -> Member {
    member_of(&home(Role::Patient), "alice", Role::Patient)
}

fn declaration(name: &str, hours: Option<u32>) -> Declaration {
    Declaration { transaction: hash(name), reason: id("unconscious"), hours }
}

fn declare(
    caller: &Caller,
    docket: Docket,
    declaration: Declaration,
    at: LedgerTime,
) -> Result<((Emergency, Docket), MayDeclare), Refusal> {
    decide_declaration(caller, Some(&patient()), docket, &Settings::default(), declaration, at)
}

fn declared(name: &str) -> (Emergency, Docket) {
    declare(&carol(), Docket::default(), declaration(name, None), NOW).unwrap().0
}

fn review(
    caller: &Caller,
    emergency: Emergency,
    docket: Docket,
    finding: Finding,
    note: &str,
) -> Result<Outcome<(Emergency, Docket), MayReview>, Refusal> {
    decide_review(caller, Some(emergency), docket, finding, id(note), at(HOUR))
}

fn open(caller: &Caller, category: Category, purpose: Purpose, grounds: &Grounds, at: LedgerTime) -> Decision {
    decide_opening(caller, &link("l1", category), grounds, purpose, hash("opening"), at).unwrap().0.decision
}

#[test]
fn a_declared_emergency_lasts_hours_and_its_review_is_due_in_days() {
    let (emergency, docket) = declared("e1");
    let expected = Emergency {
        id: hash("e1"),
        patient: id("alice"),
        clinician: id("carol"),
        organisation: id("hospital"),
        reason: id("unconscious"),
        at: NOW,
        until: at(4 * HOUR),
        review_due: at(3 * DAY),
        state: EmergencyState::Open,
    };
    assert_eq!(emergency, expected);
    assert_eq!(docket.open, [(hash("e1"), at(3 * DAY))].into());
    for (hours, lasts) in [(Some(1), 1), (Some(4), 4), (Some(5), 4), (Some(u32::MAX), 4), (None, 4)] {
        let ((emergency, _), _) = declare(&carol(), Docket::default(), declaration("e1", hours), NOW).unwrap();
        assert_eq!(emergency.until, at(lasts * HOUR), "{hours:?}");
    }
    let settings = Settings { emergency_hours: 2, review_days: 1, ..Settings::default() };
    let found = decide_declaration(&carol(), Some(&patient()), docket, &settings, declaration("e2", None), NOW);
    let ((emergency, docket), _) = found.unwrap();
    assert_eq!((emergency.until, emergency.review_due, docket.open.len()), (at(2 * HOUR), at(DAY), 2));
}

#[test]
fn only_clinicians_of_active_care_organisations_declare_emergencies() {
    for role in Role::ALL {
        let outcome = declare(&caller("somebody", role), Docket::default(), declaration("e1", None), NOW);
        if role == Role::Clinician {
            assert!(outcome.is_ok());
        } else {
            assert_eq!(code(outcome), RefusalCode::NotPermitted, "{role}");
        }
    }
    let refused = |caller: &Caller| code(declare(caller, Docket::default(), declaration("e1", None), NOW));
    assert_eq!(refused(&suspended(carol())), RefusalCode::MemberSuspended);
    assert_eq!(refused(&Caller::Custodian(hospital())), RefusalCode::NotPermitted);
    let mut elsewhere = actor_of(home(Role::Pharmacist), "phil", Role::Pharmacist);
    let privileges = Privileges { grants: [Permission::DeclareEmergency].into(), ..group("g").privileges };
    elsewhere.member.groups = [(id("g"), privileges)].into();
    assert_eq!(refused(&Caller::Member(Box::new(elsewhere))), RefusalCode::NotPermitted, "no care organisation");
    let agent = agent_of(actor("carol", Role::Clinician), "bot", "Emergencies:declare");
    assert_eq!(refused(&agent), RefusalCode::NotPermitted, "not a person");
}

#[test]
fn an_emergency_is_a_patients_and_lasts_at_least_an_hour() {
    let of = |patient: Option<&Member>| {
        let settings = Settings::default();
        decide_declaration(&carol(), patient, Docket::default(), &settings, declaration("e1", None), NOW)
    };
    assert_eq!(code(of(None)), RefusalCode::UnknownPatient);
    assert_eq!(code(of(Some(&member_of(&hospital(), "dora", Role::Clinician)))), RefusalCode::UnknownPatient);
    let none = declare(&carol(), Docket::default(), declaration("e1", Some(0)), NOW);
    assert_eq!(code(none), RefusalCode::Malformed);
}

#[test]
fn an_overdue_review_suspends_the_clinicians_emergencies_until_it_is_done() {
    let (emergency, docket) = declared("e1");
    assert!(declare(&carol(), docket.clone(), declaration("e2", None), at(3 * DAY - 1)).is_ok());
    let overdue = declare(&carol(), docket.clone(), declaration("e2", None), at(3 * DAY));
    assert_eq!(code(overdue), RefusalCode::EmergencySuspended);
    let reviewed = decide_review(&olga(), Some(emergency), docket, Finding::Justified, id("seen"), at(4 * DAY));
    let Ok(Outcome::Decided((_, docket), _)) = reviewed else { panic!("{reviewed:?}") };
    assert!(declare(&carol(), docket, declaration("e2", None), at(4 * DAY)).is_ok());
}

#[test]
fn eight_emergencies_of_a_clinician_wait_for_their_reviews() {
    let mut docket = Docket::default();
    for n in 0..8 {
        docket = declare(&carol(), docket, declaration(&format!("e{n}"), None), NOW).unwrap().0.1;
    }
    let more = declare(&carol(), docket.clone(), declaration("more", None), NOW);
    assert_eq!(code(more), RefusalCode::TooManyEmergencies);
    docket.open.pop_first();
    assert!(declare(&carol(), docket, declaration("more", None), NOW).is_ok());
}

#[test]
fn an_emergency_opens_what_is_denied_and_what_is_restricted() {
    let (emergency, docket) = declared("e1");
    let deny = terms(Grantee::Role(Role::Clinician), everything(), &Purpose::ALL, Effect::Deny);
    let grounds = Grounds { book: book_of(&[("no", deny)]), ..Grounds::default() };
    let claimed = Grounds { emergency: Some(emergency.clone()), docket, ..grounds.clone() };
    for category in Category::ALL {
        let without = open(&carol(), category, Purpose::Treatment, &grounds, NOW);
        assert_eq!(denial(without), Denial::PatientDenied);
        let with = open(&carol(), category, Purpose::Treatment, &claimed, NOW);
        assert_eq!(provision(with), Provision::Emergency(emergency.id.clone()));
    }
    assert!(open(&carol(), Category::Summary, Purpose::Treatment, &claimed, at(4 * HOUR - 1)).is_permitted());
}

#[test]
fn an_emergency_opens_nothing_for_others_other_purposes_or_other_times() {
    let (emergency, docket) = declared("e1");
    let grounds = Grounds { emergency: Some(emergency.clone()), docket, ..Grounds::default() };
    let refused = |caller: &Caller, purpose, grounds: &Grounds, at| {
        let decided = open(caller, Category::Summary, purpose, grounds, at);
        assert_eq!(denial(decided), Denial::EmergencyNotInForce);
    };
    refused(&caller("dora", Role::Clinician), Purpose::Treatment, &grounds, NOW);
    for purpose in Purpose::ALL.into_iter().filter(|purpose| *purpose != Purpose::Treatment) {
        refused(&carol(), purpose, &grounds, NOW);
    }
    refused(&carol(), Purpose::Treatment, &grounds, at(4 * HOUR));
    refused(&carol(), Purpose::Treatment, &grounds, at(-1));
    let bobs = Emergency { patient: id("bob"), ..emergency.clone() };
    refused(&carol(), Purpose::Treatment, &Grounds { emergency: Some(bobs), ..grounds.clone() }, NOW);
    let ended = decide_end(&carol(), Some(emergency.clone()), at(HOUR)).unwrap();
    let Outcome::Decided(ended, _) = ended else { panic!("not ended") };
    let after = Grounds { emergency: Some(ended), ..grounds.clone() };
    assert!(open(&carol(), Category::Summary, Purpose::Treatment, &after, at(HOUR - 1)).is_permitted());
    refused(&carol(), Purpose::Treatment, &after, at(HOUR));
    let overdue = Docket { open: [(hash("old"), NOW)].into() };
    refused(&carol(), Purpose::Treatment, &Grounds { docket: overdue, ..grounds.clone() }, NOW);

    let decided = open(&suspended(carol()), Category::Summary, Purpose::Treatment, &grounds, NOW);
    assert_eq!(denial(decided), Denial::MemberSuspended);
}

#[test]
fn a_privacy_officer_of_another_organisation_reviews() {
    let (emergency, docket) = declared("e1");
    for finding in [Finding::Justified, Finding::NotJustified] {
        let found = review(&olga(), emergency.clone(), docket.clone(), finding, "seen");
        let Ok(Outcome::Decided((reviewed, empty), _)) = found else { panic!("{found:?}") };
        let (by, organisation) = (id("olga"), id("clinic"));
        let state = EmergencyState::Reviewed { by, organisation, at: at(HOUR), finding, note: id("seen") };
        let expected = Emergency { state, until: at(HOUR), ..emergency.clone() };
        assert_eq!((&reviewed, empty.clone()), (&expected, Docket::default()), "and it ends");

        let again = decide_review(&olga(), Some(reviewed.clone()), empty.clone(), finding, id("seen"), at(DAY));
        assert_eq!(again, Ok(Outcome::Repeated((reviewed.clone(), empty.clone()))));
        let other = match finding {
            Finding::Justified => Finding::NotJustified,
            Finding::NotJustified => Finding::Justified,
        };
        let otherwise = review(&olga(), reviewed.clone(), empty.clone(), other, "seen");
        assert_eq!(code(otherwise), RefusalCode::EmergencyReviewed);
        assert_eq!(code(review(&olga(), reviewed, empty, finding, "else")), RefusalCode::EmergencyReviewed);
    }
}

/// Found by review: a reviewed emergency ended by time alone, so that an opening dated back still used it.
#[test]
fn a_reviewed_emergency_opens_nothing_not_even_dated_back() {
    let (emergency, docket) = declared("e1");
    let grounds = |emergency: &Emergency| Grounds { emergency: Some(emergency.clone()), ..Grounds::default() };
    let before = |emergency: &Emergency| {
        open(&carol(), Category::Summary, Purpose::Treatment, &grounds(emergency), at(HOUR - 1))
    };
    assert!(before(&emergency).is_permitted());
    for finding in [Finding::Justified, Finding::NotJustified] {
        let found = review(&olga(), emergency.clone(), docket.clone(), finding, "seen");
        let Ok(Outcome::Decided((reviewed, _), _)) = found else { panic!("{found:?}") };
        assert_eq!(reviewed.until, at(HOUR));
        assert_eq!(denial(before(&reviewed)), Denial::EmergencyNotInForce);
    }
}

#[test]
fn a_review_leaves_the_clinicians_other_emergencies_and_an_ended_one_as_they_are() {
    let (emergency, mut docket) = declared("e1");
    docket.open.insert(hash("e2"), at(DAY));
    let over = Emergency { until: at(1), ..emergency };
    let found = review(&olga(), over, docket, Finding::Justified, "seen");
    let Ok(Outcome::Decided((reviewed, docket), _)) = found else { panic!("{found:?}") };
    assert_eq!((reviewed.until, docket.open), (at(1), [(hash("e2"), at(DAY))].into()));
}

#[test]
fn nobody_else_reviews() {
    for role in Role::ALL {
        let (emergency, docket) = declared("e1");
        let somebody = caller_of(clinic(), "somebody", role);
        let outcome = review(&somebody, emergency, docket, Finding::Justified, "seen");
        if role == Role::PrivacyOfficer {
            assert!(outcome.is_ok());
        } else {
            assert_eq!(code(outcome), RefusalCode::NotPermitted, "{role}");
        }
    }
    let refused = |caller: &Caller| {
        let (emergency, docket) = declared("e1");
        code(review(caller, emergency, docket, Finding::Justified, "seen"))
    };
    assert_eq!(
        refused(&caller("pam", Role::PrivacyOfficer)),
        RefusalCode::NotPermitted,
        "the clinician's own organisation"
    );
    assert_eq!(refused(&suspended(olga())), RefusalCode::MemberSuspended);
    assert_eq!(refused(&Caller::Custodian(clinic())), RefusalCode::NotPermitted);
    let none = decide_review(&olga(), None, Docket::default(), Finding::Justified, id("seen"), NOW);
    assert_eq!(code(none), RefusalCode::UnknownEmergency);
}

#[test]
fn the_clinician_ends_an_emergency_once() {
    let (emergency, _) = declared("e1");
    let end = |caller: &Caller, emergency: &Emergency, at| decide_end(caller, Some(emergency.clone()), at);
    let found = end(&carol(), &emergency, at(4 * HOUR - 1));
    let Ok(Outcome::Decided(ended, _)) = found else { panic!("{found:?}") };
    assert_eq!(ended, Emergency { until: at(4 * HOUR - 1), ..emergency.clone() });
    assert_eq!(end(&carol(), &ended, at(5 * HOUR)), Ok(Outcome::Repeated(ended)));
    assert_eq!(end(&carol(), &emergency, at(4 * HOUR)), Ok(Outcome::Repeated(emergency.clone())), "was over");
    for other in [caller("dora", Role::Clinician), alice(), olga()] {
        assert_eq!(code(end(&other, &emergency, NOW)), RefusalCode::UnknownEmergency);
    }
    assert_eq!(code(decide_end(&carol(), None, NOW)), RefusalCode::UnknownEmergency);
    assert_eq!(code(end(&suspended(carol()), &emergency, NOW)), RefusalCode::MemberSuspended);
    assert_eq!(code(end(&Caller::Custodian(hospital()), &emergency, NOW)), RefusalCode::NotPermitted);
}

#[test]
fn an_emergency_is_known_to_the_patient_the_clinician_its_auditors_and_privacy_officers() {
    let emergency = declared("e1").0;
    let read = |caller: &Caller| decide_reading(caller, Some(emergency.clone()));
    for reader in [alice(), carol(), olga(), caller("pam", Role::PrivacyOfficer), caller("adam", Role::Administrator)] {
        assert_eq!(read(&reader), Ok(emergency.clone()));
    }
    let adele = caller_of(clinic(), "adele", Role::Administrator);
    for other in
        [caller("bob", Role::Patient), caller("dora", Role::Clinician), adele, caller("pia", Role::PayerOfficer)]
    {
        assert_eq!(code(read(&other)), RefusalCode::UnknownEmergency);
    }
    assert_eq!(code(decide_reading(&alice(), None)), RefusalCode::UnknownEmergency);
    assert_eq!(code(read(&suspended(alice()))), RefusalCode::MemberSuspended);

    assert_eq!(decide_listing(&olga()), Ok(&id("clinic")));
    for role in Role::ALL.into_iter().filter(|role| *role != Role::PrivacyOfficer) {
        assert_eq!(code(decide_listing(&caller("somebody", role))), RefusalCode::NotPermitted, "{role}");
    }
}
