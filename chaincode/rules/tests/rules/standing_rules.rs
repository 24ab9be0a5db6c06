//! Answers that patients give beforehand.

use std::collections::BTreeSet;

use crate::requests::*;
use crate::support::*;
use healthchain_rules::consent::GranteeState;
use healthchain_rules::request::*;
use healthchain_rules::standing_rule::{RuleAnswer, StandingRule, StandingRules, decide_removal, decide_setting};
use healthchain_rules::*;
use proptest::prelude::*;

fn to_payer() -> Grantee {
    Grantee::Organisation(id("payer"))
}

fn rule(grantee: Grantee, answer: RuleAnswer) -> StandingRule {
    let categories = [Category::Claim, Category::Summary, Category::Imaging].into();
    StandingRule::new(grantee, [Purpose::Payment].into(), categories, answer).unwrap()
}

fn set(
    rules: StandingRules,
    name: &str,
    rule: StandingRule,
) -> Result<Outcome<StandingRules, standing_rule::MayChangeRules>, Refusal> {
    let (payer, pia) = (home(Role::PayerOfficer), member_of(&home(Role::PayerOfficer), "pia", Role::PayerOfficer));
    let group = group("g1");
    let grantee = GranteeState { member: Some(&pia), organisation: Some(&payer), group: Some(&group) };
    decide_setting(&alice(), &id("alice"), rules, id(name), rule, grantee)
}

fn rules(given: &[(&str, StandingRule)]) -> StandingRules {
    given.iter().fold(StandingRules::default(), |rules, (name, rule)| match set(rules, name, rule.clone()) {
        Ok(Outcome::Decided(rules, _)) => rules,
        other => panic!("{other:?}"),
    })
}

/// Who answered pia's request for the payer, and whether it was granted.
fn answered(given: &[(&str, StandingRule)], wish: Wish) -> Option<(String, bool)> {
    let settled = settled(ask(&pia(), AskState { rules: rules(given), ..knowing_alice() }, wish));
    let (by, is_granted) = match settled.request.state {
        RequestState::Open => return None,
        RequestState::Granted { by, .. } => (by, true),
        RequestState::Refused { by, .. } => (by, false),
        other => panic!("{other:?}"),
    };
    assert_eq!(settled.granted.is_some(), is_granted);
    assert!(names(&settled.open, NOW).is_empty(), "does not wait");
    Some((by.rule().unwrap().to_string(), is_granted))
}

#[test]
fn a_request_that_names_links_tells_nothing_about_them() {
    let named = || Wish { scope: only(&["l1", "none"]), ..wish("r1") };
    let state = AskState { rules: rules(&[("a", rule(to_payer(), RuleAnswer::Grant { days: 9 }))]), ..knowing_alice() };
    let settled = settled(ask(&pia(), state, named()));
    assert_eq!((settled.request.state, settled.granted), (RequestState::Open, None), "rules do not answer it");

    let state = AnswerState { links: vec![link("l1", Category::Claim)], ..waiting(asked(named())) };
    assert_eq!(code(answer(&alice(), state, grant(), NOW)), RefusalCode::UnknownLink, "the patient learns it");
}

#[test]
fn a_standing_rule_grants_at_once_for_its_days() {
    let state = AskState { rules: rules(&[("a", rule(to_payer(), RuleAnswer::Grant { days: 9 }))]), ..knowing_alice() };
    let Settled { request, granted, .. } = settled(ask(&pia(), state, wish("r1")));
    let Granted { consent, book, .. } = granted.unwrap();
    assert_eq!((consent.id.as_str(), &consent.by), ("r1", &Decider::Rule(id("a"))));
    assert_eq!(consent.terms, request.terms.ending_by(at(9 * DAY)).unwrap());
    assert_eq!(book.standing(&id("alice"), NOW), [consent]);
    let act = RequestAct::RequestGranted { request: id("r1"), consent: id("r1"), rule: Some(id("a")) };
    assert_eq!(request.act(), act);

    let state =
        AskState { rules: rules(&[("a", rule(to_payer(), RuleAnswer::Grant { days: 3660 }))]), ..knowing_alice() };
    let Settled { request, granted, .. } = settled(ask(&pia(), state, wish("r1")));
    assert_eq!(granted.unwrap().consent.terms, request.terms, "no longer than asked");
}

