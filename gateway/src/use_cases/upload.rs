//! Uploads that are taken up again: a record arrives bit by bit, and is published when it is whole.
//!
//! What arrives is cut into pieces, each an object of its own in the record store, encrypted under a key that only this upload has and
//! that is sealed to the organisation's key. All pieces but the last are full; when more comes, the last one is written anew. To publish
//! an upload is to read it as any other record's bytes: it is encrypted again, under the key of its link, and its pieces are destroyed.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use healthchain_interface::OrganisationsClient;
use healthchain_rules::{LedgerTime, MediaType, OrganisationState, Permission};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::share_link::require_known_for;
use super::store_record::RecordBytes;
use super::{busy, now};
use crate::content::ContentKey;
use crate::content::parts::{PART_BYTES, Parts, Place};
use crate::digest::{Checksum, Summing};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::records::{Records, RecordsError, new_name};
use crate::sealing::{EnvelopeContext, seal};
use crate::state::uploads::{self, Piece, Quota, Upload, UploadId};
use crate::wallet::WalletMember;

/// What pieces and keys of uploads are bound to, where those of records name a version: no link has it.
const NO_VERSION: u32 = 0;
const CATEGORY: &str = "upload";
const MEDIA_TYPE: &str = "application/octet-stream";
/// Pieces that are read ahead while an upload is published.
const AHEAD: usize = 2;

/// How much may be uploaded and not published, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Of one member.
    pub quota: Quota,
    /// How long an upload waits for more.
    pub patience: Duration,
}

/// Why an upload does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadRefusal {
    /// There is none under this id, or it is another member's, or past its time.
    Unknown,
    /// It has come so far, and not to where the caller goes on, or somebody else goes on with it.
    At(u64),
    /// More than was announced.
    BeyondLength(u64),
    /// What came is not what the checksum is of; nothing of it was kept.
    Checksum,
    /// It has so many bytes of so many.
    Incomplete(u64, u64),
    /// It was published already, under another key.
    Used,
    /// The member has as much under way as there may be.
    Quota,
}

/// What comes with a piece of an upload.
pub struct Chunk {
    /// Where it begins.
    pub offset: u64,
    /// How long it is, where that is known.
    pub length: Option<u64>,
    /// What it has to be.
    pub checksum: Option<Checksum>,
    /// Its bytes, as they come.
    pub bytes: RecordBytes,
}

/// What is said of an upload when it begins.
pub struct Description {
    /// How many bytes it will have.
    pub length: u64,
    /// Media type of the record.
    pub media_type: MediaType,
    /// As the client sent it; nothing is read from it again, and it may name somebody.
    pub metadata: String,
}

/// What only the organisation's key opens.
#[derive(Serialize, Deserialize)]
struct Secret {
    key: String,
    metadata: String,
}

/// Proof that the ledger knows the member as somebody who publishes or amends.
pub struct MayUpload(());

/// Refuses an upload of whom the ledger knows as somebody who neither publishes nor amends.
pub async fn may_upload(gateway: &Gateway, member: &WalletMember) -> Result<MayUpload, Failure> {
    require_known_for(gateway, member, &[Permission::PublishLink, Permission::AmendLink]).await?;
    Ok(MayUpload(()))
}

/// Begins an upload.
pub async fn begin(
    gateway: &Gateway,
    member: &WalletMember,
    _proof: MayUpload,
    Description { length, media_type, metadata }: Description,
) -> Result<Upload, Failure> {
    match usize::try_from(length) {
        Ok(0) => return Err(Failure::RecordEmpty),
        Ok(length) if length <= gateway.max_record_bytes => {}
        _ => return Err(Failure::RecordTooLarge(gateway.max_record_bytes)),
    }
    let id: UploadId = new_name().parse().expect("hexadecimal digits are an id");
    let sealed = seal_secret(gateway, &id, &ContentKey::generate()?, metadata).await?;
    let expires_at = expiry(gateway);
    let upload = Upload { id, length, received: 0, media_type, sealed, used_for: None, expires_at };
    let fits = uploads::create(&gateway.state, &upload, &member.id, gateway.uploads.quota, now()).await?;
    if fits { Ok(upload) } else { Err(refused(UploadRefusal::Quota)) }
}

