//! The ledger's events, as members may follow them.
//!
//! One reader follows the ledger for the whole gateway ([`hub`]); whoever follows from an earlier place reads by itself until it has
//! caught up ([`feed`]). Which of the events a member may know of, the ledger says (`Audit:known`); what is filtered before is only what
//! the follower did not ask for.

pub mod feed;
pub mod hub;
pub mod names;
pub mod place;
pub mod telling;

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use healthchain_interface::{AuditClient, KnownQuery};
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::{LedgerEvent, MemberId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::place::Place;
use crate::failure::Failure;
use crate::gateway::{Gateway, OwnSigner};
use crate::ledger::{Ledger, LedgerFailure, Start};

/// One event of the ledger, with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The place behind it.
    pub behind: Place,
    /// What it says; none when this release does not know the event.
    pub event: Option<LedgerEvent>,
}

/// An event as a member is told of it: the entry that the member can also read on a trail, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ToldEvent")]
pub struct Told {
    /// Where to go on behind it: the block, and how many of its events are read.
    pub id: Place,
    /// What happened: the entry's act.
    pub event: String,
    /// What was done, by whom, when.
    pub entry: AuditEntry,
}

/// Of these events those that the member may know of, in their order. Refused when the member may be told nothing.
pub async fn told(
    gateway: &Gateway,
    member: &MemberId,
    events: &[Arc<Numbered>],
) -> Result<Vec<(Told, LedgerEvent)>, Failure> {
    let asked = events.iter().filter_map(|numbered| {
        let event = numbered.event.as_ref()?;
        Some((numbered.behind, LedgerEvent { wanted: None, ..event.clone() }))
    });
    let asked: Vec<_> = asked.collect();
    let query = KnownQuery { member: member.clone(), events: asked.iter().map(|(_, event)| event.clone()).collect() };
    let known = AuditClient::new(gateway.own_contract()).known(&query).await?;
    let told = asked.into_iter().filter(|(_, event)| known.contains(&event.entry.transaction));
    let told = told.map(|(id, event)| (Told { id, event: names::name(&event), entry: event.entry.clone() }, event));
    Ok(told.collect())
}

/// Whether the member may be told anything; refused if not.
pub async fn require_listener(gateway: &Gateway, member: &MemberId) -> Result<(), Failure> {
    told(gateway, member, &[]).await.map(drop)
}

/// The ledger's events from a place on. Numbers within a block count all events of this chaincode, so that they are the same on every
/// peer.
fn read_from(
    ledger: &dyn Ledger,
    signer: &OwnSigner,
    place: Place,
) -> BoxStream<'static, Result<Arc<Numbered>, LedgerFailure>> {
    let mut last = Place { number: 0, ..place };
    let numbered = ledger.events(&signer.current(), Start::Block(place.block)).map_ok(move |notice| {
        last = last.next_in(notice.position.block);
        Arc::new(Numbered { behind: last, event: notice.event })
    });
    numbered.try_filter(move |numbered| std::future::ready(numbered.behind > place)).boxed()
}
