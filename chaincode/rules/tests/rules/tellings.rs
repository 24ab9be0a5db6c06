use crate::support::*;
use healthchain_rules::accounting::{HoldBook, HoldTarget, HoldTerms, Statement, decide_hold};
use healthchain_rules::audit::{Act, AuditEntry};
use healthchain_rules::consent::ConsentAct;
use healthchain_rules::delegation::{DelegationState, Power};
use healthchain_rules::limit::EVENTS_AT_ONCE;
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::request::RequestAct;
use healthchain_rules::subscription::{self, Reminder, SubscriptionAct};
use healthchain_rules::telling::{Concerned, Listener, decide_telling};
use healthchain_rules::*;

fn event(
    organisation: &str,
    member: &str,
    patient: Option<&str>,
    upon: Option<&str>,
    act: impl Into<Act>,
) -> LedgerEvent {
    let entry = AuditEntry {
        transaction: hash(member),
        time: NOW,
        organisation: id(organisation),
        member: Some(id(member)),
        owner: None,
        patient: patient.map(id),
        act: act.into(),
    };
    LedgerEvent { entry, upon: upon.map(id), wanted: None }
}

/// Pia of the payer opened alice's record, which the hospital keeps.
fn opened() -> LedgerEvent {
    let act = OpeningAct::LinkOpened {
        link: id("l1"),
        publisher: Some(id("hospital")),
        version: 1,
        category: Category::Summary,
        purpose: Purpose::Payment,
        provision: Provision::Consent(id("c1")),
    };
    event("payer", "pia", Some("alice"), None, act)
}

fn denied() -> LedgerEvent {
    let (link, purpose, reason) = (id("l1"), Purpose::Payment, Denial::ConsentRequired);
    event("payer", "pia", Some("alice"), None, OpeningAct::OpeningDenied { link, purpose, reason, provision: None })
}

fn consented() -> LedgerEvent {
    let act = ConsentAct::ConsentGranted { consent: id("c1"), effect: Effect::Permit };
    event("patients", "alice", Some("alice"), None, act)
}

/// Alice refused what carol of the hospital had asked for.
fn refused() -> LedgerEvent {
    event(
        "patients",
        "alice",
        Some("alice"),
        Some("carol"),
        RequestAct::RequestRefused { request: id("r1"), rule: None },
    )
}

/// The payer's subscription for alice ends, as her organisation's agent reminds.
fn ending() -> LedgerEvent {
    let payer = subscription::Payer::Organisation(id("payer"));
    let act = SubscriptionAct::SubscriptionEnding { reminder: Reminder::Ending, plan: id("p1"), payer, until: at(9) };
    event("patients", "ada", Some("alice"), None, act)
}

fn concerned() -> Concerned {
    Concerned { members: vec![member_of(&hospital(), "carol", Role::Clinician)], ..Concerned::default() }
}

fn told(
    listener: &Caller,
    concerned: &Concerned,
    events: &[LedgerEvent],
    at: LedgerTime,
) -> Result<Vec<TransactionId>, Refusal> {
    let actor = listener.member()?;
    let found = Listener { member: actor.member.clone(), agent: actor.agent.clone() };
    decide_telling(&Caller::Custodian(actor.organisation.clone()), Some(found), concerned, events, at)
}

fn knows(listener: &Caller, concerned: &Concerned, event: &LedgerEvent) -> bool {
    let told = told(listener, concerned, std::slice::from_ref(event), NOW).unwrap();
    assert!(told.is_empty() || told == [event.entry.transaction.clone()]);
    !told.is_empty()
}