/// A member's upload.
pub async fn find(gateway: &Gateway, member: &WalletMember, id: &UploadId) -> Result<Upload, Failure> {
    let found = uploads::load(&gateway.state, id, &member.id, now()).await?;
    found.ok_or_else(|| refused(UploadRefusal::Unknown))
}

/// The metadata that its client sent with an upload; none of one that was published.
pub async fn metadata(gateway: &Gateway, upload: &Upload) -> Result<Option<String>, Failure> {
    if upload.used_for.is_some() { Ok(None) } else { Ok(Some(open_secret(gateway, upload).await?.1)) }
}

/// Takes more of an upload; tells how far it has come. When the bytes break off, what came is kept, unless a checksum speaks of all of it.
pub async fn append(gateway: &Gateway, member: &WalletMember, id: &UploadId, chunk: Chunk) -> Result<Upload, Failure> {
    let upload = find(gateway, member, id).await?;
    if upload.used_for.is_some() {
        return Err(refused(UploadRefusal::Used));
    }
    let Chunk { offset, length, checksum, bytes } = chunk;
    let left = upload.length.saturating_sub(offset);
    if offset == upload.received && length.is_some_and(|length| length > left) {
        return Err(refused(UploadRefusal::BeyondLength(upload.length)));
    }
    let (key, _) = open_secret(gateway, &upload).await?;
    let parts = parts(&key, &upload.id)?;
    let writer = new_name();
    let of_others = uploads::loose_of(&gateway.state, id).await?;
    if offset != upload.received || !uploads::take_over(&gateway.state, id, offset, &writer).await? {
        return Err(at(gateway, member, id).await?);
    }
    // Whoever is overtaken may wait for more bytes, and notices late: what it stored would come on top of the quota meanwhile. It stays known
    // until its writer, or the keeper, has seen that it is gone.
    for name in of_others {
        gateway.records.delete(&name).await?;
    }
    let mut intake =
        Intake { gateway, id, parts, writer, from: offset, to: offset, buffer: BytesMut::new(), stored: Vec::new() };
    intake.begin_with_the_last_piece().await?;
    match intake.take(bytes, left, checksum).await? {
        true => find(gateway, member, id).await,
        false => Err(at(gateway, member, id).await?),
    }
}

/// A whole upload's bytes.
pub async fn content(gateway: &Gateway, upload: &Upload) -> Result<RecordBytes, Failure> {
    if upload.received != upload.length {
        return Err(refused(UploadRefusal::Incomplete(upload.received, upload.length)));
    }
    let (key, _) = open_secret(gateway, upload).await?;
    let parts = parts(&key, &upload.id)?;
    let pieces = uploads::pieces(&gateway.state, &upload.id).await?;
    let is_whole = pieces.iter().map(|piece| piece.length).sum::<u64>() == upload.length;
    if !is_whole || pieces.iter().zip(0..).any(|(piece, number)| piece.number != number) {
        return Err(Failure::Records(RecordsError::Lost));
    }
    let records = Arc::clone(&gateway.records);
    let opened = futures::stream::iter(pieces)
        .map(move |piece| read_piece(Arc::clone(&records), parts.clone(), piece))
        .buffered(AHEAD);
    Ok(opened.boxed())
}

/// An upload is published as this: it is remembered, for the same request sent again, and its pieces are destroyed. What fails is left to the
/// keeper.
pub async fn settle(gateway: &Gateway, id: &UploadId, used_for: &str) {
    let settled = async {
        uploads::set_used(&gateway.state, id, used_for).await?;
        destroy(gateway, uploads::names(&gateway.state, id).await?).await
    };
    if let Err(error) = settled.await {
        tracing::warn!(%error, "the pieces of a published upload could not be destroyed; the keeper tries again");
    }
}

/// Ends a member's upload; its pieces are destroyed.
pub async fn abandon(gateway: &Gateway, member: &WalletMember, id: &UploadId) -> Result<(), Failure> {
    if !uploads::end(&gateway.state, id, &member.id, now()).await? {
        return Err(refused(UploadRefusal::Unknown));
    }
    clear(gateway, id).await
}

