//! Following the ledger's events from a place on: every event once, in order.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use super::hub::{Behind, Hub};
use super::place::Place;
use super::{Numbered, read_from};
use crate::ledger::LedgerFailure;

/// Pause before the ledger is asked again, when it ended the stream.
const PAUSE: Duration = Duration::from_millis(50);

type OwnReading = BoxStream<'static, Result<Arc<Numbered>, LedgerFailure>>;

/// One follower. As long as it is within what the hub keeps, it takes events from there; else it reads by itself.
pub struct Feed {
    hub: Arc<Hub>,
    place: Place,
    own: Option<OwnReading>,
}

impl Feed {
    pub(super) fn new(hub: Arc<Hub>, place: Place) -> Self {
        Self { hub, place, own: None }
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
                Behind::These(events) => {
                    self.own = None;
                    (events, true)
                }
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

    /// Some of what the ledger has behind the place; nothing when it ended the stream.
    async fn read(&mut self, most: usize) -> Result<Vec<Arc<Numbered>>, LedgerFailure> {
        let hub = &self.hub;
        let own = self.own.get_or_insert_with(|| read_from(hub.ledger.as_ref(), &hub.signer, self.place));
        let mut events = Vec::new();
        let mut next = own.next().await;
        loop {
            match next {
                Some(Ok(event)) => events.push(event),
                // What was read before the failure is given; the failure comes again, if it lasts.
                Some(Err(error)) => {
                    self.own = None;
                    return if events.is_empty() { Err(error) } else { Ok(events) };
                }
                None => {
                    self.own = None;
                    break;
                }
            }
            if events.len() >= most {
                break;
            }
            match own.next().now_or_never() {
                Some(more) => next = more,
                None => break,
            }
        }
        if events.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(events)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.hub.leave();
    }
}
