use fabric_contract::Context;
use healthchain_rules::{Category, MemberId, Refusal, limit};
use serde::{Deserialize, Serialize};

use crate::storage::link::{ListPosition, ListedLink, load_links_of_patient};

/// A place among a patient's active links, which are gone through category by category.
#[derive(Serialize, Deserialize)]
pub(super) struct Position {
    category: Category,
    from: Option<ListPosition>,
}

impl Default for Position {
    fn default() -> Self {
        Self { category: Category::ALL[0], from: None }
    }
}

/// A page as it fills: what it holds, how much more fits, how much more may be looked at.
pub(super) struct Filling<T> {
    pub(super) items: Vec<T>,
    limit: u32,
    scan: u32,
}

impl<T> Filling<T> {
    pub(super) fn new(limit: u32) -> Self {
        Self { items: Vec::new(), limit, scan: limit::PAGE_SCAN }
    }

    /// How many more links to look at, which count as looked at from now on; none when the page is done.
    pub(super) fn take_room(&mut self, at_most: u32) -> Option<u32> {
        let held = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let room = self.limit.saturating_sub(held).min(self.scan).min(at_most);
        self.scan -= room;
        Some(room).filter(|room| *room > 0)
    }

    /// Fills the page with what is kept of the patient's active links of the open categories, from a position on; gives the position
    /// of the next page, if the links go on.
    pub(super) async fn fill(
        &mut self,
        context: &Context,
        patient: &MemberId,
        start: Position,
        is_open: impl Fn(Category) -> bool,
        keep: impl Fn(ListedLink) -> Option<T>,
    ) -> Result<Option<Position>, Refusal> {
        let Position { category: first, mut from } = start;
        for category in Category::ALL.into_iter().filter(|category| *category >= first) {
            let mut is_done = !is_open(category);
            while !is_done {
                let Some(room) = self.take_room(u32::MAX) else { return Ok(Some(Position { category, from })) };
                let (links, next) = load_links_of_patient(context, patient, category, from.as_ref(), room).await?;
                self.items.extend(links.into_iter().filter_map(&keep));
                is_done = next.is_none();
                from = next;
            }
            from = None;
        }
        Ok(None)
    }
}
