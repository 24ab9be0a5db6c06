//! Opening a link: ask the ledger, unseal, and read the record from where it lies.

use std::sync::Arc;
use std::time::Duration;

use healthchain_interface::{LinksClient, OpenLink, Opened};
use healthchain_rules::{Category, Content, Decision, Envelope, Holder, Opening, Refusal, RefusalCode, TransactionId};
use tokio::time::Instant;

use super::find_content::{Places, Source};
use super::read_record::{OutgoingRecord, Reader, Wanted};
use super::serve_content::{OPENING_AGE, ServedContent, own_name, serve_content};
use super::{distance, now};
use crate::content::parts::Place;
use crate::content::{Payload, content_bytes_at_most};
use crate::failure::{Failure, Lock};
use crate::gateway::{Gateway, unseal};
use crate::telemetry::SPANS;
use crate::wallet::{Keys, WalletMember};

/// First pause between two looks for an envelope; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A record with the opening that permits its holder to have it.
pub struct OpenedRecord {
    /// The committed opening.
    pub opening: Opening,
    /// What was published.
    pub content: Content,
    /// The record's plain bytes.
    pub record: OutgoingRecord,
}

/// What a permitted opening brings.
pub enum Brought {
    /// The record.
    Record(Box<OpenedRecord>),
    /// An envelope for a key that the member keeps elsewhere.
    Sealed(Box<Opening>, Envelope),
}

/// Opens a link for a member whose key is here. The ledger's decision is committed before anything is fetched, and a denial is a
/// failure that carries it.
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn open_link(gateway: &Gateway, member: &WalletMember, call: &OpenLink) -> Result<OpenedRecord, Failure> {
    let opened = LinksClient::new(gateway.contract(member.signer()?)).open(call).await?;
    match receive(gateway, member, opened).await? {
        Brought::Record(record) => Ok(*record),
        Brought::Sealed(..) => Err(Failure::EnvelopeDoesNotOpen),
    }
}

/// Carries a committed opening out. A denial is a failure that carries it.
pub async fn receive(gateway: &Gateway, member: &WalletMember, opened: Opened) -> Result<Brought, Failure> {
    let Opened { opening, envelope } = opened;
    if !opening.decision.is_permitted() {
        return Err(Failure::Denied(Box::new(opening)));
    }
    let envelope = match envelope {
        Some(envelope) => Ok(envelope),
        None => awaited_envelope(gateway, &opening).await,
    };
    match envelope {
        Ok(envelope) if is_for_elsewhere(member, &envelope) => Ok(Brought::Sealed(Box::new(opening), envelope)),
        Ok(envelope) => {
            carry_out(gateway, member, opening, envelope, None).await.map(|opened| Brought::Record(Box::new(opened)))
        }
        Err(failure) => Err(after(&opening, failure)),
    }
}

/// The record of a link that the member has opened, once more, or a range of it: as long as the opening is in force, and the
/// second lock would give it out.
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn opened_content(
    gateway: &Gateway,
    member: &WalletMember,
    opening: &TransactionId,
    wanted: Option<Wanted>,
) -> Result<OpenedRecord, Failure> {
    let links = LinksClient::new(gateway.contract(member.signer()?));
    let (opening, envelope) = tokio::join!(links.opening(opening), links.envelope(opening));
    let opening = own_opening(member, opening?)?;
    let envelope = envelope?;
    if distance(opening.time, now()) > OPENING_AGE {
        return Err(Failure::Locked(Lock::TooOld));
    }
    let envelope = match envelope {
        Some(envelope) => envelope,
        None => awaited_envelope(gateway, &opening).await?,
    };
    carry_out(gateway, member, opening, envelope, wanted).await
}

/// The encrypted content of an opening, or a range of it, for its opener, who has the key elsewhere. Nothing is decided here: another
/// publisher's gateway holds its lock, and this one its own.
pub async fn sealed_content(
    gateway: &Gateway,
    member: &WalletMember,
    id: &TransactionId,
    wanted: Option<Wanted>,
) -> Result<ServedContent, Failure> {
    let opening = LinksClient::new(gateway.own_contract()).opening(id).await?;
    let opening = own_opening(member, opening)?;
    if opening.publisher == gateway.organisation.msp_id && opening.decision.is_permitted() {
        return serve_content(gateway, &gateway.organisation.msp_id, &opening.link, opening.version, id, wanted).await;
    }
    let Decision::Permitted { content, .. } = &opening.decision else {
        return Err(Failure::Denied(Box::new(opening)));
    };
    let length = content.length;
    require_within_limit(gateway, length)?;
    let range = match wanted {
        Some(wanted) => Some(wanted.of(length).ok_or(Failure::RangeNotSatisfiable(length))?),
        None => None,
    };
    let place = Place { link: &opening.link, version: opening.version };
    let publisher = Source::at(gateway, &opening.publisher, place, Some(&opening)).await?;
    let mut places = Places::new(gateway, &opening, publisher);
    while let Some(source) = places.next().await {
        match source.fetch(length, range.clone(), gateway.patience.transfer).await {
            Ok(bytes) => return Ok(ServedContent { length, range: range.unwrap_or(0..length), bytes }),
            Err(failure) => places.failed(&source, failure)?,
        }
    }
    Err(places.failure())
}

