use fabric_contract::{Context, split_composite_key};
use healthchain_rules::{Group, GroupId, Refusal, RefusalCode};

use super::{Load, decode, key, ledger, put};

pub(crate) fn load_group(id: &GroupId) -> Load<Group> {
    Load::at(key::group(id))
}

/// All groups, also dissolved ones. Groups are rarely written, so that a change that reads them seldom conflicts.
pub(crate) async fn load_groups(context: &Context) -> Result<Vec<Group>, Refusal> {
    let found = context.partial_composite(key::GROUP, &[]).collect().await.map_err(ledger)?;
    found.iter().map(|(_, value)| decode(value)).collect()
}

/// Some groups by id, and which comes next. For queries only.
pub(crate) async fn load_page_of_groups(
    context: &Context,
    from: Option<&GroupId>,
    limit: u32,
) -> Result<(Vec<Group>, Option<GroupId>), Refusal> {
    let from = from.map(key::group);
    let page = context.composite_page(key::GROUP, &[], limit, from.as_deref()).await.map_err(ledger)?;
    let groups = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((groups, next))
}

pub(super) fn save(context: &mut Context, group: &Group) -> Result<(), Refusal> {
    put(context, key::group(&group.id), group)
}

fn position(bookmark: &str) -> Result<GroupId, Refusal> {
    let unreadable =
        || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the groups: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [group] = attributes.as_slice() else { return Err(unreadable()) };
    Ok(group.parse()?)
}
