//! Plans, and how a subscription runs, lapses and is read.

use crate::support::*;
use healthchain_rules::charge::*;
use healthchain_rules::subscription::*;
use healthchain_rules::*;

pub(crate) const DAY: i64 = 86_400_000;

pub(crate) fn usd() -> Currency {
    id("USD")
}

pub(crate) fn guardian() -> Caller {
    caller("gina", Role::Guardian)
}

/// What alice lets gina do, until this time tomorrow.
pub(crate) fn delegation(powers: &[Power]) -> Delegation {
    Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gina"),
        powers: powers.iter().copied().collect(),
        categories: Category::ALL.into_iter().collect(),
        from: at(-1),
        until: at(DAY),
        state: DelegationState::Granted,
    }
}

pub(crate) fn features() -> Features {
    Features { instant_release: true, notarizations_a_year: 2, share_links: true, family_vault: false }
}

pub(crate) fn plan_terms() -> PlanTerms {
    PlanTerms {
        price: Price { amount: 1000, currency: usd() },
        period_days: 30,
        grace_days: 7,
        features: features(),
        notarization_price: 40,
    }
}

pub(crate) fn plan(name: &str) -> Plan {
    Plan { id: id(name), organisation: id("hospital"), terms: plan_terms(), made: at(-5), state: PlanState::Open }
}

/// Alice's subscription of the plan `basic`, begun 10 days ago, paid for 20 days more.
pub(crate) fn running(payer: Payer) -> Subscription {
    Subscription {
        patient: id("alice"),
        plan: id("basic"),
        payer,
        from: at(-10 * DAY),
        until: at(20 * DAY),
        grace_until: at(27 * DAY),
        features: features(),
        notarization_price: Price { amount: 40, currency: usd() },
        reminded: Default::default(),
    }
}

pub(crate) fn max() -> Caller {
    caller("max", Role::Maintainer)
}

pub(crate) fn pia() -> Caller {
    caller("pia", Role::PayerOfficer)
}

pub(crate) fn payer() -> Payer {
    Payer::Organisation(id("payer"))
}

#[test]
fn maintainers_make_plans_that_do_not_change() {
    let Ok(Outcome::Decided(made, _)) = decide_making(&max(), None, id("basic"), plan_terms(), at(-5)) else {
        panic!("not new")
    };
    assert_eq!(made, plan("basic"));
    let again = |caller: &Caller, terms| decide_making(caller, Some(&made), id("basic"), terms, NOW);
    assert_eq!(again(&max(), plan_terms()), Ok(Outcome::Repeated(made.clone())));
    let dearer = PlanTerms { notarization_price: 41, ..plan_terms() };
    assert_eq!(code(again(&max(), dearer)), RefusalCode::PlanExists);
    let elsewhere = caller_of(clinic(), "mara", Role::Maintainer);
    assert_eq!(code(again(&elsewhere, plan_terms())), RefusalCode::PlanExists);
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Maintainer) {
        let made = decide_making(&caller("other", role), None, id("basic"), plan_terms(), NOW);
        assert_eq!(code(made), RefusalCode::NotPermitted, "{role}");
    }
    let made = decide_making(&suspended(max()), None, id("basic"), plan_terms(), NOW);
    assert_eq!(code(made), RefusalCode::MemberSuspended);
}

#[test]
fn a_plans_numbers_are_bounded() {
    let make = |terms| decide_making(&max(), None, id("basic"), terms, NOW).map(|_| ());
    let period = |period_days| PlanTerms { period_days, ..plan_terms() };
    let grace = |grace_days| PlanTerms { grace_days, ..plan_terms() };
    let free =
        |notarizations_a_year| PlanTerms { features: Features { notarizations_a_year, ..features() }, ..plan_terms() };
    for good in [period(1), period(366), grace(0), grace(90), free(0), free(100)] {
        assert_eq!(make(good), Ok(()));
    }
    for bad in [period(0), period(367), grace(91), free(101)] {
        assert_eq!(code(make(bad)), RefusalCode::Malformed);
    }
}

