use healthchain_interface::*;
use healthchain_rules::charge::{Account, Item, Price};
use healthchain_rules::notarization::BillTo;
use healthchain_rules::subscription::*;
use healthchain_rules::*;
use serde_json::{Value, json};

use crate::consortium::*;
use crate::notarizations::notarize;

pub(crate) fn make_plan(plan: &str) -> MakePlan {
    let features = Features { instant_release: false, notarizations_a_year: 2, share_links: true, family_vault: false };
    let price = Price { amount: 1000, currency: id("USD") };
    MakePlan {
        plan: id(plan),
        terms: PlanTerms { price, period_days: 30, grace_days: 7, features, notarization_price: 40 },
    }
}

pub(crate) async fn a_plan(consortium: &Consortium, plan: &str) -> Plan {
    consortium.person("max").subscriptions().make_plan(&make_plan(plan)).await.unwrap()
}

/// An order of the plan `basic` for alice.
pub(crate) fn an_order(order: &str, periods: u32) -> OrderSubscription {
    OrderSubscription { order: id(order), patient: id("alice"), plan: id("basic"), periods }
}

pub(crate) fn account_of(account: Account) -> StatementQuery {
    StatementQuery { account, from: None, until: None, page_token: None, limit: None }
}

pub(crate) fn cancellation(order: &str) -> CancelOrder {
    CancelOrder { order: id(order), patient: id("alice") }
}

