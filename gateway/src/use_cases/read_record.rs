//! Reading a record from its encrypted content as it comes, in memory that does not grow with the record.
//!
//! A part is released when its own tag and place are checked. The last part is held back until everything else fits as well: the
//! length and SHA-256 of the whole content and the commitment to the whole record. So nobody ever has a whole record that is not
//! the one published; a transfer that fails breaks off, visibly short of the length that was announced.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use healthchain_rules::{Commitment, Content};
use openssl::sha::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::busy;
use super::find_content::{Source, late};
use super::store_record::RecordBytes;
use crate::content::parts::{Layout, PART_BYTES, Parts, Place};
use crate::content::{Committing, ContentKey, content_bytes_at_most, content_hash};
use crate::contents::ContentsError;
use crate::failure::Failure;

/// Longest content that is one JWE, and so held in memory: of the largest record that earlier releases took.
const WHOLE_BYTES: u64 = 140 << 20;
/// What memory for them is counted in.
const ROOM_UNIT: u64 = 1 << 20;
/// How long a content waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);

/// Memory for contents that can only be opened whole and are longer than a part: for their ciphertexts, and as much again while they are
/// opened. Clones share it.
#[derive(Debug, Clone)]
pub struct Wholes {
    room: Arc<Semaphore>,
    units: u32,
    patience: Duration,
}

/// Plain bytes with the room that they take.
struct Held {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

/// A record, or a range of it, on its way out.
pub struct OutgoingRecord {
    /// Length of the whole record.
    pub length: u64,
    /// Which of its bytes follow.
    pub range: Range<u64>,
    /// SHA-256 of the record, where it is known beforehand.
    pub digest: Option<[u8; 32]>,
    /// The bytes.
    pub bytes: RecordBytes,
}

/// The bytes that somebody wants of a record whose length they need not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// From here to the end.
    From(u64),
    /// From the first to the last of these, or to the end.
    Between(u64, u64),
    /// As many at the end.
    Last(u64),
}

/// A content with what opens it and what it must be.
pub(crate) struct Reader {
    /// Where it is.
    pub(crate) source: Source,
    /// Opens it.
    pub(crate) key: ContentKey,
    /// What the ledger says of the content.
    pub(crate) content: Content,
    /// What the ledger says of the record.
    pub(crate) commitment: Commitment,
    /// How long a part may take to arrive.
    pub(crate) patience: Duration,
    /// Where it has to be opened whole.
    pub(crate) wholes: Wholes,
}

impl Wholes {
    /// Room for ciphertexts of so many bytes at once; others wait this long.
    pub fn new(bytes: u64, patience: Duration) -> Self {
        let units = units(bytes);
        Self { room: Arc::new(Semaphore::new(units as usize)), units, patience }
    }

    /// Room for a content of this length; what is no longer than a part needs none.
    async fn take(&self, length: u64) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        if length <= content_bytes_at_most(PART_BYTES) {
            return Ok(None);
        }
        let room = Arc::clone(&self.room).acquire_many_owned(units(length).min(self.units));
        match tokio::time::timeout(self.patience, room).await {
            Ok(Ok(room)) => Ok(Some(room)),
            _ => Err(Failure::Crowded),
        }
    }
}

impl Default for Wholes {
    /// Two of the longest.
    fn default() -> Self {
        Self::new(2 * WHOLE_BYTES, ROOM_PATIENCE)
    }
}

impl Held {
    /// These of the bytes; the rest gives up its room.
    fn cut(mut self, range: Range<u64>) -> Self {
        if range == (0..self.bytes.len() as u64) {
            return self;
        }
        let bytes = self.bytes[range.start as usize..range.end as usize].to_vec();
        let needed = units(bytes.len() as u64) as usize;
        let room = self.room.take().and_then(|mut room| room.split(needed.min(room.num_permits())));
        Self { bytes, room }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX)
}

impl Wanted {
    /// The one range that a `Range` header names (RFC 9110, 14.1.2); none of a header that is not understood or names several.
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
        if !first.bytes().chain(last.bytes()).all(|letter| letter.is_ascii_digit()) {
            return None;
        }
        match (first.is_empty(), last.is_empty()) {
            (false, true) => Some(Self::From(first.parse().ok()?)),
            (true, false) => Some(Self::Last(last.parse().ok()?)),
            (false, false) => {
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some(Self::Between(first, last))
            }
            (true, true) => None,
        }
    }

    /// The bytes of a record of this length; none when it has no such bytes.
    pub fn of(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first) => first..length,
            Self::Between(first, last) => first..last.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (!range.is_empty()).then_some(range)
    }
}

