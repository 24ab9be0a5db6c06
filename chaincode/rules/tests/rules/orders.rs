//! Who orders which subscription for whom, what it costs, and who takes an order back.

use crate::subscriptions::*;
use crate::support::*;
use healthchain_rules::charge::*;
use healthchain_rules::subscription::*;
use healthchain_rules::*;

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
    let refusal = again(&alice(), &cancelled, draft(2)).unwrap_err();
    assert_eq!(refusal.code(), RefusalCode::OrderExists);
    assert!(refusal.detail().contains("was cancelled"), "{}", refusal.detail());
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
fn nobody_orders_more_than_five_years_ahead_and_no_payer_more_than_a_year() {
    for (caller, payer, days) in [(alice(), Payer::Patient, 1830), (pia(), payer(), 366)] {
        let before = (days - 30) * DAY;
        let until = |until: i64| Subscription { until: at(until), grace_until: at(until), ..running(payer.clone()) };
        let (order, _) = ordered(&caller, Some(&until(before)), 1);
        assert_eq!(order.until, at(days * DAY));
        let beyond = order_on(&caller, Some(&until(before + 1)), None, draft(1));
        assert_eq!(code(beyond), RefusalCode::OrderTooFarAhead, "{days}");
    }
}

/// Found by review: a payer's long order locked the patient out of other plans.
#[test]
fn a_patients_own_order_of_another_plan_replaces_a_payers_subscription_at_once() {
    let paid_by = |payer| Subscription { plan: id("family"), ..running(payer) };
    let of_payer = paid_by(payer());
    let (order, proof) = ordered(&alice(), Some(&of_payer), 1);
    assert_eq!((order.from, order.until, &order.payer), (NOW, at(30 * DAY), &Payer::Patient));
    let expected =
        Subscription { from: NOW, until: at(30 * DAY), grace_until: at(37 * DAY), ..running(Payer::Patient) };
    assert_eq!(*proof.subscription(), expected);
    assert_eq!((proof.charge().amount, &proof.charge().payer), (1000, &Payer::Patient), "nothing is given back");
    assert!(order_on(&guardian(), Some(&of_payer), Some(&delegation(&[Power::Subscribe])), draft(1)).is_ok());

    let insurer = Payer::Organisation(id("insurer"));
    for (caller, running) in [
        (pia(), paid_by(insurer)),
        (pia(), paid_by(Payer::Patient)),
        (pia(), of_payer),
        (alice(), running(payer())),
        (alice(), paid_by(Payer::Patient)),
    ] {
        let found = order_on(&caller, Some(&running), None, draft(1));
        assert_eq!(code(found), RefusalCode::SubscriptionRunning, "{running:?}");
    }
}

/// Found by review: what was replaced is not given back, whenever the subscription in its place ends.
#[test]
fn a_payers_order_of_a_subscription_that_was_replaced_is_not_taken_back() {
    let before = running(payer());
    let (order, renewed) = ordered(&pia(), Some(&before), 1);
    let renewed = renewed.subscription();
    assert!(cancel(&pia(), Some(&order), Some(renewed), NOW).is_ok());
    let other_plan = Subscription { plan: id("family"), ..renewed.clone() };
    let other_payer = Subscription { payer: Payer::Patient, ..renewed.clone() };
    for replaced in [other_plan, other_payer] {
        assert_eq!(code(cancel(&pia(), Some(&order), Some(&replaced), NOW)), RefusalCode::OrderNotLast);
    }
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
    // Whoever was reminded of the later end is reminded again of the earlier one.
    let renewed = Subscription { reminded: [Reminder::Ending].into(), ..renewed.subscription().clone() };
    let Ok(Outcome::Decided(cancelled, proof)) = cancel(&alice(), Some(&order), Some(&renewed), at(9)) else {
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
