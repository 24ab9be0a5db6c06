//! The second lock: an encrypted content leaves this organisation only on the strength of a committed, permitted, recent
//! opening by the organisation that asks, still in force, as this organisation's *own* peer knows it. A custodian's gateway holds the
//! same lock over its copies. What goes between a publisher and its custodian needs no opening: [`super::serve_replica`].

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use healthchain_interface::LinksClient;
use healthchain_rules::{Category, Content, Decision, LedgerTime, LinkId, MspId, Opening, RefusalCode, TransactionId};
use openssl::sha::Sha256;
use tokio::time::Instant;

use super::read_record::Wanted;
use super::store_record::RecordBytes;
use super::{distance, now};
use crate::content::parts::Place;
use crate::failure::{Failure, Lock};
use crate::gateway::Gateway;
use crate::records::{RecordsError, StoredBytes};
use crate::state::{records, replicas};
use crate::telemetry::SPANS;

/// How old an opening may be. As its time is the opener's, it may also lie this far in the future.
pub const OPENING_AGE: Duration = Duration::from_secs(5 * 60);
const PAUSE: Duration = Duration::from_millis(100);

/// A content, or a range of it, on its way to another organisation's gateway.
pub struct ServedContent {
    /// Length of the whole content.
    pub length: u64,
    /// Which of its bytes follow.
    pub range: Range<u64>,
    /// The bytes.
    pub bytes: RecordBytes,
}

/// The encrypted content of a version, or what is wanted of it, for another organisation's gateway.
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn serve_content(
    gateway: &Gateway,
    asking: &MspId,
    link: &LinkId,
    version: u32,
    opening: &TransactionId,
    wanted: Option<Wanted>,
) -> Result<ServedContent, Failure> {
    // The time is the opener's, and consents end: what counts is that the opening would be permitted now.
    let (opening, in_force) = committed_opening(gateway, opening).await?;
    let (category, published) = check(&opening, asking, link, version, now()).map_err(Failure::Locked)?;
    let range = range_of(&published, wanted)?;
    in_force?;

    let place = Place { link, version };
    let name = if opening.publisher == gateway.organisation.msp_id {
        own_name(gateway, place, &published, category).await?
    } else {
        copys_name(gateway, place, &opening.publisher).await?
    };
    let served = hand_out(gateway, &name, place, &published, range.clone()).await?;
    tracing::info!(
        opening = %opening.transaction, %link, version, organisation = %asking, ?range, "content given out"
    );
    Ok(served)
}

/// The bytes that are wanted of a content; none when it is wanted whole.
pub(super) fn range_of(content: &Content, wanted: Option<Wanted>) -> Result<Option<Range<u64>>, Failure> {
    let unsatisfiable = || Failure::RangeNotSatisfiable(content.length);
    wanted.map(|wanted| wanted.of(content.length).ok_or_else(unsatisfiable)).transpose()
}

/// A content of the store on its way out, or a range of it.
pub(super) async fn hand_out(
    gateway: &Gateway,
    name: &str,
    place: Place<'_>,
    content: &Content,
    range: Option<Range<u64>>,
) -> Result<ServedContent, Failure> {
    let fetched = gateway.records.fetch(name, range.clone()).await;
    let bytes = fetched.inspect_err(|error| {
        if matches!(error, RecordsError::Lost) {
            gateway.suspects.note(place);
        }
    })?;
    let bytes = if range.is_none() { checked(gateway, bytes, place, content) } else { bytes };
    let range = range.unwrap_or(0..content.length);
    Ok(ServedContent { length: content.length, range, bytes: bytes.map_err(Failure::from).boxed() })
}

/// What a content of this organisation is called in the store. The state says it, or else the organisation's own envelope on the ledger.
pub(super) async fn own_name(
    gateway: &Gateway,
    place: Place<'_>,
    content: &Content,
    category: Category,
) -> Result<String, Failure> {
    match records::confirmed_name(&gateway.state, place, &content.hash).await? {
        Some(name) => Ok(name),
        None => name_on_the_ledger(gateway, place, category).await,
    }
}

