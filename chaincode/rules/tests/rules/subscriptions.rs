//! Plans, orders, lapses, charges and statements.

use std::collections::BTreeMap;

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

fn features() -> Features {
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
    }
}

fn max() -> Caller {
    caller("max", Role::Maintainer)
}

fn pia() -> Caller {
    caller("pia", Role::PayerOfficer)
}

fn payer() -> Payer {
    Payer::Organisation(id("payer"))
}

fn draft(periods: u32) -> OrderDraft {
    OrderDraft { id: id("o1"), patient: id("alice"), plan: id("basic"), periods }
}

/// An order of the plan `basic` for alice.
fn order_on(
    caller: &Caller,
    subscription: Option<&Subscription>,
    delegation: Option<&Delegation>,
    draft: OrderDraft,
) -> Result<Outcome<Order, MayOrder>, Refusal> {
    let patient = member_of(&home(Role::Patient), "alice", Role::Patient);
    let plan = plan("basic");
    let ground = OrderGround { existing: None, plan: Some(&plan), patient: Some(&patient), subscription, delegation };
    decide_order(caller, ground, draft, hash("transaction"), NOW)
}

pub(crate) fn ordered(caller: &Caller, subscription: Option<&Subscription>, periods: u32) -> (Order, MayOrder) {
    match order_on(caller, subscription, None, draft(periods)) {
        Ok(Outcome::Decided(order, proof)) => (order, proof),
        other => panic!("{other:?}"),
    }
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
fn the_first_order_begins_a_subscription_and_is_charged() {
    let (order, proof) = ordered(&alice(), None, 3);
    let expected = Order {
        id: id("o1"),
        patient: id("alice"),
        plan: id("basic"),
        periods: 3,
        payer: Payer::Patient,
        amount: 3000,
        currency: usd(),
        from: NOW,
        until: at(90 * DAY),
        by: id("alice"),
        at: NOW,
        state: OrderState::Placed,
    };
    assert_eq!(order, expected);
    let subscription =
        Subscription { from: NOW, until: at(90 * DAY), grace_until: at(97 * DAY), ..running(Payer::Patient) };
    assert_eq!(*proof.subscription(), subscription);
    let charge = Charge {
        transaction: hash("transaction"),
        time: NOW,
        patient: id("alice"),
        payer: Payer::Patient,
        item: Item::Order { order: id("o1"), plan: id("basic"), from: NOW, until: at(90 * DAY) },
        amount: 3000,
        currency: usd(),
    };
    assert_eq!(*proof.charge(), charge);
}

#[test]
fn a_payers_officer_orders_for_a_patient_and_the_payer_pays() {
    let (order, proof) = ordered(&pia(), None, 1);
    assert_eq!((order.by.as_str(), &order.payer), ("pia", &payer()));
    assert_eq!((&proof.subscription().payer, &proof.charge().payer), (&payer(), &payer()));
}

#[test]
fn a_guardian_who_may_subscribe_orders_and_the_patient_pays() {
    let order = |powers: &[Power]| order_on(&guardian(), None, Some(&delegation(powers)), draft(1));
    let Ok(Outcome::Decided(order_of_gina, _)) = order(&[Power::Subscribe]) else { panic!("not ordered") };
    assert_eq!((order_of_gina.by.as_str(), order_of_gina.payer), ("gina", Payer::Patient));
    assert_eq!(code(order(&[Power::Consent, Power::Open])), RefusalCode::NotPermitted);
    assert_eq!(code(order_on(&guardian(), None, None, draft(1))), RefusalCode::NotPermitted);
}

#[test]
fn orders_are_refused_to_others() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::PayerOfficer) {
        let found = order_on(&caller("other", role), None, None, draft(1));
        assert_eq!(code(found), RefusalCode::NotPermitted, "{role}");
    }
    let clerk = caller_of(home(Role::PayerOfficer), "adam", Role::Administrator);
    assert_eq!(code(order_on(&clerk, None, None, draft(1))), RefusalCode::NotPermitted);
    assert_eq!(code(order_on(&suspended(alice()), None, None, draft(1))), RefusalCode::MemberSuspended);
    assert_eq!(code(order_on(&suspended(pia()), None, None, draft(1))), RefusalCode::MemberSuspended);
    for kind in [Role::PayerOfficer, Role::Patient] {
        let gateway = Caller::Custodian(home(kind));
        assert_eq!(code(order_on(&gateway, None, None, draft(1))), RefusalCode::NotPermitted);
    }
}