#[test]
fn a_standing_rule_refuses_at_once() {
    let state = AskState { rules: rules(&[("a", rule(to_payer(), RuleAnswer::Refuse))]), ..knowing_alice() };
    let Settled { request, granted, .. } = settled(ask(&pia(), state, wish("r1")));
    assert_eq!(request.state, RequestState::Refused { by: Decider::Rule(id("a")), at: NOW, reason: None });
    assert_eq!((request.act(), granted), (RequestAct::RequestRefused { request: id("r1"), rule: Some(id("a")) }, None));
}

#[test]
fn a_rule_answers_only_what_lies_wholly_within_it() {
    let granting = || rule(to_payer(), RuleAnswer::Grant { days: 9 });
    let first = Some(("a".to_owned(), true));
    assert_eq!(answered(&[("a", granting())], wish("r1")), first);
    let own = || Wish { beneficiary: RequestFor::Member, ..wish("r1") };
    assert_eq!(answered(&[("a", granting())], own()), first, "a member is within its organisation");
    let more = Wish { scope: Scope::Categories([Category::Claim, Category::Restricted].into()), ..wish("r1") };
    assert_eq!(answered(&[("a", granting())], more), None, "restricted records only if the rule names them");
    let more = Wish { purposes: [Purpose::Payment, Purpose::Operations].into(), ..wish("r1") };
    assert_eq!(answered(&[("a", granting())], more), None);

    for narrow in [Grantee::Member(id("pia")), Grantee::Role(Role::PayerOfficer)] {
        let given = [("a", rule(narrow, RuleAnswer::Grant { days: 9 }))];
        assert_eq!(answered(&given, wish("r1")), None, "the organisation is more than its member or role");
        assert_eq!(answered(&given, own()), first);
    }
    let given = [("a", rule(Grantee::Group(id("g1")), RuleAnswer::Grant { days: 9 }))];
    assert_eq!(answered(&given, own()), None, "pia is not in the group");
    let late = Wish { from: Some(at(9 * DAY)), ..wish("r1") };
    assert_eq!(answered(&[("a", granting())], late), None, "it would end before it begins");
}

#[test]
fn refusing_rules_win_over_granting_ones_and_of_several_the_first_answers() {
    let granting = || rule(to_payer(), RuleAnswer::Grant { days: 9 });
    let refusing = || rule(to_payer(), RuleAnswer::Refuse);
    let by = |name: &str, is_granted| Some((name.to_owned(), is_granted));
    assert_eq!(answered(&[("a", granting()), ("b", refusing())], wish("r1")), by("b", false));
    assert_eq!(answered(&[("b", granting()), ("a", granting())], wish("r1")), by("a", true));
    assert_eq!(answered(&[("b", refusing()), ("a", refusing())], wish("r1")), by("a", false));

    let refusing = |grantee: Grantee, purpose, category| {
        StandingRule::new(grantee, [purpose].into(), [category].into(), RuleAnswer::Refuse).unwrap()
    };
    let beside = |other| answered(&[("a", granting()), ("b", other)], wish("r1"));
    let officers = || Grantee::Role(Role::PayerOfficer);
    assert_eq!(
        beside(refusing(officers(), Purpose::Payment, Category::Claim)),
        None,
        "partly refused: the patient decides"
    );
    assert_eq!(beside(refusing(officers(), Purpose::Payment, Category::Imaging)), by("a", true), "another category");
    assert_eq!(beside(refusing(officers(), Purpose::Operations, Category::Claim)), by("a", true), "another purpose");
    assert_eq!(beside(refusing(Grantee::Role(Role::Clinician), Purpose::Payment, Category::Claim)), by("a", true));
}

#[test]
fn a_rule_makes_no_consent_that_the_patient_could_not_and_the_request_waits() {
    let given = || rules(&[("a", rule(to_payer(), RuleAnswer::Grant { days: 9 }))]);
    let payment = terms(to_payer(), everything(), &[Purpose::Payment], Effect::Permit);
    let mut book = book_of(&[("r1", payment.clone())]);
    let consent = book.standing(&id("alice"), NOW).pop();
    let state = AskState { rules: given(), consent, book: book.clone(), ..knowing_alice() };
    let waits = settled(ask(&pia(), state, wish("r1")));
    assert_eq!((waits.request.state, waits.granted), (RequestState::Open, None), "the id is taken");
    for n in 1..256 {
        book = granted(book, &format!("d{n}"), payment.clone()).unwrap();
    }
    let waits = settled(ask(&pia(), AskState { rules: given(), book, ..knowing_alice() }, wish("r2")));
    assert_eq!((names(&waits.open, NOW), waits.granted), (vec!["r2"], None), "the book is full");
}

