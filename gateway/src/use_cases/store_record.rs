//! Encrypting a record as it comes and storing it as it is encrypted, in memory that does not grow with the record.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use healthchain_rules::{Commitment, ContentHash, MediaType};
use openssl::sha::Sha256;

use super::{busy, now};
use crate::content::parts::{PART_BYTES, Parts, Place};
use crate::content::{Committing, ContentKey};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::records::{NewRecord, new_name};
use crate::state::records;

/// A record's plain bytes as they come.
pub type RecordBytes = BoxStream<'static, Result<Bytes, Failure>>;

/// A record in the store, encrypted, which no link names yet.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// Its name in the store.
    pub name: String,
    /// The key that opens it.
    pub key: ContentKey,
    /// SHA-256 of what is stored.
    pub content_hash: ContentHash,
    /// Length of what is stored.
    pub content_length: u64,
    /// Commitment to the plain bytes.
    pub commitment: Commitment,
}

/// Stores a record under a key of its own: one JWE, or parts if it is longer than one. The state knows the name before the store
/// does, so that what no link comes to name is collected.
pub async fn store_record(
    gateway: &Gateway,
    place: Place<'_>,
    media_type: &MediaType,
    mut bytes: RecordBytes,
) -> Result<StoredRecord, Failure> {
    let name = new_name();
    records::remember(&gateway.state, &name, place, now()).await?;
    let mut sink = Sink { object: gateway.records.create(&name), sealer: Some(Sealer::new(place, media_type)?) };

    let mut part = BytesMut::with_capacity(PART_BYTES);
    while let Some(chunk) = bytes.next().await {
        let mut chunk = chunk?;
        while !chunk.is_empty() {
            // Only when more comes is it known that a full part is not the last.
            if part.len() == PART_BYTES {
                sink.seal(std::mem::replace(&mut part, BytesMut::with_capacity(PART_BYTES)).freeze(), false).await?;
            }
            part.extend_from_slice(&chunk.split_to(chunk.len().min(PART_BYTES - part.len())));
        }
    }
    if part.is_empty() {
        return Err(Failure::RecordEmpty);
    }
    sink.seal(part.freeze(), true).await?;
    let Sink { object, sealer } = sink;
    let sealed = sealer.ok_or_else(interrupted)?.finish()?;
    object.finish().await?;
    records::set_hash(&gateway.state, &name, &sealed.content_hash).await?;
    Ok(StoredRecord { name, ..sealed })
}

/// Where sealed parts go.
struct Sink {
    object: Box<dyn NewRecord>,
    sealer: Option<Sealer>,
}

impl Sink {
    async fn seal(&mut self, part: Bytes, is_last: bool) -> Result<(), Failure> {
        let mut sealer = self.sealer.take().ok_or_else(interrupted)?;
        let (sealer, sealed) = busy(move || {
            let sealed = sealer.seal(&part, is_last)?;
            Ok((sealer, sealed))
        })
        .await?;
        self.sealer = Some(sealer);
        Ok(self.object.write(sealed.into()).await?)
    }
}

struct Sealer {
    key: ContentKey,
    media_type: MediaType,
    parts: Parts,
    number: u32,
    hash: Sha256,
    length: u64,
    commitment: Committing,
}

impl Sealer {
    fn new(place: Place<'_>, media_type: &MediaType) -> Result<Self, Failure> {
        let key = ContentKey::generate()?;
        let parts = Parts::new(&key, media_type.as_str(), place)?;
        let commitment = key.committing()?;
        Ok(Self { key, media_type: media_type.clone(), parts, number: 0, hash: Sha256::new(), length: 0, commitment })
    }

    fn seal(&mut self, part: &[u8], is_last: bool) -> Result<Vec<u8>, Failure> {
        let sealed = match (self.number, is_last) {
            (0, true) => self.key.encrypt(self.media_type.as_str(), part)?,
            (number, is_last) => self.parts.seal(number, is_last, part)?,
        };
        self.number += 1;
        self.hash.update(&sealed);
        self.length += sealed.len() as u64;
        self.commitment.update(part)?;
        Ok(sealed)
    }

    fn finish(self) -> Result<StoredRecord, Failure> {
        let hash = hex::encode(self.hash.finish());
        Ok(StoredRecord {
            name: String::new(),
            key: self.key,
            content_hash: hash.parse().expect("a SHA-256 in hexadecimal digits is a content hash"),
            content_length: self.length,
            commitment: self.commitment.finish()?.parse().expect("an HMAC in hexadecimal digits is a commitment"),
        })
    }
}

fn interrupted() -> Failure {
    Failure::Internal("a part was not sealed to its end".to_owned())
}
