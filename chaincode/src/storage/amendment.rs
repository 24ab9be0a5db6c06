use fabric_contract::{Context, split_composite_key};
use healthchain_rules::amending::MayAmend;
use healthchain_rules::{Amendment, AmendmentId, Envelope, LedgerTime, LinkId, OpenAmendments, Refusal, RefusalCode};
use serde::{Deserialize, Serialize};

use super::{Load, decode, fetch, key, ledger, link, put};

/// Where a list of amendments goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AmendmentPosition {
    time: LedgerTime,
    amendment: AmendmentId,
}

pub(crate) fn load_amendment(id: &AmendmentId) -> Load<Amendment> {
    Load::at(key::amendment(id))
}

/// The envelopes that wait for an amendment's activation; none once it is over.
pub(crate) fn load_waiting_envelopes(id: &AmendmentId) -> Load<Vec<Envelope>> {
    Load::at(key::amendment_envelopes(id))
}

/// A link's amendments that may still be open; none is as good as an empty list.
pub(crate) fn load_open_amendments(link: &LinkId) -> Load<OpenAmendments> {
    Load::at(key::open_amendments(link))
}

/// Some of a link's amendments, newest first, and where the list goes on. For queries only.
pub(crate) async fn load_amendments_of_link(
    context: &Context,
    link: &LinkId,
    from: Option<&AmendmentPosition>,
    limit: u32,
) -> Result<(Vec<Amendment>, Option<AmendmentPosition>), Refusal> {
    let from = from.map(|from| key::amendment_of_link(link, from.time, &from.amendment));
    let page = context
        .composite_page(key::AMENDMENT_OF_LINK, &[link.as_str()], limit, from.as_deref())
        .await
        .map_err(ledger)?;
    let ids: Vec<AmendmentId> = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let amendments = fetch(context, ids.iter().map(load_amendment).collect::<Vec<_>>()).await?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((amendments, next))
}

/// Saves a new amendment with its envelopes, which become the version's if it takes effect at once.
pub(crate) fn save_proposed(
    context: &mut Context,
    amendment: &Amendment,
    envelopes: &[Envelope],
    proof: MayAmend,
) -> Result<(), Refusal> {
    let place = key::amendment_of_link(&amendment.link, amendment.version.at, &amendment.id);
    put(context, place, &amendment.id)?;
    if proof.effects().activated.is_none() {
        put(context, key::amendment_envelopes(&amendment.id), &envelopes)?;
    }
    save_decided(context, amendment, envelopes, proof)
}

/// Saves what became of an amendment, and with it the link's new version, if it took effect: its envelopes are those that waited.
pub(crate) fn save_decided(
    context: &mut Context,
    amendment: &Amendment,
    envelopes: &[Envelope],
    proof: MayAmend,
) -> Result<(), Refusal> {
    let effects = proof.effects();
    put(context, key::amendment(&amendment.id), amendment)?;
    if let Some((amended, former)) = &effects.activated {
        link::save_amended(context, amended, former, envelopes)?;
    }
    put(context, key::open_amendments(&amendment.link), &effects.open)?;
    for closed in &effects.closed {
        context.delete(key::amendment_envelopes(closed));
    }
    Ok(())
}

/// Deletes the envelopes that wait for the activation of a link's amendments.
pub(super) fn delete_waiting<'a>(context: &mut Context, link: &LinkId, open: impl Iterator<Item = &'a AmendmentId>) {
    context.delete(key::open_amendments(link));
    open.for_each(|amendment| context.delete(key::amendment_envelopes(amendment)));
}

fn position(bookmark: &str) -> Result<AmendmentPosition, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the list: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, descending, amendment] = attributes.as_slice() else { return Err(unreadable()) };
    let time = key::ascending(descending).ok_or_else(unreadable)?;
    Ok(AmendmentPosition { time, amendment: amendment.parse()? })
}