#[tokio::test]
async fn maintainers_make_and_close_plans_and_everybody_reads_them() {
    let consortium = Consortium::new().await;
    let max = consortium.person("max").subscriptions();
    let basic = a_plan(&consortium, "basic").await;
    assert_eq!(max.make_plan(&make_plan("basic")).await.unwrap(), basic, "repeated");
    let family = a_plan(&consortium, "family").await;
    let closed = max.close_plan(&id("family")).await.unwrap();
    assert!(matches!(&closed.state, PlanState::Closed { by, .. } if *by == id("max")));
    assert_eq!(max.close_plan(&id("family")).await.unwrap(), closed, "repeated");
    assert_eq!(Plan { state: PlanState::Open, ..closed.clone() }, family);

    let bob = consortium.person("bob").subscriptions();
    let mut query = PlansQuery { limit: Some(1.try_into().unwrap()), ..PlansQuery::default() };
    let first = bob.plans(&query).await.unwrap();
    query.page_token = first.next_page_token;
    let second = bob.plans(&query).await.unwrap();
    assert_eq!((first.items, second.items, second.next_page_token), (vec![basic], vec![closed], None));
    consortium.suspend("bob", "patients").await;
    assert_eq!(refused(bob.plans(&PlansQuery::default()).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn plans_are_refused_to_others_and_do_not_change() {
    let mut consortium = Consortium::new().await;
    consortium.add("mara", "clinic", "client");
    let mara = consortium.new_member("mara", Role::Maintainer);
    consortium.person("admin-clinic").members().register(&mara).await.unwrap();
    a_plan(&consortium, "basic").await;
    for other in ["alice", "pia", "carol", "admin-payer", "gateway-payer"] {
        let person = consortium.person(other).subscriptions();
        assert_eq!(refused(person.make_plan(&make_plan("basic")).await), RefusalCode::NotPermitted, "{other}");
        assert_eq!(refused(person.close_plan(&id("basic")).await), RefusalCode::NotPermitted, "{other}");
    }
    let mara = consortium.person("mara").subscriptions();
    assert_eq!(refused(mara.make_plan(&make_plan("basic")).await), RefusalCode::PlanExists);
    assert_eq!(refused(mara.close_plan(&id("basic")).await), RefusalCode::OtherOrganisation);
    assert_eq!(refused(mara.close_plan(&id("none")).await), RefusalCode::UnknownPlan);
    let mut cheaper = make_plan("basic");
    cheaper.terms.price.amount = 1;
    let max = consortium.person("max");
    assert_eq!(refused(max.subscriptions().make_plan(&cheaper).await), RefusalCode::PlanExists);
    consortium.suspend("max", "payer").await;
    assert_eq!(refused(max.subscriptions().make_plan(&cheaper).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_patient_orders_renews_and_takes_the_renewal_back() {
    let consortium = Consortium::new().await;
    a_plan(&consortium, "basic").await;
    let alice = consortium.person("alice").subscriptions();
    let order = alice.order(&an_order("o1", 2)).await.unwrap();
    assert_eq!(alice.order(&an_order("o1", 2)).await.unwrap(), order, "repeated");
    assert_eq!((order.amount, &order.payer, order.until), (2000, &Payer::Patient, order.at.plus_days(60)));
    let before = alice.subscription(&id("alice")).await.unwrap();
    assert_eq!((before.phase, before.free_notarizations_left), (Phase::Running, 2));
    assert_eq!((before.subscription.from, before.subscription.until), (order.from, order.until));

    let renewal = alice.order(&an_order("o2", 1)).await.unwrap();
    assert_eq!((renewal.from, renewal.until), (order.until, order.until.plus_days(30)));
    let renewed = alice.subscription(&id("alice")).await.unwrap();
    assert_eq!(renewed.subscription.grace_until, renewal.until.plus_days(7));
    let cancelled = alice.cancel(&cancellation("o2")).await.unwrap();
    assert!(matches!(cancelled.state, OrderState::Cancelled { .. }));
    assert_eq!(alice.cancel(&cancellation("o2")).await.unwrap(), cancelled, "repeated");
    assert_eq!(alice.subscription(&id("alice")).await.unwrap(), before, "as before the renewal");

    let statement = alice.statement(&account_of(Account::Patient(id("alice")))).await.unwrap();
    let due: Vec<i64> = statement.lines.iter().map(|line| line.due).collect();
    assert_eq!((due, statement.sums), (vec![-1000, 1000, 2000], [(id("USD"), 2000)].into()));
}

#[tokio::test]
async fn a_payer_buys_a_subscription_for_a_patient_and_pays_for_it() {
    let consortium = Consortium::new().await;
    a_plan(&consortium, "basic").await;
    let pia = consortium.person("pia").subscriptions();
    pia.order(&an_order("o1", 1)).await.unwrap();
    for reader in ["alice", "pia", "paul", "admin-payer"] {
        let found = consortium.person(reader).subscriptions().subscription(&id("alice")).await.unwrap();
        assert_eq!(found.subscription.payer, Payer::Organisation(id("payer")), "{reader}");
    }
    for (other, expected) in [
        ("bob", RefusalCode::NotPermitted),
        ("max", RefusalCode::NotPermitted),
        ("carol", RefusalCode::NotPermitted),
        ("gateway-payer", RefusalCode::NotPermitted),
        ("admin-clinic", RefusalCode::UnknownSubscription),
    ] {
        let found = consortium.person(other).subscriptions().subscription(&id("alice")).await;
        assert_eq!(refused(found), expected, "{other}");
    }
    let bob = consortium.person("bob").subscriptions();
    assert_eq!(refused(bob.subscription(&id("bob")).await), RefusalCode::UnknownSubscription);
    let alice = consortium.person("alice").subscriptions();
    assert_eq!(refused(alice.order(&an_order("o2", 1)).await), RefusalCode::SubscriptionRunning);

    let of_alice = alice.statement(&account_of(Account::Patient(id("alice")))).await.unwrap();
    assert_eq!((of_alice.lines.len(), of_alice.sums), (1, [].into()), "the payer pays");
    let of_payer = pia.statement(&account_of(Account::Organisation(id("payer")))).await.unwrap();
    assert_eq!((of_payer.lines, of_payer.sums), (of_alice.lines, [(id("USD"), 1000)].into()));
}

#[tokio::test]
async fn a_guardian_who_may_subscribe_orders_and_the_patient_pays() {
    let mut consortium = Consortium::new().await;
    let plan = a_plan(&consortium, "basic").await;
    consortium.add("gina", "patients", "client");
    let gina = consortium.new_member("gina", Role::Guardian);
    consortium.person("admin-patients").members().register(&gina).await.unwrap();
    let gina = consortium.person("gina").subscriptions();
    assert_eq!(refused(gina.order(&an_order("o1", 1)).await), RefusalCode::NotPermitted);

    let delegation = Delegate {
        delegation: id("d1"),
        patient: id("alice"),
        guardian: id("gina"),
        powers: [Power::Subscribe].into(),
        categories: [].into(),
        from: None,
        until: plan.made.plus_days(1),
    };
    let alice = DelegationsClient::new(consortium.person("alice").contract.clone());
    alice.delegate(&delegation).await.unwrap();
    let order = gina.order(&an_order("o1", 1)).await.unwrap();
    assert_eq!((order.by.as_str(), order.payer), ("gina", Payer::Patient));
    gina.order(&an_order("o2", 1)).await.unwrap();
    gina.cancel(&cancellation("o2")).await.unwrap();
    assert_eq!(gina.subscription(&id("alice")).await.unwrap().subscription.until, order.until);
    let of_alice = account_of(Account::Patient(id("alice")));
    assert_eq!(gina.statement(&of_alice).await.unwrap().sums, [(id("USD"), 1000)].into());
    let gina = consortium.person("gina").notarizations();
    let query = NotarizationsQuery { patient: id("alice"), page_token: None, limit: None };
    assert_eq!(refused(gina.of_patient(&query).await), RefusalCode::NotPermitted, "may subscribe, not read");
}

#[tokio::test]
async fn where_subscriptions_are_required_payers_have_records_with_one_and_at_once_with_instant_release() {
    for instant_release in [false, true] {
        let consortium = Consortium::new().await;
        consortium.grant(to_payer("c1", Effect::Permit)).await;
        let settings = Settings { subscription_required: true, ..Settings::default() };
        consortium.carry("p1", Change::ChangeSettings { settings }).await;
        let query = RecipientsQuery { patient: id("alice"), category: Category::Summary };
        let is_sealed_to_payer = async || {
            let recipients = consortium.person("carol").links().recipients(&query).await.unwrap();
            recipients.iter().any(|recipient| recipient.holder == Holder::Organisation(id("payer")))
        };
        consortium.publish("l1", Category::Summary).await;
        let denied = consortium.open("pia", "l1", Purpose::Payment).await.opening.decision;
        assert!(matches!(denied, Decision::Denied { reason: Denial::SubscriptionLapsed, .. }));
        assert!(consortium.open("clara", "l1", Purpose::Treatment).await.opening.decision.is_permitted());
        assert!(consortium.open("alice", "l1", Purpose::Personal).await.opening.decision.is_permitted());
        assert!(!is_sealed_to_payer().await);

        let mut plan = make_plan("basic");
        plan.terms.features.instant_release = instant_release;
        consortium.person("max").subscriptions().make_plan(&plan).await.unwrap();
        consortium.person("alice").subscriptions().order(&an_order("o1", 1)).await.unwrap();
        assert_eq!(is_sealed_to_payer().await, instant_release);
        consortium.publish("l2", Category::Summary).await;
        let opened = consortium.open("pia", "l2", Purpose::Payment).await;
        assert!(opened.opening.decision.is_permitted());
        assert_eq!(opened.envelope.is_some(), instant_release, "else its first opening asks for it");
    }
}

#[tokio::test]
async fn orders_and_cancellations_are_refused_with_what_is_wrong() {
    let consortium = Consortium::new().await;
    a_plan(&consortium, "basic").await;
    a_plan(&consortium, "family").await;
    a_plan(&consortium, "old").await;
    consortium.person("max").subscriptions().close_plan(&id("old")).await.unwrap();
    let alice = consortium.person("alice");
    alice.subscriptions().order(&an_order("o1", 12)).await.unwrap();
    let of = |plan: &str| OrderSubscription { plan: id(plan), ..an_order("o2", 1) };
    let for_carol = OrderSubscription { patient: id("carol"), ..an_order("o2", 1) };
    for (who, call, expected) in [
        ("alice", an_order("o1", 1), RefusalCode::OrderExists),
        ("alice", an_order("o2", 13), RefusalCode::Malformed),
        ("alice", of("none"), RefusalCode::UnknownPlan),
        ("alice", of("old"), RefusalCode::PlanClosed),
        ("alice", of("family"), RefusalCode::SubscriptionRunning),
        ("pia", an_order("o2", 1), RefusalCode::SubscriptionRunning),
        ("pia", for_carol, RefusalCode::UnknownPatient),
        ("bob", an_order("o2", 1), RefusalCode::NotPermitted),
        ("carol", an_order("o2", 1), RefusalCode::NotPermitted),
        ("gateway-patients", an_order("o2", 1), RefusalCode::NotPermitted),
    ] {
        assert_eq!(refused(consortium.person(who).subscriptions().order(&call).await), expected, "{who} {call:?}");
    }
    for order in ["o2", "o3", "o4", "o5"] {
        alice.subscriptions().order(&an_order(order, 12)).await.unwrap();
    }
    assert_eq!(refused(alice.subscriptions().order(&an_order("o6", 2)).await), RefusalCode::OrderTooFarAhead);
    for (who, order, expected) in [
        ("alice", "o1", RefusalCode::OrderBegun),
        ("alice", "o2", RefusalCode::OrderNotLast),
        ("alice", "none", RefusalCode::UnknownOrder),
        ("pia", "o5", RefusalCode::UnknownOrder),
        ("bob", "o5", RefusalCode::NotPermitted),
        ("admin-patients", "o5", RefusalCode::NotPermitted),
    ] {
        let found = consortium.person(who).subscriptions().cancel(&cancellation(order)).await;
        assert_eq!(refused(found), expected, "{who} {order}");
    }
    consortium.suspend("alice", "patients").await;
    assert_eq!(refused(alice.subscriptions().cancel(&cancellation("o5")).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_statement_comes_page_by_page_and_within_its_period() {
    let consortium = Consortium::new().await;
    a_plan(&consortium, "basic").await;
    consortium.person("pia").subscriptions().order(&an_order("o1", 1)).await.unwrap();
    for n in 1..=4 {
        let call = notarize(&format!("n{n}"), BillTo::Subscription);
        consortium.person("carol").notarizations().notarize(&call).await.unwrap();
    }
    consortium.person("carol").notarizations().notarize(&notarize("n5", BillTo::Organisation)).await.unwrap();

    let pia = consortium.person("pia").subscriptions();
    let query = account_of(Account::Organisation(id("payer")));
    let whole = pia.statement(&query).await.unwrap();
    assert_eq!(whole.lines.iter().map(|line| line.due).collect::<Vec<_>>(), [40, 40, 0, 0, 1000]);
    assert!(
        matches!(&whole.lines[0].charge.item, Item::Notarization { notarization, .. } if *notarization == id("n4"))
    );
    assert_eq!(whole.sums, [(id("USD"), 1080)].into());

    let mut page = StatementQuery { limit: Some(2.try_into().unwrap()), ..query.clone() };
    let (mut lines, mut sum) = (Vec::new(), 0);
    loop {
        let found = pia.statement(&page).await.unwrap();
        sum += found.sums.values().sum::<i64>();
        lines.extend(found.lines);
        match found.next_page_token {
            Some(token) => page.page_token = Some(token),
            None => break,
        }
    }
    assert_eq!((&lines, sum), (&whole.lines, 1080));
    let other = StatementQuery { page_token: page.page_token, ..account_of(Account::Organisation(id("clinic"))) };
    let administrator = consortium.person("admin-clinic").subscriptions();
    assert_eq!(refused(administrator.statement(&other).await), RefusalCode::PageTokenMismatch);

    let (from, until) = (lines[3].charge.time, lines[1].charge.time);
    let period = StatementQuery { from: Some(from), until: Some(until), limit: Some(2.try_into().unwrap()), ..query };
    let found = pia.statement(&period).await.unwrap();
    assert_eq!((found.lines.as_slice(), found.next_page_token), (&lines[2..4], None));

    let of_hospital = account_of(Account::Organisation(id("hospital")));
    let hospital = consortium.person("admin-hospital").subscriptions().statement(&of_hospital).await.unwrap();
    assert_eq!((hospital.lines.len(), hospital.sums), (1, [(id("USD"), 0)].into()), "the settings' price is nothing");
    let of_alice = account_of(Account::Patient(id("alice")));
    let everything = consortium.person("alice").subscriptions().statement(&of_alice).await.unwrap();
    assert_eq!((everything.lines.len(), everything.sums), (6, [].into()));
}

#[tokio::test]
async fn statements_are_for_those_whose_accounts_they_are() {
    let consortium = Consortium::new().await;
    let of_payer = account_of(Account::Organisation(id("payer")));
    let of_alice = account_of(Account::Patient(id("alice")));
    for (who, query, expected) in [
        ("admin-clinic", &of_payer, RefusalCode::OtherOrganisation),
        ("max", &of_payer, RefusalCode::NotPermitted),
        ("alice", &of_payer, RefusalCode::NotPermitted),
        ("gateway-payer", &of_payer, RefusalCode::NotPermitted),
        ("bob", &of_alice, RefusalCode::NotPermitted),
        ("pia", &of_alice, RefusalCode::NotPermitted),
        ("admin-patients", &of_alice, RefusalCode::NotPermitted),
    ] {
        let found = consortium.person(who).subscriptions().statement(query).await;
        assert_eq!(refused(found), expected, "{who}");
    }
    let now = LedgerTime::from_milliseconds(1);
    let empty = StatementQuery { from: Some(now), until: Some(now), ..of_alice };
    let alice = consortium.person("alice").subscriptions();
    assert_eq!(refused(alice.statement(&empty).await), RefusalCode::Malformed);
}

#[tokio::test]
async fn malformed_and_oversized_arguments_are_refused() {
    let consortium = Consortium::new().await;
    let max = consortium.person("max");
    let plan = serde_json::to_value(make_plan("basic")).unwrap();
    for (field, bad) in [
        ("period_days", json!(0)),
        ("grace_days", json!(91)),
        ("notarization_price", json!(-1)),
        ("price", json!({"amount": 1, "currency": "dollars"})),
        ("price", json!({"amount": 4_294_967_296u64, "currency": "USD"})),
        ("features", json!({"notarizations_a_year": 101})),
        ("features", json!({"free_coffee": true})),
    ] {
        let mut call = plan.clone();
        call["terms"][field] = bad;
        assert_eq!(max.status_of("Subscriptions:makePlan", call).await, 400, "{field}");
    }
    let good = serde_json::to_value(an_order("o1", 1)).unwrap();
    let with = |field: &str, bad: Value| {
        let mut call = good.clone();
        call[field] = bad;
        call
    };
    for (function, argument) in [
        ("Subscriptions:order", with("order", json!("o".repeat(65)))),
        ("Subscriptions:order", with("periods", json!(-1))),
        ("Subscriptions:order", with("discount", json!(50))),
        ("Subscriptions:cancel", json!({"order": "o1"})),
        ("Subscriptions:closePlan", json!("Basic")),
        ("Subscriptions:plans", json!({"limit": 0})),
        ("Subscriptions:subscription", json!("")),
        ("Subscriptions:statement", json!({"account": {"everybody": "x"}})),
        ("Subscriptions:statement", json!({"account": {"patient": "alice"}, "limit": 101})),
    ] {
        assert_eq!(max.status_of(function, argument).await, 400, "{function}");
    }
}

/// Ada, a maintainer of the organisation that serves the patients.
pub(crate) async fn add_maintainer(consortium: &mut Consortium) {
    consortium.add("ada", "patients", "client");
    let ada = consortium.new_member("ada", Role::Maintainer);
    consortium.person("admin-patients").members().register(&ada).await.unwrap();
}

pub(crate) fn reminder_of(due: &DueReminder) -> RemindSubscriber {
    RemindSubscriber { patient: due.patient.clone(), reminder: due.reminder, until: due.until }
}

#[tokio::test]
async fn a_reminder_is_on_the_list_until_it_is_given_or_the_subscription_renewed() {
    let mut consortium = Consortium::new().await;
    add_maintainer(&mut consortium).await;
    a_plan(&consortium, "basic").await;
    let until = consortium.person("alice").subscriptions().order(&an_order("o1", 1)).await.unwrap().until;
    let of_bob = OrderSubscription { patient: id("bob"), ..an_order("o1", 1) };
    consortium.person("pia").subscriptions().order(&of_bob).await.unwrap();

    let ada = consortium.person("ada").subscriptions();
    let due = async |query: &DueRemindersQuery| ada.due_reminders(query).await.unwrap();
    let all = due(&DueRemindersQuery::default()).await;
    assert_eq!(all.items[0], DueReminder { patient: id("alice"), reminder: Reminder::Ending, until });
    assert_eq!((all.items.len(), all.next_page_token), (2, None));
    let one = DueRemindersQuery { limit: Some(1.try_into().unwrap()), ..DueRemindersQuery::default() };
    let first = due(&one).await;
    let rest = due(&DueRemindersQuery { page_token: first.next_page_token.clone(), ..one.clone() }).await;
    assert_eq!([first.items, rest.items].concat(), all.items);
    let soon = DueRemindersQuery { days: Some(29), ..DueRemindersQuery::default() };
    assert_eq!(due(&soon).await.items, [], "neither ends so soon");
    let other = DueRemindersQuery { page_token: first.next_page_token, ..soon };
    assert_eq!(refused(ada.due_reminders(&other).await), RefusalCode::PageTokenMismatch, "another list's page");

    let call = reminder_of(&all.items[0]);
    let reminded = ada.remind(&call).await.unwrap();
    assert_eq!(reminded.reminded, [Reminder::Ending].into());
    assert_eq!(ada.remind(&call).await.unwrap(), reminded, "repeated");
    assert_eq!(due(&DueRemindersQuery::default()).await.items, all.items[1..]);

    consortium.person("alice").subscriptions().order(&an_order("o2", 1)).await.unwrap();
    assert_eq!(refused(ada.remind(&call).await), RefusalCode::ReminderNotDue);
    let renewed = consortium.person("alice").subscriptions().subscription(&id("alice")).await.unwrap();
    assert!(renewed.subscription.reminded.is_empty(), "its new end is another");
    consortium.person("alice").subscriptions().cancel(&cancellation("o2")).await.unwrap();
    assert_eq!(due(&DueRemindersQuery::default()).await.items, all.items, "it ends as before, and nobody was told so");
}

#[tokio::test]
async fn reminders_are_refused_to_others_and_when_they_are_not_due() {
    let mut consortium = Consortium::new().await;
    add_maintainer(&mut consortium).await;
    a_plan(&consortium, "basic").await;
    let until = consortium.person("alice").subscriptions().order(&an_order("o1", 2)).await.unwrap().until;
    let call = RemindSubscriber { patient: id("alice"), reminder: Reminder::Ending, until };
    for other in ["alice", "pia", "carol", "max", "admin-patients", "gateway-patients"] {
        let person = consortium.person(other).subscriptions();
        assert_eq!(refused(person.remind(&call).await), RefusalCode::NotPermitted, "{other}");
        let list = person.due_reminders(&DueRemindersQuery::default()).await;
        assert_eq!(refused(list), RefusalCode::NotPermitted, "{other}");
    }
    let ada = consortium.person("ada");
    for (call, expected) in [
        (call.clone(), RefusalCode::ReminderNotDue),
        (RemindSubscriber { reminder: Reminder::InGrace, ..call.clone() }, RefusalCode::ReminderNotDue),
        (RemindSubscriber { patient: id("bob"), ..call.clone() }, RefusalCode::UnknownSubscription),
        (RemindSubscriber { patient: id("carol"), ..call.clone() }, RefusalCode::UnknownPatient),
        (RemindSubscriber { patient: id("nobody"), ..call }, RefusalCode::UnknownPatient),
    ] {
        assert_eq!(refused(ada.subscriptions().remind(&call).await), expected, "{call:?}");
    }
    let malformed = json!({"patient": "alice", "reminder": "birthday", "until": 1});
    assert_eq!(ada.status_of("Subscriptions:remind", malformed).await, 400);
    consortium.suspend("ada", "patients").await;
    let list = ada.subscriptions().due_reminders(&DueRemindersQuery::default()).await;
    assert_eq!(refused(list), RefusalCode::MemberSuspended);
}
