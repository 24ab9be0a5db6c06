//! The contract `Subscriptions`.

use std::collections::BTreeMap;

use fabric_contract::Context;
use healthchain_interface::{
    CancelOrder, DueRemindersQuery, MakePlan, OrderSubscription, Page, PlansQuery, RemindSubscriber, Statement,
    StatementQuery, Subscriptions,
};
use healthchain_rules::charge::{Account, Charge, ChargeLine, Place, decide_reading_statement};
use healthchain_rules::link::require_patient;
use healthchain_rules::subscription::{
    DueReminder, Order, OrderDraft, OrderGround, Phase, Plan, Subscription, SubscriptionAct, SubscriptionStatus,
    decide_asking_reminders, decide_cancellation, decide_closing, decide_making, decide_order, decide_reading,
    decide_reminding,
};
use healthchain_rules::{LedgerTime, MemberId, Outcome, PlanId, Refusal, limit};
use serde::{Deserialize, Serialize};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::page_token;
use crate::storage::charge::{load_charges, load_first_of_year};
use crate::storage::delegation::load_delegation;
use crate::storage::member::load_member;
use crate::storage::subscription::{
    load_ending, load_order, load_plan, load_plans, load_subscription, save_cancelled, save_closed, save_made,
    save_ordered, save_reminded,
};
use crate::storage::{Each, fetch};
use crate::transaction;

pub(crate) struct SubscriptionContract;

impl Subscriptions for SubscriptionContract {
    async fn make_plan(&self, context: &mut Context, call: MakePlan) -> Result<Plan, Refusal> {
        let (caller, existing, ()) = load_caller_with(context, load_plan(&call.plan), |_, _| ()).await?;

        match decide_making(&caller, existing.as_ref(), call.plan, call.terms, transaction::time(context)?)? {
            Outcome::Repeated(plan) => Ok(plan),
            Outcome::Decided(plan, proof) => {
                save_made(context, &plan, proof)?;
                Record::new(SubscriptionAct::PlanMade { plan: plan.id.clone() }).save(context, &caller)?;
                Ok(plan)
            }
        }
    }

    async fn close_plan(&self, context: &mut Context, plan: PlanId) -> Result<Plan, Refusal> {
        let (caller, plan, ()) = load_caller_with(context, load_plan(&plan), |_, _| ()).await?;

        match decide_closing(&caller, plan, transaction::time(context)?)? {
            Outcome::Repeated(plan) => Ok(plan),
            Outcome::Decided(plan, proof) => {
                save_closed(context, &plan, proof)?;
                Record::new(SubscriptionAct::PlanClosed { plan: plan.id.clone() }).save(context, &caller)?;
                Ok(plan)
            }
        }
    }

    async fn plans(&self, context: &Context, query: PlansQuery) -> Result<Page<Plan>, Refusal> {
        load_caller(context).await?.active_member()?;
        let from: Option<PlanId> = page_token::read(&"plans".to_owned(), query.page_token)?;
        let (items, next) = load_plans(context, from.as_ref(), query.limit.unwrap_or_default().into()).await?;
        let next_page_token = page_token::write(&"plans", next)?;
        Ok(Page { items, next_page_token })
    }

    async fn order(&self, context: &mut Context, call: OrderSubscription) -> Result<Order, Refusal> {
        let OrderSubscription { order: id, patient, plan, periods } = call;
        let first = (load_order(&patient, &id), load_plan(&plan), load_member(&patient), load_subscription(&patient));
        let (caller, (existing, found, member, subscription), delegation) =
            load_caller_with(context, first, |_, who| who.map(|who| load_delegation(&patient, who))).await?;

        let ground = OrderGround {
            existing: existing.as_ref(),
            plan: found.as_ref(),
            patient: member.as_ref(),
            subscription: subscription.as_ref(),
            delegation: delegation.as_ref().and_then(Option::as_ref),
        };
        let draft = OrderDraft { id, patient, plan, periods };
        let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
        match decide_order(&caller, ground, draft, transaction, at)? {
            Outcome::Repeated(order) => Ok(order),
            Outcome::Decided(order, proof) => {
                let home = &require_patient(member.as_ref())?.organisation;
                save_ordered(context, &order, home, subscription.as_ref(), &proof)?;
                let act = SubscriptionAct::SubscriptionOrdered {
                    order: order.id.clone(),
                    plan: order.plan.clone(),
                    payer: order.payer.clone(),
                    until: order.until,
                };
                Record::new(act).about(&order.patient).save(context, &caller)?;
                Ok(order)
            }
        }
    }

    async fn cancel(&self, context: &mut Context, call: CancelOrder) -> Result<Order, Refusal> {
        let patient = call.patient;
        let first = (load_order(&patient, &call.order), load_member(&patient), load_subscription(&patient));
        let (caller, (order, member, subscription), delegation) =
            load_caller_with(context, first, |_, who| who.map(|who| load_delegation(&patient, who))).await?;

        let delegation = delegation.flatten();
        let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
        let outcome =
            decide_cancellation(&caller, &patient, order, subscription.as_ref(), delegation.as_ref(), transaction, at)?;
        match outcome {
            Outcome::Repeated(order) => Ok(order),
            Outcome::Decided(order, proof) => {
                let home = &require_patient(member.as_ref())?.organisation;
                save_cancelled(context, &order, home, subscription.as_ref(), &proof)?;
                let until = proof.subscription().until;
                let act = SubscriptionAct::OrderCancelled { order: order.id.clone(), until };
                Record::new(act).about(&patient).save(context, &caller)?;
                Ok(order)
            }
        }
    }

