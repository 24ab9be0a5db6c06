//! Webhooks: a member's own server is told what the member may know.
//!
//! Messages follow the Standard Webhooks specification (version 1.0.0): a JSON body, and the headers `webhook-id`,
//! `webhook-timestamp` and `webhook-signature`. Each event is delivered at least once and in the ledger's order ([`delivery`]); what a
//! receiver does not take goes to its dead letters. The gateway calls servers that members name, and so not every address ([`sender`]).

mod addresses;
pub mod delivery;
pub mod sender;
mod signature;

use std::sync::Arc;

use healthchain_rules::{LedgerEvent, LedgerTime, MemberId};
use url::Url;
use uuid::Uuid;

use self::sender::{Undelivered, UrlRefused};
use self::signature::{new_secret, secret_text};
use crate::events::names::Names;
use crate::events::place::Place;
use crate::events::{Numbered, Told, require_listener, told};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::dead_letters::{self, DeadLetter};
use crate::state::webhooks::{self, Webhook};
use crate::use_cases::now;

/// Why a webhook does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookRefusal {
    /// The address is not one that the gateway calls.
    Url(UrlRefused),
    /// The member has as many as it may have: so many.
    TooMany(u32),
    /// The member has no such webhook.
    Unknown,
    /// The webhook has no such dead letter.
    NoSuchLetter,
    /// The receiver did not take it this time either.
    NotTaken(Undelivered),
}

/// A webhook that was made, with its secret as it is shown once.
pub struct Made {
    /// The webhook.
    pub webhook: Webhook,
    /// `whsec_…`.
    pub secret: String,
}

/// Makes a webhook for events from a place on, or from now.
pub async fn create(
    gateway: &Gateway,
    member: &MemberId,
    url: Url,
    names: Names,
    after: Option<Place>,
) -> Result<Made, Failure> {
    require_listener(gateway, member).await?;
    gateway.webhooks.require_permitted(&url).await.map_err(|reason| Failure::Webhook(WebhookRefusal::Url(reason)))?;
    let place = match after {
        Some(place) => place,
        None => gateway.events.end().await.map_err(Failure::Ledger)?,
    };
    let secret = new_secret();
    let shown = secret_text(&secret);
    let webhook = Webhook {
        id: Uuid::new_v4().to_string(),
        member: member.clone(),
        url,
        names,
        secret,
        created_at: now(),
        place,
        failures: 0,
        next_try_at: LedgerTime::from_milliseconds(0),
    };
    let most = gateway.webhooks.of_one_member;
    if !webhooks::add(&gateway.state, &webhook, most).await? {
        return Err(Failure::Webhook(WebhookRefusal::TooMany(most)));
    }
    Ok(Made { webhook, secret: shown })
}

/// A member's webhook.
pub async fn find(gateway: &Gateway, member: &MemberId, id: &str) -> Result<Webhook, Failure> {
    webhooks::load(&gateway.state, id, member).await?.ok_or(Failure::Webhook(WebhookRefusal::Unknown))
}

/// Takes a member's webhook away. What is being delivered is delivered; nothing follows.
pub async fn remove(gateway: &Gateway, member: &MemberId, id: &str) -> Result<(), Failure> {
    let was_there = webhooks::remove(&gateway.state, id, member).await?;
    if was_there { Ok(()) } else { Err(Failure::Webhook(WebhookRefusal::Unknown)) }
}

/// Some of a webhook's dead letters that the member may still know of, behind a place, and the place to go on at.
pub async fn dead_letters(
    gateway: &Gateway,
    member: &MemberId,
    id: &str,
    after: Place,
    limit: u32,
) -> Result<(Vec<(Told, DeadLetter)>, Option<Place>), Failure> {
    let webhook = find(gateway, member, id).await?;
    let letters = dead_letters::list(&gateway.state, &webhook.id, after, limit).await?;
    let next = letters.last().filter(|_| letters.len() == limit as usize).map(|last| last.place);
    let events: Vec<_> = letters.iter().map(numbered).collect();
    let known = told(gateway, member, &events).await?;
    let letter = |told: Told| Some((letters.iter().find(|letter| letter.place == told.id)?.clone(), told));
    let known = known.into_iter().filter_map(|(told, _)| letter(told)).map(|(letter, told)| (told, letter));
    Ok((known.collect(), next))
}

/// Delivers a dead letter after all, if the member may still know of the event.
pub async fn redeliver(gateway: &Gateway, member: &MemberId, id: &str, transaction: &str) -> Result<(), Failure> {
    let webhook = find(gateway, member, id).await?;
    let letter = dead_letters::load(&gateway.state, &webhook.id, transaction).await?;
    let letter = letter.ok_or(Failure::Webhook(WebhookRefusal::NoSuchLetter))?;
    let mut known = told(gateway, member, &[numbered(&letter)]).await?;
    let (told, _) = known.pop().ok_or(Failure::Webhook(WebhookRefusal::NoSuchLetter))?;
    let taken = gateway.webhooks.deliver(&webhook, &told).await;
    taken.map_err(|reason| Failure::Webhook(WebhookRefusal::NotTaken(reason)))?;
    Ok(dead_letters::forget(&gateway.state, &webhook.id, transaction).await?)
}

/// Whether the member could ask by itself: it is in the wallet, and its signing certificate is good.
async fn is_served(gateway: &Gateway, member: &MemberId) -> bool {
    let member = gateway.wallet.member(member).await;
    member.is_some_and(|member| gateway.callers.require_fit(member.creator().certificate()).is_ok())
}

/// Of one event, what the member is told; nothing when the member may not know of it any more.
async fn still_told(
    gateway: &Gateway,
    webhook: &Webhook,
    event: &LedgerEvent,
    place: Place,
) -> Result<Option<Told>, Failure> {
    let events = [Arc::new(Numbered { behind: place, event: Some(event.clone()) })];
    Ok(told(gateway, &webhook.member, &events).await?.pop().map(|(told, _)| told))
}

fn numbered(letter: &DeadLetter) -> Arc<Numbered> {
    Arc::new(Numbered { behind: letter.place, event: Some(letter.event.clone()) })
}
