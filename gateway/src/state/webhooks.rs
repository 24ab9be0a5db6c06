//! Webhooks: where members have themselves told of events, and how far that is.
//!
//! Of several gateways, one at a time delivers for a webhook: the one that holds it, which renews its hold as long as it does.

use healthchain_rules::{LedgerTime, MemberId};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use url::Url;
use zeroize::Zeroizing;

use super::{State, StateError};
use crate::events::names::Names;
use crate::events::place::Place;

const LABEL: &str = "webhook secret";
const COLUMNS: &str = "id, member, url, events, secret, created_at, block, event_number, failures, next_try_at";

/// A member's webhook.
#[derive(Clone)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Who is told.
    pub member: MemberId,
    /// Where.
    pub url: Url,
    /// Of what.
    pub names: Names,
    /// What signs the messages; sealed in the database.
    pub secret: Zeroizing<Vec<u8>>,
    /// When it was made.
    pub created_at: LedgerTime,
    /// Everything before this place is dealt with.
    pub place: Place,
    /// How often the next event was tried in vain.
    pub failures: u32,
    /// When it is tried again.
    pub next_try_at: LedgerTime,
}

/// The right, and duty, to deliver for a webhook.
#[derive(Debug, Clone)]
pub struct Hold {
    /// The webhook.
    pub id: String,
    /// Names the gateway that holds it, anew with each start.
    pub holder: String,
}

/// Keeps a webhook, unless its member has so many already; says whether it does.
pub async fn add(state: &State, webhook: &Webhook, most: u32) -> Result<bool, StateError> {
    let mut all = state.begin().await?;
    // Others that add one for this member wait until this ends.
    let alone = sqlx::query(
        "INSERT INTO webhook_members (member) VALUES ($1) ON CONFLICT (member) DO UPDATE SET member = excluded.member",
    );
    alone.bind(webhook.member.as_str()).execute(&mut *all).await?;
    let count = sqlx::query("SELECT COUNT(*) FROM webhooks WHERE member = $1").bind(webhook.member.as_str());
    let count: i64 = count.fetch_one(&mut *all).await?.try_get(0)?;
    if count >= i64::from(most) {
        all.rollback().await?;
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO webhooks (id, member, url, events, secret, created_at, block, event_number, failures, next_try_at, \
         holder, held_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '', 0)",
    )
    .bind(&webhook.id)
    .bind(webhook.member.as_str())
    .bind(webhook.url.as_str())
    .bind(webhook.names.iter().collect::<Vec<_>>().join(","))
    .bind(state.key().seal(LABEL, webhook.id.as_bytes(), &webhook.secret))
    .bind(webhook.created_at.milliseconds().cast_signed())
    .bind(webhook.place.block.cast_signed())
    .bind(i64::from(webhook.place.number))
    .execute(&mut *all)
    .await?;
    all.commit().await?;
    Ok(true)
}

/// A member's webhooks, oldest first.
pub async fn of_member(state: &State, member: &MemberId) -> Result<Vec<Webhook>, StateError> {
    let query = format!("SELECT {COLUMNS} FROM webhooks WHERE member = $1 ORDER BY created_at, id");
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(member.as_str()).fetch_all(state.pool()).await?;
    rows.iter().map(|row| webhook(state, row)).collect()
}

/// A member's webhook of this id.
pub async fn load(state: &State, id: &str, member: &MemberId) -> Result<Option<Webhook>, StateError> {
    let query = format!("SELECT {COLUMNS} FROM webhooks WHERE id = $1 AND member = $2");
    let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id).bind(member.as_str());
    row.fetch_optional(state.pool()).await?.map(|row| webhook(state, &row)).transpose()
}

/// Forgets a member's webhook and its dead letters; says whether it was there.
pub async fn remove(state: &State, id: &str, member: &MemberId) -> Result<bool, StateError> {
    let mut all = state.begin().await?;
    let remove = sqlx::query("DELETE FROM webhooks WHERE id = $1 AND member = $2").bind(id).bind(member.as_str());
    let was_there = remove.execute(&mut *all).await?.rows_affected() == 1;
    if was_there {
        sqlx::query("DELETE FROM dead_letters WHERE webhook = $1").bind(id).execute(&mut *all).await?;
    }
    all.commit().await?;
    Ok(was_there)
}

