//! Delivers for all webhooks of this gateway's state, each by itself, so that a receiver that does not answer holds up no other.
//!
//! Of several gateways one delivers for a webhook; when it stops, another takes over where it was. For one webhook events go out one
//! after the other: while its receiver does not take one, those behind it wait, until it is taken or given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use healthchain_rules::{LedgerEvent, LedgerTime};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::sender::Undelivered;
use super::{is_served, still_told};
use crate::configuration::WebhooksConfiguration;
use crate::events::Told;
use crate::events::telling::Telling;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::webhooks::{Hold, Webhook, dealt_with, failed, free, renew, take};
use crate::state::{StateError, dead_letters};
use crate::use_cases::now;

/// How messages are delivered.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often it is looked for webhooks that no gateway delivers for.
    pub look: Duration,
    /// How long a gateway that has died holds a webhook.
    pub hold: Duration,
    /// Until a message is tried again; three times as long after each further try, up to `most`. A random half of it is left out.
    pub first: Duration,
    /// Longest time between two tries.
    pub most: Duration,
    /// Tries of a message before it is given up.
    pub tries: u32,
    /// Until it is asked again whether a member may be told anything.
    pub unheard: Duration,
    /// How long it counts what the ledger said a member may know.
    pub known: Duration,
    /// Time between two saves of how far a webhook is, while its member is told nothing.
    pub save: Duration,
}

/// Webhooks for which the ledger is asked at once: there may be many, and each event is for all of them.
const ASKING: usize = 8;
/// How long it counts what the ledger said a member may know.
const KNOWN: Duration = Duration::from_secs(1);

impl Pace {
    /// As configured.
    pub fn new(configuration: &WebhooksConfiguration) -> Self {
        Self {
            look: Duration::from_secs(1),
            hold: Duration::from_secs(10),
            first: Duration::from_millis(configuration.first_pause_ms.get()),
            most: Duration::from_secs(6 * 60 * 60),
            tries: configuration.tries.get(),
            unheard: Duration::from_secs(60),
            known: KNOWN,
            save: Duration::from_secs(5),
        }
    }

    /// After so many tries in vain.
    fn pause(&self, failures: u32) -> Duration {
        let longest = self.first.saturating_mul(3_u32.saturating_pow(failures.saturating_sub(1))).min(self.most);
        let mut random = [0; 2];
        openssl::rand::rand_bytes(&mut random).expect("the operating system gives random bytes");
        longest / 2 + longest / 2 * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX)
    }
}

/// Why delivering for a webhook ends.
enum End {
    /// Another gateway does, or the webhook is gone.
    NotOurs,
    /// The state cannot be used; the webhook is taken again.
    State(StateError),
}

impl From<StateError> for End {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Delivers until the task is dropped.
pub async fn run(gateway: Arc<Gateway>, pace: Pace) {
    let holder = Uuid::new_v4().to_string();
    let asking = Arc::new(Semaphore::new(ASKING));
    // What runs ends with the task.
    let mut running = JoinSet::new();
    let mut by_webhook: BTreeMap<String, AbortHandle> = BTreeMap::new();
    loop {
        while running.try_join_next().is_some() {}
        by_webhook.retain(|_, task| !task.is_finished());
        match free(&gateway.state, now()).await {
            Ok(free) => {
                for id in free.into_iter().filter(|id| !by_webhook.contains_key(id)).collect::<Vec<_>>() {
                    let hold = Hold { id: id.clone(), holder: holder.clone() };
                    let delivering = hold_and_deliver(Arc::clone(&gateway), hold, pace, Arc::clone(&asking));
                    by_webhook.insert(id, running.spawn(delivering));
                }
            }
            Err(error) => tracing::warn!(%error, "webhooks cannot be looked for; it is tried again"),
        }
        tokio::time::sleep(pace.look).await;
    }
}

/// Delivers for a webhook as long as this gateway holds it.
async fn hold_and_deliver(gateway: Arc<Gateway>, hold: Hold, pace: Pace, asking: Arc<Semaphore>) {
    let end = match take(&gateway.state, &hold, now(), later(pace.hold)).await {
        Ok(None) => return,
        Ok(Some(webhook)) => tokio::select! {
            end = keep_hold(&gateway, &hold, pace) => end,
            end = deliver_all(Work { gateway: &gateway, hold: &hold, webhook, pace, asking: &asking }) => end,
        },
        Err(error) => End::State(error),
    };
    if let End::State(error) = end {
        tracing::warn!(webhook = %hold.id, %error, "a webhook is put down; it is taken again");
    }
}

async fn keep_hold(gateway: &Gateway, hold: &Hold, pace: Pace) -> End {
    loop {
        tokio::time::sleep(pace.hold / 3).await;
        match renew(&gateway.state, hold, later(pace.hold)).await {
            Ok(true) => {}
            Ok(false) => return End::NotOurs,
            Err(error) => return End::State(error),
        }
    }
}

async fn deliver_all(work: Work<'_>) -> End {
    let Webhook { member, names, place, failures, next_try_at, .. } = &work.webhook;
    let mut telling = Telling::new(work.gateway, member, names.clone(), *place);
    let mut tried = Tried { failures: *failures, next_at: *next_try_at };
    let mut saved = *place;
    let mut saving = interval(work.pace.save);
    saving.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let told = tokio::select! {
            told = work.next(&mut telling) => told,
            // Also behind what the member is not told of.
            _ = saving.tick(), if telling.place() != saved => {
                saved = telling.place();
                match work.ours(dealt_with(&work.gateway.state, work.hold, saved).await) {
                    Ok(()) => continue,
                    Err(end) => return end,
                }
            }
        };
        let told = match told {
            Ok(told) => told,
            Err(failure) => {
                work.wait_out(&failure).await;
                continue;
            }
        };
        let mut asked_at = Instant::now();
        for (told, event) in &told {
            if let Err(end) = work.deliver(told, event, std::mem::take(&mut tried), &mut asked_at).await {
                return end;
            }
            saved = told.id;
        }
    }
}

