//! Asking patients for access, and their answers.

use crate::support::*;
use healthchain_rules::request::*;
use healthchain_rules::*;

pub(crate) const DAY: i64 = 86_400_000;

pub(crate) fn pia() -> Caller {
    caller("pia", Role::PayerOfficer)
}

pub(crate) fn gina() -> Caller {
    caller("gina", Role::Guardian)
}

pub(crate) fn wish(name: &str) -> Wish {
    Wish {
        id: id(name),
        patient: id("alice"),
        beneficiary: RequestFor::Organisation,
        scope: Scope::Categories([Category::Claim, Category::Summary].into()),
        purposes: [Purpose::Payment].into(),
        from: None,
        until: Some(at(100 * DAY)),
        reason: id("claim 7"),
    }
}

pub(crate) fn knowing_alice() -> AskState {
    AskState { patient: Some(member_of(&home(Role::Patient), "alice", Role::Patient)), ..AskState::default() }
}

pub(crate) fn ask(caller: &Caller, state: AskState, wish: Wish) -> Result<Outcome<Settled, MayAsk>, Refusal> {
    decide_asking(caller, state, wish, NOW)
}

pub(crate) fn settled<Proof: std::fmt::Debug>(outcome: Result<Outcome<Settled, Proof>, Refusal>) -> Settled {
    match outcome {
        Ok(Outcome::Decided(settled, _)) => settled,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn asked(wish: Wish) -> Settled {
    settled(ask(&pia(), knowing_alice(), wish))
}

pub(crate) fn delegation(powers: &[Power], categories: &[Category]) -> Delegation {
    Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gina"),
        powers: powers.iter().copied().collect(),
        categories: categories.iter().copied().collect(),
        from: at(-1),
        until: at(50 * DAY),
        state: DelegationState::Granted,
    }
}

/// What the ledger holds when this request, which waits, is answered.
pub(crate) fn waiting(asked: Settled) -> AnswerState {
    AnswerState {
        request: Some(asked.request),
        open: asked.open,
        member: Some(member_of(&home(Role::PayerOfficer), "pia", Role::PayerOfficer)),
        organisation: Some(home(Role::PayerOfficer)),
        ..AnswerState::default()
    }
}

pub(crate) fn answer(
    caller: &Caller,
    state: AnswerState,
    answer: Answer,
    at: LedgerTime,
) -> Result<Outcome<Settled, MayAnswer>, Refusal> {
    decide_answer(caller, &id("alice"), state, answer, at)
}

pub(crate) fn grant() -> Answer {
    Answer::Grant { consent: id("c1"), until: None }
}

fn refuse(reason: Option<&str>) -> Answer {
    Answer::Refuse { reason: reason.map(id) }
}

pub(crate) fn names(open: &OpenRequests, at: LedgerTime) -> Vec<&str> {
    open.waiting(at).map(RequestId::as_str).collect()
}

#[test]
fn a_request_waits_for_thirty_days() {
    let Settled { request, open, granted } = asked(wish("r1"));
    assert_eq!((request.requester.as_str(), request.organisation.as_str()), ("pia", "payer"));
    assert_eq!(*request.terms.grantee(), Grantee::Organisation(id("payer")));
    assert_eq!((request.terms.effect(), request.asked, request.expires), (Effect::Permit, NOW, at(30 * DAY)));
    assert_eq!((request.act(), granted), (RequestAct::AccessRequested { request: id("r1") }, None));
    assert_eq!(names(&open, at(30 * DAY - 1)), ["r1"]);
    assert!(names(&open, at(30 * DAY)).is_empty());
    assert_eq!(request.clone().seen_at(at(30 * DAY - 1)).state, RequestState::Open);
    assert_eq!(request.seen_at(at(30 * DAY)).state, RequestState::Expired);

    let own = asked(Wish { beneficiary: RequestFor::Member, ..wish("r2") });
    assert_eq!(*own.request.terms.grantee(), Grantee::Member(id("pia")));
}

#[test]
fn only_those_who_may_ask_ask_and_only_for_purposes_of_their_role() {
    for role in Role::ALL {
        for purpose in Purpose::ALL {
            let wish = Wish { purposes: [purpose].into(), ..wish("r1") };
            let outcome = ask(&caller("somebody", role), knowing_alice(), wish);
            if role.may(Permission::RequestAccess) && role.purposes().contains(&purpose) {
                assert!(outcome.is_ok(), "{role} {purpose}");
            } else {
                assert_eq!(code(outcome), RefusalCode::NotPermitted, "{role} {purpose}");
            }
        }
    }
    let one_too_many = Wish { purposes: [Purpose::Payment, Purpose::Treatment].into(), ..wish("r1") };
    assert_eq!(code(ask(&pia(), knowing_alice(), one_too_many)), RefusalCode::NotPermitted);
    assert_eq!(code(ask(&suspended(pia()), knowing_alice(), wish("r1"))), RefusalCode::MemberSuspended);
    assert_eq!(code(ask(&Caller::Custodian(hospital()), knowing_alice(), wish("r1"))), RefusalCode::NotPermitted);
}

#[test]
fn a_request_is_to_a_patient_well_formed_and_not_over_yet() {
    assert_eq!(code(ask(&pia(), AskState::default(), wish("r1"))), RefusalCode::UnknownPatient);
    let carol = AskState { patient: Some(member_of(&hospital(), "carol", Role::Clinician)), ..AskState::default() };
    assert_eq!(code(ask(&pia(), carol, wish("r1"))), RefusalCode::UnknownPatient);
    for malformed in [
        Wish { purposes: [].into(), ..wish("r1") },
        Wish { scope: Scope::Categories([].into()), ..wish("r1") },
        Wish { until: Some(NOW), ..wish("r1") },
        Wish { from: Some(at(5)), until: Some(at(5)), ..wish("r1") },
    ] {
        assert_eq!(code(ask(&pia(), knowing_alice(), malformed)), RefusalCode::Malformed);
    }
    assert!(ask(&pia(), knowing_alice(), Wish { until: Some(at(1)), ..wish("r1") }).is_ok());
}

#[test]
fn a_repeated_request_is_harmless_and_another_under_its_id_is_refused() {
    let first = asked(wish("r1"));
    let state = || AskState { existing: Some(first.request.clone()), open: first.open.clone(), ..knowing_alice() };
    let again = decide_asking(&pia(), state(), wish("r1"), at(7)).unwrap();
    let same = Settled { request: first.request.clone(), open: first.open.clone(), granted: None };
    assert_eq!(again, Outcome::Repeated(same));
    let Ok(Outcome::Repeated(late)) = decide_asking(&pia(), state(), wish("r1"), at(30 * DAY)) else { panic!() };
    assert_eq!(late.request.state, RequestState::Expired);
    for other in [
        Wish { reason: id("claim 8"), ..wish("r1") },
        Wish { purposes: [Purpose::Operations].into(), ..wish("r1") },
        Wish { patient: id("bob"), ..wish("r1") },
    ] {
        assert_eq!(code(ask(&pia(), state(), other)), RefusalCode::RequestExists);
    }
    let paul = caller("paul", Role::PayerOfficer);
    assert_eq!(code(ask(&paul, state(), wish("r1"))), RefusalCode::RequestExists);
}

#[test]
fn thirty_two_requests_of_an_organisation_wait_and_expired_ones_make_room() {
    let mut open = OpenRequests::default();
    for n in 0..32 {
        let state = AskState { open, ..knowing_alice() };
        open = settled(ask(&pia(), state, wish(&format!("r{n}")))).open;
    }
    let state = || AskState { open: open.clone(), ..knowing_alice() };
    assert_eq!(code(ask(&pia(), state(), wish("more"))), RefusalCode::TooManyRequests);
    let later = |when| decide_asking(&pia(), state(), wish("more"), when);
    assert_eq!(code(later(at(30 * DAY - 1))), RefusalCode::TooManyRequests);
    assert_eq!(names(&settled(later(at(30 * DAY))).open, at(30 * DAY)), ["more"]);
}

#[test]
fn a_granted_request_makes_the_consent_that_was_asked_for() {
    let asked = asked(wish("r1"));
    let terms = asked.request.terms.clone();
    let Settled { request, open, granted } = settled(answer(&alice(), waiting(asked), grant(), at(5)));
    assert!(names(&open, at(5)).is_empty());
    let by = Decider::Patient;
    assert_eq!(request.state, RequestState::Granted { consent: id("c1"), by: by.clone(), at: at(5) });
    let act = RequestAct::RequestGranted { request: id("r1"), consent: id("c1"), rule: None };
    assert_eq!(request.act(), act);
    let Granted { consent, book, .. } = granted.unwrap();
    let state = ConsentState::Granted;
    let expected = Consent { id: id("c1"), patient: id("alice"), terms, granted: at(5), by, state };
    assert_eq!((&consent, book.standing(&id("alice"), at(5))), (&expected, vec![expected.clone()]));

    let state =
        || AnswerState { request: Some(request.clone()), consent: Some(consent.clone()), ..AnswerState::default() };
    let again = answer(&alice(), state(), grant(), at(9)).unwrap();
    assert!(matches!(&again, Outcome::Repeated(same) if same.request == request && same.granted.is_none()));
    for other in [
        Answer::Grant { consent: id("c2"), until: None },
        Answer::Grant { consent: id("c1"), until: Some(at(6)) },
        refuse(None),
    ] {
        assert_eq!(code(answer(&alice(), state(), other, at(9))), RefusalCode::RequestNotOpen);
    }
}

#[test]
fn whoever_answers_or_takes_back_one_request_leaves_the_others_waiting() {
    let first = asked(wish("r1"));
    let Settled { request, open, .. } =
        settled(ask(&pia(), AskState { open: first.open.clone(), ..knowing_alice() }, wish("r2")));
    let both = || Settled { open: open.clone(), ..asked(wish("r1")) };
    for reply in [grant(), refuse(None)] {
        assert_eq!(names(&settled(answer(&alice(), waiting(both()), reply, at(5))).open, at(5)), ["r2"]);
    }
    let withdrawn = settled(decide_withdrawal(&pia(), Some(request), open.clone(), at(5)));
    assert_eq!(names(&withdrawn.open, at(5)), ["r1"]);
}

#[test]
fn what_a_member_asked_for_itself_is_granted_while_the_ledger_knows_the_member() {
    let own = || waiting(asked(Wish { beneficiary: RequestFor::Member, ..wish("r1") }));
    let granted = settled(answer(&alice(), own(), grant(), at(5))).granted.unwrap();
    assert_eq!(*granted.consent.terms.grantee(), Grantee::Member(id("pia")));
    let gone = AnswerState { member: None, ..own() };
    assert_eq!(code(answer(&alice(), gone, grant(), at(5))), RefusalCode::UnknownMember);
}

#[test]
fn an_answer_shortens_what_was_asked_and_never_lengthens_it() {
    let granted_until = |until| {
        let answered = answer(&alice(), waiting(asked(wish("r1"))), Answer::Grant { consent: id("c1"), until }, NOW);
        settled(answered).granted.unwrap().consent.terms
    };
    let asked_terms = asked(wish("r1")).request.terms;
    assert_eq!(granted_until(None), asked_terms);
    assert_eq!(granted_until(Some(at(DAY))), asked_terms.ending_by(at(DAY)).unwrap());
    assert_ne!(granted_until(Some(at(DAY))), asked_terms);
    assert_eq!(granted_until(Some(at(1000 * DAY))), asked_terms);
    let over = Answer::Grant { consent: id("c1"), until: Some(NOW) };
    assert_eq!(code(answer(&alice(), waiting(asked(wish("r1"))), over, NOW)), RefusalCode::Malformed);
}

#[test]
fn a_refused_request_makes_no_consent() {
    let refused = settled(answer(&alice(), waiting(asked(wish("r1"))), refuse(Some("not now")), at(5)));
    let state = RequestState::Refused { by: Decider::Patient, at: at(5), reason: Some(id("not now")) };
    assert_eq!((&refused.request.state, &refused.granted), (&state, &None));
    assert!(names(&refused.open, at(5)).is_empty());
    assert_eq!(refused.request.act(), RequestAct::RequestRefused { request: id("r1"), rule: None });

    let state = || AnswerState { request: Some(refused.request.clone()), ..AnswerState::default() };
    let again = answer(&alice(), state(), refuse(Some("not now")), at(9)).unwrap();
    assert!(matches!(again, Outcome::Repeated(same) if same.request == refused.request));
    for other in [refuse(None), refuse(Some("never")), grant()] {
        assert_eq!(code(answer(&alice(), state(), other, at(9))), RefusalCode::RequestNotOpen);
    }
}

#[test]
fn an_expired_request_is_neither_granted_nor_refused_nor_withdrawn() {
    let asked = || asked(wish("r1"));
    for late in [grant(), refuse(None)] {
        assert!(answer(&alice(), waiting(asked()), late.clone(), at(30 * DAY - 1)).is_ok());
        assert_eq!(code(answer(&alice(), waiting(asked()), late, at(30 * DAY))), RefusalCode::RequestNotOpen);
    }
    let Settled { request, open, .. } = asked();
    assert_eq!(code(decide_withdrawal(&pia(), Some(request), open, at(30 * DAY))), RefusalCode::RequestNotOpen);
}

#[test]
fn nobody_else_answers_a_patients_requests() {
    for role in Role::ALL {
        for given in [grant(), refuse(None)] {
            let other = caller("somebody", role);
            assert_eq!(
                code(answer(&other, waiting(asked(wish("r1"))), given, NOW)),
                RefusalCode::NotPermitted,
                "{role}"
            );
        }
    }
    let gone = answer(&suspended(alice()), waiting(asked(wish("r1"))), grant(), NOW);
    assert_eq!(code(gone), RefusalCode::MemberSuspended);
    assert_eq!(code(answer(&alice(), AnswerState::default(), grant(), NOW)), RefusalCode::UnknownRequest);
    let bob = decide_answer(&caller("bob", Role::Patient), &id("bob"), waiting(asked(wish("r1"))), grant(), NOW);
    assert_eq!(code(bob), RefusalCode::UnknownRequest, "it is to alice");
}

#[test]
fn granting_asks_for_the_same_as_a_grant_without_a_request() {
    let nobody = AnswerState { organisation: None, ..waiting(asked(wish("r1"))) };
    assert_eq!(code(answer(&alice(), nobody, grant(), NOW)), RefusalCode::UnknownOrganisation);
    let own = asked(Wish { beneficiary: RequestFor::Member, ..wish("r1") });
    let nobody = AnswerState { member: None, ..waiting(own) };
    assert_eq!(code(answer(&alice(), nobody, grant(), NOW)), RefusalCode::UnknownMember);

    let payment = terms(Grantee::Role(Role::PayerOfficer), everything(), &[Purpose::Payment], Effect::Permit);
    let taken = book_of(&[("c1", payment.clone())]).standing(&id("alice"), NOW).pop();
    let state = AnswerState { consent: taken, ..waiting(asked(wish("r1"))) };
    assert_eq!(code(answer(&alice(), state, grant(), NOW)), RefusalCode::ConsentExists);
    let mut book = ConsentBook::default();
    for n in 0..256 {
        book = granted(book, &format!("d{n}"), payment.clone()).unwrap();
    }
    let state = AnswerState { book, ..waiting(asked(wish("r1"))) };
    assert_eq!(code(answer(&alice(), state, grant(), NOW)), RefusalCode::TooManyConsents);
}

#[test]
fn a_guardian_answers_within_the_delegation() {
    let let_do = |delegation: Delegation, given: Answer| {
        let state = AnswerState { delegation: Some(delegation), ..waiting(asked(wish("r1"))) };
        answer(&gina(), state, given, NOW)
    };
    let both = [Category::Claim, Category::Summary];
    let within = || delegation(&[Power::AnswerRequests], &both);
    let until = |days: i64| Answer::Grant { consent: id("c1"), until: Some(at(days * DAY)) };

    let granted = settled(let_do(within(), until(50)));
    let by = Decider::Guardian(id("gina"));
    assert_eq!(granted.request.state, RequestState::Granted { consent: id("c1"), by: by.clone(), at: NOW });
    assert_eq!(granted.granted.unwrap().consent.by, by);
    assert!(let_do(within(), refuse(None)).is_ok());

    assert_eq!(code(let_do(within(), until(51))), RefusalCode::NotPermitted, "beyond the delegation's end");
    assert_eq!(code(let_do(within(), grant())), RefusalCode::NotPermitted, "beyond the delegation's end");
    let narrow = delegation(&[Power::AnswerRequests], &[Category::Claim]);
    assert_eq!(code(let_do(narrow.clone(), until(50))), RefusalCode::NotPermitted, "another category");
    assert!(let_do(narrow, refuse(None)).is_ok(), "refusing gives nothing away");
    let others = [Power::Open, Power::Consent, Power::Subscribe, Power::ReadAudit, Power::CollectRewards];
    assert_eq!(code(let_do(delegation(&others, &both), until(50))), RefusalCode::NotPermitted);
    let ended = Delegation { until: NOW, ..within() };
    assert_eq!(code(let_do(ended, refuse(None))), RefusalCode::NotPermitted);
}

#[test]
fn a_requester_takes_a_request_back_while_it_waits() {
    let Settled { request, open, .. } = asked(wish("r1"));
    let withdraw = |caller: &Caller, request: &AccessRequest| {
        decide_withdrawal(caller, Some(request.clone()), open.clone(), at(5))
    };
    let withdrawn = settled(withdraw(&pia(), &request));
    assert_eq!(withdrawn.request.state, RequestState::Withdrawn { at: at(5) });
    assert_eq!(withdrawn.request.act(), RequestAct::RequestWithdrawn { request: id("r1") });
    assert!(names(&withdrawn.open, at(5)).is_empty());
    let again = withdraw(&pia(), &withdrawn.request).unwrap();
    assert!(matches!(again, Outcome::Repeated(same) if same.request == withdrawn.request));
    let state = AnswerState { request: Some(withdrawn.request), ..AnswerState::default() };
    assert_eq!(code(answer(&alice(), state, grant(), at(6))), RefusalCode::RequestNotOpen);

    for other in [caller("paul", Role::PayerOfficer), alice(), caller("carol", Role::Clinician)] {
        assert_eq!(code(withdraw(&other, &request)), RefusalCode::UnknownRequest);
    }
    assert_eq!(code(decide_withdrawal(&pia(), None, open.clone(), NOW)), RefusalCode::UnknownRequest);
    assert_eq!(code(withdraw(&suspended(pia()), &request)), RefusalCode::MemberSuspended);
    assert_eq!(code(withdraw(&Caller::Custodian(hospital()), &request)), RefusalCode::NotPermitted);
    let refused = settled(answer(&alice(), waiting(asked(wish("r1"))), refuse(None), NOW)).request;
    assert_eq!(code(withdraw(&pia(), &refused)), RefusalCode::RequestNotOpen);
}

#[test]
fn a_request_is_known_to_the_patient_the_guardian_and_the_requesters_organisation() {
    let request = asked(wish("r1")).request;
    let letting = delegation(&[Power::AnswerRequests], &[]);
    let read = |caller: &Caller, delegation| decide_reading(caller, Some(request.clone()), delegation, at(30 * DAY));
    let payer = || home(Role::PayerOfficer);
    let officer = |role| caller_of(payer(), "officer", role);
    for reader in
        [pia(), alice(), officer(Role::PayerOfficer), officer(Role::PrivacyOfficer), officer(Role::Administrator)]
    {
        assert_eq!(read(&reader, None).unwrap().state, RequestState::Expired);
    }
    assert!(read(&gina(), Some(&letting)).is_ok());
    for other in [
        gina(),
        caller("bob", Role::Patient),
        officer(Role::Maintainer),
        caller("pam", Role::PrivacyOfficer),
        caller("carol", Role::Clinician),
    ] {
        assert_eq!(code(read(&other, None)), RefusalCode::UnknownRequest);
    }
    assert_eq!(code(decide_reading(&pia(), None, None, NOW)), RefusalCode::UnknownRequest);
    assert_eq!(code(read(&suspended(pia()), None)), RefusalCode::MemberSuspended);

    let list = |caller: &Caller, delegation| decide_listing(caller, &id("alice"), delegation, NOW);
    assert_eq!((list(&alice(), None), list(&gina(), Some(&letting))), (Ok(()), Ok(())));
    for other in [gina(), pia(), caller("bob", Role::Patient), officer(Role::PrivacyOfficer)] {
        assert_eq!(code(list(&other, None)), RefusalCode::NotPermitted);
    }
    let other_power = delegation(&[Power::Consent], &[]);
    assert_eq!(code(list(&gina(), Some(&other_power))), RefusalCode::NotPermitted);
}
