//! Plans: made by maintainers, never changed, closed when nobody is to order them any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Features;
use crate::charge::Price;
use crate::identifier::{Malformed, MemberId, MspId, PlanId};
use crate::limit;
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// What can be subscribed to. Only its state ever changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Its id, chosen by the maintainer.
    pub id: PlanId,
    /// The organisation whose maintainer made it.
    pub organisation: MspId,
    /// What it offers, for how much.
    pub terms: PlanTerms,
    /// When it was made.
    pub made: LedgerTime,
    /// Whether it can be ordered.
    pub state: PlanState,
}

/// What a plan offers, for how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanTerms {
    /// What a period costs.
    pub price: Price,
    /// How long a period is, 1 to 366 days of 24 hours.
    pub period_days: u32,
    /// For how long after its end a subscription counts as paid, 0 to 90 days.
    pub grace_days: u32,
    /// What it offers.
    pub features: Features,
    /// What a notarization costs beyond the free ones, in minor units of the price's currency.
    pub notarization_price: u32,
}

/// Whether a plan can be ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum PlanState {
    /// It can.
    Open,
    /// It cannot any more; what was ordered runs on.
    Closed {
        /// Who closed it.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
}

/// Proof that the plan may be made.
#[derive(Debug, PartialEq, Eq)]
pub struct MayMakePlan(());

/// Proof that the plan may be closed.
#[derive(Debug, PartialEq, Eq)]
pub struct MayClosePlan(());

/// Whether the caller may make this plan; `existing` has its id. Repeating it is harmless, also after it was closed.
pub fn decide_making(
    caller: &Caller,
    existing: Option<&Plan>,
    id: PlanId,
    terms: PlanTerms,
    at: LedgerTime,
) -> Result<Outcome<Plan, MayMakePlan>, Refusal> {
    let actor = caller.permitted_member(Permission::MakePlan)?;
    terms.require_bounded()?;
    let organisation = actor.organisation.msp_id.clone();
    match existing {
        None => {
            Ok(Outcome::Decided(Plan { id, organisation, terms, made: at, state: PlanState::Open }, MayMakePlan(())))
        }
        Some(existing) if existing.organisation == organisation && existing.terms == terms => {
            Ok(Outcome::Repeated(existing.clone()))
        }
        Some(_) => Err(Refusal::new(
            RefusalCode::PlanExists,
            "the plan's id is taken, and plans do not change: choose another",
        )),
    }
}

/// Whether the caller may close this plan: a maintainer of the organisation that made it.
pub fn decide_closing(
    caller: &Caller,
    plan: Option<Plan>,
    at: LedgerTime,
) -> Result<Outcome<Plan, MayClosePlan>, Refusal> {
    let actor = caller.permitted_member(Permission::MakePlan)?;
    let plan = plan.ok_or_else(unknown_plan)?;
    if plan.organisation != actor.organisation.msp_id {
        return Err(Refusal::new(
            RefusalCode::OtherOrganisation,
            "another organisation's plan: ask a maintainer there",
        ));
    }
    match plan.state {
        PlanState::Closed { .. } => Ok(Outcome::Repeated(plan)),
        PlanState::Open => {
            let state = PlanState::Closed { by: actor.member.id.clone(), at };
            Ok(Outcome::Decided(Plan { state, ..plan }, MayClosePlan(())))
        }
    }
}

impl PlanTerms {
    fn require_bounded(&self) -> Result<(), Malformed> {
        if !(1..=limit::PERIOD_DAYS).contains(&self.period_days) {
            return Err(Malformed::new("a plan's period", "1 to 366 days"));
        }
        if self.grace_days > limit::GRACE_DAYS {
            return Err(Malformed::new("a plan's grace", "at most 90 days"));
        }
        if self.features.notarizations_a_year > limit::FREE_NOTARIZATIONS {
            return Err(Malformed::new("a plan's free notarizations", "at most 100 a year"));
        }
        Ok(())
    }
}

pub(super) fn unknown_plan() -> Refusal {
    Refusal::new(RefusalCode::UnknownPlan, "no such plan: choose one of Subscriptions:plans")
}