#[test]
fn an_order_needs_a_patient_an_open_plan_and_1_to_12_periods() {
    let alice_herself = member_of(&home(Role::Patient), "alice", Role::Patient);
    let not_a_patient = member_of(&hospital(), "alice", Role::Clinician);
    let open = plan("basic");
    let closed = Plan { state: PlanState::Closed { by: id("max"), at: at(-1) }, ..plan("basic") };
    let whole = OrderGround { plan: Some(&open), patient: Some(&alice_herself), ..OrderGround::default() };
    let order = |ground, periods| decide_order(&pia(), ground, draft(periods), hash("t"), NOW).map(|_| ());
    assert_eq!(order(whole, 1), Ok(()));
    assert_eq!(order(whole, 12), Ok(()));
    assert_eq!(code(order(whole, 0)), RefusalCode::Malformed);
    assert_eq!(code(order(whole, 13)), RefusalCode::Malformed);
    assert_eq!(code(order(OrderGround { patient: None, ..whole }, 1)), RefusalCode::UnknownPatient);
    let stranger = OrderGround { patient: Some(&not_a_patient), ..whole };
    assert_eq!(code(order(stranger, 1)), RefusalCode::UnknownPatient);
    assert_eq!(code(order(OrderGround { plan: None, ..whole }, 1)), RefusalCode::UnknownPlan);
    assert_eq!(code(order(OrderGround { plan: Some(&closed), ..whole }, 1)), RefusalCode::PlanClosed);
    let running = running(payer());
    let renewal = OrderGround { plan: Some(&closed), subscription: Some(&running), ..whole };
    assert_eq!(code(order(renewal, 1)), RefusalCode::PlanClosed, "nor a renewal");
}

#[test]
fn a_repeated_order_is_harmless_and_another_under_its_id_is_refused() {
    let (order, proof) = ordered(&alice(), None, 2);
    let patient = member_of(&home(Role::Patient), "alice", Role::Patient);
    let plan = plan("basic");
    let again = |caller: &Caller, existing: &Order, draft| {
        let ground = OrderGround {
            existing: Some(existing),
            plan: Some(&plan),
            patient: Some(&patient),
            subscription: Some(proof.subscription()),
            delegation: None,
        };
        decide_order(caller, ground, draft, hash("t2"), at(1))
    };
    assert_eq!(again(&alice(), &order, draft(2)), Ok(Outcome::Repeated(order.clone())));
    assert_eq!(code(again(&alice(), &order, draft(3))), RefusalCode::OrderExists);
    let other_plan = OrderDraft { plan: id("family"), ..draft(2) };
    assert_eq!(code(again(&alice(), &order, other_plan)), RefusalCode::OrderExists);
    assert_eq!(code(again(&pia(), &order, draft(2))), RefusalCode::OrderExists);
    let cancelled = Order { state: OrderState::Cancelled { by: id("alice"), at: NOW }, ..order };
    assert_eq!(code(again(&alice(), &cancelled, draft(2))), RefusalCode::OrderExists);
}

#[test]
fn a_renewal_goes_on_where_the_subscription_ends_also_in_its_grace() {
    for (until, when) in
        [(at(20 * DAY), "running"), (at(1), "last moment"), (NOW, "grace"), (at(1 - 7 * DAY), "end of grace")]
    {
        let grace_until = LedgerTime::from_milliseconds(until.milliseconds()).plus_days(7);
        let before = Subscription { until, grace_until, ..running(Payer::Patient) };
        let (order, proof) = ordered(&alice(), Some(&before), 2);
        let after = proof.subscription();
        assert_eq!((order.from, order.until), (until, until.plus_days(60)), "{when}");
        assert_eq!((after.from, after.until), (before.from, until.plus_days(60)), "{when}");
        assert_eq!(after.grace_until, until.plus_days(67), "{when}");
    }
}

