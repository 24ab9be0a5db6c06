//! Answers that last: how many a member may have, and that they end when the gateway does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use healthchain_rules::MemberId;
use tokio::sync::watch;

use super::problem::{Kind, TOO_MANY_STREAMS};

/// Streams that one member may have at one gateway.
const OF_ONE_MEMBER: usize = 8;

/// How often a stream says that it is there, and its caller is judged again.
const BEAT: Duration = Duration::from_secs(15);

/// How long a stream lasts; whoever follows comes again. Shorter than the last answer of a connection may take.
const LIFETIME: Duration = Duration::from_secs(14 * 60);

/// How many streams there are, by member.
pub struct Streams {
    counts: Mutex<BTreeMap<MemberId, usize>>,
    pub(crate) beat: Duration,
    pub(crate) lifetime: Duration,
}

impl Default for Streams {
    fn default() -> Self {
        Self { counts: Mutex::default(), beat: BEAT, lifetime: LIFETIME }
    }
}

/// One stream of a member. Dropping it makes room for another.
pub(crate) struct OneStream {
    streams: Arc<Streams>,
    member: MemberId,
}

impl Streams {
    /// Streams whose callers are judged again so often.
    pub fn with_beat(beat: Duration) -> Self {
        Self { beat, ..Self::default() }
    }

    /// The same, that last so long.
    pub fn lasting(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// One more for this member, if there is room.
    pub(crate) fn begin(self: &Arc<Self>, member: &MemberId) -> Result<OneStream, Kind> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(member.clone()).or_default();
        if *count >= OF_ONE_MEMBER {
            return Err(TOO_MANY_STREAMS);
        }
        *count += 1;
        metrics::gauge!("healthchain_event_streams").increment(1);
        Ok(OneStream { streams: Arc::clone(self), member: member.clone() })
    }
}

impl Drop for OneStream {
    fn drop(&mut self) {
        let mut counts = self.streams.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.member) {
            *count -= 1;
        }
        counts.retain(|_, count| *count > 0);
        metrics::gauge!("healthchain_event_streams").decrement(1);
    }
}

/// Tells those who answer for long that the gateway is being stopped.
#[derive(Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// The gateway stops when this becomes true, or its sender is gone.
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        Self(stop)
    }

    /// Returns when it is being stopped.
    pub(crate) async fn wait(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_room_for_some_streams_whoever_else_follows() {
        let streams = Arc::new(Streams::default());
        let (anna, bert) = ("anna".parse().unwrap(), "bert".parse().unwrap());
        let mut of_anna: Vec<_> = (0..OF_ONE_MEMBER).map(|_| streams.begin(&anna).unwrap()).collect();
        assert!(matches!(streams.begin(&anna), Err(TOO_MANY_STREAMS)));
        assert!(streams.begin(&bert).is_ok());
        of_anna.pop();
        of_anna.push(streams.begin(&anna).unwrap());
        assert!(streams.begin(&anna).is_err());
        drop(of_anna);
        assert!(streams.counts.lock().unwrap().is_empty());
    }
}
