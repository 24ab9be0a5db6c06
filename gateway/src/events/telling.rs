//! Telling one member what it may know, from a place on.

use std::sync::Arc;

use healthchain_rules::limit::EVENTS_AT_ONCE;
use healthchain_rules::{LedgerEvent, MemberId};

use super::feed::Feed;
use super::names::{Names, name};
use super::place::Place;
use super::{Numbered, Told, told};
use crate::failure::Failure;
use crate::gateway::Gateway;

/// Follows the ledger's events for a member.
pub struct Telling {
    gateway: Arc<Gateway>,
    member: MemberId,
    names: Names,
    feed: Feed,
    place: Place,
    /// Read and asked for by name, but the ledger not asked about it with success.
    read: Vec<Arc<Numbered>>,
}

impl Telling {
    /// Of events of these names, from this place on.
    pub fn new(gateway: &Arc<Gateway>, member: &MemberId, names: Names, place: Place) -> Self {
        let (gateway, member, feed) = (Arc::clone(gateway), member.clone(), gateway.events.feed(place));
        Self { gateway, member, names, feed, place, read: Vec::new() }
    }

    /// The place behind all that was told, and behind what the member may not know of before the next that it may.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What the member may know of the next events, which may be none of them. When it fails, or the future is dropped, asking again goes
    /// on at the same place.
    pub async fn next(&mut self) -> Result<Vec<(Told, LedgerEvent)>, Failure> {
        self.read().await?;
        self.ask().await
    }

    /// The first half of [`Self::next`]: waits for events. Whether the ledger has to be asked about any.
    pub async fn read(&mut self) -> Result<bool, Failure> {
        if self.read.is_empty() {
            let mut read = self.feed.next(EVENTS_AT_ONCE).await.map_err(Failure::Ledger)?;
            read.retain(|numbered| numbered.event.as_ref().is_some_and(|event| self.names.include(&name(event))));
            self.read = read;
        }
        Ok(!self.read.is_empty())
    }

    /// The second half: asks the ledger.
    pub async fn ask(&mut self) -> Result<Vec<(Told, LedgerEvent)>, Failure> {
        let told = match self.read.as_slice() {
            [] => Vec::new(),
            read => told(&self.gateway, &self.member, read).await?,
        };
        self.read.clear();
        self.place = self.feed.place();
        Ok(told)
    }
}