impl Reader {
    /// The record, or what is wanted of it.
    pub(crate) async fn read(self, place: Place<'_>, wanted: Option<Wanted>) -> Result<OutgoingRecord, Failure> {
        let parts = Parts::new(&self.key, self.content.media_type.as_str(), place)?;
        let layout = parts.layout(self.content.length);
        if let (Some(layout), Some(wanted)) = (layout, wanted)
            && wanted.of(layout.record).is_some_and(|range| range != (0..layout.record))
            && let Some(record) = self.read_range(&parts, layout, wanted).await?
        {
            return Ok(record);
        }
        let mut incoming = self.incoming(None).await?;
        let beginning = incoming.peek(parts.beginning()).await?;
        if !parts.begin(&beginning) {
            return self.read_whole(incoming, wanted).await;
        }
        let layout = layout.ok_or(Failure::Tampered("length"))?;
        let range = range_of(layout.record, wanted)?;
        let check = Check {
            hash: Sha256::new(),
            commitment: self.key.committing()?,
            expected: (self.content.hash.as_str().to_owned(), self.commitment.as_str().to_owned()),
        };
        let opener = Opener { incoming, parts, layout, length: self.content.length, next: 0, check: Some(check) };
        opener.release(layout.last(), range).await
    }

    /// Only the parts that the range touches. None when the content turns out to be a single JWE.
    async fn read_range(
        &self,
        parts: &Parts,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Option<OutgoingRecord>, Failure> {
        let range = range_of(layout.record, Some(wanted))?;
        let part = |byte: u64| byte / PART_BYTES as u64;
        let (first, last) = (part(range.start), part(range.end - 1));
        let lines = first * layout.line..((last + 1) * layout.line).min(self.content.length);
        let mut incoming = self.incoming(Some(lines)).await?;
        // The first part's header differs in the number only, which stands behind as much of it as tells the kinds apart.
        let beginning = incoming.peek(parts.beginning()).await?;
        if !parts.looks_like(&beginning) {
            return Ok(None);
        }
        let (first, last) = (first as u32, last as u32);
        let (parts, length) = (parts.clone(), self.content.length);
        let opener = Opener { incoming, parts, layout, length, next: first, check: None };
        opener.release(last, range).await.map(Some)
    }

    /// A content that is one JWE.
    async fn read_whole(&self, mut incoming: Incoming, wanted: Option<Wanted>) -> Result<OutgoingRecord, Failure> {
        if self.content.length > WHOLE_BYTES {
            return Err(Failure::BeyondLimit(self.content.length));
        }
        let room = self.wholes.take(self.content.length).await?;
        // At most the limit above, which the ledger's length is within.
        let encrypted = incoming.take(self.content.length as usize).await?;
        incoming.require_end().await?;
        let (key, hash, commitment) = (self.key.clone(), self.content.hash.clone(), self.commitment.clone());
        busy(move || {
            if content_hash(&encrypted) != hash.as_str() {
                return Err(Failure::Tampered("SHA-256"));
            }
            let record = key.decrypt(&encrypted).map_err(|_| Failure::Tampered("key"))?;
            // AES-GCM does not commit to its key: without this a publisher could give two openers two keys, and so two records.
            if key.commitment(&record)? != commitment.as_str() {
                return Err(Failure::Tampered("commitment"));
            }
            let (length, digest) = (record.len() as u64, Some(openssl::sha::sha256(&record)));
            let range = range_of(length, wanted)?;
            // A range takes no more memory than it is long, however slowly its reader takes it.
            let held = Held { bytes: record, room }.cut(range.clone());
            let bytes = futures::stream::once(std::future::ready(Ok(Bytes::from_owner(held)))).boxed();
            Ok(OutgoingRecord { length, range, digest, bytes })
        })
        .await
    }

    async fn incoming(&self, range: Option<Range<u64>>) -> Result<Incoming, Failure> {
        let patience = self.patience;
        let stream = self.source.fetch(self.content.length, range, patience).await?;
        let holder = self.source.holder().map(str::to_owned);
        Ok(Incoming { stream, buffer: BytesMut::new(), patience, holder })
    }
}

fn range_of(length: u64, wanted: Option<Wanted>) -> Result<Range<u64>, Failure> {
    match wanted {
        Some(wanted) => wanted.of(length).ok_or(Failure::RangeNotSatisfiable(length)),
        None => Ok(0..length),
    }
}

/// A content as it arrives.
struct Incoming {
    stream: BoxStream<'static, Result<Bytes, Failure>>,
    buffer: BytesMut,
    patience: Duration,
    holder: Option<String>,
}

impl Incoming {
    /// Has so many bytes at hand, or all there are.
    async fn fill(&mut self, bytes: usize) -> Result<(), Failure> {
        let (stream, buffer) = (&mut self.stream, &mut self.buffer);
        let filled = tokio::time::timeout(self.patience, async {
            buffer.reserve(bytes.saturating_sub(buffer.len()));
            while buffer.len() < bytes {
                let Some(chunk) = stream.try_next().await? else { break };
                buffer.extend_from_slice(&chunk);
            }
            Ok(())
        });
        match (filled.await, &self.holder) {
            (Ok(filled), _) => filled,
            (Err(_), Some(holder)) => Err(ContentsError::Unreachable(holder.clone(), late()).into()),
            (Err(_), None) => Err(crate::records::RecordsError::Unavailable(late()).into()),
        }
    }

