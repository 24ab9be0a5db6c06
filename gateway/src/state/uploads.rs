//! Records that arrive bit by bit: how far each has come, and under which names its pieces lie in the record store.
//!
//! Of several writers the newest alone goes on: each names itself when it begins, and what it stored counts only as long as nobody
//! came after it. So a gateway that died, or a connection that nobody noticed the end of, holds nobody up.

use healthchain_rules::{LedgerTime, LinkId, MediaType, MemberId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{State, StateError};

/// An upload's id: of a link's form, for its parts are sealed as a link's are.
pub type UploadId = LinkId;

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Plain bytes that it will have.
    pub length: u64,
    /// Plain bytes that have come.
    pub received: u64,
    /// Media type of the record.
    pub media_type: MediaType,
    /// Its key and metadata, sealed to the organisation's key.
    pub sealed: Vec<u8>,
    /// What it was published as.
    pub used_for: Option<String>,
    /// Until when it can be gone on with.
    pub expires_at: LedgerTime,
}

/// How much one member may have uploaded and not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Uploads.
    pub count: u32,
    /// Bytes that they will have together.
    pub bytes: u64,
}

/// A piece of an upload in the record store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its name there.
    pub name: String,
    /// Its number from 0.
    pub number: u32,
    /// Its plain bytes.
    pub length: u64,
}

/// Remembers a new upload, if the member's quota permits it.
pub async fn create(
    state: &State,
    upload: &Upload,
    member: &MemberId,
    quota: Quota,
    now: LedgerTime,
) -> Result<bool, StateError> {
    let mut transaction = state.begin().await?;
    let alone = sqlx::query(
        "INSERT INTO upload_members (member) VALUES ($1) ON CONFLICT (member) DO UPDATE SET member = excluded.member",
    );
    alone.bind(member.as_str()).execute(&mut *transaction).await?;
    let insert = sqlx::query(
        "INSERT INTO uploads (id, member, length, received, writer, sealed, used_for, expires_at, media_type) \
         VALUES ($1, $2, $3, 0, '', $4, NULL, $5, $6)",
    );
    let insert = insert.bind(upload.id.as_str()).bind(member.as_str()).bind(upload.length.cast_signed());
    let insert = insert.bind(upload.sealed.as_slice()).bind(upload.expires_at.milliseconds().cast_signed());
    insert.bind(upload.media_type.as_str()).execute(&mut *transaction).await?;
    let all = sqlx::query("SELECT length FROM uploads WHERE member = $1 AND used_for IS NULL AND expires_at >= $2");
    let all = all.bind(member.as_str()).bind(now.milliseconds().cast_signed());
    let all = all.fetch_all(&mut *transaction).await?;
    let bytes = all.iter().map(|row| Ok(row.try_get::<i64, _>(0)?.cast_unsigned())).sum::<Result<u64, StateError>>()?;
    let fits = all.len() <= quota.count as usize && bytes <= quota.bytes;
    if fits {
        transaction.commit().await?
    } else {
        transaction.rollback().await?
    }
    Ok(fits)
}

/// A member's upload, as long as it is not past its time.
pub async fn load(
    state: &State,
    id: &UploadId,
    member: &MemberId,
    now: LedgerTime,
) -> Result<Option<Upload>, StateError> {
    let query = sqlx::query(
        "SELECT id, length, received, sealed, used_for, expires_at, media_type FROM uploads \
         WHERE id = $1 AND member = $2 AND expires_at >= $3",
    );
    let query = query.bind(id.as_str()).bind(member.as_str()).bind(now.milliseconds().cast_signed());
    query.fetch_optional(state.pool()).await?.map(|row| upload(&row)).transpose()
}

/// Has a writer go on from here; whoever wrote before does not any more. False when the upload is not where the writer takes it to be.
pub async fn take_over(state: &State, id: &UploadId, from: u64, writer: &str) -> Result<bool, StateError> {
    let update = sqlx::query("UPDATE uploads SET writer = $3 WHERE id = $1 AND received = $2 AND used_for IS NULL");
    let update = update.bind(id.as_str()).bind(from.cast_signed()).bind(writer);
    Ok(update.execute(state.pool()).await?.rows_affected() == 1)
}

/// Remembers a piece before it is stored. False when the writer is not the newest any more: then nothing is to be stored.
pub async fn expect(
    state: &State,
    id: &UploadId,
    writer: &str,
    piece: &Piece,
    now: LedgerTime,
) -> Result<bool, StateError> {
    let insert = sqlx::query(
        "INSERT INTO upload_pieces (name, upload, number, length, kept, stored_at) \
         SELECT $1, id, $3, $4, 0, $5 FROM uploads WHERE id = $2 AND writer = $6",
    );
    let insert = insert.bind(&piece.name).bind(id.as_str()).bind(i64::from(piece.number));
    let insert = insert.bind(piece.length.cast_signed()).bind(now.milliseconds().cast_signed()).bind(writer);
    Ok(insert.execute(state.pool()).await?.rows_affected() == 1)
}

