//! Which link's content lies under which name in the store, and what lies there for no link.

use futures::TryStreamExt as _;
use healthchain_interface::LinksClient;
use healthchain_rules::{LedgerTime, LinkId, LinkState, RefusalCode};

use super::now;
use crate::content::parts::Place;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::records::Stored;
use crate::state::records;

/// What the ledger's envelope for this organisation says of a version of a link.
enum Named {
    /// The content's name in the store.
    As(String),
    /// There is no such version of a link of this organisation, or it is erased.
    NoLink,
    /// There is no envelope that opens with the organisation's present key.
    Unreadable,
}

/// Learns from the ledger under which name a version of a link lies in the store, if that is not known.
pub async fn learn(gateway: &Gateway, place: Place<'_>) -> Result<(), Failure> {
    if records::is_confirmed(&gateway.state, place).await? {
        return Ok(());
    }
    let state = &gateway.state;
    match named(gateway, place).await? {
        Named::As(name) => {
            let links = LinksClient::new(gateway.own_contract());
            let current = links.link(place.link).await?.current;
            let version = match current.number == place.version {
                true => current,
                false => links.version(place.link, &place.version).await?.version,
            };
            records::remember(state, &name, place, now()).await?;
            records::set_hash(state, &name, &version.content.hash).await?;
            records::confirm(state, &name).await?;
        }
        Named::NoLink => {}
        Named::Unreadable => return Ok(records::set_unreadable(state, place).await?),
    }
    Ok(records::set_readable(state, place.link.as_str(), place.version).await?)
}

/// Destroys what was stored before this time and no link names. Only for when the ledger is read to its end.
pub async fn collect(gateway: &Gateway, before: LedgerTime) -> Result<(), Failure> {
    collect_unlinked(gateway, before).await?;
    let state = &gateway.state;
    for (link, version) in records::unreadable(state).await? {
        match link.parse::<LinkId>() {
            Ok(link) => learn(gateway, Place { link: &link, version }).await?,
            Err(_) => records::set_readable(state, &link, version).await?,
        }
    }
    let unreadable = records::unreadable(state).await?.len();
    if unreadable > 0 {
        tracing::warn!(
            unreadable,
            "envelopes do not open with the organisation's key, so that unknown records in the store are left alone; \
             seal those links anew (Links:toReseal)"
        );
        return Ok(());
    }
    collect_unnamed(gateway, before).await
}

/// What a request stored here and did not publish, or not to the gateway's knowledge.
async fn collect_unlinked(gateway: &Gateway, before: LedgerTime) -> Result<(), Failure> {
    for record in records::unlinked(&gateway.state, before).await? {
        let named = match record.link.parse::<LinkId>() {
            Ok(link) => named(gateway, Place { link: &link, version: record.version }).await?,
            Err(_) => Named::NoLink,
        };
        match named {
            Named::As(name) if name == record.name => records::confirm(&gateway.state, &name).await?,
            Named::As(_) | Named::NoLink => destroy(gateway, &record.name).await?,
            Named::Unreadable => {}
        }
    }
    Ok(())
}

/// What lies in the store and nobody knows: the state was lost, or the store is an older copy. It must be unknown at two collections,
/// the grace apart.
async fn collect_unnamed(gateway: &Gateway, before: LedgerTime) -> Result<(), Failure> {
    let stored: Vec<Stored> = gateway.records.list().try_collect().await?;
    for Stored { name, since } in stored {
        let since = since.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if since.as_millis() as u64 >= before.milliseconds() || records::is_known(&gateway.state, &name).await? {
            continue;
        }
        if records::unnamed_since(&gateway.state, &name, now()).await? < before {
            destroy(gateway, &name).await?;
        }
    }
    Ok(())
}

async fn destroy(gateway: &Gateway, name: &str) -> Result<(), Failure> {
    gateway.records.delete(name).await?;
    records::forget(&gateway.state, name).await?;
    tracing::info!(name, "a stored record that no link names is destroyed");
    Ok(())
}

async fn named(gateway: &Gateway, place: Place<'_>) -> Result<Named, Failure> {
    let links = LinksClient::new(gateway.own_contract());
    let link = match links.link(place.link).await.map_err(Failure::from) {
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::UnknownLink => return Ok(Named::NoLink),
        link => link?,
    };
    let is_erased = matches!(link.state, LinkState::Erased { .. });
    if link.publisher != gateway.organisation.msp_id || is_erased || place.version > link.current.number {
        return Ok(Named::NoLink);
    }
    match gateway.own_payload(place.link, place.version, link.category).await {
        Ok(payload) => Ok(payload.record.clone().map_or(Named::NoLink, Named::As)),
        // After the organisation's key was rotated, until the link is sealed anew.
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::UnknownEnvelope => Ok(Named::Unreadable),
        Err(Failure::EnvelopeDoesNotOpen) => Ok(Named::Unreadable),
        Err(failure) => Err(failure),
    }
}