/// Destroys what uploads past their time have left, and pieces from before a time that no upload came to have.
pub async fn collect(gateway: &Gateway, before: LedgerTime) -> Result<(), Failure> {
    for id in uploads::ended(&gateway.state, now()).await? {
        clear(gateway, &id).await?;
    }
    destroy(gateway, uploads::loose(&gateway.state, before).await?).await
}

async fn clear(gateway: &Gateway, id: &UploadId) -> Result<(), Failure> {
    destroy(gateway, uploads::names(&gateway.state, id).await?).await?;
    Ok(uploads::forget(&gateway.state, id).await?)
}

async fn destroy(gateway: &Gateway, names: Vec<String>) -> Result<(), Failure> {
    for name in names {
        gateway.records.delete(&name).await?;
        uploads::forget_piece(&gateway.state, &name).await?;
    }
    Ok(())
}

/// What is arriving.
struct Intake<'a> {
    gateway: &'a Gateway,
    id: &'a UploadId,
    parts: Parts,
    writer: String,
    /// How far the upload has come.
    from: u64,
    /// How far it will have come with what is stored.
    to: u64,
    /// The piece that is not full yet.
    buffer: BytesMut,
    /// Pieces that are not part of the upload yet.
    stored: Vec<Piece>,
}

impl Intake<'_> {
    async fn begin_with_the_last_piece(&mut self) -> Result<(), Failure> {
        let expected = self.from % PART_BYTES as u64;
        if expected > 0 {
            let pieces = uploads::pieces(&self.gateway.state, self.id).await?;
            let last = pieces.into_iter().last().filter(|piece| piece.length == expected);
            let last = last.ok_or(Failure::Records(RecordsError::Lost))?;
            let records = Arc::clone(&self.gateway.records);
            self.buffer.extend_from_slice(&read_piece(records, self.parts.clone(), last).await?);
        }
        Ok(())
    }

    /// False when another writer goes on.
    async fn take(
        &mut self,
        mut bytes: RecordBytes,
        mut left: u64,
        checksum: Option<Checksum>,
    ) -> Result<bool, Failure> {
        let mut sum = checksum.map(Summing::new).transpose()?;
        while let Some(chunk) = bytes.next().await {
            let mut chunk = match chunk {
                Ok(chunk) => chunk,
                Err(broken) if sum.is_none() => {
                    if self.store().await? {
                        self.keep().await?;
                    }
                    return Err(broken);
                }
                Err(broken) => return self.drop_all(broken).await,
            };
            let Some(rest) = left.checked_sub(chunk.len() as u64) else {
                let length = self.to + self.buffered() + left;
                return self.drop_all(refused(UploadRefusal::BeyondLength(length))).await;
            };
            left = rest;
            if let Some(sum) = &mut sum {
                sum.update(&chunk)?;
            }
            while !chunk.is_empty() {
                self.buffer.extend_from_slice(&chunk.split_to(chunk.len().min(PART_BYTES - self.buffer.len())));
                let is_full = self.buffer.len() == PART_BYTES;
                if is_full && (!self.store().await? || (sum.is_none() && !self.keep().await?)) {
                    return Ok(false);
                }
            }
        }
        if !self.store().await? {
            return Ok(false);
        }
        if let Some(sum) = sum
            && !sum.fits()?
        {
            return self.drop_all(refused(UploadRefusal::Checksum)).await;
        }
        self.keep().await
    }

    /// Bytes that came and are not stored.
    fn buffered(&self) -> u64 {
        (self.buffer.len() as u64).saturating_sub(self.to % PART_BYTES as u64)
    }

    /// False when another writer goes on; then nothing of this one's stays.
    async fn store(&mut self) -> Result<bool, Failure> {
        if self.buffered() == 0 {
            return Ok(true);
        }
        let plain = std::mem::take(&mut self.buffer).freeze();
        // A record is at most 3 GB.
        let number = (self.to / PART_BYTES as u64) as u32;
        let piece = Piece { name: new_name(), number, length: plain.len() as u64 };
        let parts = self.parts.clone();
        let sealed = busy(move || Ok(parts.seal(number, plain.len() < PART_BYTES, &plain)?)).await?;
        if !uploads::expect(&self.gateway.state, self.id, &self.writer, &piece, now()).await? {
            self.drop_stored().await?;
            return Ok(false);
        }
        let mut object = self.gateway.records.create(&piece.name);
        object.write(sealed.into()).await?;
        object.finish().await?;
        self.to = u64::from(number) * PART_BYTES as u64 + piece.length;
        self.stored.push(piece);
        Ok(true)
    }

    async fn keep(&mut self) -> Result<bool, Failure> {
        let stored = std::mem::take(&mut self.stored);
        let (state, way) = (&self.gateway.state, (self.from, self.to));
        let kept = uploads::keep(state, self.id, &self.writer, way, &stored, expiry(self.gateway)).await?;
        self.from = self.to;
        let is_kept = kept.is_some();
        let needless = kept.unwrap_or_else(|| stored.into_iter().map(|piece| piece.name).collect());
        destroy(self.gateway, needless).await?;
        Ok(is_kept)
    }

    async fn drop_all(&mut self, reason: Failure) -> Result<bool, Failure> {
        self.drop_stored().await?;
        Err(reason)
    }

    async fn drop_stored(&mut self) -> Result<(), Failure> {
        destroy(self.gateway, self.stored.drain(..).map(|piece| piece.name).collect()).await
    }
}

