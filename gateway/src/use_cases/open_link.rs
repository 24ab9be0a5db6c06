//! Opening a link: ask the ledger, unseal, fetch, check, decrypt.

use std::time::Duration;

use bytes::Bytes;
use healthchain_interface::{LinksClient, OpenLink, Opened, OrganisationsClient};
use healthchain_rules::{
    Category, Commitment, Content, Decision, Envelope, Holder, Opening, OrganisationState, Refusal, RefusalCode,
    TransactionId,
};
use tokio::time::Instant;
use url::Url;

use super::busy;
use super::serve_content::serve_content;
use crate::content::{Payload, content_bytes_at_most, content_hash};
use crate::contents::{ContentRequest, ContentsError};
use crate::failure::Failure;
use crate::gateway::{Gateway, content_url, unseal};
use crate::telemetry::SPANS;
use crate::wallet::{Keys, WalletMember};

/// First pause between two looks for an envelope; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A record with the opening that permits its holder to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedRecord {
    /// The committed opening.
    pub opening: Opening,
    /// What was published, as checked.
    pub content: Content,
    /// The record's plain bytes.
    pub record: Bytes,
}

/// What a permitted opening brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// The record.
    Record(OpenedRecord),
    /// An envelope for a key that the member keeps elsewhere.
    Sealed(Box<Opening>, Envelope),
}

/// Opens a link for a member whose key is here. The ledger's decision is committed before anything is fetched, and a denial is a failure that
/// carries it.
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn open_link(gateway: &Gateway, member: &WalletMember, call: &OpenLink) -> Result<OpenedRecord, Failure> {
    let opened = LinksClient::new(gateway.contract(member.signer()?)).open(call).await?;
    match receive(gateway, member, opened).await? {
        Brought::Record(record) => Ok(record),
        Brought::Sealed(..) => Err(Failure::EnvelopeDoesNotOpen),
    }
}

/// Carries a committed opening out. A denial is a failure that carries it.
pub async fn receive(gateway: &Gateway, member: &WalletMember, opened: Opened) -> Result<Brought, Failure> {
    let Opened { opening, envelope } = opened;
    let Some(permitted) = Permitted::of(&opening) else { return Err(Failure::Denied(Box::new(opening))) };
    let transaction = opening.transaction.clone();
    let after = |failure| Failure::AfterOpening { opening: transaction, failure: Box::new(failure) };

    let envelope = match envelope {
        Some(envelope) => Ok(envelope),
        None => awaited_envelope(gateway, &opening).await,
    };
    let envelope = match envelope {
        Ok(envelope) => envelope,
        Err(failure) => return Err(after(failure)),
    };
    if is_for_elsewhere(member, &envelope) {
        return Ok(Brought::Sealed(Box::new(opening), envelope));
    }
    let content = permitted.content.clone();
    match carry_out(gateway, member, &opening, &permitted, envelope).await {
        Ok(record) => Ok(Brought::Record(OpenedRecord { opening, content, record })),
        Err(failure) => Err(after(failure)),
    }
}

/// The encrypted content of an opening, for its opener, who has the key elsewhere. Nothing is decided here: another publisher's gateway
/// holds its lock, and this one its own.
pub async fn sealed_content(gateway: &Gateway, member: &WalletMember, id: &TransactionId) -> Result<Bytes, Failure> {
    let opening = LinksClient::new(gateway.own_contract()).opening(id).await?;
    if opening.opener != member.id {
        return Err(Failure::Refused(Refusal::new(RefusalCode::UnknownOpening, "there is no such opening of yours")));
    }
    let Some(permitted) = Permitted::of(&opening) else { return Err(Failure::Denied(Box::new(opening))) };
    if opening.publisher == gateway.organisation.msp_id {
        return serve_content(gateway, &gateway.organisation.msp_id, &opening.link, opening.version, id).await;
    }
    fetch_from_publisher(gateway, &opening, &permitted).await
}

/// Whether the envelope is sealed to a key that the member keeps elsewhere.
fn is_for_elsewhere(member: &WalletMember, envelope: &Envelope) -> bool {
    let own = matches!(&envelope.holder, Holder::Member(holder) if *holder == member.id);
    own && matches!(member.keys, Keys::Elsewhere(_))
}

/// What a permitted opening says of the record.
struct Permitted<'a> {
    category: Category,
    content: &'a Content,
    commitment: &'a Commitment,
}

