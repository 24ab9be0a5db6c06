use crate::support::*;
use healthchain_rules::accounting::{
    AccountingException, HoldBook, HoldState, HoldTarget, HoldTerms, Statement, decide_hold, decide_reading_hold,
    decide_release, disclosure,
};
use healthchain_rules::audit::{Act, AuditEntry};
use healthchain_rules::envelope::EnvelopeAct;
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::reading::ReadingAct;
use healthchain_rules::*;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn pam() -> Caller {
    caller("pam", Role::PrivacyOfficer)
}

fn payer() -> Organisation {
    home(Role::PayerOfficer)
}

fn entry(organisation: &str, act: impl Into<Act>) -> AuditEntry {
    AuditEntry {
        transaction: hash("transaction"),
        time: NOW,
        organisation: id(organisation),
        member: Some(id("pia")),
        owner: None,
        patient: Some(id("alice")),
        act: act.into(),
    }
}

fn opened(purpose: Purpose, provision: Provision) -> OpeningAct {
    OpeningAct::LinkOpened {
        link: id("l1"),
        publisher: Some(id("hospital")),
        version: 1,
        category: Category::Summary,
        purpose,
        provision,
    }
}

fn denied() -> OpeningAct {
    let (purpose, reason) = (Purpose::Payment, Denial::ConsentRequired);
    OpeningAct::OpeningDenied { link: id("l1"), purpose, reason, provision: None }
}

fn envelope_for(organisation: Option<&str>) -> EnvelopeAct {
    let holder = Holder::Member(id("pia"));
    EnvelopeAct::EnvelopeAdded { link: id("l1"), opening: hash("opening"), holder, organisation: organisation.map(id) }
}

fn exception(organisation: &str, purpose: Purpose, provision: Provision) -> Option<AccountingException> {
    disclosure(&entry(organisation, opened(purpose, provision))).unwrap().exception
}

fn terms() -> HoldTerms {
    HoldTerms {
        patient: id("alice"),
        recipient: id("payer"),
        statement: Statement::Written,
        until: at(10),
        reason: id("file 7"),
    }
}

fn hold_by(
    caller: &Caller,
    existing: Option<&Hold>,
    book: HoldBook,
    terms: HoldTerms,
) -> Result<Outcome<(Hold, HoldBook), ()>, Refusal> {
    let patient = member_of(&home(Role::Patient), "alice", Role::Patient);
    let payer = payer();
    let target = HoldTarget { existing, patient: Some(&patient), recipient: Some(&payer) };
    decide_hold(caller, target, book, id("h1"), terms, NOW).map(|outcome| match outcome {
        Outcome::Decided(value, _) => Outcome::Decided(value, ()),
        Outcome::Repeated(value) => Outcome::Repeated(value),
    })
}

fn placed() -> (Hold, HoldBook) {
    match hold_by(&pam(), None, HoldBook::default(), terms()).unwrap() {
        Outcome::Decided(placed, ()) => placed,
        Outcome::Repeated(_) => panic!("repeated"),
    }
}

#[test]
fn a_disclosure_says_who_received_what_for_what() {
    let emergency = Provision::Emergency(hash("emergency"));
    let told = disclosure(&entry("payer", opened(Purpose::Treatment, emergency.clone()))).unwrap();
    let expected = Disclosure {
        transaction: hash("transaction"),
        time: NOW,
        organisation: id("payer"),
        member: Some(id("pia")),
        publisher: Some(id("hospital")),
        link: id("l1"),
        category: Category::Summary,
        purpose: Purpose::Treatment,
        provision: emergency,
        exception: None,
    };
    assert_eq!(told, expected);
    assert_eq!(disclosure(&entry("payer", denied())), None);
    let read = ReadingAct::AuditRead { trail: Trail::OfPatient(id("alice")), from: None, until: None };
    assert_eq!(disclosure(&entry("payer", read)), None);
}

#[test]
fn the_exceptions_are_those_of_the_law_and_emergencies_are_listed() {
    let consent = || Provision::Consent(id("c1"));
    for purpose in [Purpose::Treatment, Purpose::Payment, Purpose::Operations] {
        assert_eq!(exception("payer", purpose, consent()), Some(AccountingException::CareOperations));
    }
    for purpose in [Purpose::Research, Purpose::PublicHealth] {
        assert_eq!(exception("clinic", purpose, consent()), Some(AccountingException::Authorised));
        assert_eq!(exception("hospital", purpose, consent()), Some(AccountingException::WithinOrganisation));
    }
    for rule in [Rule::DirectTreatment, Rule::PharmacyTreatment] {
        let found = exception("clinic", Purpose::Treatment, Provision::Rule(rule));
        assert_eq!(found, Some(AccountingException::CareOperations));
    }
    let own = exception("patients", Purpose::Personal, Provision::Rule(Rule::OwnAccess));
    assert_eq!(own, Some(AccountingException::Individual));
    let guardian = exception("patients", Purpose::Personal, Provision::Delegation(id("d1")));
    assert_eq!(guardian, Some(AccountingException::Individual));
    for organisation in ["clinic", "hospital"] {
        assert_eq!(exception(organisation, Purpose::Treatment, Provision::Emergency(hash("e"))), None);
    }
}