/// Takes what a writer stored into the upload, which then has come from one length to another. Tells the names of the pieces that
/// others took the place of; none when the writer is not the newest any more, and nothing was taken.
pub async fn keep(
    state: &State,
    id: &UploadId,
    writer: &str,
    (from, to): (u64, u64),
    pieces: &[Piece],
    expires_at: LedgerTime,
) -> Result<Option<Vec<String>>, StateError> {
    let mut transaction = state.begin().await?;
    let update = sqlx::query(
        "UPDATE uploads SET received = $4, expires_at = $5 \
         WHERE id = $1 AND writer = $2 AND received = $3 AND used_for IS NULL",
    );
    let update = update.bind(id.as_str()).bind(writer).bind(from.cast_signed()).bind(to.cast_signed());
    let update = update.bind(expires_at.milliseconds().cast_signed());
    if update.execute(&mut *transaction).await?.rows_affected() != 1 {
        transaction.rollback().await?;
        return Ok(None);
    }
    let mut replaced = Vec::new();
    for piece in pieces {
        let former = sqlx::query("SELECT name FROM upload_pieces WHERE upload = $1 AND number = $2 AND kept = 1");
        let former = former.bind(id.as_str()).bind(i64::from(piece.number)).fetch_all(&mut *transaction).await?;
        for row in former {
            replaced.push(row.try_get(0)?);
        }
        let loose = sqlx::query("UPDATE upload_pieces SET kept = 0 WHERE upload = $1 AND number = $2");
        loose.bind(id.as_str()).bind(i64::from(piece.number)).execute(&mut *transaction).await?;
        let kept = sqlx::query("UPDATE upload_pieces SET kept = 1 WHERE name = $1").bind(&piece.name);
        if kept.execute(&mut *transaction).await?.rows_affected() != 1 {
            // It took so long that it was collected meanwhile.
            transaction.rollback().await?;
            return Ok(None);
        }
    }
    transaction.commit().await?;
    Ok(Some(replaced))
}

/// The pieces that an upload consists of, in order.
pub async fn pieces(state: &State, id: &UploadId) -> Result<Vec<Piece>, StateError> {
    let query =
        sqlx::query("SELECT name, number, length FROM upload_pieces WHERE upload = $1 AND kept = 1 ORDER BY number");
    query.bind(id.as_str()).fetch_all(state.pool()).await?.iter().map(piece).collect()
}

/// Remembers what an upload was published as, and forgets its key.
pub async fn set_used(state: &State, id: &UploadId, used_for: &str) -> Result<(), StateError> {
    let update = sqlx::query("UPDATE uploads SET used_for = $2, sealed = $3 WHERE id = $1");
    let nothing: &[u8] = &[];
    update.bind(id.as_str()).bind(used_for).bind(nothing).execute(state.pool()).await?;
    Ok(())
}

/// Ends a member's upload: from now on it is past its time. False when there is none.
pub async fn end(state: &State, id: &UploadId, member: &MemberId, now: LedgerTime) -> Result<bool, StateError> {
    let update = sqlx::query(
        "UPDATE uploads SET expires_at = 0, writer = '' WHERE id = $1 AND member = $2 AND expires_at >= $3",
    );
    let update = update.bind(id.as_str()).bind(member.as_str()).bind(now.milliseconds().cast_signed());
    Ok(update.execute(state.pool()).await?.rows_affected() == 1)
}

/// Uploads that are past their time.
pub async fn ended(state: &State, now: LedgerTime) -> Result<Vec<UploadId>, StateError> {
    let query = sqlx::query("SELECT id FROM uploads WHERE expires_at < $1 LIMIT 1000");
    let rows = query.bind(now.milliseconds().cast_signed()).fetch_all(state.pool()).await?;
    rows.iter().map(id).collect()
}

/// The names of everything that was stored for an upload.
pub async fn names(state: &State, id: &UploadId) -> Result<Vec<String>, StateError> {
    let query = sqlx::query("SELECT name FROM upload_pieces WHERE upload = $1").bind(id.as_str());
    query.fetch_all(state.pool()).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The names of what was stored for an upload and is no part of it.
pub async fn loose_of(state: &State, id: &UploadId) -> Result<Vec<String>, StateError> {
    let query = sqlx::query("SELECT name FROM upload_pieces WHERE upload = $1 AND kept = 0").bind(id.as_str());
    query.fetch_all(state.pool()).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The names of what was stored before a time and is a part of no upload.
pub async fn loose(state: &State, before: LedgerTime) -> Result<Vec<String>, StateError> {
    let query = sqlx::query("SELECT name FROM upload_pieces WHERE kept = 0 AND stored_at < $1 LIMIT 1000");
    let rows = query.bind(before.milliseconds().cast_signed()).fetch_all(state.pool()).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Forgets a piece that is not stored any more.
pub async fn forget_piece(state: &State, name: &str) -> Result<(), StateError> {
    sqlx::query("DELETE FROM upload_pieces WHERE name = $1").bind(name).execute(state.pool()).await?;
    Ok(())
}

/// Forgets an upload whose pieces are gone.
pub async fn forget(state: &State, id: &UploadId) -> Result<(), StateError> {
    sqlx::query("DELETE FROM uploads WHERE id = $1").bind(id.as_str()).execute(state.pool()).await?;
    Ok(())
}

fn upload(row: &AnyRow) -> Result<Upload, StateError> {
    Ok(Upload {
        id: id(row)?,
        length: row.try_get::<i64, _>(1)?.cast_unsigned(),
        received: row.try_get::<i64, _>(2)?.cast_unsigned(),
        media_type: row.try_get::<String, _>(6)?.parse().map_err(|_| StateError::Damaged)?,
        sealed: row.try_get(3)?,
        used_for: row.try_get(4)?,
        expires_at: LedgerTime::from_milliseconds(row.try_get::<i64, _>(5)?.cast_unsigned()),
    })
}

fn piece(row: &AnyRow) -> Result<Piece, StateError> {
    let number = u32::try_from(row.try_get::<i64, _>(1)?).map_err(|_| StateError::Damaged)?;
    Ok(Piece { name: row.try_get(0)?, number, length: row.try_get::<i64, _>(2)?.cast_unsigned() })
}

fn id(row: &AnyRow) -> Result<UploadId, StateError> {
    row.try_get::<String, _>(0)?.parse().map_err(|_| StateError::Damaged)
}
