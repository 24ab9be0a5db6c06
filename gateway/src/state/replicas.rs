//! Copies of other organisations' contents: which are to be kept, and which lie in the record store.

use healthchain_rules::{Content, LedgerTime, LinkId, MspId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{State, StateError};
use crate::content::parts::Place;

/// A copy that is kept, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name in the record store.
    pub name: String,
    /// Whose content it is.
    pub publisher: MspId,
    /// The link.
    pub link: LinkId,
    /// The link's version.
    pub version: u32,
    /// SHA-256 of the content, as the ledger has it.
    pub content_hash: String,
    /// Length of the content in bytes, as the ledger has it.
    pub content_length: u64,
    /// How often copying it failed.
    pub tries: u32,
}

/// How many copies there are, and how much they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// Copies in the store.
    pub kept: u64,
    /// Copies still to be made.
    pub pending: u64,
    /// Bytes of those in the store.
    pub bytes: u64,
}

/// A query for what [`replica`] reads.
macro_rules! select {
    ($condition:literal) => {
        sqlx::query(concat!(
            "SELECT name, publisher, link, version, content_hash, content_length, tries FROM replicas WHERE ",
            $condition
        ))
    };
}

/// Remembers that a copy is to be made; one that is known already stays as it is.
pub async fn want(
    state: &State,
    publisher: &MspId,
    place: Place<'_>,
    content: &Content,
    now: LedgerTime,
) -> Result<(), StateError> {
    let insert = sqlx::query(
        "INSERT INTO replicas (name, publisher, link, version, content_hash, content_length, kept, tries, due_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7) ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(name(publisher, place)).bind(publisher.as_str());
    let insert = insert.bind(place.link.as_str()).bind(i64::from(place.version)).bind(content.hash.as_str());
    let insert = insert.bind(content.length.cast_signed()).bind(now.milliseconds().cast_signed());
    insert.execute(state.pool()).await?;
    Ok(())
}

/// A copy's name in the record store: the same whenever it is made again, so that none is left behind when the state is lost.
pub fn name(publisher: &MspId, place: Place<'_>) -> String {
    let place = format!("{publisher}/{}/{}", place.link, place.version);
    hex::encode(openssl::sha::sha256(place.as_bytes()))
}

/// Whether a copy of this version is kept or to be made.
pub async fn is_wanted(state: &State, place: Place<'_>) -> Result<bool, StateError> {
    let query = sqlx::query("SELECT name FROM replicas WHERE link = $1 AND version = $2");
    let query = query.bind(place.link.as_str()).bind(i64::from(place.version));
    Ok(query.fetch_optional(state.pool()).await?.is_some())
}

/// The copy of a version that lies in the store.
pub async fn kept(state: &State, place: Place<'_>) -> Result<Option<Replica>, StateError> {
    let query =
        select!("link = $1 AND version = $2 AND kept = 1").bind(place.link.as_str()).bind(i64::from(place.version));
    query.fetch_optional(state.pool()).await?.as_ref().map(replica).transpose()
}

/// The copy of a publisher's content that is to be made next, if one is due: what is new does not wait for what is old.
pub async fn next_due(state: &State, publisher: &MspId, now: LedgerTime) -> Result<Option<Replica>, StateError> {
    let query =
        select!("publisher = $1 AND kept = 0 AND due_at <= $2 ORDER BY due_at DESC LIMIT 1").bind(publisher.as_str());
    let query = query.bind(now.milliseconds().cast_signed());
    query.fetch_optional(state.pool()).await?.as_ref().map(replica).transpose()
}

/// Remembers that a copy lies in the store, whole. False when it is not wanted any more.
pub async fn keep(state: &State, name: &str) -> Result<bool, StateError> {
    let update = sqlx::query("UPDATE replicas SET kept = 1, tries = 0 WHERE name = $1").bind(name);
    Ok(update.execute(state.pool()).await?.rows_affected() == 1)
}

/// Remembers that a copy was not made, and when to try again.
pub async fn postpone(state: &State, name: &str, until: LedgerTime) -> Result<(), StateError> {
    let update = sqlx::query("UPDATE replicas SET tries = tries + 1, due_at = $2 WHERE name = $1");
    update.bind(name).bind(until.milliseconds().cast_signed()).execute(state.pool()).await?;
    Ok(())
}

/// Remembers that a copy is not in the store any more: it is to be made again.
pub async fn miss(state: &State, name: &str) -> Result<(), StateError> {
    let update = sqlx::query("UPDATE replicas SET kept = 0, tries = 0, due_at = 0 WHERE name = $1").bind(name);
    update.execute(state.pool()).await?;
    Ok(())
}

/// Some copies that lie in the store, by name, behind this name.
pub async fn page(state: &State, after: &str) -> Result<Vec<Replica>, StateError> {
    let query = select!("kept = 1 AND name > $1 ORDER BY name LIMIT 100").bind(after);
    query.fetch_all(state.pool()).await?.iter().map(replica).collect()
}

/// All copies of a link's versions, made or not.
pub async fn of_link(state: &State, link: &LinkId) -> Result<Vec<Replica>, StateError> {
    let query = select!("link = $1").bind(link.as_str());
    query.fetch_all(state.pool()).await?.iter().map(replica).collect()
}

/// Some copies of a publisher's contents, made or not.
pub async fn of_publisher(state: &State, publisher: &MspId) -> Result<Vec<Replica>, StateError> {
    let query = select!("publisher = $1 LIMIT 100").bind(publisher.as_str());
    query.fetch_all(state.pool()).await?.iter().map(replica).collect()
}

/// Whose contents are kept or to be kept.
pub async fn publishers(state: &State) -> Result<Vec<MspId>, StateError> {
    let query = sqlx::query("SELECT DISTINCT publisher FROM replicas");
    query.fetch_all(state.pool()).await?.iter().map(|row| parsed(row.try_get(0)?)).collect()
}

/// Whether a name in the store is a copy's.
pub async fn is_known(state: &State, name: &str) -> Result<bool, StateError> {
    let query = sqlx::query("SELECT name FROM replicas WHERE name = $1").bind(name);
    Ok(query.fetch_optional(state.pool()).await?.is_some())
}

/// Forgets a copy that is not wanted any more.
pub async fn forget(state: &State, name: &str) -> Result<(), StateError> {
    sqlx::query("DELETE FROM replicas WHERE name = $1").bind(name).execute(state.pool()).await?;
    Ok(())
}

/// How many there are.
pub async fn measure(state: &State) -> Result<Measure, StateError> {
    let query = sqlx::query(
        "SELECT kept, COUNT(*), CAST(COALESCE(SUM(content_length), 0) AS BIGINT) FROM replicas GROUP BY kept",
    );
    let mut measure = Measure::default();
    for row in query.fetch_all(state.pool()).await? {
        let (kept, count, bytes): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        match kept {
            0 => measure.pending = count.unsigned_abs(),
            _ => (measure.kept, measure.bytes) = (count.unsigned_abs(), bytes.unsigned_abs()),
        }
    }
    Ok(measure)
}

fn replica(row: &AnyRow) -> Result<Replica, StateError> {
    let (version, length, tries): (i64, i64, i64) = (row.try_get(3)?, row.try_get(5)?, row.try_get(6)?);
    Ok(Replica {
        name: row.try_get(0)?,
        publisher: parsed(row.try_get(1)?)?,
        link: parsed(row.try_get(2)?)?,
        version: u32::try_from(version).map_err(|_| StateError::Damaged)?,
        content_hash: row.try_get(4)?,
        content_length: length.unsigned_abs(),
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
    })
}

fn parsed<T: std::str::FromStr>(text: String) -> Result<T, StateError> {
    text.parse().map_err(|_| StateError::Damaged)
}
