use fabric_contract::{Context, composite_key, split_composite_key};
use healthchain_rules::subscription::{
    MayCancel, MayClosePlan, MayMakePlan, MayOrder, MayRemind, Order, Plan, Subscription,
};
use healthchain_rules::{LedgerTime, MemberId, MspId, OrderId, PlanId, Refusal, RefusalCode};
use serde::{Deserialize, Serialize};

use super::charge::save_charge;
use super::{Load, decode, key, ledger, put};

pub(crate) fn load_plan(id: &PlanId) -> Load<Plan> {
    Load::at(key::plan(id))
}

pub(crate) fn load_order(patient: &MemberId, id: &OrderId) -> Load<Order> {
    Load::at(key::order(patient, id))
}

pub(crate) fn load_subscription(patient: &MemberId) -> Load<Subscription> {
    Load::at(key::subscription(patient))
}

/// Some of the plans, by id, and where they go on. For queries only.
pub(crate) async fn load_plans(
    context: &Context,
    from: Option<&PlanId>,
    limit: u32,
) -> Result<(Vec<Plan>, Option<PlanId>), Refusal> {
    let from = from.map(key::plan);
    let page = context.composite_page(key::PLAN, &[], limit, from.as_deref()).await.map_err(ledger)?;
    let plans = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((plans, next))
}

/// A place in the list of subscriptions by their ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndPosition {
    until: LedgerTime,
    patient: MemberId,
}

/// Some of an organisation's patients whose subscriptions end from `since` to `until`, those first that end first, and where they go on.
/// For queries only.
pub(crate) async fn load_ending(
    context: &Context,
    organisation: &MspId,
    (since, until): (LedgerTime, LedgerTime),
    from: Option<&EndPosition>,
    limit: u32,
) -> Result<(Vec<MemberId>, Option<EndPosition>), Refusal> {
    let start = match from {
        Some(EndPosition { until, patient }) => key::subscription_end(organisation, *until, patient),
        None => composite_key(key::SUBSCRIPTION_END, &[organisation.as_str(), &key::chronological(since)])
            .expect("neither object type, MSP id nor time holds a reserved character"),
    };
    let page = context
        .composite_page(key::SUBSCRIPTION_END, &[organisation.as_str()], limit, Some(&start))
        .await
        .map_err(ledger)?;
    let places = page.items.iter().map(|(key, _)| end_position(key)).collect::<Result<Vec<_>, _>>()?;
    let next = page.bookmark.map(|bookmark| end_position(&bookmark)).transpose()?;
    let is_wanted = |place: &EndPosition| place.until <= until;
    let patients = places.into_iter().filter(is_wanted).map(|place| place.patient).collect();
    Ok((patients, next.filter(is_wanted)))
}

pub(crate) fn save_reminded(context: &mut Context, subscription: &Subscription, _: MayRemind) -> Result<(), Refusal> {
    put(context, key::subscription(&subscription.patient), subscription)
}

pub(crate) fn save_made(context: &mut Context, plan: &Plan, _: MayMakePlan) -> Result<(), Refusal> {
    put(context, key::plan(&plan.id), plan)
}

pub(crate) fn save_closed(context: &mut Context, plan: &Plan, _: MayClosePlan) -> Result<(), Refusal> {
    put(context, key::plan(&plan.id), plan)
}

/// Saves an order, the subscription with it, and its charge.
pub(crate) fn save_ordered(
    context: &mut Context,
    order: &Order,
    organisation: &MspId,
    former: Option<&Subscription>,
    proof: &MayOrder,
) -> Result<(), Refusal> {
    put(context, key::order(&order.patient, &order.id), order)?;
    save_subscription(context, organisation, former, proof.subscription())?;
    save_charge(context, proof.charge())
}

/// Saves an order that was taken back, the subscription without it, and what is given back.
pub(crate) fn save_cancelled(
    context: &mut Context,
    order: &Order,
    organisation: &MspId,
    former: Option<&Subscription>,
    proof: &MayCancel,
) -> Result<(), Refusal> {
    put(context, key::order(&order.patient, &order.id), order)?;
    save_subscription(context, organisation, former, proof.subscription())?;
    save_charge(context, proof.charge())
}

/// Saves a subscription, and its place in the list by ends of the patient's organisation.
fn save_subscription(
    context: &mut Context,
    organisation: &MspId,
    former: Option<&Subscription>,
    subscription: &Subscription,
) -> Result<(), Refusal> {
    let patient = &subscription.patient;
    if let Some(former) = former {
        context.delete(key::subscription_end(organisation, former.until, patient));
    }
    put(context, key::subscription_end(organisation, subscription.until, patient), patient)?;
    put(context, key::subscription(patient), subscription)
}

fn end_position(key: &str) -> Result<EndPosition, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the list of subscriptions' ends cannot be read");
    let (_, attributes) = split_composite_key(key).map_err(|_| unreadable())?;
    let [_, until, patient] = attributes.as_slice() else { return Err(unreadable()) };
    Ok(EndPosition { until: key::chronological_time(until).ok_or_else(unreadable)?, patient: patient.parse()? })
}

fn position(bookmark: &str) -> Result<PlanId, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of plans: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [id] = attributes.as_slice() else { return Err(unreadable()) };
    Ok(id.parse()?)
}