impl<'a> Permitted<'a> {
    fn of(opening: &'a Opening) -> Option<Self> {
        match &opening.decision {
            Decision::Permitted { category, content, commitment, .. } => {
                Some(Self { category: *category, content, commitment })
            }
            Decision::Denied { .. } => None,
        }
    }
}

async fn carry_out(
    gateway: &Gateway,
    member: &WalletMember,
    opening: &Opening,
    permitted: &Permitted<'_>,
    envelope: Envelope,
) -> Result<Bytes, Failure> {
    let keys = [Some(gateway.organisation.encryption_key.as_ref()), member.encryption_key()];
    let key = keys.into_iter().flatten().find(|key| key.key_hash() == envelope.recipient_key_hash.as_str());
    let key = key.ok_or(Failure::EnvelopeDoesNotOpen)?;
    let payload = unseal(key, &envelope, &opening.link, opening.version, permitted.category)?;

    let encrypted = fetch(gateway, opening, permitted, &payload).await?;
    let (expected, commitment) = (permitted.content.clone(), permitted.commitment.clone());
    busy(move || {
        if encrypted.len() as u64 != expected.length {
            return Err(Failure::Tampered("length"));
        }
        if content_hash(&encrypted) != expected.hash.as_str() {
            return Err(Failure::Tampered("SHA-256"));
        }
        let record = payload.key.decrypt(&encrypted).map_err(|_| Failure::Tampered("key"))?;
        // AES-GCM does not commit to its key: without this a publisher could give two openers two keys, and so two records.
        if payload.key.commitment(&record)? != commitment.as_str() {
            return Err(Failure::Tampered("commitment"));
        }
        Ok(Bytes::from(record))
    })
    .await
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

async fn fetch(
    gateway: &Gateway,
    opening: &Opening,
    permitted: &Permitted<'_>,
    payload: &Payload,
) -> Result<Bytes, Failure> {
    if opening.publisher == gateway.organisation.msp_id {
        return own_record(gateway, opening, permitted.category, payload).await;
    }
    fetch_from_publisher(gateway, opening, permitted).await
}

async fn fetch_from_publisher(
    gateway: &Gateway,
    opening: &Opening,
    permitted: &Permitted<'_>,
) -> Result<Bytes, Failure> {
    // Before anything is fetched, because it is held in memory: the length is the publisher's word.
    let length = permitted.content.length;
    if length > content_bytes_at_most(gateway.max_record_bytes) {
        return Err(Failure::BeyondLimit(length));
    }
    let url = publishers_url(gateway, opening).await?;
    let request = ContentRequest {
        publisher: opening.publisher.as_str(),
        url: &url,
        opening: opening.transaction.as_str(),
        length,
    };
    match tokio::time::timeout(gateway.patience.transfer, gateway.contents.fetch(request)).await {
        Ok(Err(ContentsError::TooLong(_))) => Err(Failure::Tampered("length")),
        Ok(fetched) => Ok(fetched?),
        Err(_) => Err(unreachable(opening, "the content did not arrive in time")),
    }
}

/// The content's place at the address that the ledger holds for the publisher. What host the envelope names does not count:
/// whoever sealed it could make this gateway call any address.
async fn publishers_url(gateway: &Gateway, opening: &Opening) -> Result<Url, Failure> {
    let publisher = OrganisationsClient::new(gateway.own_contract()).organisation(&opening.publisher).await?;
    let OrganisationState::Active { gateway_url, .. } = publisher.state else {
        return Err(unreachable(opening, "it has not entered the consortium"));
    };
    let url =
        Url::parse(gateway_url.as_str()).map_err(|_| unreachable(opening, "its address on the ledger is no URL"))?;
    Ok(content_url(url, &opening.link, opening.version))
}

fn unreachable(opening: &Opening, reason: &str) -> Failure {
    ContentsError::Unreachable(opening.publisher.to_string(), reason.to_owned()).into()
}

/// From the own store. An envelope for one person does not name the record there; the organisation's own envelope does.
async fn own_record(
    gateway: &Gateway,
    opening: &Opening,
    category: Category,
    payload: &Payload,
) -> Result<Bytes, Failure> {
    if let Some(name) = &payload.record {
        return Ok(gateway.records.fetch(name).await?);
    }
    let payload = gateway.own_payload(&opening.link, opening.version, category).await?;
    let name = payload.record.as_deref().ok_or(Failure::EnvelopeDoesNotOpen)?;
    Ok(gateway.records.fetch(name).await?)
}