#[test]
fn an_accounting_reaches_six_years_back_and_is_of_a_patients_trail() {
    let reading =
        |trail, from| Reading { transaction: hash("reading"), by: id("alice"), trail, from, until: None, time: NOW };
    let of_alice = || Trail::OfPatient(id("alice"));
    let six_years = -2192 * DAY;
    let bound = |from| reading(of_alice(), from).for_accounting(NOW).unwrap().from;
    assert_eq!(bound(None), Some(at(six_years)));
    assert_eq!(bound(Some(at(six_years - 1))), Some(at(six_years)));
    assert_eq!(bound(Some(at(six_years + 1))), Some(at(six_years + 1)));
    for other in [Trail::OfMember(id("alice")), Trail::OfOrganisation(id("hospital"))] {
        assert_eq!(code(reading(other, None).for_accounting(NOW)), RefusalCode::Malformed);
    }
}

#[test]
fn a_hold_hides_what_its_organisation_disclosed_to_its_recipient_until_its_end() {
    let (hold, book) = placed();
    assert_eq!((hold.organisation.as_str(), hold.by.as_str(), hold.at), ("hospital", "pam", NOW));
    assert_eq!((hold.id, hold.terms, hold.state), (id("h1"), terms(), HoldState::Standing));
    let consent = Provision::Consent(id("c1"));
    let hidden = [
        entry("payer", opened(Purpose::Payment, consent.clone())),
        entry("payer", denied()),
        entry("hospital", envelope_for(Some("payer"))),
    ];
    for entry in &hidden {
        assert!(book.hides(entry, at(9)), "{entry:?}");
        assert!(!book.hides(entry, at(10)), "{entry:?}");
        assert!(!HoldBook::default().hides(entry, NOW), "{entry:?}");
    }
    let other_publisher = OpeningAct::LinkOpened {
        link: id("l1"),
        publisher: Some(id("clinic")),
        version: 1,
        category: Category::Summary,
        purpose: Purpose::Payment,
        provision: consent.clone(),
    };
    let read = ReadingAct::AuditRead { trail: Trail::OfPatient(id("alice")), from: None, until: None };
    for entry in [
        entry("clinic", opened(Purpose::Treatment, consent)),
        entry("payer", other_publisher),
        entry("clinic", denied()),
        entry("hospital", envelope_for(Some("clinic"))),
        entry("clinic", envelope_for(Some("payer"))),
        entry("hospital", envelope_for(None)),
        entry("payer", read),
    ] {
        assert!(!book.hides(&entry, NOW), "{entry:?}");
    }
    assert!(book.hides_opening(&id("hospital"), &id("payer"), at(9)));
    assert!(!book.hides_opening(&id("payer"), &id("hospital"), at(9)));
}

#[test]
fn holds_are_for_privacy_officers() {
    for role in Role::ALL {
        let caller = caller_of(hospital(), "other", role);
        let found = hold_by(&caller, None, HoldBook::default(), terms());
        if role == Role::PrivacyOfficer {
            assert!(found.is_ok());
        } else {
            assert_eq!(code(found), RefusalCode::NotPermitted, "{role}");
            let (hold, book) = placed();
            assert_eq!(code(decide_reading_hold(&caller, Some(hold.clone()))), RefusalCode::NotPermitted);
            assert_eq!(code(decide_release(&caller, Some(hold), book, NOW)), RefusalCode::NotPermitted);
        }
    }
    let found = hold_by(&suspended(pam()), None, HoldBook::default(), terms());
    assert_eq!(code(found), RefusalCode::MemberSuspended);
    let found = hold_by(&Caller::Custodian(hospital()), None, HoldBook::default(), terms());
    assert_eq!(code(found), RefusalCode::NotPermitted);
}

