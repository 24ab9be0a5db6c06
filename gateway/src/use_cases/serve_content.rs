//! The second lock: an encrypted content leaves this organisation only on the strength of a committed, permitted, recent
//! opening by the organisation that asks, as this organisation's *own* peer knows it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use healthchain_interface::LinksClient;
use healthchain_rules::{Decision, LedgerTime, LinkId, MspId, Opening, RefusalCode, TransactionId};
use tokio::time::Instant;

use crate::failure::{Failure, Lock};
use crate::gateway::Gateway;

/// How old an opening may be. As its time is the opener's, it may also lie this far in the future.
pub const OPENING_AGE: Duration = Duration::from_secs(5 * 60);
const PAUSE: Duration = Duration::from_millis(100);

/// The encrypted content of a version, for another organisation's gateway.
pub async fn serve_content(
    gateway: &Gateway,
    asking: &MspId,
    link: &LinkId,
    version: u32,
    opening: &TransactionId,
) -> Result<Bytes, Failure> {
    let opening = committed_opening(gateway, opening).await?;
    check(gateway, &opening, asking, link, version, now()).map_err(Failure::Locked)?;

    let payload = gateway.own_payload(link, version, opening.category).await?;
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

fn check(
    gateway: &Gateway,
    opening: &Opening,
    asking: &MspId,
    link: &LinkId,
    version: u32,
    now: LedgerTime,
) -> Result<(), Lock> {
    let age = now.milliseconds().abs_diff(opening.time.milliseconds());
    match () {
        () if opening.organisation != *asking => Err(Lock::AnotherOrganisation),
        () if opening.link != *link => Err(Lock::AnotherLink),
        () if opening.version != version => Err(Lock::AnotherVersion),
        () if !matches!(opening.decision, Decision::Permitted { .. }) => Err(Lock::Denied),
        () if u128::from(age) > OPENING_AGE.as_millis() => Err(Lock::TooOld),
        () if opening.publisher != gateway.organisation.msp_id => Err(Lock::NotThePublisher),
        () => Ok(()),
    }
}

fn now() -> LedgerTime {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    LedgerTime::from_milliseconds(since_1970.as_millis() as u64)
}
