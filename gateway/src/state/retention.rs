//! Deletes what is past its time.

use std::time::Duration;

use healthchain_rules::LedgerTime;
use sqlx::AssertSqlSafe;

use super::{State, StateError};

/// Tables whose rows end with their `expires_at`.
const EXPIRING: &[&str] = &["answers", "awaited_signatures", "caller_tokens", "caller_uses", "dead_letters"];
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// Deletes what is past its time, again and again, until the task is dropped.
pub async fn run(state: State) {
    loop {
        if let Err(error) = delete_expired(&state, crate::use_cases::now()).await {
            tracing::warn!(%error, "what is past its time could not be deleted; it is tried again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Deletes what ended before this time.
pub async fn delete_expired(state: &State, now: LedgerTime) -> Result<(), StateError> {
    for table in EXPIRING {
        let statement = format!("DELETE FROM {table} WHERE expires_at < $1");
        let delete = sqlx::query(AssertSqlSafe(statement)).bind(now.milliseconds().cast_signed());
        delete.execute(state.pool()).await?;
    }
    Ok(())
}
