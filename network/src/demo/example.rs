//! What a new network for trying has on its ledger: one record, a consent to it, and two who have opened it.

use healthchain_rules::{Effect, Grantee, Link, Purpose, Scope};
use http::StatusCode;
use serde_json::json;

use super::{CATEGORY, actors::Actors, records};
use crate::{Network, NetworkError};

/// One name for the whole example: publishing under the same key again publishes nothing.
const NAME: &str = "example";

/// Publishes our invented record and lets a payer and a clinic open it, once in a network's life; nothing when it is done already.
///
/// # Errors
/// When the consortium lacks an actor, or at the first step that does not hold.
pub async fn make(network: &Network) -> Result<(), NetworkError> {
    let Actors { hospital, clinic, payer, patient } = Actors::choose(network)?;
    let mut records = records::load(None)?;
    let record = records.swap_remove(0);
    let path = format!("/v1/links?patient={}&category={CATEGORY}", patient.id());
    let headers = [("content-type", records::MEDIA_TYPE), ("idempotency-key", NAME)];
    let published = hospital.post_bytes(&path, &headers, record.bytes).await?;
    if published.status == StatusCode::OK {
        return Ok(());
    }
    let link: Link = published.expect(StatusCode::CREATED)?.json()?;

    let consent = json!({
        "consent": NAME, "patient": patient.id(), "grantee": Grantee::Organisation(payer.msp_id().clone()),
        "scope": Scope::Categories([CATEGORY].into()), "purposes": [Purpose::Payment], "effect": Effect::Permit,
    });
    patient.post("/v1/consents", &consent).await?.expect(StatusCode::CREATED)?;
    for (who, purpose) in [(&payer, Purpose::Payment), (&clinic, Purpose::Treatment)] {
        let path = format!("/v1/links/{}/openings", link.id);
        who.post(&path, &json!({ "purpose": purpose })).await?.expect(StatusCode::OK)?;
    }
    Ok(())
}