#[test]
fn after_a_lapse_a_subscription_begins_anew() {
    let lapsed = Subscription { until: at(-7 * DAY), grace_until: NOW, ..running(Payer::Patient) };
    let (order, proof) = ordered(&alice(), Some(&lapsed), 1);
    assert_eq!((order.from, order.until), (NOW, at(30 * DAY)));
    assert_eq!(proof.subscription().from, NOW);
}

#[test]
fn another_plan_or_payer_is_refused_while_one_runs_and_begins_at_once_after_its_end() {
    let other_plan = Subscription { plan: id("family"), ..running(Payer::Patient) };
    let other_payer = running(payer());
    for before in [other_plan, other_payer] {
        assert_eq!(code(order_on(&alice(), Some(&before), None, draft(1))), RefusalCode::SubscriptionRunning);
        let last_moment = Subscription { until: at(1), ..before.clone() };
        assert_eq!(code(order_on(&alice(), Some(&last_moment), None, draft(1))), RefusalCode::SubscriptionRunning);
        let in_grace = Subscription { until: NOW, ..before };
        let (order, proof) = ordered(&alice(), Some(&in_grace), 1);
        assert_eq!((order.from, proof.subscription().from), (NOW, NOW));
        assert_eq!((&proof.subscription().plan, &proof.subscription().payer), (&id("basic"), &Payer::Patient));
    }
}

#[test]
fn nobody_orders_more_than_five_years_ahead() {
    let until = |days: i64| Subscription { until: at(days * DAY), grace_until: at(days * DAY), ..running(payer()) };
    let (order, _) = ordered(&pia(), Some(&until(1800)), 1);
    assert_eq!(order.until, at(1830 * DAY));
    let beyond = Subscription { until: at(1800 * DAY + 1), ..until(1801) };
    assert_eq!(code(order_on(&pia(), Some(&beyond), None, draft(1))), RefusalCode::OrderTooFarAhead);
}

fn cancel(
    caller: &Caller,
    order: Option<&Order>,
    subscription: Option<&Subscription>,
    when: LedgerTime,
) -> Result<Outcome<Order, MayCancel>, Refusal> {
    decide_cancellation(caller, &id("alice"), order.cloned(), subscription, None, hash("cancel"), when)
}

#[test]
fn a_renewal_is_taken_back_before_it_begins_and_its_price_with_it() {
    let before = running(Payer::Patient);
    let (order, renewed) = ordered(&alice(), Some(&before), 2);
    let Ok(Outcome::Decided(cancelled, proof)) = cancel(&alice(), Some(&order), Some(renewed.subscription()), at(9))
    else {
        panic!("not cancelled")
    };
    let state = OrderState::Cancelled { by: id("alice"), at: at(9) };
    assert_eq!(cancelled, Order { state, ..order.clone() });
    assert_eq!(*proof.subscription(), before, "as it was before the order");
    let charge = proof.charge();
    assert_eq!((charge.amount, charge.currency.clone(), &charge.payer), (-2000, usd(), &Payer::Patient));
    assert_eq!((charge.time, charge.transaction.clone()), (at(9), hash("cancel")));
    assert_eq!(charge.item, Item::Cancellation { order: id("o1") });
    let again = cancel(&alice(), Some(&cancelled), Some(&before), at(99));
    assert_eq!(again, Ok(Outcome::Repeated(cancelled)));
}