    /// The beginning, which stays to be taken.
    async fn peek(&mut self, bytes: usize) -> Result<Bytes, Failure> {
        self.fill(bytes).await?;
        Ok(Bytes::copy_from_slice(&self.buffer[..bytes.min(self.buffer.len())]))
    }

    async fn take(&mut self, bytes: usize) -> Result<Bytes, Failure> {
        self.fill(bytes).await?;
        if self.buffer.len() < bytes {
            return Err(Failure::Tampered("length"));
        }
        Ok(self.buffer.split_to(bytes).freeze())
    }

    async fn require_end(&mut self) -> Result<(), Failure> {
        self.fill(1).await?;
        if self.buffer.is_empty() { Ok(()) } else { Err(Failure::Tampered("length")) }
    }
}

/// Opens parts one after the other.
struct Opener {
    incoming: Incoming,
    parts: Parts,
    layout: Layout,
    length: u64,
    next: u32,
    /// Of the whole content; a range of it cannot be checked so.
    check: Option<Check>,
}

struct Check {
    hash: Sha256,
    commitment: Committing,
    expected: (String, String),
}

impl Opener {
    /// The bytes of a range, as soon as the first of them are checked, from the parts up to the last that it touches.
    async fn release(mut self, last: u32, range: Range<u64>) -> Result<OutgoingRecord, Failure> {
        let length = self.layout.record;
        let skipped = (range.start - u64::from(self.next) * PART_BYTES as u64) as usize;
        let first = self.open_next().await?;
        let rest = futures::stream::try_unfold(self, move |mut opener| async move {
            if opener.next > last {
                return Ok(None);
            }
            let part = opener.open_next().await.inspect_err(|failure| {
                tracing::warn!(reason = %failure, "a transfer was broken off");
            })?;
            Ok(Some((part, opener)))
        });
        let first = first.slice(skipped.min(first.len())..);
        let mut left = range.end - range.start;
        let cut = move |mut part: Bytes| {
            part.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= part.len() as u64;
            part
        };
        let bytes = futures::stream::once(std::future::ready(Ok(first))).chain(rest).map_ok(cut).boxed();
        Ok(OutgoingRecord { length, range, digest: None, bytes })
    }

    async fn open_next(&mut self) -> Result<Bytes, Failure> {
        let (number, last) = (self.next, self.layout.last());
        let is_last = number == last;
        let length = if is_last { self.length - u64::from(number) * self.layout.line } else { self.layout.line };
        let line = self.incoming.take(length as usize).await?;
        if is_last {
            self.incoming.require_end().await?;
        }
        let (parts, mut check) = (self.parts.clone(), self.check.take());
        let (part, check) = busy(move || {
            if let Some(check) = &mut check {
                check.hash.update(&line);
            }
            let opened = parts.open(number, is_last, &line);
            let part = opened.map_err(|_| Failure::Tampered("key"))?;
            if let Some(check) = &mut check {
                check.commitment.update(&part)?;
            }
            let check = match check {
                Some(check) if is_last => check.finish().map(|()| None)?,
                check => check,
            };
            Ok((part, check))
        })
        .await?;
        self.check = check;
        self.next += 1;
        Ok(part.into())
    }
}

impl Check {
    fn finish(self) -> Result<(), Failure> {
        let (hash, commitment) = self.expected;
        if hex::encode(self.hash.finish()) != hash {
            return Err(Failure::Tampered("SHA-256"));
        }
        if self.commitment.finish()? != commitment { Err(Failure::Tampered("commitment")) } else { Ok(()) }
    }
}

impl OutgoingRecord {
    /// The SHA-256 as RFC 9530 writes it.
    pub fn repr_digest(&self) -> Option<String> {
        self.digest.map(|digest| format!("sha-256=:{}:", STANDARD.encode(digest)))
    }
}

#[cfg(test)]
mod tests {
    use healthchain_rules::LinkId;

    use super::*;
    use crate::records::object_store::ObjectRecords;
    use crate::records::{Records as _, new_name};

    /// A record of three megabytes that is one JWE, as no gateway publishes it any more, and what reads it.
    struct Whole {
        _folder: tempfile::TempDir,
        source: Source,
        key: ContentKey,
        content: Content,
        commitment: Commitment,
        record: Vec<u8>,
    }