    async fn subscription(&self, context: &Context, patient: MemberId) -> Result<SubscriptionStatus, Refusal> {
        let (caller, subscription, delegation) = load_caller_with(context, load_subscription(&patient), |_, who| {
            who.map(|who| load_delegation(&patient, who))
        })
        .await?;
        let at = transaction::time(context)?;
        let subscription = decide_reading(&caller, &patient, subscription, delegation.flatten().as_ref(), at)?;

        let phase = subscription.phase(at);
        let free_notarizations_left = match phase {
            Phase::Lapsed => 0,
            Phase::Running | Phase::Grace => {
                let allowance = subscription.allowance(at);
                allowance.left(load_first_of_year(context, &patient, allowance).await?.len())
            }
        };
        Ok(SubscriptionStatus { subscription, phase, free_notarizations_left })
    }

    async fn due_reminders(&self, context: &Context, query: DueRemindersQuery) -> Result<Page<DueReminder>, Refusal> {
        let DueRemindersQuery { days, page_token, limit } = query;
        let caller = load_caller(context).await?;
        let organisation = &decide_asking_reminders(&caller)?.msp_id;
        let days = days.unwrap_or(limit::REMINDER_DAYS).min(limit::REMINDER_DAYS);
        let from = page_token::read(&days, page_token)?;

        let at = transaction::time(context)?;
        let ends = (at.minus_days(limit::GRACE_DAYS), at.plus_days(days));
        let (patients, next) =
            load_ending(context, organisation, ends, from.as_ref(), limit.unwrap_or_default().into()).await?;
        let subscriptions = fetch(context, Each(patients.iter().map(load_subscription).collect())).await?;
        let items = subscriptions.into_iter().filter_map(|subscription| subscription?.due_reminder(at)).collect();
        Ok(Page { items, next_page_token: page_token::write(&days, next)? })
    }

    async fn remind(&self, context: &mut Context, call: RemindSubscriber) -> Result<Subscription, Refusal> {
        let RemindSubscriber { patient, reminder, until } = call;
        let first = (load_member(&patient), load_subscription(&patient));
        let (caller, (member, subscription), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let at = transaction::time(context)?;
        match decide_reminding(&caller, member.as_ref(), subscription, (reminder, until), at)? {
            Outcome::Repeated(subscription) => Ok(subscription),
            Outcome::Decided(subscription, proof) => {
                save_reminded(context, &subscription, proof)?;
                Record::new(subscription.reminding_act(reminder)).about(&patient).save(context, &caller)?;
                Ok(subscription)
            }
        }
    }

    async fn statement(&self, context: &Context, query: StatementQuery) -> Result<Statement, Refusal> {
        let StatementQuery { account, from, until, page_token, limit } = query;
        let (caller, (), delegation) = load_caller_with(context, (), |(), who| match &account {
            Account::Patient(patient) => who.map(|who| load_delegation(patient, who)),
            Account::Organisation(_) => None,
        })
        .await?;
        let at = transaction::time(context)?;
        let proof = decide_reading_statement(&caller, &account, delegation.flatten().as_ref(), from, until, at)?;

        let asked = Asked { account, from, until };
        let start = page_token::read(&asked, page_token)?.or_else(|| until.map(Place::last_before));
        let (charges, next) =
            load_charges(context, &asked.account, start.as_ref(), limit.unwrap_or_default().into(), &proof).await?;
        let is_asked_for = |time: LedgerTime| from.is_none_or(|from| from <= time);
        let next = next.filter(|next| is_asked_for(next.time));
        let charges = charges.into_iter().filter(|charge| is_asked_for(charge.time)).collect();
        let lines = lines(context, charges).await?;
        let sums = asked.account.sums(&lines);
        let next_page_token = page_token::write(&asked, next)?;
        Ok(Statement { lines, sums, next_page_token })
    }
}

/// What a page token of a statement belongs to.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    account: Account,
    from: Option<LedgerTime>,
    until: Option<LedgerTime>,
}

/// Charges with what is due for each: reads the first places of each year that a notarization among them may be free in, once.
async fn lines(context: &Context, charges: Vec<Charge>) -> Result<Vec<ChargeLine>, Refusal> {
    let mut years = BTreeMap::new();
    let mut lines = Vec::new();
    for charge in charges {
        let due = match charge.allowance() {
            None => charge.due(&[]),
            Some(allowance) => {
                let year = (charge.patient.clone(), allowance);
                if !years.contains_key(&year) {
                    let first = load_first_of_year(context, &charge.patient, allowance).await?;
                    years.insert(year.clone(), first);
                }
                charge.due(&years[&year])
            }
        };
        lines.push(ChargeLine { charge, due });
    }
    Ok(lines)
}
