//! Requests that are carried out once, with their answers: under an Idempotency-Key, or as a job.
//!
//! Whoever carries a request out holds a [`Claim`] and renews it; when it stops doing so (its gateway has died), the claim ends by
//! itself. Answers are sealed: the database alone tells nothing of what was asked or answered.

use std::collections::BTreeMap;
use std::time::Duration;

use healthchain_rules::{LedgerTime, MemberId};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{State, StateError};

/// How long a claim holds without being renewed.
pub const CLAIM: Duration = Duration::from_secs(6);
/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const LABEL: &str = "answer";

/// An answer as it is kept: its status, the headers that matter, and a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
    /// JSON.
    pub body: String,
}

/// The right, and duty, to carry a request out and put down its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    id: String,
    attempt: String,
}

/// What became of asking for a [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The caller carries it out.
    Now(Claim),
    /// Another does.
    UnderWay,
    /// It was carried out.
    Before(Answer),
    /// The same id stands for another request.
    OtherRequest,
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Somebody carries it out.
    UnderWay,
    /// Whoever carried it out has stopped in the middle.
    CutOff,
    /// It was carried out.
    Answered(Answer),
}

/// Asks to carry out a member's request. A request that was cut off may be carried out again, by the same member with the same
/// fingerprint.
pub async fn claim(
    state: &State,
    id: &str,
    member: &MemberId,
    fingerprint: &str,
    now: LedgerTime,
) -> Result<Claimed, StateError> {
    let attempt = uuid::Uuid::new_v4().to_string();
    let claimed = sqlx::query(
        "INSERT INTO answers (id, member, fingerprint, attempt, under_way_until, expires_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (id) DO UPDATE SET member = excluded.member, fingerprint = excluded.fingerprint, \
         attempt = excluded.attempt, answer = NULL, under_way_until = excluded.under_way_until, \
         expires_at = excluded.expires_at \
         WHERE answers.expires_at <= $7 OR (answers.answer IS NULL AND answers.under_way_until <= $7 \
         AND answers.member = excluded.member AND answers.fingerprint = excluded.fingerprint)",
    )
    .bind(id)
    .bind(member.as_str())
    .bind(fingerprint)
    .bind(&attempt)
    .bind(after(now, CLAIM))
    .bind(after(now, KEPT))
    .bind(after(now, Duration::ZERO));
    if claimed.execute(state.pool()).await?.rows_affected() == 1 {
        return Ok(Claimed::Now(Claim { id: id.to_owned(), attempt }));
    }
    let found = sqlx::query("SELECT answer, member, fingerprint FROM answers WHERE id = $1").bind(id);
    // Given up since: whoever asks again will get it.
    let Some(row) = found.fetch_optional(state.pool()).await? else { return Ok(Claimed::UnderWay) };
    let (of, said): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    if of != member.as_str() || said != fingerprint {
        return Ok(Claimed::OtherRequest);
    }
    Ok(answer(state, id, &row)?.map_or(Claimed::UnderWay, Claimed::Before))
}

/// How many requests of a member are carried out now whose ids begin so.
pub async fn under_way(state: &State, prefix: &str, member: &MemberId, now: LedgerTime) -> Result<u64, StateError> {
    let count = sqlx::query(
        "SELECT COUNT(*) FROM answers WHERE member = $1 AND under_way_until > $2 AND answer IS NULL AND id LIKE $3",
    );
    let count = count.bind(member.as_str()).bind(after(now, Duration::ZERO)).bind(format!("{prefix}%"));
    let count: i64 = count.fetch_one(state.pool()).await?.try_get(0)?;
    Ok(count.unsigned_abs())
}

/// Holds on to a claim.
pub async fn renew(state: &State, claim: &Claim, now: LedgerTime) -> Result<(), StateError> {
    let renew =
        sqlx::query("UPDATE answers SET under_way_until = $1 WHERE id = $2 AND attempt = $3 AND answer IS NULL");
    renew.bind(after(now, CLAIM)).bind(&claim.id).bind(&claim.attempt).execute(state.pool()).await?;
    Ok(())
}

/// Puts the answer down. If the claim ended in the meantime and another holds it, the answer is that one's.
pub async fn complete(state: &State, claim: &Claim, answer: &Answer) -> Result<(), StateError> {
    let plain = serde_json::to_vec(answer).expect("an answer always serialises");
    let sealed = state.key().seal(LABEL, claim.id.as_bytes(), &plain);
    let complete = sqlx::query("UPDATE answers SET answer = $1 WHERE id = $2 AND attempt = $3 AND answer IS NULL");
    complete.bind(sealed).bind(&claim.id).bind(&claim.attempt).execute(state.pool()).await?;
    Ok(())
}

/// Gives a claim up: the request may be made anew.
pub async fn release(state: &State, claim: &Claim) -> Result<(), StateError> {
    let release = sqlx::query("DELETE FROM answers WHERE id = $1 AND attempt = $2 AND answer IS NULL");
    release.bind(&claim.id).bind(&claim.attempt).execute(state.pool()).await?;
    Ok(())
}

/// How far a member's request is; none if the member has made no such request.
pub async fn progress(
    state: &State,
    id: &str,
    member: &MemberId,
    now: LedgerTime,
) -> Result<Option<Progress>, StateError> {
    let found =
        sqlx::query("SELECT answer, under_way_until FROM answers WHERE id = $1 AND member = $2 AND expires_at > $3");
    let found = found.bind(id).bind(member.as_str()).bind(after(now, Duration::ZERO));
    let Some(row) = found.fetch_optional(state.pool()).await? else { return Ok(None) };
    let until: i64 = row.try_get(1)?;
    Ok(Some(match answer(state, id, &row)? {
        Some(answer) => Progress::Answered(answer),
        None if until <= after(now, Duration::ZERO) => Progress::CutOff,
        None => Progress::UnderWay,
    }))
}

fn answer(state: &State, id: &str, row: &AnyRow) -> Result<Option<Answer>, StateError> {
    let Some(sealed) = row.try_get::<Option<Vec<u8>>, _>(0)? else { return Ok(None) };
    let plain = state.key().open(LABEL, id.as_bytes(), &sealed).map_err(|_| StateError::Damaged)?;
    serde_json::from_slice(&plain).map(Some).map_err(|_| StateError::Damaged)
}

/// Milliseconds since 1970.
fn after(now: LedgerTime, time: Duration) -> i64 {
    now.milliseconds().cast_signed() + time.as_millis() as i64
}
