//! Dead letters: events that a webhook's receiver did not take. They are kept for a month, sealed.

use std::time::Duration;

use healthchain_rules::{LedgerEvent, LedgerTime};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::webhooks::Hold;
use super::{State, StateError};
use crate::events::Told;
use crate::events::place::Place;

/// How long a dead letter is kept.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LABEL: &str = "dead letter";
const COLUMNS: &str = "webhook, transaction_id, block, event_number, reason, event, died_at";

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event's transaction.
    pub transaction: String,
    /// The place behind the event.
    pub place: Place,
    /// What the receiver did instead of taking it.
    pub reason: String,
    /// The event, as the ledger told it.
    pub event: LedgerEvent,
    /// When it was given up.
    pub died_at: LedgerTime,
}

/// Gives an event up: it becomes a dead letter, and is dealt with. False when another holds the webhook now, or it is gone.
pub async fn bury(
    state: &State,
    hold: &Hold,
    told: &Told,
    event: &LedgerEvent,
    reason: &str,
    now: LedgerTime,
) -> Result<bool, StateError> {
    let transaction = event.entry.transaction.as_str();
    let json = serde_json::to_vec(event).expect("an entry always serialises");
    let sealed = state.key().seal(LABEL, &place_of(&hold.id, transaction), &json);
    let expires_at = now.milliseconds() + KEPT.as_millis() as u64;
    let mut all = state.begin().await?;
    let update = sqlx::query(
        "UPDATE webhooks SET block = $1, event_number = $2, failures = 0, next_try_at = 0 WHERE id = $3 AND holder = $4",
    );
    let update = update.bind(told.id.block.cast_signed()).bind(i64::from(told.id.number));
    if update.bind(&hold.id).bind(&hold.holder).execute(&mut *all).await?.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO dead_letters (webhook, transaction_id, block, event_number, reason, event, died_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (webhook, transaction_id) DO NOTHING",
    )
    .bind(&hold.id)
    .bind(transaction)
    .bind(told.id.block.cast_signed())
    .bind(i64::from(told.id.number))
    .bind(reason)
    .bind(sealed)
    .bind(now.milliseconds().cast_signed())
    .bind(expires_at.cast_signed())
    .execute(&mut *all)
    .await?;
    all.commit().await?;
    Ok(true)
}

/// Some of a webhook's dead letters, in the ledger's order, behind a place.
pub async fn list(state: &State, webhook: &str, after: Place, limit: u32) -> Result<Vec<DeadLetter>, StateError> {
    let query = format!(
        "SELECT {COLUMNS} FROM dead_letters WHERE webhook = $1 AND (block > $2 OR (block = $2 AND event_number > $3)) \
         ORDER BY block, event_number LIMIT $4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(webhook).bind(after.block.cast_signed());
    let rows = rows.bind(i64::from(after.number)).bind(i64::from(limit)).fetch_all(state.pool()).await?;
    rows.iter().map(|row| letter(state, row)).collect()
}

/// A webhook's dead letter of this transaction.
pub async fn load(state: &State, webhook: &str, transaction: &str) -> Result<Option<DeadLetter>, StateError> {
    let query = format!("SELECT {COLUMNS} FROM dead_letters WHERE webhook = $1 AND transaction_id = $2");
    let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(webhook).bind(transaction);
    row.fetch_optional(state.pool()).await?.map(|row| letter(state, &row)).transpose()
}

/// It was delivered after all.
pub async fn forget(state: &State, webhook: &str, transaction: &str) -> Result<(), StateError> {
    let forget = sqlx::query("DELETE FROM dead_letters WHERE webhook = $1 AND transaction_id = $2");
    forget.bind(webhook).bind(transaction).execute(state.pool()).await?;
    Ok(())
}

fn letter(state: &State, row: &AnyRow) -> Result<DeadLetter, StateError> {
    let (webhook, transaction): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let (block, number): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
    let (sealed, died_at): (Vec<u8>, i64) = (row.try_get(5)?, row.try_get(6)?);
    let place = place_of(&webhook, &transaction);
    let json = state.key().open(LABEL, &place, &sealed).map_err(|_| StateError::Damaged)?;
    Ok(DeadLetter {
        transaction,
        place: Place { block: block.unsigned_abs(), number: u32::try_from(number).map_err(|_| StateError::Damaged)? },
        reason: row.try_get(4)?,
        event: serde_json::from_slice(&json).map_err(|_| StateError::Damaged)?,
        died_at: LedgerTime::from_milliseconds(died_at.unsigned_abs()),
    })
}

/// A letter that was moved to another row does not open.
fn place_of(webhook: &str, transaction: &str) -> Vec<u8> {
    [webhook.as_bytes(), b"/", transaction.as_bytes()].concat()
}