#[test]
fn maintainers_close_plans_of_their_own_organisation() {
    let Ok(Outcome::Decided(closed, _)) = decide_closing(&max(), Some(plan("basic")), NOW) else { panic!("not new") };
    assert_eq!(closed, Plan { state: PlanState::Closed { by: id("max"), at: NOW }, ..plan("basic") });
    assert_eq!(decide_closing(&max(), Some(closed.clone()), at(3)), Ok(Outcome::Repeated(closed.clone())));
    let again = decide_making(&max(), Some(&closed), id("basic"), plan_terms(), NOW);
    assert_eq!(again, Ok(Outcome::Repeated(closed.clone())));

    assert_eq!(code(decide_closing(&max(), None, NOW)), RefusalCode::UnknownPlan);
    let elsewhere = caller_of(clinic(), "mara", Role::Maintainer);
    assert_eq!(code(decide_closing(&elsewhere, Some(plan("basic")), NOW)), RefusalCode::OtherOrganisation);
    assert_eq!(code(decide_closing(&elsewhere, Some(closed), NOW)), RefusalCode::OtherOrganisation);
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Maintainer) {
        let found = decide_closing(&caller("other", role), Some(plan("basic")), NOW);
        assert_eq!(code(found), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(decide_closing(&suspended(max()), Some(plan("basic")), NOW)), RefusalCode::MemberSuspended);
}

#[test]
fn a_subscription_runs_then_has_grace_then_lapses() {
    let subscription = running(Payer::Patient);
    for (when, phase) in [
        (at(-10 * DAY), Phase::Running),
        (at(20 * DAY - 1), Phase::Running),
        (at(20 * DAY), Phase::Grace),
        (at(27 * DAY - 1), Phase::Grace),
        (at(27 * DAY), Phase::Lapsed),
    ] {
        assert_eq!(subscription.phase(when), phase);
        assert_eq!(subscription.is_lapsed(when), phase == Phase::Lapsed);
    }
}

#[test]
fn a_year_of_a_subscription_has_365_days_and_counts_from_its_beginning() {
    let subscription = Subscription { from: NOW, until: at(2000 * DAY), ..running(Payer::Patient) };
    for (when, year) in [
        (at(-1), NOW),
        (NOW, NOW),
        (at(365 * DAY - 1), NOW),
        (at(365 * DAY), at(365 * DAY)),
        (at(3 * 365 * DAY + 5), at(3 * 365 * DAY)),
    ] {
        assert_eq!(subscription.allowance(when), Allowance { year, free: 2 });
    }
}

#[test]
fn records_are_released_at_once_unless_a_subscription_is_required_and_does_not_offer_it() {
    let required = Settings { subscription_required: true, ..Settings::default() };
    let premium = running(Payer::Patient);
    let plain = Subscription { features: Features::default(), ..running(Payer::Patient) };
    for subscription in [None, Some(&premium), Some(&plain)] {
        assert!(releases_at_once(&Settings::default(), subscription, NOW));
    }
    assert!(releases_at_once(&required, Some(&premium), NOW));
    assert!(releases_at_once(&required, Some(&premium), at(27 * DAY - 1)));
    assert!(!releases_at_once(&required, Some(&premium), at(27 * DAY)));
    assert!(!releases_at_once(&required, Some(&plain), NOW));
    assert!(!releases_at_once(&required, None, NOW));
}

#[test]
fn the_patient_its_guardian_and_the_payer_know_of_a_subscription() {
    let read = |caller: &Caller, delegation: Option<&Delegation>| {
        decide_reading(caller, &id("alice"), Some(running(payer())), delegation, NOW)
    };
    let clerk = caller_of(home(Role::PayerOfficer), "adam", Role::Administrator);
    for reader in [alice(), pia(), clerk] {
        assert_eq!(read(&reader, None), Ok(running(payer())));
    }
    assert_eq!(read(&guardian(), Some(&delegation(&[Power::Subscribe]))), Ok(running(payer())));
    assert_eq!(code(read(&guardian(), Some(&delegation(&[Power::Open])))), RefusalCode::NotPermitted);
    let elsewhere = caller_of(organisation("insurer", OrganisationKind::Payer), "petra", Role::PayerOfficer);
    assert_eq!(code(read(&elsewhere, None)), RefusalCode::UnknownSubscription);
    assert_eq!(code(read(&caller("adam", Role::Administrator), None)), RefusalCode::UnknownSubscription);
    for role in Role::ALL.into_iter().filter(|role| !role.may(Permission::ReadStatement)) {
        assert_eq!(code(read(&caller("other", role), None)), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(read(&suspended(alice()), None)), RefusalCode::MemberSuspended);
    let none = |caller: &Caller| decide_reading(caller, &id("alice"), None, None, NOW);
    assert_eq!(code(none(&alice())), RefusalCode::UnknownSubscription);
    assert_eq!(code(none(&pia())), RefusalCode::UnknownSubscription);
    let own = decide_reading(&pia(), &id("alice"), Some(running(Payer::Patient)), None, NOW);
    assert_eq!(code(own), RefusalCode::UnknownSubscription, "the patient pays");
}
