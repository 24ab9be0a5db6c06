use fabric_contract::{Context, split_composite_key};
use healthchain_rules::link::{MayPublish, MayWithdraw};
use healthchain_rules::{
    Category, Content, Envelope, LedgerTime, Link, LinkId, MemberId, MspId, Refusal, RefusalCode, VersionOfLink,
};
use serde::{Deserialize, Serialize};

use super::{Load, decode, envelope, key, ledger, put};

/// What a list shows of an active link, so that a page of a list reads the index alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListedLink {
    pub(crate) link: LinkId,
    pub(crate) category: Category,
    pub(crate) version: u32,
    pub(crate) publisher: MspId,
    pub(crate) published: LedgerTime,
    pub(crate) content: Content,
}

/// Where a list goes on: the next link of its category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListPosition {
    published: LedgerTime,
    link: LinkId,
}

pub(crate) fn load_link(id: &LinkId) -> Load<Link> {
    Load::at(key::link(id))
}

/// A former version of a link.
pub(crate) fn load_former_version(link: &LinkId, number: u32) -> Load<VersionOfLink> {
    Load::at(key::link_version(link, number))
}

/// All former versions of a link, from the first on.
pub(crate) async fn load_all_former_versions(context: &Context, link: &LinkId) -> Result<Vec<VersionOfLink>, Refusal> {
    let found = context.partial_composite(key::LINK_VERSION, &[link.as_str()]).collect().await.map_err(ledger)?;
    found.iter().rev().map(|(_, value)| decode(value)).collect()
}

/// Some of a link's former versions, the latest first, and the number with which the list goes on. For queries only.
pub(crate) async fn load_former_versions(
    context: &Context,
    link: &LinkId,
    from: Option<u32>,
    limit: u32,
) -> Result<(Vec<VersionOfLink>, Option<u32>), Refusal> {
    let from = from.map(|number| key::link_version(link, number));
    let attributes = [link.as_str()];
    let page = context.composite_page(key::LINK_VERSION, &attributes, limit, from.as_deref()).await.map_err(ledger)?;
    let versions = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| number(&bookmark)).transpose()?;
    Ok((versions, next))
}

/// Some of a patient's active links of a category, newest first, and where the list goes on. For queries only.
pub(crate) async fn load_links_of_patient(
    context: &Context,
    patient: &MemberId,
    category: Category,
    from: Option<&ListPosition>,
    limit: u32,
) -> Result<(Vec<ListedLink>, Option<ListPosition>), Refusal> {
    let from = from.map(|from| key::link_of_patient(patient, category, from.published, &from.link));
    let attributes = [patient.as_str(), category.as_str()];
    let page =
        context.composite_page(key::LINK_OF_PATIENT, &attributes, limit, from.as_deref()).await.map_err(ledger)?;
    let links = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((links, next))
}

/// Saves a new link with its envelopes and its place in the patient's list.
pub(crate) fn save_published(
    context: &mut Context,
    link: &Link,
    envelopes: &[Envelope],
    _: MayPublish,
) -> Result<(), Refusal> {
    save_with_envelopes(context, link, envelopes)
}

/// Saves a link with its new version's envelopes, and its former version; its place in the patient's list shows the new version.
pub(super) fn save_amended(
    context: &mut Context,
    link: &Link,
    former: &VersionOfLink,
    envelopes: &[Envelope],
) -> Result<(), Refusal> {
    put(context, key::link_version(&link.id, former.version.number), former)?;
    save_with_envelopes(context, link, envelopes)
}

/// Saves a withdrawn link, which is in no list any more.
pub(crate) fn save_withdrawn(context: &mut Context, link: &Link, _: MayWithdraw) -> Result<(), Refusal> {
    save_closed(context, link)
}

/// Saves a link that is in no list any more.
pub(super) fn save_closed(context: &mut Context, link: &Link) -> Result<(), Refusal> {
    context.delete(place_in_list(link));
    put(context, key::link(&link.id), link)
}

fn save_with_envelopes(context: &mut Context, link: &Link, envelopes: &[Envelope]) -> Result<(), Refusal> {
    put(context, key::link(&link.id), link)?;
    put(context, place_in_list(link), &ListedLink::from(link))?;
    envelopes.iter().try_for_each(|one| envelope::save(context, &link.id, link.current.number, one))
}

impl From<&Link> for ListedLink {
    fn from(link: &Link) -> Self {
        Self {
            link: link.id.clone(),
            category: link.category,
            version: link.current.number,
            publisher: link.publisher.clone(),
            published: link.published,
            content: link.current.content.clone(),
        }
    }
}

fn place_in_list(link: &Link) -> String {
    key::link_of_patient(&link.patient, link.category, link.published, &link.id)
}

fn number(bookmark: &str) -> Result<u32, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the list: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, number] = attributes.as_slice() else { return Err(unreadable()) };
    key::number(number).ok_or_else(unreadable)
}

fn position(bookmark: &str) -> Result<ListPosition, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the list: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, _, descending, link] = attributes.as_slice() else { return Err(unreadable()) };
    let published = key::ascending(descending).ok_or_else(unreadable)?;
    Ok(ListPosition { published, link: link.parse()? })
}