fn own_opening(member: &WalletMember, opening: Opening) -> Result<Opening, Failure> {
    if opening.opener == member.id {
        return Ok(opening);
    }
    Err(Failure::Refused(Refusal::new(RefusalCode::UnknownOpening, "there is no such opening of yours")))
}

/// Whether the envelope is sealed to a key that the member keeps elsewhere.
fn is_for_elsewhere(member: &WalletMember, envelope: &Envelope) -> bool {
    let own = matches!(&envelope.holder, Holder::Member(holder) if *holder == member.id);
    own && matches!(member.keys, Keys::Elsewhere(_))
}

async fn carry_out(
    gateway: &Gateway,
    member: &WalletMember,
    opening: Opening,
    envelope: Envelope,
    wanted: Option<Wanted>,
) -> Result<OpenedRecord, Failure> {
    let Decision::Permitted { category, content, commitment, .. } = &opening.decision else {
        return Err(Failure::Denied(Box::new(opening)));
    };
    let (content, commitment) = (content.clone(), commitment.clone());
    let read = async {
        let payload = payload(gateway, member, &opening, *category, &envelope).await?;
        let place = Place { link: &opening.link, version: opening.version };
        let publisher = publisher(gateway, &opening, *category, &content, &payload).await?;
        let mut places = Places::new(gateway, &opening, publisher);
        while let Some(source) = places.next().await {
            let reader = Reader {
                source: source.clone(),
                key: payload.key.clone(),
                content: content.clone(),
                commitment: commitment.clone(),
                patience: gateway.patience.transfer,
                wholes: gateway.wholes.clone(),
            };
            match reader.read(place, wanted).await {
                Ok(record) => return Ok(places.watched(&source, record)),
                Err(failure) => places.failed(&source, failure)?,
            }
        }
        Err(places.failure())
    };
    match read.await {
        Ok(record) => Ok(OpenedRecord { opening, content, record }),
        Err(failure) => Err(after(&opening, failure)),
    }
}

fn after(opening: &Opening, failure: Failure) -> Failure {
    Failure::AfterOpening { opening: opening.transaction.clone(), failure: Box::new(failure) }
}

async fn payload(
    gateway: &Gateway,
    member: &WalletMember,
    opening: &Opening,
    category: Category,
    envelope: &Envelope,
) -> Result<Payload, Failure> {
    let keys = [Some(&gateway.organisation.encryption_key), member.encryption_key()];
    let key = keys.into_iter().flatten().find(|key| key.key_hash() == envelope.recipient_key_hash.as_str());
    let key = key.ok_or(Failure::EnvelopeDoesNotOpen)?;
    unseal(Arc::clone(key), envelope.clone(), opening.link.clone(), opening.version, category).await
}

/// The envelope that the publisher's gateway seals on the ledger's instruction.
async fn awaited_envelope(gateway: &Gateway, opening: &Opening) -> Result<Envelope, Failure> {
    let links = LinksClient::new(gateway.own_contract());
    let until = Instant::now() + gateway.patience.envelope;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(envelope) = links.envelope(&opening.transaction).await? {
            return Ok(envelope);
        }
        if Instant::now() + pause > until {
            return Err(Failure::EnvelopeNotYetSealed);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Where the publisher has it.
async fn publisher(
    gateway: &Gateway,
    opening: &Opening,
    category: Category,
    content: &Content,
    payload: &Payload,
) -> Result<Source, Failure> {
    let place = Place { link: &opening.link, version: opening.version };
    if opening.publisher == gateway.organisation.msp_id {
        // An envelope for one person does not tell the name.
        let name = match &payload.record {
            Some(name) => name.clone(),
            None => own_name(gateway, place, content, category).await?,
        };
        return Ok(Source::Own(Arc::clone(&gateway.records), name));
    }
    require_within_limit(gateway, content.length)?;
    Source::at(gateway, &opening.publisher, place, Some(opening)).await
}

/// Before anything is fetched: the length is the publisher's word.
fn require_within_limit(gateway: &Gateway, length: u64) -> Result<(), Failure> {
    let most = content_bytes_at_most(gateway.max_record_bytes);
    if length > most { Err(Failure::BeyondLimit(length)) } else { Ok(()) }
}
