//! Orders: each extends a patient's subscription, or begins one, and leaves a charge.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plan::{Plan, PlanState, unknown_plan};
use super::{Payer, Phase, Subscription};
use crate::charge::{Charge, Item, Price};
use crate::delegation::{Delegation, Power, require_acting_for};
use crate::identifier::{Currency, Malformed, MemberId, OrderId, PlanId, TransactionId};
use crate::limit;
use crate::link::require_patient;
use crate::member::{Actor, Caller, Member};
use crate::organisation::OrganisationKind;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// An order of a subscription, or of its renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Its id, chosen by whoever ordered.
    pub id: OrderId,
    /// For which patient.
    pub patient: MemberId,
    /// Of which plan.
    pub plan: PlanId,
    /// For how many periods.
    pub periods: u32,
    /// Who pays.
    pub payer: Payer,
    /// What it costs, in minor units.
    pub amount: i64,
    /// The currency.
    pub currency: Currency,
    /// From when.
    pub from: LedgerTime,
    /// Until when (that moment excluded).
    pub until: LedgerTime,
    /// The member who ordered.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
    /// Whether it stands.
    pub state: OrderState,
}

/// Whether an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OrderState {
    /// It does.
    Placed,
    /// It was taken back before its period began.
    Cancelled {
        /// By whom.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
}

/// An order to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderDraft {
    /// Its id.
    pub id: OrderId,
    /// For which patient.
    pub patient: MemberId,
    /// Of which plan.
    pub plan: PlanId,
    /// For how many periods.
    pub periods: u32,
}

/// What the ledger holds of what an order names.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrderGround<'a> {
    /// The patient's order with this id.
    pub existing: Option<&'a Order>,
    /// The plan.
    pub plan: Option<&'a Plan>,
    /// The patient, if there is such a member.
    pub patient: Option<&'a Member>,
    /// The patient's subscription.
    pub subscription: Option<&'a Subscription>,
    /// The patient's delegation for the caller.
    pub delegation: Option<&'a Delegation>,
}

/// Proof that it may be ordered, with what it makes of the subscription and what it costs.
#[derive(Debug, PartialEq, Eq)]
pub struct MayOrder {
    subscription: Subscription,
    charge: Charge,
}

/// Proof that the order may be taken back, with what that makes of the subscription and what is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct MayCancel {
    subscription: Subscription,
    charge: Charge,
}

/// Whether the caller may order this. While a subscription runs it is renewed, by the same payer under the same plan, and the order
/// begins where it ends; in its grace, too. After its end another payer may order, or under another plan; that begins now. So does a
/// patient's own order of another plan while an organisation's subscription runs: it replaces that one, with the orders that would have
/// followed, and nothing of what the organisation was charged is given back.
pub fn decide_order(
    caller: &Caller,
    ground: OrderGround<'_>,
    draft: OrderDraft,
    transaction: TransactionId,
    at: LedgerTime,
) -> Result<Outcome<Order, MayOrder>, Refusal> {
    let (actor, payer) = payer(caller, &draft.patient, ground.delegation, at)?;
    if !(1..=limit::PERIODS).contains(&draft.periods) {
        return Err(Malformed::new("an order's periods", "1 to 12").into());
    }
    if let Some(existing) = ground.existing {
        return existing.repeated_by(&draft, &payer);
    }
    let patient = require_patient(ground.patient)?;
    let plan = ground.plan.ok_or_else(unknown_plan)?;
    if plan.state != PlanState::Open {
        return Err(Refusal::new(RefusalCode::PlanClosed, "the plan is closed: choose another"));
    }
    let renewed = renewed(ground.subscription, plan, &payer, at)?;
    let from = renewed.map_or(at, |renewed| renewed.until);
    let until = from.plus_days(plan.terms.period_days.saturating_mul(draft.periods));
    let (days_ahead, detail) = match payer {
        Payer::Patient => (limit::DAYS_AHEAD, "nobody orders more than five years ahead: order less"),
        Payer::Organisation(_) => {
            (limit::PAYER_DAYS_AHEAD, "no organisation orders more than 366 days ahead: order less")
        }
    };
    if until > at.plus_days(days_ahead) {
        return Err(Refusal::new(RefusalCode::OrderTooFarAhead, detail));
    }
    let Price { amount, currency } = plan.terms.price.clone();
    let order = Order {
        id: draft.id,
        patient: patient.id.clone(),
        plan: plan.id.clone(),
        periods: draft.periods,
        payer: payer.clone(),
        amount: i64::from(amount) * i64::from(draft.periods),
        currency: currency.clone(),
        from,
        until,
        by: actor.member.id.clone(),
        at,
        state: OrderState::Placed,
    };
    let subscription = Subscription {
        patient: patient.id.clone(),
        plan: plan.id.clone(),
        payer,
        from: renewed.map_or(at, |renewed| renewed.from),
        until,
        grace_until: until.plus_days(plan.terms.grace_days),
        features: plan.terms.features.clone(),
        notarization_price: Price { amount: plan.terms.notarization_price, currency },
        reminded: BTreeSet::new(),
    };
    let item = Item::Order { order: order.id.clone(), plan: order.plan.clone(), from, until };
    let charge = order.charge(item, order.amount, transaction, at);
    Ok(Outcome::Decided(order, MayOrder { subscription, charge }))
}

