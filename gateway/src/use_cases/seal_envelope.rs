//! Key custody: sealing an envelope for somebody newly entitled, on the ledger's instruction.

use healthchain_interface::{AddEnvelope, LinksClient};
use healthchain_rules::{Holder, LedgerEvent, RefusalCode};

use super::seal_for;
use crate::failure::Failure;
use crate::gateway::Gateway;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealing {
    /// The event asks this gateway for nothing.
    NotAsked,
    /// An envelope was sealed and added for this holder.
    Added(Holder),
    /// The ledger does not want it any more: another one is there, or the opening is not in force.
    NotWanted(RefusalCode),
}

/// Does what an event asks of the publisher's gateway.
pub async fn seal_envelope(gateway: &Gateway, event: LedgerEvent) -> Result<Sealing, Failure> {
    let LedgerEvent::LinkOpened { opening, link, version, category, publisher, wanted: Some(recipient), .. } = event
    else {
        return Ok(Sealing::NotAsked);
    };
    if publisher != gateway.organisation.msp_id {
        return Ok(Sealing::NotAsked);
    }

    let added = async {
        let payload = gateway.own_payload(&link, version, category).await?;
        let holder = recipient.holder.clone();
        let envelope = seal_for(recipient, &payload.for_others(), &link, version, category)?;
        let call = AddEnvelope { opening, envelope };
        LinksClient::new(gateway.own_contract()).add_envelope(&call).await?;
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
