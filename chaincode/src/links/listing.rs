use fabric_contract::Context;
use healthchain_interface::{Page, PermittedLink, PermittedQuery};
use healthchain_rules::consent::Wanted;
use healthchain_rules::entitlement::{Entitlement, entitlement};
use healthchain_rules::link::{decide_reading, require_patient};
use healthchain_rules::{
    Actor, Category, Grounds, LedgerTime, Link, LinkId, LinkState, MemberId, MspId, Permission, Provision, Purpose,
    Refusal,
};
use serde::{Deserialize, Serialize};

use super::filling::{self, Filling};
use crate::caller::load_caller_with;
use crate::grounds::load_grounds;
use crate::page_token;
use crate::storage::fetch;
use crate::storage::link::{ListedLink, load_link};
use crate::storage::member::load_member;
use crate::transaction;

pub(super) async fn link(context: &Context, id: LinkId) -> Result<Link, Refusal> {
    let (caller, link, grounds) = load_caller_with(context, load_link(&id), |link: &Option<Link>, who| {
        link.as_ref().map(|link| load_grounds(&link.patient, who))
    })
    .await?;
    decide_reading(&caller, link, &grounds.unwrap_or_default(), transaction::time(context)?)
}

/// Goes through the categories that are open to the caller as a whole, then through the links that consents name one by one.
pub(super) async fn permitted(context: &Context, query: PermittedQuery) -> Result<Page<PermittedLink>, Refusal> {
    let about = load_member(&query.patient);
    let (caller, patient, grounds) =
        load_caller_with(context, about, |_, who| load_grounds(&query.patient, who)).await?;
    let actor = caller.permitted_member(Permission::OpenLink)?;
    let patient = &require_patient(patient.as_ref())?.id;
    let listed_for = ListedFor { patient: patient.clone(), purpose: query.purpose };
    let start = page_token::read(&listed_for, query.page_token)?;

    let view = View { actor, patient, grounds, purpose: query.purpose, at: transaction::time(context)? };
    let mut filling = Filling::new(query.limit.unwrap_or_default().into());
    let next = view.fill(context, start.unwrap_or_default(), &mut filling).await?;
    let next_page_token = page_token::write(&listed_for, next)?;
    Ok(Page { items: filling.items, next_page_token })
}

/// What a page token belongs to.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct ListedFor {
    patient: MemberId,
    purpose: Purpose,
}

/// Where the next page begins.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Position {
    Category(filling::Position),
    Named { after: Option<LinkId> },
}

impl Default for Position {
    fn default() -> Self {
        Self::Category(filling::Position::default())
    }
}

/// A patient's links as somebody sees them.
struct View<'a> {
    actor: &'a Actor,
    patient: &'a MemberId,
    grounds: Grounds,
    purpose: Purpose,
    at: LedgerTime,
}

impl View<'_> {
    /// Fills the page from a position; gives the next page's, if there is one.
    async fn fill(
        &self,
        context: &Context,
        start: Position,
        page: &mut Filling<PermittedLink>,
    ) -> Result<Option<Position>, Refusal> {
        let after = match start {
            Position::Category(start) => {
                let is_open = |category| self.is_open(category);
                let keep = |listed| self.permitted(listed);
                if let Some(next) = page.fill(context, self.patient, start, is_open, keep).await? {
                    return Ok(Some(Position::Category(next)));
                }
                None
            }
            Position::Named { after } => after,
        };
        self.fill_named(context, after, page).await
    }

    async fn fill_named(
        &self,
        context: &Context,
        mut after: Option<LinkId>,
        page: &mut Filling<PermittedLink>,
    ) -> Result<Option<Position>, Refusal> {
        let named = self.grounds.book.permitted_links(self.at);
        let left: Vec<&LinkId> =
            named.into_iter().filter(|id| after.as_ref().is_none_or(|after| *id > after)).collect();
        let mut left = left.as_slice();
        while !left.is_empty() {
            let many = u32::try_from(left.len()).unwrap_or(u32::MAX);
            let Some(room) = page.take_room(many) else { return Ok(Some(Position::Named { after })) };
            let (chunk, rest) = left.split_at(room as usize);
            left = rest;
            let links = fetch(context, chunk.iter().map(|id| load_link(id)).collect::<Vec<_>>()).await?;
            let is_listed_here = |link: &Link| {
                link.patient == *self.patient && link.state == LinkState::Active && !self.is_open(link.category)
            };
            let listed = links.iter().filter(|link| is_listed_here(link)).map(ListedLink::from);
            page.items.extend(listed.filter_map(|listed| self.permitted(listed)));
            after = chunk.last().map(|id| (*id).clone());
        }
        Ok(None)
    }

    fn permitted(&self, listed: ListedLink) -> Option<PermittedLink> {
        let provision = self.provision(listed.category, Some(&listed.link), &listed.publisher)?;
        Some(PermittedLink {
            link: listed.link,
            category: listed.category,
            version: listed.version,
            publisher: listed.publisher,
            published: listed.published,
            content_length: listed.content.length,
            media_type: listed.content.media_type,
            provision,
        })
    }

    /// Whether links of a category are open as a whole, if only the own organisation's.
    fn is_open(&self, category: Category) -> bool {
        self.provision(category, None, &self.actor.organisation.msp_id).is_some()
    }

    fn provision(&self, category: Category, link: Option<&LinkId>, publisher: &MspId) -> Option<Provision> {
        let wanted = Wanted { link, category, patient: self.patient, publisher: Some(publisher) };
        match entitlement(self.actor.subject(), wanted, &self.grounds, self.purpose, self.at) {
            Entitlement::Entitled { provision, .. } => Some(provision),
            Entitlement::NotEntitled { .. } => None,
        }
    }
}