/// Found by review: requests that a rule grants escaped every limit and filled the book, so that the patient could not even deny.
#[test]
fn rules_grant_while_fewer_than_128_consents_stand_and_leave_the_rest_to_the_patient() {
    let granting = || rules(&[("a", rule(to_payer(), RuleAnswer::Grant { days: 9 }))]);
    let mut book = ConsentBook::default();
    for n in 0..128 {
        let state = AskState { rules: granting(), book, ..knowing_alice() };
        book = settled(ask(&pia(), state, wish(&format!("r{n}")))).granted.unwrap().book;
    }
    let full = |rules| AskState { rules, book: book.clone(), ..knowing_alice() };
    let waits = settled(ask(&pia(), full(granting()), wish("more")));
    assert_eq!((names(&waits.open, NOW), waits.granted), (vec!["more"], None));
    let refusing = rules(&[("a", rule(to_payer(), RuleAnswer::Refuse))]);
    let refused = settled(ask(&pia(), full(refusing), wish("more"))).request.state;
    assert_eq!(refused, RequestState::Refused { by: Decider::Rule(id("a")), at: NOW, reason: None }, "takes no room");
    let later = |when| settled(decide_asking(&pia(), full(granting()), wish("more"), when)).granted.is_some();
    assert_eq!((later(at(9 * DAY - 1)), later(at(9 * DAY))), (false, true), "what has ended takes no room");
    assert!(granted(book, "deny", terms(to_payer(), everything(), &Purpose::ALL, Effect::Deny)).is_ok());
}

#[test]
fn a_repeated_rule_is_harmless_and_removing_makes_room() {
    let granting = |days| rule(to_payer(), RuleAnswer::Grant { days });
    let one = rules(&[("a", granting(9))]);
    assert_eq!(set(one.clone(), "a", granting(9)), Ok(Outcome::Repeated(one.clone())));
    assert_eq!(code(set(one.clone(), "a", granting(8))), RefusalCode::StandingRuleExists);
    let remove = |rules: &StandingRules, name: &str| decide_removal(&alice(), &id("alice"), rules.clone(), &id(name));
    assert_eq!(remove(&one, "b"), Ok(Outcome::Repeated(one.clone())), "was not there");
    let Ok(Outcome::Decided(none, _)) = remove(&one, "a") else { panic!("not removed") };
    assert_eq!(none, StandingRules::default());

    let named: Vec<String> = (0..32).map(|n| format!("a{n}")).collect();
    let full: Vec<(&str, StandingRule)> = named.iter().map(|name| (name.as_str(), granting(9))).collect();
    let full = rules(&full);
    assert_eq!(full.rules().len(), 32);
    assert_eq!(code(set(full.clone(), "more", granting(9))), RefusalCode::TooManyStandingRules);
    let Ok(Outcome::Decided(room, _)) = remove(&full, "a0") else { panic!("not removed") };
    assert!(matches!(set(room, "more", granting(9)), Ok(Outcome::Decided(..))));
}

#[test]
fn only_the_patient_sets_removes_and_reads_rules() {
    let refusing = || rule(to_payer(), RuleAnswer::Refuse);
    for role in Role::ALL {
        let other = caller("somebody", role);
        let none = StandingRules::default;
        let set = decide_setting(&other, &id("alice"), none(), id("a"), refusing(), GranteeState::default());
        assert_eq!(code(set), RefusalCode::NotPermitted, "{role}");
        assert_eq!(code(decide_removal(&other, &id("alice"), none(), &id("a"))), RefusalCode::NotPermitted);
        assert_eq!(code(standing_rule::decide_reading(&other, &id("alice"))), RefusalCode::NotPermitted);
    }
    assert!(standing_rule::decide_reading(&alice(), &id("alice")).is_ok());
    let gone = suspended(alice());
    assert_eq!(code(standing_rule::decide_reading(&gone, &id("alice"))), RefusalCode::MemberSuspended);
}

