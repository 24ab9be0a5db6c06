//! Whom the reminders' agent has told, and when it stops.

use std::time::Duration;

use healthchain_gateway::agents::subscription_reminders::SubscriptionReminders;
use healthchain_gateway::ledger::LedgerFailure;
use healthchain_rules::RefusalCode;
use serde_json::{Value, json};

use super::super::ledger::{When, refused};
use super::super::world::World;
use super::{AGENT, a_while, at_work, until, world};

fn reminders(pause: Duration) -> SubscriptionReminders {
    SubscriptionReminders::new(14, pause)
}

fn due(world: &World, patients: &[&str]) {
    let items: Vec<Value> =
        patients.iter().map(|patient| json!({ "patient": patient, "reminder": "ending", "until": 5 })).collect();
    let price = json!({ "amount": 1, "currency": "USD" });
    let subscription = json!({
        "patient": "anna", "plan": "basic", "payer": "patient", "from": 1, "until": 5, "grace_until": 6, "features": {},
        "notarization_price": price,
    });
    let mut state = world.ledger.state.lock().unwrap();
    state.answers.insert("Subscriptions:dueReminders".into(), json!({ "items": items }));
    state.answers.insert("Subscriptions:remind".into(), subscription);
}

fn reminded(world: &World) -> usize {
    world.ledger.called("Subscriptions:remind")
}

#[tokio::test]
async fn everybody_on_the_list_is_told_and_then_it_pauses() {
    let world = world().await;
    due(&world, &["anna", "ben", "cleo"]);
    let _at_work = at_work(&world, reminders(Duration::from_secs(600)));
    until("three reminders", async || reminded(&world) == 3).await;
    a_while().await;
    assert_eq!((world.ledger.called("Subscriptions:dueReminders"), reminded(&world)), (1, 3));
    let sent = world.ledger.argument_of("Subscriptions:remind");
    assert_eq!(sent, json!({ "patient": "cleo", "reminder": "ending", "until": 5 }));
    assert_eq!(world.ledger.argument_of("Subscriptions:dueReminders"), json!({ "days": 14 }));
}

#[tokio::test]
async fn a_stopped_agent_tells_nobody_and_goes_on_when_the_ledger_lets_it() {
    let world = world().await;
    due(&world, &["anna"]);
    world.ledger.refuse_member(AGENT, Some(RefusalCode::AgentNotPermitted));
    let _at_work = at_work(&world, reminders(Duration::from_secs(600)));
    until("it asks now and then", async || world.ledger.called("Subscriptions:dueReminders") > 1).await;
    assert_eq!(reminded(&world), 0);
    world.ledger.refuse_member(AGENT, None);
    until("the reminder", async || reminded(&world) == 1).await;
}

#[tokio::test]
async fn a_budget_that_ends_in_the_middle_of_the_list_ends_the_round() {
    let world = world().await;
    due(&world, &["anna", "ben"]);
    world.ledger.fail_next("Subscriptions:remind", When::Before, refused(RefusalCode::AgentNotPermitted));
    let _at_work = at_work(&world, reminders(Duration::from_secs(600)));
    until("both are told after the pause", async || reminded(&world) == 3).await;
    assert_eq!(world.ledger.called("Subscriptions:dueReminders"), 2);
}

#[tokio::test]
async fn who_renewed_meanwhile_holds_nobody_up_and_what_failed_is_tried_again() {
    let world = world().await;
    due(&world, &["anna", "ben"]);
    world.ledger.fail_next("Subscriptions:remind", When::Before, refused(RefusalCode::ReminderNotDue));
    world.ledger.fail_next("Subscriptions:remind", When::Before, LedgerFailure::Unreachable("down".into()));
    let _at_work = at_work(&world, reminders(Duration::from_secs(600)));
    until("the list is gone through again", async || reminded(&world) == 4).await;
    assert_eq!(world.ledger.called("Subscriptions:dueReminders"), 2);
}