/// Webhooks for which no gateway delivers now.
pub async fn free(state: &State, now: LedgerTime) -> Result<Vec<String>, StateError> {
    let query = sqlx::query("SELECT id FROM webhooks WHERE held_until < $1 ORDER BY id");
    let rows = query.bind(now.milliseconds().cast_signed()).fetch_all(state.pool()).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Takes the hold of a webhook that no gateway holds; nothing when another was faster.
pub async fn take(
    state: &State,
    hold: &Hold,
    now: LedgerTime,
    until: LedgerTime,
) -> Result<Option<Webhook>, StateError> {
    let take = sqlx::query("UPDATE webhooks SET holder = $1, held_until = $2 WHERE id = $3 AND held_until < $4");
    let take = take.bind(&hold.holder).bind(until.milliseconds().cast_signed()).bind(&hold.id);
    let take = take.bind(now.milliseconds().cast_signed());
    if take.execute(state.pool()).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let query = format!("SELECT {COLUMNS} FROM webhooks WHERE id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(&hold.id).fetch_optional(state.pool()).await?;
    row.map(|row| webhook(state, &row)).transpose()
}

/// Holds on to a webhook; false when another holds it now, or it is gone.
pub async fn renew(state: &State, hold: &Hold, until: LedgerTime) -> Result<bool, StateError> {
    let renew = sqlx::query("UPDATE webhooks SET held_until = $1 WHERE id = $2 AND holder = $3");
    let renew = renew.bind(until.milliseconds().cast_signed()).bind(&hold.id).bind(&hold.holder);
    Ok(renew.execute(state.pool()).await?.rows_affected() == 1)
}

/// Everything before this place is dealt with. False when another holds the webhook now, or it is gone.
pub async fn dealt_with(state: &State, hold: &Hold, place: Place) -> Result<bool, StateError> {
    let update = sqlx::query(
        "UPDATE webhooks SET block = $1, event_number = $2, failures = 0, next_try_at = 0 WHERE id = $3 AND holder = $4",
    );
    let update = update.bind(place.block.cast_signed()).bind(i64::from(place.number));
    Ok(update.bind(&hold.id).bind(&hold.holder).execute(state.pool()).await?.rows_affected() == 1)
}

/// The next event was tried in vain. False when another holds the webhook now, or it is gone.
pub async fn failed(state: &State, hold: &Hold, failures: u32, next_try_at: LedgerTime) -> Result<bool, StateError> {
    let update = sqlx::query("UPDATE webhooks SET failures = $1, next_try_at = $2 WHERE id = $3 AND holder = $4");
    let update = update.bind(i64::from(failures)).bind(next_try_at.milliseconds().cast_signed());
    Ok(update.bind(&hold.id).bind(&hold.holder).execute(state.pool()).await?.rows_affected() == 1)
}

fn webhook(state: &State, row: &AnyRow) -> Result<Webhook, StateError> {
    let id: String = row.try_get(0)?;
    let (member, url, events): (String, String, String) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let sealed: Vec<u8> = row.try_get(4)?;
    let numbers = (5..10).map(|column| row.try_get::<i64, _>(column).map(i64::unsigned_abs));
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
    let [created_at, block, number, failures, next_try_at] = numbers[..] else { return Err(StateError::Damaged) };
    let small = |number: u64| u32::try_from(number).map_err(|_| StateError::Damaged);
    Ok(Webhook {
        secret: state.key().open(LABEL, id.as_bytes(), &sealed).map_err(|_| StateError::Damaged)?,
        member: member.parse().map_err(|_| StateError::Damaged)?,
        url: url.parse().map_err(|_| StateError::Damaged)?,
        names: Names::new(events.split(',').filter(|name| !name.is_empty())).map_err(|_| StateError::Damaged)?,
        created_at: LedgerTime::from_milliseconds(created_at),
        place: Place { block, number: small(number)? },
        failures: small(failures)?,
        next_try_at: LedgerTime::from_milliseconds(next_try_at),
        id,
    })
}