#[test]
fn a_hold_ends_within_a_year_or_thirty_days_of_an_oral_statement() {
    for (statement, days) in [(Statement::Written, 365), (Statement::Oral, 30)] {
        let until = |until| hold_by(&pam(), None, HoldBook::default(), HoldTerms { statement, until, ..terms() });
        assert!(until(at(days * DAY)).is_ok() && until(at(1)).is_ok());
        assert_eq!(code(until(at(days * DAY + 1))), RefusalCode::Malformed);
        assert_eq!(code(until(NOW)), RefusalCode::Malformed);
    }
}

#[test]
fn a_hold_names_a_patient_and_another_organisation() {
    let (patient, payer) = (member_of(&home(Role::Patient), "alice", Role::Patient), payer());
    let decide = |patient, recipient, terms| {
        let target = HoldTarget { existing: None, patient, recipient };
        code(decide_hold(&pam(), target, HoldBook::default(), id("h1"), terms, NOW))
    };
    assert_eq!(decide(None, Some(&payer), terms()), RefusalCode::UnknownPatient);
    let carol = member_of(&hospital(), "carol", Role::Clinician);
    assert_eq!(decide(Some(&carol), Some(&payer), terms()), RefusalCode::UnknownPatient);
    assert_eq!(decide(Some(&patient), None, terms()), RefusalCode::UnknownOrganisation);
    let own = HoldTerms { recipient: id("hospital"), ..terms() };
    assert_eq!(decide(Some(&patient), Some(&hospital()), own), RefusalCode::NotPermitted);
}

#[test]
fn a_repeated_hold_is_harmless_and_another_one_of_its_id_is_refused() {
    let (hold, book) = placed();
    let again = hold_by(&pam(), Some(&hold), book.clone(), terms()).unwrap();
    assert_eq!(again, Outcome::Repeated((hold.clone(), book.clone())));
    let other = HoldTerms { until: at(11), ..terms() };
    assert_eq!(code(hold_by(&pam(), Some(&hold), book.clone(), other)), RefusalCode::HoldExists);
    let released = Hold { state: HoldState::Released { by: id("pam"), at: NOW }, ..hold };
    assert_eq!(code(hold_by(&pam(), Some(&released), book, terms())), RefusalCode::HoldExists);
}

#[test]
fn sixteen_holds_may_stand_and_lapsed_ones_make_room() {
    let patient = member_of(&home(Role::Patient), "alice", Role::Patient);
    let payer = payer();
    let place = |book: HoldBook, name: String, when| {
        let target = HoldTarget { existing: None, patient: Some(&patient), recipient: Some(&payer) };
        let terms = HoldTerms { until: at(20), ..terms() };
        match decide_hold(&pam(), target, book, id(&name), terms, at(when)) {
            Ok(Outcome::Decided((_, book), _)) => Ok(book),
            Ok(Outcome::Repeated(_)) => panic!("repeated"),
            Err(refusal) => Err(refusal),
        }
    };
    let full = (0..16).fold(HoldBook::default(), |book, n| place(book, format!("h{n}"), 0).unwrap());
    assert_eq!(code(place(full.clone(), "h16".into(), 0)), RefusalCode::TooManyHolds);
    assert_eq!(code(place(full.clone(), "h16".into(), 19)), RefusalCode::TooManyHolds);
    let later = HoldTarget { existing: None, patient: Some(&patient), recipient: Some(&payer) };
    let until = HoldTerms { until: at(30), ..terms() };
    assert!(decide_hold(&pam(), later, full, id("h16"), until, at(20)).is_ok());
}

#[test]
fn a_released_hold_hides_nothing_and_is_for_its_organisation() {
    let (hold, book) = placed();
    let outcome = decide_release(&pam(), Some(hold.clone()), book.clone(), at(1)).unwrap();
    let Outcome::Decided((released, empty), _) = outcome else { panic!("repeated") };
    assert_eq!(released, Hold { state: HoldState::Released { by: id("pam"), at: at(1) }, ..hold.clone() });
    assert_eq!(empty, HoldBook::default());
    let again = decide_release(&pam(), Some(released.clone()), empty.clone(), at(2)).unwrap();
    assert_eq!(again, Outcome::Repeated((released, empty)));

    assert_eq!(decide_reading_hold(&pam(), Some(hold.clone())), Ok(hold.clone()));
    let elsewhere = caller_of(clinic(), "pat", Role::PrivacyOfficer);
    assert_eq!(code(decide_reading_hold(&elsewhere, Some(hold.clone()))), RefusalCode::UnknownHold);
    assert_eq!(code(decide_release(&elsewhere, Some(hold), book, NOW)), RefusalCode::UnknownHold);
    assert_eq!(code(decide_reading_hold(&pam(), None)), RefusalCode::UnknownHold);
}
