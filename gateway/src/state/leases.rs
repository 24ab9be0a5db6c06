//! Work that one gateway of an organisation does at a time. Whoever holds a lease renews it; when its gateway has died, it ends by
//! itself and another takes it. Clocks may differ: what is done under a lease must be harmless when it is done twice.

use std::time::Duration;

use healthchain_rules::LedgerTime;

use super::{State, StateError};

/// Takes, or renews, the lease of this name for this long. False when another holds it.
pub async fn take(
    state: &State,
    name: &str,
    holder: &str,
    now: LedgerTime,
    length: Duration,
) -> Result<bool, StateError> {
    let now = now.milliseconds().cast_signed();
    let take = sqlx::query(
        "INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
         WHERE leases.holder = excluded.holder OR leases.until <= $4",
    );
    let until = now.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
    let taken = take.bind(name).bind(holder).bind(until).bind(now).execute(state.pool()).await?;
    Ok(taken.rows_affected() == 1)
}
