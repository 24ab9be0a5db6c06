use fabric_contract::{Context, split_composite_key};
use healthchain_rules::emergency::{MayDeclare, MayEnd, MayReview};
use healthchain_rules::{Docket, Emergency, LedgerTime, MemberId, Refusal, RefusalCode, TransactionId};
use serde::{Deserialize, Serialize};

use super::{Load, fetch, key, ledger, put};

/// Where the list of reviews goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReviewPosition {
    due: LedgerTime,
    emergency: TransactionId,
}

pub(crate) fn load_emergency(id: &TransactionId) -> Load<Emergency> {
    Load::at(key::emergency(id))
}

/// A clinician's emergency accesses that wait for their reviews; none is as good as an empty docket.
pub(crate) fn load_docket(clinician: &MemberId) -> Load<Docket> {
    Load::at(key::emergency_docket(clinician))
}

/// Some emergencies that wait for their reviews, the first due first, and where the list goes on. For queries only.
pub(crate) async fn load_emergencies_due(
    context: &Context,
    from: Option<&ReviewPosition>,
    limit: u32,
) -> Result<(Vec<Emergency>, Option<ReviewPosition>), Refusal> {
    let from = from.map(|from| key::emergency_due(from.due, &from.emergency));
    let page = context.composite_page(key::EMERGENCY_DUE, &[], limit, from.as_deref()).await.map_err(ledger)?;
    let places = page.items.iter().map(|(key, _)| position(key)).collect::<Result<Vec<_>, _>>()?;
    let loads: Vec<_> = places.iter().map(|place| load_emergency(&place.emergency)).collect();
    let emergencies = fetch(context, loads).await?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((emergencies, next))
}

/// Saves a new emergency, on its clinician's docket and among those that wait for their reviews.
pub(crate) fn save_declared(
    context: &mut Context,
    emergency: &Emergency,
    docket: &Docket,
    _: MayDeclare,
) -> Result<(), Refusal> {
    put(context, key::emergency(&emergency.id), emergency)?;
    put(context, key::emergency_docket(&emergency.clinician), docket)?;
    put(context, key::emergency_due(emergency.review_due, &emergency.id), &emergency.id)
}

/// Saves a reviewed emergency, which waits no more.
pub(crate) fn save_reviewed(
    context: &mut Context,
    emergency: &Emergency,
    docket: &Docket,
    _: MayReview,
) -> Result<(), Refusal> {
    context.delete(key::emergency_due(emergency.review_due, &emergency.id));
    put(context, key::emergency_docket(&emergency.clinician), docket)?;
    put(context, key::emergency(&emergency.id), emergency)
}

/// Saves an emergency that was ended; its review is still due.
pub(crate) fn save_ended(context: &mut Context, emergency: &Emergency, _: MayEnd) -> Result<(), Refusal> {
    put(context, key::emergency(&emergency.id), emergency)
}

fn position(key: &str) -> Result<ReviewPosition, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the list: check its version");
    let (_, attributes) = split_composite_key(key).map_err(|_| unreadable())?;
    let [due, emergency] = attributes.as_slice() else { return Err(unreadable()) };
    let due = key::chronological_time(due).ok_or_else(unreadable)?;
    Ok(ReviewPosition { due, emergency: emergency.parse()? })
}
