//! One reader of the ledger's events for all who follow them. It reads while somebody does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::feed::Feed;
use super::place::Place;
use super::{Numbered, read_from};
use crate::gateway::OwnSigner;
use crate::ledger::{Ledger, LedgerFailure};

/// Events that are kept for those who are a little behind; whoever is further behind reads by itself.
const KEPT: usize = 4096;
/// How far back the reader begins, so that whoever comes again after a moment finds its place.
const RECENT_BLOCKS: u64 = 64;
/// Pause before the ledger is asked again, after it ended the stream and after it failed.
const SHORT_PAUSE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_secs(1);

/// The ledger's latest events.
pub struct Hub {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) signer: OwnSigner,
    window: Mutex<Window>,
    /// Moves with each event.
    moved: watch::Sender<()>,
}

#[derive(Default)]
struct Window {
    /// From here on every event is in `recent`; none before the reader has begun.
    begin: Option<Place>,
    recent: VecDeque<Arc<Numbered>>,
    followers: usize,
    reader: Option<AbortHandle>,
    /// How often reading has ended: what a reader says that ended before is not heard any more.
    readings: u64,
}

/// What the hub has behind a place.
pub(super) enum Behind {
    /// These events, which may be none yet.
    These(Vec<Arc<Numbered>>),
    /// More than it keeps.
    Earlier,
    /// It has not begun to read.
    NotYet,
}

impl Hub {
    /// Reads in this gateway's name, once somebody follows.
    pub fn new(ledger: &Arc<dyn Ledger>, signer: &OwnSigner) -> Arc<Self> {
        let (ledger, signer) = (Arc::clone(ledger), signer.clone());
        Arc::new(Self { ledger, signer, window: Mutex::default(), moved: watch::Sender::new(()) })
    }

    /// Follows the events from a place on. One that the ledger has not come to is waited for.
    pub fn feed(self: &Arc<Self>, place: Place) -> Feed {
        let mut window = self.window();
        window.followers += 1;
        if window.reader.is_none() {
            let reading = Arc::clone(self).read(window.readings);
            window.reader = Some(tokio::spawn(reading).abort_handle());
        }
        drop(window);
        Feed::new(Arc::clone(self), place)
    }

    /// The place at which the ledger's next block begins.
    pub async fn end(&self) -> Result<Place, LedgerFailure> {
        self.ledger.height(&self.signer.current()).await.map(Place::at)
    }

    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// At most so many events behind a place.
    pub(super) fn behind(&self, place: Place, most: usize) -> Behind {
        let window = self.window();
        match window.begin {
            None => Behind::NotYet,
            Some(begin) if place < begin => Behind::Earlier,
            Some(_) => {
                let first = window.recent.partition_point(|event| event.behind <= place);
                Behind::These(window.recent.iter().skip(first).take(most).cloned().collect())
            }
        }
    }

    /// One follower less. After the last, nothing is read any more.
    pub(super) fn leave(&self) {
        let mut window = self.window();
        window.followers -= 1;
        if window.followers == 0 {
            if let Some(reader) = window.reader.take() {
                reader.abort();
            }
            *window = Window { readings: window.readings + 1, ..Window::default() };
        }
    }

    async fn read(self: Arc<Self>, reading: u64) {
        loop {
            let pause = match self.read_on(reading).await {
                Ok(()) => SHORT_PAUSE,
                Err(error) => {
                    tracing::warn!(%error, "the ledger's events cannot be read for those who follow them; it is tried again");
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn read_on(&self, reading: u64) -> Result<(), LedgerFailure> {
        let read = {
            let window = self.window();
            window.recent.back().map(|last| last.behind).or(window.begin)
        };
        let from = match read {
            Some(place) => place,
            None => {
                let begin = Place::at(self.end().await?.block.saturating_sub(RECENT_BLOCKS));
                self.change(reading, |window| window.begin = Some(begin));
                begin
            }
        };
        let mut events = read_from(self.ledger.as_ref(), &self.signer, from);
        while let Some(event) = events.try_next().await? {
            self.change(reading, |window| window.keep(event));
        }
        Ok(())
    }

    /// What the reader of this number says.
    fn change(&self, reading: u64, change: impl FnOnce(&mut Window)) {
        let mut window = self.window();
        if window.readings == reading {
            change(&mut window);
        }
        drop(window);
        self.moved.send_replace(());
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn keep(&mut self, event: Arc<Numbered>) {
        self.recent.push_back(event);
        if self.recent.len() > KEPT {
            self.begin = self.recent.pop_front().map(|first| first.behind);
        }
    }
}
