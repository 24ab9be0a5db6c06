//! The key custodian: reads the ledger's events and seals the envelopes that openings ask this organisation for.
//!
//! How far it has read is kept in the state, so that after a restart it goes on where it was. An event is only passed when it is
//! dealt with; dealing with one twice is harmless, because the ledger keeps one envelope a recipient.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::ledger::{LedgerFailure, Notice, Start};
use crate::state::StateError;
use crate::state::checkpoint::{self, Bookmark};
use crate::use_cases::seal_envelope::{Sealing, seal_envelope};

/// Under which name its checkpoint is kept.
pub const READER: &str = "custodian";
/// Envelopes being sealed at once.
const AT_ONCE: usize = 16;
/// Tries for one event before it is given up and logged. The next opening by the same party asks again.
const TRIES: u32 = 6;
/// How far back events are read when nothing says how far they were read: some minutes of a busy channel. What is older, nobody
/// waits for.
pub(crate) const RECENT_BLOCKS: u64 = 1000;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Pause before the event stream is asked for again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Reads events and seals envelopes until the task is dropped.
pub async fn run(gateway: Arc<Gateway>) {
    loop {
        match read_events(&gateway).await {
            Ok(()) => tracing::debug!("the event stream ended"),
            Err(error) => tracing::warn!(%error, "the key custodian cannot read the ledger's events; it tries again"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn read_events(gateway: &Gateway) -> Result<(), CustodianError> {
    let signer = &gateway.organisation.signer.current();
    let start = match checkpoint::load(&gateway.state, READER).await? {
        Some(position) => Start::After(position),
        None => Start::Block(gateway.ledger.height(signer).await?.saturating_sub(RECENT_BLOCKS)),
    };
    let events = gateway.ledger.events(signer, start);
    let mut handled = events
        .map_ok(|notice| async move {
            handle(gateway, &notice).await;
            Ok::<_, LedgerFailure>(notice.position)
        })
        .try_buffered(AT_ONCE);
    let mut bookmark = Bookmark::of(&gateway.state, READER);
    while let Some(position) = bookmark.next(&mut handled).await? {
        bookmark.dealt_with(position?, Ok::<_, StateError>(())).await?;
    }
    Ok(())
}

async fn handle(gateway: &Gateway, notice: &Notice) {
    let Some(event) = &notice.event else { return };
    let transaction = notice.position.transaction.as_str();
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=TRIES {
        match seal_envelope(gateway, event.clone()).await {
            Ok(Sealing::NotAsked) => return,
            Ok(Sealing::TooLate) => return tracing::info!(transaction, "the opening is too old for an envelope"),
            Ok(Sealing::Added(_)) => return tracing::info!(transaction, "envelope added"),
            Ok(Sealing::NotWanted(code)) => return tracing::info!(transaction, %code, "envelope not wanted any more"),
            Err(error) if attempt < TRIES && (error.is_passing() || matches!(error, Failure::Refused(_))) => {
                tracing::debug!(transaction, %error, attempt, "sealing an envelope failed; trying again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => return tracing::error!(transaction, %error, "an envelope could not be sealed"),
        }
    }
}

/// Why the custodian stopped reading.
#[derive(Debug, thiserror::Error)]
enum CustodianError {
    /// The ledger's events cannot be had.
    #[error(transparent)]
    Ledger(#[from] LedgerFailure),
    /// How far was read cannot be remembered.
    #[error(transparent)]
    State(#[from] StateError),
}