#[test]
fn what_has_begun_or_is_followed_by_another_order_is_not_taken_back() {
    let before = running(Payer::Patient);
    let (order, renewed) = ordered(&alice(), Some(&before), 1);
    let renewed = renewed.subscription();
    let take_back = |when| cancel(&alice(), Some(&order), Some(renewed), when).map(|_| ());
    assert_eq!(take_back(at(20 * DAY - 1)), Ok(()));
    assert_eq!(code(take_back(at(20 * DAY))), RefusalCode::OrderBegun);
    let (first, subscription) = ordered(&alice(), None, 1);
    let at_once = cancel(&alice(), Some(&first), Some(subscription.subscription()), NOW);
    assert_eq!(code(at_once), RefusalCode::OrderBegun);
    let followed = Subscription { until: renewed.until.plus_days(30), ..renewed.clone() };
    assert_eq!(code(cancel(&alice(), Some(&order), Some(&followed), NOW)), RefusalCode::OrderNotLast);
    assert_eq!(code(cancel(&alice(), Some(&order), None, NOW)), RefusalCode::OrderNotLast);
}

#[test]
fn only_whoever_orders_for_the_same_payer_takes_an_order_back() {
    let before = running(payer());
    let (order, renewed) = ordered(&pia(), Some(&before), 1);
    let subscription = renewed.subscription();
    let by = |caller: &Caller| cancel(caller, Some(&order), Some(subscription), NOW).map(|_| ());
    assert_eq!(by(&caller("paul", Role::PayerOfficer)), Ok(()));
    assert_eq!(code(by(&alice())), RefusalCode::UnknownOrder);
    let elsewhere = caller_of(organisation("insurer", OrganisationKind::Payer), "petra", Role::PayerOfficer);
    assert_eq!(code(by(&elsewhere)), RefusalCode::UnknownOrder);
    for role in Role::ALL.into_iter().filter(|role| *role != Role::PayerOfficer) {
        assert_eq!(code(by(&caller("other", role))), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(by(&suspended(pia()))), RefusalCode::MemberSuspended);
    assert_eq!(code(cancel(&pia(), None, Some(subscription), NOW)), RefusalCode::UnknownOrder);
    let of_bob = Order { patient: id("bob"), ..order.clone() };
    assert_eq!(code(cancel(&pia(), Some(&of_bob), Some(subscription), NOW)), RefusalCode::UnknownOrder);

    let before = running(Payer::Patient);
    let (order, renewed) = ordered(&alice(), Some(&before), 1);
    let by_gina = |powers: &[Power]| {
        let delegation = delegation(powers);
        let subscription = Some(renewed.subscription());
        let order = Some(order.clone());
        decide_cancellation(&guardian(), &id("alice"), order, subscription, Some(&delegation), hash("c"), NOW)
    };
    assert!(by_gina(&[Power::Subscribe]).is_ok());
    assert_eq!(code(by_gina(&[Power::ReadAudit])), RefusalCode::NotPermitted);
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

#[test]
fn a_statement_is_for_those_whose_account_it_is() {
    let read = |caller: &Caller, account: &Account, delegation: Option<&Delegation>| {
        decide_reading_statement(caller, account, delegation, None, None, NOW).map(|_| ())
    };
    let patient = Account::Patient(id("alice"));
    assert_eq!(read(&alice(), &patient, None), Ok(()));
    assert_eq!(read(&guardian(), &patient, Some(&delegation(&[Power::Subscribe]))), Ok(()));
    assert_eq!(code(read(&guardian(), &patient, Some(&delegation(&[Power::Consent])))), RefusalCode::NotPermitted);
    for role in Role::ALL {
        assert_eq!(code(read(&caller("other", role), &patient, None)), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(read(&suspended(alice()), &patient, None)), RefusalCode::MemberSuspended);

    let account = Account::Organisation(id("payer"));
    for role in [Role::PayerOfficer, Role::Administrator] {
        assert_eq!(read(&caller_of(home(Role::PayerOfficer), "any", role), &account, None), Ok(()));
    }
    for role in Role::ALL.into_iter().filter(|role| !role.may(Permission::ReadStatement)) {
        let member = caller_of(home(Role::PayerOfficer), "any", role);
        assert_eq!(code(read(&member, &account, None)), RefusalCode::NotPermitted, "{role}");
    }
    let adam = caller("adam", Role::Administrator);
    assert_eq!(code(read(&adam, &account, None)), RefusalCode::OtherOrganisation);
    assert_eq!(code(read(&suspended(pia()), &account, None)), RefusalCode::MemberSuspended);
}

#[test]
fn a_statements_end_is_later_than_its_beginning() {
    let read = |from, until| {
        decide_reading_statement(&alice(), &Account::Patient(id("alice")), None, from, until, NOW).map(|_| ())
    };
    for (from, until) in [(Some(at(1)), Some(at(2))), (None, Some(at(0))), (Some(at(5)), None)] {
        assert_eq!(read(from, until), Ok(()));
    }
    assert_eq!(code(read(Some(at(1)), Some(at(1)))), RefusalCode::Malformed);
    assert_eq!(code(read(Some(at(2)), Some(at(1)))), RefusalCode::Malformed);
}

fn notarization_charge(when: LedgerTime, transaction: &str, allowance: Option<Allowance>) -> Charge {
    Charge {
        transaction: hash(transaction),
        time: when,
        patient: id("alice"),
        payer: Payer::Patient,
        item: Item::Notarization { notarization: id("n1"), allowance },
        amount: 40,
        currency: usd(),
    }
}

#[test]
fn the_first_notarizations_of_a_year_are_free_by_time_and_then_by_transaction() {
    let allowance = Some(Allowance { year: NOW, free: 2 });
    let charges = [("b", 2), ("a", 2), ("c", 1), ("d", 3)]
        .map(|(transaction, time)| notarization_charge(at(time), transaction, allowance));
    let mut places: Vec<Place> = charges.iter().map(Charge::place).collect();
    places.sort();
    assert_eq!(charges.each_ref().map(|charge| charge.due(&places)), [40, 0, 0, 40]);
    assert_eq!(charges.each_ref().map(|charge| charge.due(&places[..2])), [40, 0, 0, 40], "as many as are free");
    let unpaid = notarization_charge(at(1), "c", None);
    assert_eq!(unpaid.due(&places), 40, "no allowance");
    let none_free = notarization_charge(at(1), "c", Some(Allowance { year: NOW, free: 0 }));
    assert_eq!(none_free.due(&places), 40);
}

#[test]
fn an_allowance_is_used_up_and_never_below_nothing() {
    let allowance = Allowance { year: NOW, free: 2 };
    assert_eq!([0, 1, 2, 3, usize::MAX].map(|used| allowance.left(used)), [2, 1, 0, 0, 0]);
}

#[test]
fn an_accounts_sums_are_what_it_pays_by_currency() {
    let line = |payer: Payer, patient: &str, currency: &str, due: i64| ChargeLine {
        charge: Charge { payer, patient: id(patient), currency: id(currency), ..notarization_charge(NOW, "t", None) },
        due,
    };
    let lines = [
        line(Payer::Patient, "alice", "USD", 500),
        line(Payer::Patient, "alice", "EUR", 7),
        line(Payer::Patient, "alice", "USD", -200),
        line(Payer::Patient, "bob", "USD", 1),
        line(payer(), "alice", "USD", 90),
        line(payer(), "bob", "USD", 9),
        line(Payer::Organisation(id("insurer")), "bob", "USD", 10_000),
    ];
    let sums = |account: Account| account.sums(&lines);
    let expected = |sums: &[(&str, i64)]| -> Sums { sums.iter().map(|(name, sum)| (id(name), *sum)).collect() };
    assert_eq!(sums(Account::Patient(id("alice"))), expected(&[("EUR", 7), ("USD", 300)]));
    assert_eq!(sums(Account::Organisation(id("payer"))), expected(&[("USD", 99)]));
    assert_eq!(sums(Account::Organisation(id("hospital"))), BTreeMap::new());
}

#[test]
fn a_period_of_a_statement_begins_with_what_is_older_than_its_end() {
    let place = Place::last_before(at(5));
    assert_eq!((place.time, place.transaction), (at(4), hash("")));
    assert_eq!(Place::last_before(LedgerTime::from_milliseconds(0)).time, LedgerTime::from_milliseconds(0));
}
