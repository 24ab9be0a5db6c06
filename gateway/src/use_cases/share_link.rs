//! Publishing a record: encrypt and store as it comes, seal, submit.

use std::str::FromStr;
use std::sync::Arc;

use futures::TryStreamExt as _;
use healthchain_interface::{LinksClient, MembersClient, PublishLink, RecipientsQuery};
use healthchain_rules::{
    Authority, Category, Commitment, Content, Envelope, Holder, Link, LinkId, MediaType, MemberId, Permission,
    Recipient, Refusal, RefusalCode, Role, Standing,
};

use super::find_content::Source;
use super::read_record::Reader;
use super::seal_for;
use super::store_record::{RecordBytes, StoredRecord, store_record};
use crate::content::parts::Place;
use crate::content::{ContentKey, Payload};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::records;
use crate::telemetry::SPANS;
use crate::wallet::WalletMember;

/// Version of a link that is published anew.
const FIRST: u32 = 1;

/// A record to publish.
pub struct Record {
    /// Whose it is.
    pub patient: MemberId,
    /// What kind of record.
    pub category: Category,
    /// Media type of the bytes.
    pub media_type: MediaType,
    /// The record itself, as it comes.
    pub bytes: RecordBytes,
}

/// A published link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// This request published it.
    Now(Link),
    /// An earlier request with the same key and the same record did.
    Before(Link),
}

/// What the ledger says before the record itself is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// The member may publish, sealed to these recipients.
    New(LinkId, Vec<Recipient>),
    /// An earlier request with the same key has published this.
    Published(Box<Link>),
}

/// Asks the ledger whether the member may publish about this patient, and to whom it is sealed. The link's id follows from the member
/// and its idempotency key, so that a repeated request finds what the first one did, even when nobody knows what became of that
/// one.
pub async fn may_share(
    gateway: &Gateway,
    member: &WalletMember,
    idempotency_key: &str,
    patient: &MemberId,
    category: Category,
) -> Result<Prospect, Failure> {
    let id = id_of(&member.id, idempotency_key);
    let links = LinksClient::new(gateway.contract(member.signer()?));
    let query = RecipientsQuery { patient: patient.clone(), category };
    // Of a publication that this state knows nothing of, the ledger tells when it is made again.
    let may_be_published = !records::of_link(&gateway.state, &id).await?.is_empty();
    let recipients = match links.recipients(&query).await.map_err(Failure::from) {
        Ok(recipients) if !may_be_published => return Ok(Prospect::New(id, recipients)),
        Err(failure) if !matches!(failure, Failure::Refused(_)) => return Err(failure),
        recipients => recipients,
    };
    match published(gateway, member, &id).await? {
        Some(link) => Ok(Prospect::Published(Box::new(link))),
        None => Ok(Prospect::New(id, recipients?)),
    }
}

/// As [`may_share`], for a member whose key is elsewhere: the organisation's gateway, which may know it too, asks to whom the record is sealed.
/// Whether the member may publish, and whether it has done so before, the ledger says when the publication is endorsed; but nobody learns
/// the recipients, or fills the store, whom the ledger knows as somebody who does not publish.
pub async fn will_share(
    gateway: &Gateway,
    member: &WalletMember,
    idempotency_key: &str,
    patient: &MemberId,
    category: Category,
) -> Result<(LinkId, Vec<Recipient>), Failure> {
    require_known_for(gateway, member, &[Permission::PublishLink]).await?;
    let query = RecipientsQuery { patient: patient.clone(), category };
    let recipients = LinksClient::new(gateway.own_contract()).recipients(&query).await?;
    Ok((id_of(&member.id, idempotency_key), recipients))
}

/// Refuses whom the ledger knows as somebody who has none of these permissions, asked by the organisation's gateway.
pub(super) async fn require_known_for(
    gateway: &Gateway,
    member: &WalletMember,
    permissions: &[Permission],
) -> Result<(), Failure> {
    let known = MembersClient::new(gateway.own_contract()).member(&member.id).await?;
    let is_granted = |permission: &Permission| Authority::of(known.role, &known.groups, *permission).is_granted();
    // An agent has its owner's permissions, which the ledger alone knows.
    let may = known.role == Role::Agent || permissions.iter().any(is_granted);
    if known.standing == Standing::Active && may {
        return Ok(());
    }
    let detail = "records are published and amended by active clinicians";
    Err(Failure::Refused(Refusal::new(RefusalCode::NotPermitted, detail)))
}

/// Publishes a record, after [`may_share`] for its patient and category.
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn share_link(
    gateway: &Gateway,
    member: &WalletMember,
    prospect: Prospect,
    record: Record,
) -> Result<Shared, Failure> {
    let (id, recipients) = match prospect {
        Prospect::New(id, recipients) => (id, recipients),
        Prospect::Published(link) => return same_record(gateway, *link, record).await,
    };
    let links = LinksClient::new(gateway.contract(member.signer()?));
    let (call, stored) = compose(gateway, &id, recipients, record).await?;
    match links.publish(&call).await.map_err(Failure::from) {
        Ok(link) => {
            // It is published, whatever the state says; what it does not know, the keeper reads from the ledger.
            if let Err(error) = records::confirm(&gateway.state, &stored.name).await {
                tracing::warn!(%error, "that a stored record is published could not be remembered");
            }
            Ok(Shared::Now(link))
        }
        // Another request with the same key was faster.
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::LinkExists => {
            match published(gateway, member, &id).await? {
                Some(link) => {
                    let bytes =
                        stored_again(gateway, Place { link: &id, version: FIRST }, &call.media_type, stored).await?;
                    let PublishLink { patient, category, media_type, .. } = call;
                    same_record(gateway, link, Record { patient, category, media_type, bytes }).await
                }
                None => Err(Failure::Refused(refusal)),
            }
        }
        Err(failure) => Err(failure),
    }
}

