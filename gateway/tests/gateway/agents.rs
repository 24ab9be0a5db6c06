//! The agents that come with the gateway, on a ledger that lets them act, or not.

mod amendment_verifier;
mod key_custodian;
mod prescription_monitor;
mod statistics_releases;
mod subscription_reminders;

use std::sync::Arc;
use std::time::Duration;

use healthchain_gateway::agents::subscription_reminders::SubscriptionReminders;
use healthchain_gateway::agents::{Agent, Halt, Pace, Post, run};
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::state::{Place, State, StateKey, checkpoint};
use healthchain_rules::RefusalCode;
use serde_json::json;
use tokio::task::JoinHandle;

use super::metrics::{Operations, sample};
use super::world::World;

pub(crate) const AGENT: &str = "hospital-agent";
const HASTE: Pace = Pace {
    round: Duration::from_millis(10),
    pause: Duration::from_millis(50),
    retry: Duration::from_millis(20),
    lease: Duration::from_millis(150),
};

/// The hospital's world with an agent in its wallet, which the ledger knows.
pub(crate) async fn world() -> World {
    let world = world_without_agent().await;
    world.hospital.add_member(&world.ledger, AGENT);
    world
}

/// The hospital's state lies in a file: an agent that is dropped in the middle of a query takes its connection with it, and a state in
/// memory has no other.
pub(crate) async fn world_without_agent() -> World {
    let mut world = World::new().await;
    let folder = world.hospital.folder.path();
    let key = StateKey::in_file(&folder.join("state.key")).unwrap();
    let state = State::open(&Place::File(folder.join("state.sqlite")), key).await.unwrap();
    let gateway = Gateway { state, ..Gateway::clone(&world.hospital.gateway) };
    world.hospital.gateway = Arc::new(gateway);
    world.restart_hospital().await;
    world
}

/// The agent at work at the hospital's gateway until it is dropped.
pub(crate) struct AtWork(JoinHandle<()>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn at_work(world: &World, agent: impl Agent) -> AtWork {
    at_work_as(&world.hospital.gateway, AGENT, agent)
}

pub(crate) fn at_work_as(gateway: &Arc<Gateway>, member: &str, agent: impl Agent) -> AtWork {
    AtWork(tokio::spawn(run(Arc::clone(gateway), member.parse().unwrap(), agent, HASTE)))
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

/// Until the agent has dealt with as many events.
pub(crate) async fn dealt_with(world: &World, agent: &str, events: u64) {
    let (state, reader) = (&world.hospital.gateway.state, format!("agent {agent}"));
    until("the events are dealt with", async || {
        let read = checkpoint::load(state, &reader).await.unwrap();
        read.is_some_and(|position| position.block + 1 == events)
    })
    .await;
}

/// Long enough for an agent to do something that it should not.
pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// Reminders under a name that no other test has, for the sake of the metric.
struct Idle(SubscriptionReminders);

impl Agent for Idle {
    const NAME: &'static str = "idle_reminders";

    async fn round(&self, post: &Post) -> Result<(), Halt> {
        self.0.round(post).await
    }
}

#[tokio::test]
async fn an_agent_that_has_nothing_to_do_when_the_ledger_lets_it_is_shown_as_paused_no_more() {
    let world = world().await;
    world.ledger.state.lock().unwrap().answers.insert("Subscriptions:dueReminders".into(), json!({ "items": [] }));
    world.ledger.refuse_member(AGENT, Some(RefusalCode::AgentNotPermitted));
    let operations = Operations::of(&world).await;
    let paused = async || sample(&operations.metrics().await, "healthchain_agent_paused{agent=\"idle_reminders\"}");
    let _at_work = at_work(&world, Idle(SubscriptionReminders::new(14, Duration::from_secs(600))));
    until("it asks now and then", async || world.ledger.called("Subscriptions:dueReminders") > 1).await;
    assert_eq!(paused().await, 1.0);
    world.ledger.refuse_member(AGENT, None);
    until("it is shown as at work", async || paused().await == 0.0).await;
}