#[test]
fn who_may_read_the_trail_may_know_of_what_comes_to_stand_on_it_and_nobody_else() {
    let payer = home(Role::PayerOfficer);
    let of_payer = |name: &str, role| caller_of(payer.clone(), name, role);
    let listeners = [
        alice(),
        caller("bob", Role::Patient),
        caller("gus", Role::Guardian),
        caller("pia", Role::PayerOfficer),
        of_payer("paul", Role::PayerOfficer),
        of_payer("anna", Role::Administrator),
        of_payer("petra", Role::PrivacyOfficer),
        caller("carol", Role::Clinician),
        caller("dora", Role::Clinician),
        caller("adam", Role::Administrator),
        caller("pam", Role::PrivacyOfficer),
        caller_of(clinic(), "paula", Role::PrivacyOfficer),
        caller_of(home(Role::Patient), "priska", Role::PrivacyOfficer),
    ];
    let mut table = String::new();
    for (name, event) in [
        ("opened", opened()),
        ("denied", denied()),
        ("consented", consented()),
        ("refused", refused()),
        ("ending", ending()),
    ] {
        let known = listeners.iter().filter(|listener| knows(listener, &concerned(), &event));
        let known: Vec<_> = known.map(|listener| listener.member().unwrap().member.id.to_string()).collect();
        table += &format!("{name}: {}\n", known.join(" "));
    }
    insta::assert_snapshot!(table, @"
    opened: alice pia anna petra adam pam
    denied: alice pia anna petra
    consented: alice priska
    refused: alice carol adam pam priska
    ending: alice pia paul anna priska
    ");
}

#[test]
fn a_guardian_is_told_as_far_as_the_patient_lets_the_trail_be_read() {
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
    let count = |delegation: &Delegation, when| {
        let concerned = Concerned { delegations: vec![delegation.clone()], ..Concerned::default() };
        told(&gus, &concerned, &[opened()], at(when)).unwrap().len()
    };
    assert_eq!(count(&let_gus, 0), 1);
    assert_eq!((count(&let_gus, 10), count(&let_gus, -11)), (0, 0));
    for delegation in [
        Delegation { state: DelegationState::Ended { by: id("alice"), at: NOW }, ..let_gus.clone() },
        Delegation { powers: [Power::Open, Power::Consent].into(), ..let_gus.clone() },
        Delegation { patient: id("bob"), ..let_gus.clone() },
        Delegation { guardian: id("gesa"), ..let_gus },
    ] {
        assert_eq!(count(&delegation, 0), 0, "{delegation:?}");
    }
}

#[test]
fn what_a_hold_hides_from_the_patient_is_told_to_the_auditors_alone() {
    let target = HoldTarget {
        existing: None,
        patient: Some(&member_of(&home(Role::Patient), "alice", Role::Patient)),
        recipient: Some(&home(Role::PayerOfficer)),
    };
    let terms = HoldTerms {
        patient: id("alice"),
        recipient: id("payer"),
        statement: Statement::Oral,
        until: at(1000),
        reason: id("file 7"),
    };
    let pam = caller("pam", Role::PrivacyOfficer);
    let Ok(Outcome::Decided((_, book), _)) = decide_hold(&pam, target, HoldBook::default(), id("h1"), terms, NOW)
    else {
        panic!("the hold is placed");
    };
    let concerned = Concerned { holds: [(id("alice"), book)].into(), ..concerned() };
    for hidden in [opened(), denied()] {
        assert!(!knows(&alice(), &concerned, &hidden));
    }
    assert!(knows(&alice(), &concerned, &consented()));
    assert!(knows(&pam, &concerned, &opened()));
    assert!(knows(&caller("pia", Role::PayerOfficer), &concerned, &opened()));
    assert_eq!(told(&alice(), &concerned, &[opened()], at(1000)).unwrap().len(), 1, "the hold is over");
}

#[test]
fn only_those_that_may_be_known_are_named_in_their_order() {
    let told = told(
        &alice(),
        &concerned(),
        &[refused(), event("clinic", "dora", Some("bob"), None, opened().entry.act), opened()],
        NOW,
    );
    assert_eq!(told, Ok(vec![hash("alice"), hash("pia")]));
}

#[test]
fn an_agent_is_told_what_its_charter_lets_it_read() {
    let agent = |functions: &[&str], state: CharterState| {
        let charter = Charter {
            agent: id("verifier"),
            owner: id("pam"),
            functions: functions.iter().copied().map(id).collect(),
            purposes: [].into(),
            categories: [].into(),
            calls_a_day: 3,
            epsilon_a_day: 0,
            until: at(1000),
            state,
        };
        let owner = member_of(&hospital(), "pam", Role::PrivacyOfficer);
        let function = "Audit:read".parse().ok();
        let work = AgentAtWork { function, ..AgentAtWork::at_rest(charter, owner, NOW) };
        let member = member_of(&hospital(), "verifier", Role::Agent);
        Caller::Member(Box::new(Actor { member, organisation: hospital(), agent: Some(work) }))
    };
    let running = agent(&["Audit:read"], CharterState::Running);
    assert_eq!(told(&running, &concerned(), &[opened()], NOW).unwrap().len(), 1, "its owner is an auditor");
    let stopped = CharterState::Stopped { by: id("pam"), at: NOW, reason: id("enough") };
    for other in [agent(&["Links:open"], CharterState::Running), agent(&["Audit:read"], stopped)] {
        assert_eq!(code(told(&other, &concerned(), &[opened()], NOW)), RefusalCode::AgentNotPermitted);
    }
}

#[test]
fn nobody_is_told_who_may_not_act() {
    for event in [opened(), consented()] {
        assert_eq!(code(told(&suspended(alice()), &concerned(), &[event], NOW)), RefusalCode::MemberSuspended);
    }
    assert_eq!(code(told(&suspended(alice()), &concerned(), &[], NOW)), RefusalCode::MemberSuspended);
    let Caller::Member(mut retired) = alice() else { unreachable!() };
    retired.member.standing = Standing::Retired { at: NOW, by: None, reason: None };
    assert_eq!(code(told(&Caller::Member(retired), &concerned(), &[opened()], NOW)), RefusalCode::MemberRetired);
}

#[test]
fn only_the_gateway_of_the_members_organisation_asks() {
    let listener = || Some(Listener { member: member_of(&home(Role::Patient), "alice", Role::Patient), agent: None });
    let ask = |caller: &Caller, listener| decide_telling(caller, listener, &concerned(), &[opened()], NOW);
    let own = Caller::Custodian(home(Role::Patient));
    assert_eq!(ask(&own, listener()).unwrap().len(), 1);
    assert_eq!(code(ask(&own, None)), RefusalCode::UnknownMember);
    assert_eq!(code(ask(&Caller::Custodian(hospital()), listener())), RefusalCode::UnknownMember);
    for role in Role::ALL {
        let member = caller_of(home(Role::Patient), "other", role);
        assert_eq!(code(ask(&member, listener())), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(ask(&alice(), listener())), RefusalCode::NotPermitted);
}

#[test]
fn a_gateway_asks_about_a_hundred_events_at_once_and_no_more() {
    let many = vec![opened(); EVENTS_AT_ONCE + 1];
    assert_eq!(told(&alice(), &concerned(), &many[1..], NOW).unwrap().len(), EVENTS_AT_ONCE);
    assert_eq!(code(told(&alice(), &concerned(), &many, NOW)), RefusalCode::Malformed);
}

#[test]
fn an_entry_stands_on_the_trails_of_all_whom_it_concerns() {
    let trails: Vec<_> = refused().trails().collect();
    let expected = [
        Trail::OfOrganisation(id("patients")),
        Trail::OfPatient(id("alice")),
        Trail::OfMember(id("alice")),
        Trail::OfMember(id("carol")),
    ];
    assert_eq!(trails, expected);
}