#[test]
fn a_rule_names_who_exists_a_purpose_and_a_category_and_grants_for_a_bounded_time() {
    let new = |purposes: &[Purpose], categories: &[Category], answer| {
        StandingRule::new(to_payer(), purposes.iter().copied().collect(), categories.iter().copied().collect(), answer)
    };
    let (purpose, category) = ([Purpose::Payment], [Category::Claim]);
    for (days, is_well_formed) in [(0, false), (1, true), (3660, true), (3661, false)] {
        let rule = new(&purpose, &category, RuleAnswer::Grant { days });
        assert_eq!(rule.is_ok(), is_well_formed, "{days}");
    }
    assert!(new(&[], &category, RuleAnswer::Refuse).is_err());
    assert!(new(&purpose, &[], RuleAnswer::Refuse).is_err());
    for (nobody, expected) in [
        (Grantee::Member(id("x")), RefusalCode::UnknownMember),
        (Grantee::Organisation(id("x")), RefusalCode::UnknownOrganisation),
        (Grantee::Group(id("x")), RefusalCode::UnknownGroup),
    ] {
        assert_eq!(code(set(StandingRules::default(), "a", rule(nobody, RuleAnswer::Refuse))), expected);
    }
}

fn some<T: Clone + Ord + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = BTreeSet<T>> + use<T> {
    prop::sample::subsequence(all.to_vec(), 1..=3).prop_map(|some| some.into_iter().collect())
}

fn some_rule() -> impl Strategy<Value = StandingRule> {
    let grantee = prop::sample::select(vec![
        to_payer(),
        Grantee::Member(id("pia")),
        Grantee::Role(Role::PayerOfficer),
        Grantee::Role(Role::Clinician),
        Grantee::Group(id("g1")),
    ]);
    let answer = prop_oneof![(1u32..200).prop_map(|days| RuleAnswer::Grant { days }), Just(RuleAnswer::Refuse)];
    (grantee, some(&Purpose::ALL), some(&Category::ALL), answer).prop_map(|(grantee, purposes, categories, answer)| {
        StandingRule::new(grantee, purposes, categories, answer).unwrap()
    })
}

proptest! {
    /// Whoever opens whatever, whenever: what was denied before and is permitted after lies within the request, and within a granting rule.
    #[test]
    fn what_a_rule_grants_lies_within_the_request_and_within_the_rule(
        given in prop::collection::vec(some_rule(), 0..5),
        categories in some(&Category::ALL),
        payment in any::<bool>(),
        beneficiary in prop::sample::select(vec![RequestFor::Member, RequestFor::Organisation]),
        opener in prop::sample::select(vec!["pia", "paul"]),
        category in prop::sample::select(Category::ALL.to_vec()),
        purpose in prop::sample::select(Purpose::ALL.to_vec()),
        days in -1i64..150,
    ) {
        let named: Vec<String> = (0..given.len()).map(|n| format!("a{n}")).collect();
        let given: Vec<(&str, StandingRule)> = named.iter().map(String::as_str).zip(given).collect();
        let purposes = [if payment { Purpose::Payment } else { Purpose::Operations }].into();
        let wish = Wish { beneficiary, scope: Scope::Categories(categories.clone()), purposes, ..wish("r1") };
        let state = AskState { rules: rules(&given), ..knowing_alice() };
        let Settled { request, granted, .. } = settled(ask(&pia(), state, wish));
        let book = granted.map(|granted| granted.book).unwrap_or_default();
        let opener = caller(opener, Role::PayerOfficer);
        let decided = decision(&opener, &link("l", category), &book, purpose, at(days * DAY));
        if decided.is_permitted() {
            let RequestState::Granted { by: Decider::Rule(by), .. } = &request.state else { panic!("not by a rule") };
            prop_assert!(request.terms.purposes().contains(&purpose) && categories.contains(&category));
            prop_assert!(beneficiary == RequestFor::Organisation || opener.is(&id("pia")));
            prop_assert!(days < 100, "asked for a hundred days");
            let rule = serde_json::to_value(&given.iter().find(|(name, _)| *name == by.as_str()).unwrap().1).unwrap();
            let holds = |list: &str, one: &str| rule[list].as_array().unwrap().iter().any(|held| held == one);
            prop_assert!(holds("purposes", purpose.as_str()) && holds("categories", category.as_str()));
            prop_assert!(days < rule["answer"]["grant"]["days"].as_i64().unwrap());
        }
    }
}