/// What the organisation's own envelope says that a content is called in the store.
pub(super) async fn name_on_the_ledger(
    gateway: &Gateway,
    place: Place<'_>,
    category: Category,
) -> Result<String, Failure> {
    let payload = gateway.own_payload(place.link, place.version, category).await?;
    payload.record.clone().ok_or(Failure::EnvelopeDoesNotOpen)
}

/// What the copy of another organisation's content is called in the store, if one is kept.
async fn copys_name(gateway: &Gateway, place: Place<'_>, publisher: &MspId) -> Result<String, Failure> {
    let copy = replicas::kept(&gateway.state, place).await?.filter(|copy| copy.publisher == *publisher);
    Ok(copy.ok_or(Failure::Locked(Lock::NotThePublisher))?.name)
}

/// Tells this organisation's operator of a store that has not kept what was published, and has it mended. Whoever asked finds it out for
/// itself: it checks the same hash, and could not rely on a check of somebody else's.
fn checked(gateway: &Gateway, bytes: StoredBytes, place: Place<'_>, content: &Content) -> StoredBytes {
    let (link, version, hash) = (place.link.clone(), place.version, content.hash.clone());
    let suspects = Arc::clone(&gateway.suspects);
    let spoilt = move || {
        tracing::error!(%link, version, "the store has not kept the content as it was published");
        suspects.note(Place { link: &link, version });
    };
    // Whoever takes it stops at the content's length, and does not come to the end of what is longer.
    let begun = (bytes, Sha256::new(), content.length);
    let bytes = futures::stream::try_unfold(begun, move |(mut bytes, mut sum, left)| {
        let (hash, spoilt) = (hash.clone(), spoilt.clone());
        async move {
            let Some(chunk) = bytes.try_next().await? else {
                if left > 0 || hex::encode(sum.finish()) != hash.as_str() {
                    spoilt();
                }
                return Ok(None);
            };
            let rest = left.checked_sub(chunk.len() as u64);
            if rest.is_none() {
                spoilt();
            }
            sum.update(&chunk);
            Ok(Some((chunk, (bytes, sum, rest.unwrap_or(0)))))
        }
    });
    bytes.boxed()
}

/// The opening as the own peer has it, and whether it would be permitted now. The asking organisation's peer may be a block ahead: then it
/// is waited for.
async fn committed_opening(gateway: &Gateway, id: &TransactionId) -> Result<(Opening, Result<(), Failure>), Failure> {
    let links = LinksClient::new(gateway.own_contract());
    let until = Instant::now() + gateway.patience.opening;
    loop {
        let refusal = match links.in_force(id).await.map_err(Failure::from) {
            Ok(opening) => return Ok((opening, Ok(()))),
            Err(Failure::Refused(refusal)) => refusal,
            Err(failure) => return Err(failure),
        };
        if refusal.code() != RefusalCode::UnknownOpening {
            // What opens no lock is said before what is not in force any more.
            return Ok((links.opening(id).await?, Err(Failure::Refused(refusal))));
        }
        if Instant::now() + PAUSE > until {
            return Err(Failure::Locked(Lock::NoOpening));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What kind of record the opening is of, and its content, if it opens the lock.
fn check(
    opening: &Opening,
    asking: &MspId,
    link: &LinkId,
    version: u32,
    now: LedgerTime,
) -> Result<(Category, Content), Lock> {
    match &opening.decision {
        _ if opening.organisation != *asking => Err(Lock::AnotherOrganisation),
        _ if opening.link != *link => Err(Lock::AnotherLink),
        _ if opening.version != version => Err(Lock::AnotherVersion),
        Decision::Denied { .. } => Err(Lock::Denied),
        _ if distance(opening.time, now) > OPENING_AGE => Err(Lock::TooOld),
        Decision::Permitted { category, content, .. } => Ok((*category, content.clone())),
    }
}
