//! The key custodian: reads the ledger's events and seals the envelopes that openings ask this organisation for.
//!
//! How far it has read is kept in a file, so that after a restart it goes on where it was. An event is only passed when it is
//! dealt with; dealing with one twice is harmless, because the ledger keeps one envelope a recipient.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::ledger::{LedgerFailure, Notice, Position, Start};
use crate::use_cases::seal_envelope::{Sealing, seal_envelope};

/// Envelopes being sealed at once.
const AT_ONCE: usize = 16;
/// Tries for one event before it is given up and logged. The next opening by the same party asks again.
const TRIES: u32 = 6;
/// How far back events are read when nothing says how far they were read: some minutes of a busy channel. What is older, nobody
/// waits for.
const RECENT_BLOCKS: u64 = 1000;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Pause before the event stream is asked for again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Reads events and seals envelopes until the task is dropped.
pub async fn run(gateway: Arc<Gateway>, checkpoint: Checkpoint) {
    loop {
        match read_events(&gateway, &checkpoint).await {
            Ok(()) => tracing::debug!("the event stream ended"),
            Err(error) => tracing::warn!(%error, "the key custodian cannot read the ledger's events; it tries again"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn read_events(gateway: &Gateway, checkpoint: &Checkpoint) -> Result<(), CustodianError> {
    let signer = &gateway.organisation.signer;
    let start = match checkpoint.load()? {
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
    while let Some(position) = handled.next().await {
        checkpoint.save(&position?)?;
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
            Ok(Sealing::Added(holder)) => return tracing::info!(transaction, ?holder, "envelope added"),
            Ok(Sealing::NotWanted(code)) => return tracing::info!(transaction, %code, "envelope not wanted any more"),
            Err(error) if attempt < TRIES && is_passing(&error) => {
                tracing::debug!(transaction, %error, attempt, "sealing an envelope failed; trying again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => return tracing::error!(transaction, %error, "an envelope could not be sealed"),
        }
    }
}

/// Whether the same may succeed later.
fn is_passing(failure: &Failure) -> bool {
    matches!(failure, Failure::Ledger(_) | Failure::Refused(_))
}

/// Why the custodian stopped reading.
#[derive(Debug, thiserror::Error)]
pub enum CustodianError {
    /// The ledger's events cannot be had.
    #[error(transparent)]
    Ledger(#[from] LedgerFailure),
    /// The checkpoint cannot be read or written.
    #[error("checkpoint {}: {reason}; remove the file to read the recent events again", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The file that remembers the last event that was dealt with.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// A checkpoint in this file, which need not exist yet.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }

    /// The last event that was dealt with; none before the first.
    pub fn load(&self) -> Result<Option<Position>, CustodianError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| self.error(error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Remembers an event, in one step: a crash leaves the old position or the new one. It is not forced to disk, because an
    /// older position only means that a few events are looked at again.
    pub fn save(&self, position: &Position) -> Result<(), CustodianError> {
        let new = self.path.with_extension("new");
        let bytes = serde_json::to_vec(position).map_err(|error| self.error(error))?;
        std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &self.path)).map_err(|error| self.error(error))
    }

    fn error(&self, reason: impl ToString) -> CustodianError {
        CustodianError::Checkpoint { path: self.path.clone(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::new(folder.path().join("checkpoint.json"));
        assert_eq!(checkpoint.load().unwrap(), None);
        let position = Position { block: 7, transaction: "ab".into() };
        checkpoint.save(&position).unwrap();
        assert_eq!(Checkpoint::new(folder.path().join("checkpoint.json")).load().unwrap(), Some(position));
    }

    #[test]
    fn a_checkpoint_that_cannot_be_read_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint.json");
        std::fs::write(&file, "{").unwrap();
        let error = Checkpoint::new(&file).load().unwrap_err().to_string();
        assert!(error.contains("checkpoint.json") && error.contains("remove the file"), "{error}");
    }
}
