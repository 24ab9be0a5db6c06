//! The second lock: an encrypted content leaves this organisation only on the strength of a committed, permitted, recent
//! opening by the organisation that asks, still in force, as this organisation's *own* peer knows it.

use std::time::Duration;

use bytes::Bytes;
use healthchain_interface::LinksClient;
use healthchain_rules::{Category, Decision, LedgerTime, LinkId, MspId, Opening, RefusalCode, TransactionId};
use tokio::time::Instant;

use super::{distance, now};
use crate::failure::{Failure, Lock};
use crate::gateway::Gateway;
use crate::telemetry::SPANS;

/// How old an opening may be. As its time is the opener's, it may also lie this far in the future.
pub const OPENING_AGE: Duration = Duration::from_secs(5 * 60);
const PAUSE: Duration = Duration::from_millis(100);

/// The encrypted content of a version, for another organisation's gateway.
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn serve_content(
    gateway: &Gateway,
    asking: &MspId,
    link: &LinkId,
    version: u32,
    opening: &TransactionId,
) -> Result<Bytes, Failure> {
    let opening = committed_opening(gateway, opening).await?;
    let category = check(gateway, &opening, asking, link, version, now()).map_err(Failure::Locked)?;

    // The time is the opener's, and consents end: what counts is that the opening would be permitted now.
    let links = LinksClient::new(gateway.own_contract());
    let in_force = links.in_force(&opening.transaction);
    let (in_force, payload) = tokio::join!(in_force, gateway.own_payload(link, version, category));
    in_force?;
    let payload = payload?;
    let name = payload.record.as_deref().ok_or(Failure::EnvelopeDoesNotOpen)?;
    let content = gateway.records.fetch(name).await?;
    tracing::info!(
        opening = %opening.transaction, %link, version, organisation = %asking, bytes = content.len(),
        "content transferred"
    );
    Ok(content)
}

/// The opening as the own peer has it. The asking organisation's peer may be a block ahead: then it is waited for.
async fn committed_opening(gateway: &Gateway, id: &TransactionId) -> Result<Opening, Failure> {
    let links = LinksClient::new(gateway.own_contract());
    let until = Instant::now() + gateway.patience.opening;
    loop {
        match links.opening(id).await.map_err(Failure::from) {
            Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::UnknownOpening => {
                if Instant::now() + PAUSE > until {
                    return Err(Failure::Locked(Lock::NoOpening));
                }
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// What kind of record the opening is of, if it opens the lock.
fn check(
    gateway: &Gateway,
    opening: &Opening,
    asking: &MspId,
    link: &LinkId,
    version: u32,
    now: LedgerTime,
) -> Result<Category, Lock> {
    match &opening.decision {
        _ if opening.organisation != *asking => Err(Lock::AnotherOrganisation),
        _ if opening.link != *link => Err(Lock::AnotherLink),
        _ if opening.version != version => Err(Lock::AnotherVersion),
        Decision::Denied { .. } => Err(Lock::Denied),
        _ if distance(opening.time, now) > OPENING_AGE => Err(Lock::TooOld),
        _ if opening.publisher != gateway.organisation.msp_id => Err(Lock::NotThePublisher),
        Decision::Permitted { category, .. } => Ok(*category),
    }
}