    impl Whole {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let records = Arc::new(ObjectRecords::in_folder(folder.path()).unwrap());
            let (key, name) = (ContentKey::generate().unwrap(), new_name());
            let record: Vec<u8> = (0..3 << 20).map(|index: u32| (index / 7) as u8).collect();
            let encrypted = key.encrypt("application/dicom", &record).unwrap();
            let content = Content {
                hash: content_hash(&encrypted).parse().unwrap(),
                length: encrypted.len() as u64,
                media_type: "application/dicom".to_owned().try_into().unwrap(),
            };
            let mut object = records.create(&name);
            object.write(encrypted.into()).await.unwrap();
            object.finish().await.unwrap();
            let commitment = key.commitment(&record).unwrap().parse().unwrap();
            Self { _folder: folder, source: Source::Own(records, name), key, content, commitment, record }
        }

        async fn read(&self, wholes: &Wholes, wanted: Option<Wanted>) -> Result<OutgoingRecord, Failure> {
            let reader = Reader {
                source: self.source.clone(),
                key: self.key.clone(),
                content: self.content.clone(),
                commitment: self.commitment.clone(),
                patience: Duration::from_secs(5),
                wholes: wholes.clone(),
            };
            let link: LinkId = "scan-1".parse().unwrap();
            reader.read(Place { link: &link, version: 1 }, wanted).await
        }
    }

    fn room_for_one() -> Wholes {
        Wholes::new(5 << 20, Duration::from_millis(100))
    }

    #[tokio::test]
    async fn no_more_large_contents_are_held_whole_than_there_is_room_for() {
        let (whole, wholes) = (Whole::new().await, room_for_one());
        let held = whole.read(&wholes, None).await.unwrap();
        assert!(matches!(whole.read(&wholes, None).await, Err(Failure::Crowded)));
        assert!(matches!(whole.read(&wholes, Some(Wanted::Between(0, 9))).await, Err(Failure::Crowded)));
        // Also what was handed over to the connection takes room until it is sent.
        let handed_over: Vec<Bytes> = held.bytes.try_collect().await.unwrap();
        assert!(matches!(whole.read(&wholes, None).await, Err(Failure::Crowded)));
        assert!(handed_over.concat() == whole.record);
        drop(handed_over);
        assert!(whole.read(&wholes, None).await.is_ok());
    }

    #[tokio::test]
    async fn a_range_of_a_large_whole_content_takes_the_room_of_its_own_length() {
        let (whole, wholes) = (Whole::new().await, Wholes::new(6 << 20, Duration::from_millis(100)));
        let mut held = Vec::new();
        for first in [5, 1 << 20] {
            let range = whole.read(&wholes, Some(Wanted::Between(first, first + 9))).await.unwrap();
            let bytes: Vec<Bytes> = range.bytes.try_collect().await.unwrap();
            assert_eq!(bytes.concat(), whole.record[first as usize..first as usize + 10]);
            held.push(bytes);
        }
        assert_eq!(wholes.room.available_permits(), 4, "each of ten bytes takes the smallest unit");
        held.clear();
        assert_eq!(wholes.room.available_permits(), 6);
    }

    #[tokio::test]
    async fn a_content_that_does_not_open_gives_its_room_back() {
        let (mut whole, wholes) = (Whole::new().await, room_for_one());
        whole.key = ContentKey::generate().unwrap();
        for _ in 0..3 {
            assert!(matches!(whole.read(&wholes, None).await, Err(Failure::Tampered("key"))));
        }
    }

    #[test]
    fn what_is_wanted_is_cut_to_what_there_is() {
        assert_eq!(Wanted::From(0).of(10), Some(0..10));
        assert_eq!(Wanted::From(9).of(10), Some(9..10));
        assert_eq!(Wanted::Between(2, 4).of(10), Some(2..5));
        assert_eq!(Wanted::Between(2, u64::MAX).of(10), Some(2..10));
        assert_eq!(Wanted::Last(3).of(10), Some(7..10));
        assert_eq!(Wanted::Last(u64::MAX).of(10), Some(0..10));
        for nothing in [Wanted::From(10), Wanted::Between(10, 11), Wanted::Between(4, 3), Wanted::Last(0)] {
            assert_eq!(nothing.of(10), None, "{nothing:?}");
        }
    }

    /// Found by fuzzing: Rust's numbers may have a sign in front, those of a header may not.
    #[test]
    fn a_range_is_written_in_digits_alone() {
        assert_eq!(Wanted::parse("bytes=007-9"), Some(Wanted::Between(7, 9)));
        for signed in ["bytes=+7-9", "bytes=7-+9", "bytes=-+9", "bytes=+7-"] {
            assert_eq!(Wanted::parse(signed), None, "{signed}");
        }
    }
}
