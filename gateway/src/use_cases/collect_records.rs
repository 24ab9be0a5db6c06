//! Which link's content lies under which name in the store, and what was stored for no link.

use std::cmp::Ordering;

use healthchain_interface::{AmendmentsClient, AmendmentsQuery, LinksClient};
use healthchain_rules::{AmendmentStanding, AmendmentView, LedgerTime, Link, LinkId, LinkState, RefusalCode};

use super::now;
use crate::content::parts::Place;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::records::{self, Remembered};

/// What the ledger's envelope for this organisation says of a version of a link.
enum Named {
    /// The content's name in the store.
    As(String),
    /// There is no such version of a link of this organisation, or it is erased.
    NoLink,
    /// The link has not come to this version.
    NotYet,
    /// It cannot be read now: no envelope opens with the organisation's present key.
    Unreadable,
}

/// Learns from the ledger under which name a version of a link lies in the store, if that is not known.
pub async fn learn(gateway: &Gateway, place: Place<'_>) -> Result<(), Failure> {
    let state = &gateway.state;
    if records::is_confirmed(state, place).await? {
        return Ok(());
    }
    let Some(link) = own_link(gateway, place.link).await? else { return Ok(()) };
    let links = LinksClient::new(gateway.own_contract());
    let content = match place.version.cmp(&link.current.number) {
        Ordering::Greater => return Ok(()),
        Ordering::Equal => link.current.content.clone(),
        Ordering::Less => links.version(place.link, &place.version).await?.version.content,
    };
    // What a request stored here a moment ago needs no envelope opened.
    if records::confirm_content(state, place, &content.hash).await? {
        return Ok(());
    }
    let Named::As(name) = named_by(gateway, place, &link).await? else { return Ok(()) };
    records::remember(state, &name, place, now()).await?;
    records::set_hash(state, &name, &content.hash).await?;
    Ok(records::confirm(state, &name).await?)
}

/// Destroys what a request stored here before this time and did not publish, or not to the gateway's knowledge. Only for when the ledger is
/// read to its end. What the state does not know is left alone: another gateway may have put it there, or the state was lost.
pub async fn collect(gateway: &Gateway, before: LedgerTime) -> Result<(), Failure> {
    for record in records::unlinked(&gateway.state, before).await? {
        let named = match record.link.parse::<LinkId>() {
            Ok(link) => match named(gateway, Place { link: &link, version: record.version }).await? {
                Named::NotYet if !is_proposed(gateway, &link, &record, before).await? => Named::NoLink,
                named => named,
            },
            Err(_) => Named::NoLink,
        };
        match named {
            Named::As(name) if name == record.name => records::confirm(&gateway.state, &name).await?,
            Named::As(_) | Named::NoLink => destroy(gateway, &record.name).await?,
            Named::Unreadable | Named::NotYet => {}
        }
    }
    Ok(())
}

/// Whether an amendment of the link has this content and may still take effect. What was not decided in time is given the time that
/// transactions may lag behind.
async fn is_proposed(
    gateway: &Gateway,
    link: &LinkId,
    record: &Remembered,
    before: LedgerTime,
) -> Result<bool, Failure> {
    let amendments = AmendmentsClient::new(gateway.own_contract());
    let mut query = AmendmentsQuery { link: link.clone(), page_token: None, limit: None };
    loop {
        let page = amendments.of_link(&query).await?;
        let hash = |view: &AmendmentView| view.amendment.version.content.hash.as_str().to_owned();
        if let Some(found) = page.items.iter().find(|view| record.content_hash.as_ref() == Some(&hash(view))) {
            return Ok(match found.standing {
                AmendmentStanding::Open | AmendmentStanding::Activated => true,
                AmendmentStanding::Expired => found.amendment.until >= before,
                _ => false,
            });
        }
        match page.next_page_token {
            Some(token) => query.page_token = Some(token),
            None => return Ok(false),
        }
    }
}

async fn destroy(gateway: &Gateway, name: &str) -> Result<(), Failure> {
    gateway.records.delete(name).await?;
    records::forget(&gateway.state, name).await?;
    tracing::info!(name, "a stored record that no link names is destroyed");
    Ok(())
}

async fn named(gateway: &Gateway, place: Place<'_>) -> Result<Named, Failure> {
    match own_link(gateway, place.link).await? {
        Some(link) => named_by(gateway, place, &link).await,
        None => Ok(Named::NoLink),
    }
}

/// A link of this organisation that is not erased.
async fn own_link(gateway: &Gateway, id: &LinkId) -> Result<Option<Link>, Failure> {
    let link = match LinksClient::new(gateway.own_contract()).link(id).await.map_err(Failure::from) {
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::UnknownLink => return Ok(None),
        link => link?,
    };
    let is_erased = matches!(link.state, LinkState::Erased { .. });
    Ok((link.publisher == gateway.organisation.msp_id && !is_erased).then_some(link))
}

async fn named_by(gateway: &Gateway, place: Place<'_>, link: &Link) -> Result<Named, Failure> {
    if place.version > link.current.number {
        return Ok(Named::NotYet);
    }
    match gateway.own_payload(place.link, place.version, link.category).await {
        Ok(payload) => Ok(payload.record.clone().map_or(Named::Unreadable, Named::As)),
        // After the organisation's key was rotated, until the link is sealed anew.
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::UnknownEnvelope => Ok(Named::Unreadable),
        Err(Failure::EnvelopeDoesNotOpen) => Ok(Named::Unreadable),
        Err(failure) => Err(failure),
    }
}
