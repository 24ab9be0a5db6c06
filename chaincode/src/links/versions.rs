use fabric_contract::Context;
use healthchain_interface::{Page, VersionsQuery};
use healthchain_rules::custody::decide_copying;
use healthchain_rules::link::{decide_reading, version as version_of};
use healthchain_rules::{Content, Link, LinkId, MspId, Refusal, VersionOfLink};

use crate::caller::load_caller_with;
use crate::grounds::load_grounds;
use crate::page_token;
use crate::storage::custody::load_custodians;
use crate::storage::link::{load_former_version, load_former_versions, load_link};
use crate::storage::organisation::load_organisation;
use crate::transaction;

pub(super) async fn version(context: &Context, id: LinkId, number: u32) -> Result<VersionOfLink, Refusal> {
    let first = (load_link(&id), load_former_version(&id, number));
    let (caller, (link, former), grounds) = load_caller_with(context, first, |(link, _): &(Option<Link>, _), who| {
        link.as_ref().map(|link| load_grounds(&link.patient, who))
    })
    .await?;
    let link = decide_reading(&caller, link, &grounds.unwrap_or_default(), transaction::time(context)?)?;
    version_of(link, number, former)
}

pub(super) async fn replicable(context: &Context, id: LinkId, number: u32, other: MspId) -> Result<Content, Refusal> {
    let first = (load_link(&id), load_former_version(&id, number), load_organisation(&other));
    let (caller, (link, former, other), custodians) =
        load_caller_with(context, first, |(link, ..): &(Option<Link>, _, _), _| {
            link.as_ref().map(|link| load_custodians(&link.publisher))
        })
        .await?;
    decide_copying(&caller, link, custodians.flatten().as_ref(), other.as_ref(), number, former)
}

pub(super) async fn versions(context: &Context, query: VersionsQuery) -> Result<Page<VersionOfLink>, Refusal> {
    let (caller, link, grounds) = load_caller_with(context, load_link(&query.link), |link: &Option<Link>, who| {
        link.as_ref().map(|link| load_grounds(&link.patient, who))
    })
    .await?;
    let link = decide_reading(&caller, link, &grounds.unwrap_or_default(), transaction::time(context)?)?;

    let from = page_token::read(&link.id, query.page_token)?;
    let limit = query.limit.unwrap_or_default().into();
    let (items, next) = load_former_versions(context, &link.id, from, limit).await?;
    let next_page_token = page_token::write(&link.id, next)?;
    Ok(Page { items, next_page_token })
}