/// How often a message was tried, and when it is again.
struct Tried {
    failures: u32,
    next_at: LedgerTime,
}

impl Default for Tried {
    fn default() -> Self {
        Self { failures: 0, next_at: LedgerTime::from_milliseconds(0) }
    }
}

struct Work<'a> {
    gateway: &'a Arc<Gateway>,
    hold: &'a Hold,
    webhook: Webhook,
    pace: Pace,
    asking: &'a Semaphore,
}

impl Work<'_> {
    /// What the member may know of the next events.
    async fn next(&self, telling: &mut Telling) -> Result<Vec<(Told, LedgerEvent)>, Failure> {
        let _turn = if telling.read().await? { Some(self.turn().await) } else { None };
        telling.ask().await
    }

    /// Waits until the ledger may be asked.
    async fn turn(&self) -> SemaphorePermit<'_> {
        self.asking.acquire().await.expect("it is never closed")
    }

    /// Tries until the message is taken or given up. The ledger said at this time that the member may know of it.
    async fn deliver(
        &self,
        told: &Told,
        event: &LedgerEvent,
        mut tried: Tried,
        asked_at: &mut Instant,
    ) -> Result<(), End> {
        let state = &self.gateway.state;
        loop {
            sleep_until(tried.next_at).await;
            if !is_served(self.gateway, &self.webhook.member).await {
                tokio::time::sleep(self.pace.unheard).await;
                continue;
            }
            // Much may have changed in the meantime.
            if asked_at.elapsed() >= self.pace.known {
                let turn = self.turn().await;
                let still_told = still_told(self.gateway, &self.webhook, event, told.id).await;
                drop(turn);
                match still_told {
                    Ok(Some(_)) => *asked_at = Instant::now(),
                    Ok(None) => return self.ours(dealt_with(state, self.hold, told.id).await),
                    Err(failure) => {
                        self.wait_out(&failure).await;
                        continue;
                    }
                }
            }
            self.ours(renew(state, self.hold, later(self.pace.hold)).await)?;
            let reason = match self.gateway.webhooks.deliver(&self.webhook, told).await {
                Ok(()) => return self.ours(dealt_with(state, self.hold, told.id).await),
                Err(reason) => reason,
            };
            let failures = tried.failures + 1;
            if reason == Undelivered::Gone || failures >= self.pace.tries {
                tracing::info!(webhook = %self.hold.id, %reason, failures, "a message was given up: it is a dead letter now");
                metrics::counter!("healthchain_webhook_dead_letters_total").increment(1);
                let reason = reason.to_string();
                return self.ours(dead_letters::bury(state, self.hold, told, event, &reason, now()).await);
            }
            tried = Tried { failures, next_at: later(self.pace.pause(failures)) };
            self.ours(failed(state, self.hold, tried.failures, tried.next_at).await)?;
        }
    }

    /// Whether what was written was this gateway's to write.
    fn ours(&self, written: Result<bool, StateError>) -> Result<(), End> {
        if written? { Ok(()) } else { Err(End::NotOurs) }
    }

    /// Nothing is told to a member who may be told nothing; the rest passes by itself.
    async fn wait_out(&self, failure: &Failure) {
        let pause = match failure {
            Failure::Refused(_) => self.pace.unheard,
            failure => {
                tracing::debug!(webhook = %self.hold.id, %failure, "events cannot be told; it is tried again");
                self.pace.look
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn later(duration: Duration) -> LedgerTime {
    LedgerTime::from_milliseconds(now().milliseconds() + duration.as_millis() as u64)
}

async fn sleep_until(time: LedgerTime) {
    let left = time.milliseconds().saturating_sub(now().milliseconds());
    tokio::time::sleep(Duration::from_millis(left)).await;
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    #[test]
    fn tries_come_further_and_further_apart_and_not_all_at_once() {
        let (tries, first_pause_ms) = (NonZeroU32::new(10).unwrap(), NonZeroU64::new(1000).unwrap());
        let pace = Pace::new(&WebhooksConfiguration { tries, first_pause_ms, ..WebhooksConfiguration::default() });
        for (failures, least, most) in [(1, 500, 1000), (2, 1500, 3000), (3, 4500, 9000), (100, 10_800_000, 21_600_000)]
        {
            let pauses: Vec<_> = (0..200).map(|_| pace.pause(failures).as_millis()).collect();
            assert!(pauses.iter().all(|pause| (least..=most).contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.iter().max() > pauses.iter().min());
        }
    }
}
