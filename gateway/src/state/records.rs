//! What lies in the record store, so that nothing stays there that no link names, and everything goes that is erased.
//!
//! It says nothing that the ledger does not say as well, and is read from there again when it is lost ([`crate::keeper`]).

use healthchain_rules::{ContentHash, Envelope, LedgerTime, LinkId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{State, StateError};
use crate::content::parts::Place;

/// A content that lies, or may lie, in the record store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Its name there.
    pub name: String,
    /// The link it is of, as its publisher meant it.
    pub link: String,
    /// The link's version.
    pub version: u32,
    /// SHA-256 of the content, if it was stored whole.
    pub content_hash: Option<String>,
}

/// Remembers a name before anything is stored under it.
pub async fn remember(state: &State, name: &str, place: Place<'_>, now: LedgerTime) -> Result<(), StateError> {
    let insert = sqlx::query(
        "INSERT INTO stored_records (name, link, version, stored_at, linked) VALUES ($1, $2, $3, $4, 0) \
         ON CONFLICT (name) DO NOTHING",
    );
    let insert = insert.bind(name).bind(place.link.as_str()).bind(i64::from(place.version));
    insert.bind(now.milliseconds().cast_signed()).execute(state.pool()).await?;
    Ok(())
}

/// Remembers that a content is stored whole.
pub async fn set_hash(state: &State, name: &str, hash: &ContentHash) -> Result<(), StateError> {
    let update = sqlx::query("UPDATE stored_records SET content_hash = $2 WHERE name = $1");
    update.bind(name).bind(hash.as_str()).execute(state.pool()).await?;
    Ok(())
}

/// Keeps the organisation's own envelope of a content that waits to be published.
pub async fn keep_envelope(state: &State, name: &str, envelope: &Envelope) -> Result<(), StateError> {
    let update = sqlx::query("UPDATE stored_records SET envelope = $2 WHERE name = $1");
    let envelope = serde_json::to_string(envelope).expect("an envelope's texts always serialise");
    update.bind(name).bind(envelope).execute(state.pool()).await?;
    Ok(())
}

/// The organisation's own envelope that was kept with a content of a link.
pub async fn envelope(state: &State, link: &LinkId, hash: &ContentHash) -> Result<Option<Envelope>, StateError> {
    let query = sqlx::query(
        "SELECT envelope FROM stored_records WHERE link = $1 AND content_hash = $2 AND envelope IS NOT NULL",
    );
    let row = query.bind(link.as_str()).bind(hash.as_str()).fetch_optional(state.pool()).await?;
    let text: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Remembers that the ledger's link names it.
pub async fn confirm(state: &State, name: &str) -> Result<(), StateError> {
    sqlx::query("UPDATE stored_records SET linked = 1 WHERE name = $1").bind(name).execute(state.pool()).await?;
    Ok(())
}

/// Remembers that the ledger's link names the content with this hash. False when no such content is known.
pub async fn confirm_content(state: &State, place: Place<'_>, hash: &ContentHash) -> Result<bool, StateError> {
    let update =
        sqlx::query("UPDATE stored_records SET linked = 1 WHERE link = $1 AND version = $2 AND content_hash = $3");
    let update = update.bind(place.link.as_str()).bind(i64::from(place.version)).bind(hash.as_str());
    Ok(update.execute(state.pool()).await?.rows_affected() > 0)
}

/// Whether this version of a link is known to have its content.
pub async fn is_confirmed(state: &State, place: Place<'_>) -> Result<bool, StateError> {
    let query = sqlx::query("SELECT name FROM stored_records WHERE link = $1 AND version = $2 AND linked = 1");
    let query = query.bind(place.link.as_str()).bind(i64::from(place.version));
    Ok(query.fetch_optional(state.pool()).await?.is_some())
}

/// What the content with this hash is called, which this version of a link is known to name.
pub async fn confirmed_name(state: &State, place: Place<'_>, hash: &ContentHash) -> Result<Option<String>, StateError> {
    let query = sqlx::query(
        "SELECT name FROM stored_records WHERE link = $1 AND version = $2 AND content_hash = $3 AND linked = 1",
    );
    let query = query.bind(place.link.as_str()).bind(i64::from(place.version)).bind(hash.as_str());
    Ok(query.fetch_optional(state.pool()).await?.map(|row| row.try_get(0)).transpose()?)
}

/// Whether anything is known of this name.
pub async fn is_known(state: &State, name: &str) -> Result<bool, StateError> {
    let query = sqlx::query("SELECT name FROM stored_records WHERE name = $1").bind(name);
    Ok(query.fetch_optional(state.pool()).await?.is_some())
}

/// Some contents that links name, by name, behind this name.
pub async fn linked(state: &State, after: &str) -> Result<Vec<Remembered>, StateError> {
    let query = sqlx::query(
        "SELECT name, link, version, content_hash FROM stored_records WHERE linked = 1 AND name > $1 \
         ORDER BY name LIMIT 100",
    );
    query.bind(after).fetch_all(state.pool()).await?.iter().map(remembered).collect()
}

/// Everything that was stored for a link.
pub async fn of_link(state: &State, link: &LinkId) -> Result<Vec<Remembered>, StateError> {
    let query = sqlx::query("SELECT name, link, version, content_hash FROM stored_records WHERE link = $1");
    query.bind(link.as_str()).fetch_all(state.pool()).await?.iter().map(remembered).collect()
}

/// Links whose contents are known to lie in the store, by id, behind this one.
pub async fn linked_after(state: &State, link: Option<&LinkId>, at_most: u32) -> Result<Vec<LinkId>, StateError> {
    let query =
        sqlx::query("SELECT DISTINCT link FROM stored_records WHERE linked = 1 AND link > $1 ORDER BY link LIMIT $2");
    let query = query.bind(link.map_or("", LinkId::as_str)).bind(i64::from(at_most));
    let rows = query.fetch_all(state.pool()).await?;
    rows.iter().map(|row| row.try_get::<String, _>(0)?.parse().map_err(|_| StateError::Damaged)).collect()
}

/// What was stored before a time and is not known to be named by a link.
pub async fn unlinked(state: &State, before: LedgerTime) -> Result<Vec<Remembered>, StateError> {
    let query = sqlx::query(
        "SELECT name, link, version, content_hash FROM stored_records WHERE linked = 0 AND stored_at < $1 LIMIT 1000",
    );
    let query = query.bind(before.milliseconds().cast_signed());
    query.fetch_all(state.pool()).await?.iter().map(remembered).collect()
}

/// Forgets what is not stored any more.
pub async fn forget(state: &State, name: &str) -> Result<(), StateError> {
    sqlx::query("DELETE FROM stored_records WHERE name = $1").bind(name).execute(state.pool()).await?;
    Ok(())
}

fn remembered(row: &AnyRow) -> Result<Remembered, StateError> {
    let version: i64 = row.try_get(2)?;
    Ok(Remembered {
        name: row.try_get(0)?,
        link: row.try_get(1)?,
        version: u32::try_from(version).unwrap_or(u32::MAX),
        content_hash: row.try_get(3)?,
    })
}
