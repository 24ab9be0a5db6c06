//! Up to where a reader of the ledger's events has dealt with them.

use std::path::Path;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use sqlx::Row as _;
use tokio::time::{Instant, timeout_at};

use super::{State, StateError};
use crate::ledger::Position;

/// How long a position may wait to be saved: whoever stops meanwhile deals with so much once more.
const UNSAVED: Duration = Duration::from_secs(1);

/// A reader's place in the ledger's events, saved at most once a second and not with each event: on a busy ledger every gateway reads every event,
/// and has to do something about few of them.
pub struct Bookmark<'a> {
    state: &'a State,
    reader: &'a str,
    /// When a position was last saved.
    saved: Option<Instant>,
    /// The last event dealt with, until it is saved.
    unsaved: Option<Position>,
}

impl<'a> Bookmark<'a> {
    /// That of this reader.
    pub fn of(state: &'a State, reader: &'a str) -> Self {
        Self { state, reader, saved: None, unsaved: None }
    }

    /// Whoever dealt with this event says how it went: if well, it is saved while the next ones are awaited; if not, what came before it is
    /// saved at once, and it comes again.
    pub async fn dealt_with<T, E: From<StateError>>(
        &mut self,
        position: Position,
        outcome: Result<T, E>,
    ) -> Result<T, E> {
        match &outcome {
            Ok(_) => self.unsaved = Some(position),
            Err(_) => self.save().await?,
        }
        outcome
    }

    /// The next event; none when the stream has ended. What is due meanwhile is saved, and all of it when nothing more comes.
    pub async fn next<T, E>(
        &mut self,
        events: &mut (impl Stream<Item = Result<T, E>> + Unpin),
    ) -> Result<Option<Result<T, E>>, StateError> {
        let due = self.saved.map_or_else(Instant::now, |saved| saved + UNSAVED);
        let next = match self.unsaved {
            Some(_) if Instant::now() < due => timeout_at(due, events.next()).await.ok(),
            Some(_) => None,
            None => Some(events.next().await),
        };
        match next {
            Some(Some(Ok(event))) => Ok(Some(Ok(event))),
            Some(end) => {
                self.save().await?;
                Ok(end)
            }
            None => {
                self.save().await?;
                Ok(events.next().await)
            }
        }
    }

    /// Saves the last event dealt with, if it is not.
    pub async fn save(&mut self) -> Result<(), StateError> {
        if let Some(position) = &self.unsaved {
            save(self.state, self.reader, position).await?;
            (self.saved, self.unsaved) = (Some(Instant::now()), None);
        }
        Ok(())
    }
}

/// The last event that this reader has dealt with; none before the first.
pub async fn load(state: &State, reader: &str) -> Result<Option<Position>, StateError> {
    let found = sqlx::query("SELECT block, transaction_id FROM checkpoints WHERE reader = $1").bind(reader);
    let Some(row) = found.fetch_optional(state.pool()).await? else { return Ok(None) };
    let block: i64 = row.try_get(0)?;
    Ok(Some(Position { block: block.unsigned_abs(), transaction: row.try_get(1)? }))
}

/// Remembers an event. Several gateways may read for one reader: the position never goes back a block.
pub async fn save(state: &State, reader: &str, position: &Position) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO checkpoints (reader, block, transaction_id) VALUES ($1, $2, $3) \
         ON CONFLICT (reader) DO UPDATE SET block = excluded.block, transaction_id = excluded.transaction_id \
         WHERE excluded.block >= checkpoints.block",
    )
    .bind(reader)
    .bind(position.block.cast_signed())
    .bind(&position.transaction)
    .execute(state.pool())
    .await?;
    Ok(())
}

/// Forgets how far this reader has read.
pub async fn forget(state: &State, reader: &str) -> Result<(), StateError> {
    sqlx::query("DELETE FROM checkpoints WHERE reader = $1").bind(reader).execute(state.pool()).await?;
    Ok(())
}

/// Takes over the file in which an earlier release kept a position, once: then the file is gone.
pub async fn adopt(state: &State, reader: &str, file: &Path) -> Result<(), AdoptionError> {
    let failed = |reason: String| AdoptionError::File { path: file.to_owned(), reason };
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error.to_string())),
    };
    let position = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    save(state, reader, &position).await?;
    std::fs::remove_file(file).map_err(|error| failed(error.to_string()))
}

/// Why an earlier release's checkpoint cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptionError {
    /// The file cannot be used.
    #[error("checkpoint {}: {reason}; remove the file to read the recent events again", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}