/// Encrypts and stores a record and seals it to its recipients: what is left is to publish it.
pub async fn compose(
    gateway: &Gateway,
    id: &LinkId,
    recipients: Vec<Recipient>,
    record: Record,
) -> Result<(PublishLink, StoredRecord), Failure> {
    let Record { patient, category, media_type, bytes } = record;
    // A failure after this line leaves a ciphertext that nobody has the key of, never a link without its record.
    let place = Place { link: id, version: FIRST };
    let stored = store_record(gateway, place, &media_type, bytes).await?;
    let envelopes = seal_to(gateway, recipients, &stored, place, category)?;
    let call = PublishLink {
        link: id.clone(),
        patient,
        category,
        content_hash: stored.content_hash.clone(),
        content_length: stored.content_length,
        commitment: stored.commitment.clone(),
        media_type,
        envelopes,
    };
    Ok((call, stored))
}

/// Seals a stored record to its recipients. The organisation's own envelope also names the record in the store.
pub(super) fn seal_to(
    gateway: &Gateway,
    recipients: Vec<Recipient>,
    stored: &StoredRecord,
    place: Place<'_>,
    category: Category,
) -> Result<Vec<Envelope>, Failure> {
    let Place { link, version } = place;
    let url = gateway.content_url(link, version);
    let payload = Payload { url, key: stored.key.clone(), record: Some(stored.name.clone()) };
    let seal_one = |recipient: Recipient| {
        let own = is_own(gateway, &recipient.holder);
        let payload = if own { payload.clone() } else { payload.for_others() };
        seal_for(recipient, &payload, link, version, category)
    };
    recipients.into_iter().map(seal_one).collect()
}

/// Whether it is this organisation that an envelope is sealed to.
pub(super) fn is_own(gateway: &Gateway, holder: &Holder) -> bool {
    matches!(holder, Holder::Organisation(msp_id) if *msp_id == gateway.organisation.msp_id)
}

/// The bytes of a record that was just stored.
pub(super) async fn stored_again(
    gateway: &Gateway,
    place: Place<'_>,
    media_type: &MediaType,
    stored: StoredRecord,
) -> Result<RecordBytes, Failure> {
    let StoredRecord { name, key, content_hash: hash, content_length: length, commitment } = stored;
    let content = Content { hash, length, media_type: media_type.clone() };
    let (source, patience) = (Source::Own(Arc::clone(&gateway.records), name), gateway.patience.transfer);
    let reader = Reader { source, key, content, commitment, patience, wholes: gateway.wholes.clone() };
    Ok(reader.read(place, None).await?.bytes)
}

/// The id under which a member's request publishes or proposes: SHA-256 of the member and the key, each behind its length.
pub fn id_of<Id: FromStr<Err: std::fmt::Debug>>(member: &MemberId, idempotency_key: &str) -> Id {
    let mut hash = openssl::sha::Sha256::new();
    for part in [member.as_str(), idempotency_key] {
        hash.update(&(part.len() as u32).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finish()).parse().expect("64 hexadecimal digits are an id")
}

async fn published(gateway: &Gateway, member: &WalletMember, id: &LinkId) -> Result<Option<Link>, Failure> {
    match LinksClient::new(gateway.contract(member.signer()?)).link(id).await.map_err(Failure::from) {
        Ok(link) => Ok(Some(link)),
        Err(Failure::Refused(refusal)) if is_unknown_link(&refusal) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn is_unknown_link(refusal: &Refusal) -> bool {
    refusal.code() == RefusalCode::UnknownLink
}

/// Whether the link on the ledger is of this record: the commitment, which needs the content's key, says so.
async fn same_record(gateway: &Gateway, link: Link, record: Record) -> Result<Shared, Failure> {
    require_facts(gateway, &link, &record.patient, record.category, &record.media_type)?;
    let payload = gateway.own_payload(&link.id, FIRST, link.category).await?;
    match commits_to(&payload.key, &link.current.commitment, record.bytes).await? {
        true => Ok(Shared::Before(link)),
        false => Err(Failure::IdempotencyKeyReused),
    }
}

/// Refuses a link that is not of a record of these facts, in its first version.
pub fn require_facts(
    gateway: &Gateway,
    link: &Link,
    patient: &MemberId,
    category: Category,
    media_type: &MediaType,
) -> Result<(), Failure> {
    let same = link.current.number == FIRST
        && link.publisher == gateway.organisation.msp_id
        && link.patient == *patient
        && link.category == category
        && link.current.content.media_type == *media_type;
    if same { Ok(()) } else { Err(Failure::IdempotencyKeyReused) }
}

/// Whether a commitment is to these bytes.
pub(super) async fn commits_to(
    key: &ContentKey,
    commitment: &Commitment,
    mut bytes: RecordBytes,
) -> Result<bool, Failure> {
    let mut own = key.committing()?;
    while let Some(chunk) = bytes.try_next().await? {
        own.update(&chunk)?;
    }
    Ok(openssl::memcmp::eq(own.finish()?.as_bytes(), commitment.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_and_a_key_always_give_the_same_link() {
        let id = |member: &str, key| -> LinkId { id_of(&member.parse().unwrap(), key) };
        assert_eq!(id("dr-grey", "a"), id("dr-grey", "a"));
        assert_ne!(id("dr-grey", "a"), id("dr-grey", "b"));
        assert_ne!(id("dr-grey", "a"), id("dr-greya", ""));
    }
}