async fn read_piece(records: Arc<dyn Records>, parts: Parts, piece: Piece) -> Result<Bytes, Failure> {
    let chunks: Vec<Bytes> = records.fetch(&piece.name, None).await?.try_collect().await?;
    busy(move || {
        let is_last = piece.length < PART_BYTES as u64;
        let plain = parts.open(piece.number, is_last, &chunks.concat()).map_err(|_| Failure::Tampered("key"))?;
        if plain.len() as u64 == piece.length { Ok(plain.into()) } else { Err(Failure::Tampered("length")) }
    })
    .await
}

fn parts(key: &ContentKey, id: &UploadId) -> Result<Parts, Failure> {
    Ok(Parts::new(key, MEDIA_TYPE, Place { link: id, version: NO_VERSION })?)
}

/// Seals an upload's key to the key that the organisation has on the ledger.
async fn seal_secret(gateway: &Gateway, id: &UploadId, key: &ContentKey, metadata: String) -> Result<Vec<u8>, Failure> {
    let own = &gateway.organisation.msp_id;
    let organisation = OrganisationsClient::new(gateway.own_contract()).organisation(own).await?;
    let unusable = || Failure::RecipientKeyUnusable(healthchain_rules::Holder::Organisation(own.clone()));
    let OrganisationState::Active { encryption_key, .. } = organisation.state else { return Err(unusable()) };
    let secret = Secret { key: key.to_text().to_string(), metadata };
    let plain = Zeroizing::new(serde_json::to_vec(&secret).expect("texts always serialise"));
    let public = STANDARD.decode(encryption_key.public_key.as_str()).map_err(|_| unusable())?;
    seal(&public, &context(id, encryption_key.key_hash.as_str()), &plain).map_err(|_| unusable())
}

async fn open_secret(gateway: &Gateway, upload: &Upload) -> Result<(ContentKey, String), Failure> {
    let (key, id, sealed) =
        (Arc::clone(&gateway.organisation.encryption_key), upload.id.clone(), upload.sealed.clone());
    let plain = busy(move || Ok(key.unseal(&context(&id, key.key_hash()), &sealed)?)).await?;
    let Secret { key, metadata } = serde_json::from_slice(&plain).map_err(|_| Failure::EnvelopeDoesNotOpen)?;
    Ok((ContentKey::from_text(&Zeroizing::new(key))?, metadata))
}

fn context<'a>(id: &'a UploadId, recipient_key_hash: &'a str) -> EnvelopeContext<'a> {
    EnvelopeContext { link: id.as_str(), version: NO_VERSION, category: CATEGORY, recipient_key_hash }
}

fn expiry(gateway: &Gateway) -> LedgerTime {
    LedgerTime::from_milliseconds(now().milliseconds().saturating_add(gateway.uploads.patience.as_millis() as u64))
}

/// Where an upload is, to one who took it to be elsewhere.
async fn at(gateway: &Gateway, member: &WalletMember, id: &UploadId) -> Result<Failure, Failure> {
    Ok(refused(UploadRefusal::At(find(gateway, member, id).await?.received)))
}

fn refused(refusal: UploadRefusal) -> Failure {
    Failure::Upload(refusal)
}
