//! Following the ledger's events from a place on: every event once, in order.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::hub::{Behind, Hub};
use super::place::Place;
use super::{Numbered, read_from};
use crate::ledger::LedgerFailure;

/// Pause before the ledger is asked again, when it ended the stream.
const PAUSE: Duration = Duration::from_millis(50);
/// How long it is waited for more when there is something.
const MOMENT: Duration = Duration::from_millis(20);

/// One follower. As long as it is within what the hub keeps, it takes events from there; else it reads by itself, a bite at a
/// time.
pub struct Feed {
    hub: Arc<Hub>,
    place: Place,
}

impl Feed {
    pub(super) fn new(hub: Arc<Hub>, place: Place) -> Self {
        Self { hub, place }
    }

    /// The place behind what was given last.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The next events, at least one and at most so many, as soon as there are any. When it fails, asking again goes on at the same
    /// place; so it does when the future is dropped.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Arc<Numbered>>, LedgerFailure> {
        let mut moves = self.hub.moves();
        loop {
            moves.mark_unchanged();
            let (events, is_current) = match self.hub.behind(self.place, most) {
                Behind::These(events) => (events, true),
                Behind::Earlier => (self.read(most).await?, false),
                Behind::NotYet => (Vec::new(), true),
            };
            if let Some(last) = events.last() {
                self.place = last.behind;
                return Ok(events);
            }
            if is_current {
                // An error would mean that the hub is gone, which lives as long as this follower does.
                let _ = moves.changed().await;
            }
        }
    }

    /// Some of what the ledger has behind the place; nothing when it ended the stream. The stream ends with this: of one that nobody
    /// reads, what arrives would take the room of all other calls on the peer's connection.
    async fn read(&self, most: usize) -> Result<Vec<Arc<Numbered>>, LedgerFailure> {
        let mut own = read_from(self.hub.ledger.as_ref(), &self.hub.signer, self.place);
        let Some(first) = own.next().await else {
            tokio::time::sleep(PAUSE).await;
            return Ok(Vec::new());
        };
        let mut events = vec![first?];
        let until = Instant::now() + MOMENT;
        // What was read before a failure is given; the failure comes again, if it lasts.
        while events.len() < most
            && let Ok(Some(Ok(event))) = timeout_at(until, own.next()).await
        {
            events.push(event);
        }
        Ok(events)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.hub.leave();
    }
}
