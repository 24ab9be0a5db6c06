use fabric_contract::{Context, split_composite_key};
use healthchain_rules::subscription::{MayCancel, MayClosePlan, MayMakePlan, MayOrder, Order, Plan, Subscription};
use healthchain_rules::{MemberId, OrderId, PlanId, Refusal, RefusalCode};

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

pub(crate) fn save_made(context: &mut Context, plan: &Plan, _: MayMakePlan) -> Result<(), Refusal> {
    put(context, key::plan(&plan.id), plan)
}

pub(crate) fn save_closed(context: &mut Context, plan: &Plan, _: MayClosePlan) -> Result<(), Refusal> {
    put(context, key::plan(&plan.id), plan)
}

/// Saves an order, the subscription with it, and its charge.
pub(crate) fn save_ordered(context: &mut Context, order: &Order, proof: &MayOrder) -> Result<(), Refusal> {
    put(context, key::order(&order.patient, &order.id), order)?;
    put(context, key::subscription(&order.patient), proof.subscription())?;
    save_charge(context, proof.charge())
}

/// Saves an order that was taken back, the subscription without it, and what is given back.
pub(crate) fn save_cancelled(context: &mut Context, order: &Order, proof: &MayCancel) -> Result<(), Refusal> {
    put(context, key::order(&order.patient, &order.id), order)?;
    put(context, key::subscription(&order.patient), proof.subscription())?;
    save_charge(context, proof.charge())
}

fn position(bookmark: &str) -> Result<PlanId, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of plans: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [id] = attributes.as_slice() else { return Err(unreadable()) };
    Ok(id.parse()?)
}