/// Whether the caller may take this order back: for whoever pays it, before its period began, and only the last one, so that no gap
/// comes between two; none of a subscription that was replaced. `subscription` is the patient's, `delegation` the patient's for the caller.
pub fn decide_cancellation(
    caller: &Caller,
    patient: &MemberId,
    order: Option<Order>,
    subscription: Option<&Subscription>,
    delegation: Option<&Delegation>,
    transaction: TransactionId,
    at: LedgerTime,
) -> Result<Outcome<Order, MayCancel>, Refusal> {
    let (actor, payer) = payer(caller, patient, delegation, at)?;
    let order = order
        .filter(|order| order.patient == *patient && order.payer == payer)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownOrder, "no such order that the caller pays"))?;
    if matches!(order.state, OrderState::Cancelled { .. }) {
        return Ok(Outcome::Repeated(order));
    }
    if order.from <= at {
        return Err(Refusal::new(RefusalCode::OrderBegun, "the order's period has begun: let it end"));
    }
    let subscription = subscription
        .filter(|found| found.until == order.until && found.plan == order.plan && found.payer == order.payer)
        .ok_or_else(|| {
            let detail = "a later order follows, which must be cancelled first, or the subscription was replaced";
            Refusal::new(RefusalCode::OrderNotLast, detail)
        })?;
    let grace = subscription.grace_until.milliseconds().saturating_sub(subscription.until.milliseconds());
    let subscription = Subscription {
        until: order.from,
        grace_until: LedgerTime::from_milliseconds(order.from.milliseconds().saturating_add(grace)),
        reminded: BTreeSet::new(),
        ..subscription.clone()
    };
    let charge = order.charge(Item::Cancellation { order: order.id.clone() }, -order.amount, transaction, at);
    let state = OrderState::Cancelled { by: actor.member.id.clone(), at };
    Ok(Outcome::Decided(Order { state, ..order }, MayCancel { subscription, charge }))
}

impl MayOrder {
    /// The subscription with the order.
    pub const fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// What it costs.
    pub const fn charge(&self) -> &Charge {
        &self.charge
    }
}

impl MayCancel {
    /// The subscription without the order.
    pub const fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// What is given back.
    pub const fn charge(&self) -> &Charge {
        &self.charge
    }
}

impl Order {
    fn repeated_by(&self, draft: &OrderDraft, payer: &Payer) -> Result<Outcome<Self, MayOrder>, Refusal> {
        let is_same = self.plan == draft.plan && self.periods == draft.periods && self.payer == *payer;
        match self.state {
            OrderState::Placed if is_same => Ok(Outcome::Repeated(self.clone())),
            OrderState::Cancelled { .. } if is_same => {
                Err(Refusal::new(RefusalCode::OrderExists, "the order was cancelled: choose a new id to order again"))
            }
            OrderState::Placed | OrderState::Cancelled { .. } => {
                Err(Refusal::new(RefusalCode::OrderExists, "the order's id is taken: choose another"))
            }
        }
    }

    fn charge(&self, item: Item, amount: i64, transaction: TransactionId, at: LedgerTime) -> Charge {
        Charge {
            transaction,
            time: at,
            patient: self.patient.clone(),
            payer: self.payer.clone(),
            item,
            amount,
            currency: self.currency.clone(),
        }
    }
}

/// Who pays what the caller orders: a payer's members for their organisation, others for the patient, whom they must be or act for.
fn payer<'a>(
    caller: &'a Caller,
    patient: &MemberId,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<(&'a Actor, Payer), Refusal> {
    match caller.organisation().kind {
        OrganisationKind::Payer => {
            let actor = caller.permitted_member(Permission::OrderSubscription)?;
            Ok((actor, Payer::Organisation(actor.organisation.msp_id.clone())))
        }
        OrganisationKind::PrimaryCare
        | OrganisationKind::SecondaryCare
        | OrganisationKind::Pharmacy
        | OrganisationKind::PatientServices
        | OrganisationKind::PublicHealth => {
            let actor =
                require_acting_for(caller, patient, Permission::OrderSubscription, Power::Subscribe, delegation, at)?;
            Ok((actor, Payer::Patient))
        }
    }
}

/// The subscription that an order renews; none when it begins a new one.
fn renewed<'a>(
    subscription: Option<&'a Subscription>,
    plan: &Plan,
    payer: &Payer,
    at: LedgerTime,
) -> Result<Option<&'a Subscription>, Refusal> {
    let Some(subscription) = subscription else { return Ok(None) };
    let is_same = subscription.plan == plan.id && subscription.payer == *payer;
    let is_patients_choice =
        *payer == Payer::Patient && subscription.payer != Payer::Patient && subscription.plan != plan.id;
    match subscription.phase(at) {
        Phase::Running | Phase::Grace if is_same => Ok(Some(subscription)),
        Phase::Running if is_patients_choice => Ok(None),
        Phase::Running => Err(Refusal::new(
            RefusalCode::SubscriptionRunning,
            "a subscription of another plan or payer runs: order after its end",
        )),
        Phase::Grace | Phase::Lapsed => Ok(None),
    }
}
