//! Key custody: sealing an envelope for somebody newly entitled, on the ledger's instruction.

use std::time::Duration;

use healthchain_interface::{AddEnvelope, LinksClient};
use healthchain_rules::audit::Act;
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::{Decision, Holder, LedgerEvent, RefusalCode};

use super::{distance, now, seal_for};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::telemetry::SPANS;

/// How old an opening may be for an envelope to be sealed. As its time is the opener's, it may also lie this far in the future.
pub const OPENING_AGE: Duration = Duration::from_secs(10 * 60);

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealing {
    /// The event asks this gateway for nothing.
    NotAsked,
    /// An envelope was sealed and added for this holder.
    Added(Holder),
    /// Whoever opened has long stopped waiting: the next opening asks again.
    TooLate,
    /// The ledger does not want it any more: another one is there, or the opening is not in force.
    NotWanted(RefusalCode),
}

/// Does what an event asks of the publisher's gateway.
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn seal_envelope(gateway: &Gateway, event: LedgerEvent) -> Result<Sealing, Failure> {
    let Act::Opening(OpeningAct::LinkOpened { publisher: Some(publisher), .. }) = event.entry.act else {
        return Ok(Sealing::NotAsked);
    };
    if event.wanted.is_none() || publisher != gateway.organisation.msp_id {
        return Ok(Sealing::NotAsked);
    }
    let opening = event.entry.transaction;

    let added = async {
        // A sealed key that was sent to be endorsed cannot be called back, even when the ledger then refuses it: so the own peer is
        // asked first.
        let links = LinksClient::new(gateway.own_contract());
        let opening = links.in_force(&opening).await?;
        if distance(opening.time, now()) > OPENING_AGE {
            return Ok(Sealing::TooLate);
        }
        let Decision::Permitted { category, recipient, .. } = opening.decision else { return Ok(Sealing::NotAsked) };
        let payload = gateway.own_payload(&opening.link, opening.version, category).await?;
        let holder = recipient.holder.clone();
        let envelope = seal_for(recipient, &payload.for_others(), &opening.link, opening.version, category)?;
        links.add_envelope(&AddEnvelope { opening: opening.transaction, envelope }).await?;
        Ok(Sealing::Added(holder))
    };
    match added.await {
        Err(Failure::Refused(refusal)) if is_final(refusal.code()) => Ok(Sealing::NotWanted(refusal.code())),
        other => other,
    }
}

/// Refusals that no repetition changes. The opening's conditions may have changed since: the ledger decides, not this gateway.
fn is_final(code: RefusalCode) -> bool {
    !matches!(code, RefusalCode::Ledger | RefusalCode::UnknownCaller)
}
