//! Subscriptions: plans, orders, and whether third parties may have a patient's records. A lapse is a matter of time: no job runs and
//! no link is written. The patient's own access, treatment and emergencies never depend on a subscription (45 CFR 164.524, 45 CFR 171).

mod order;
mod plan;
mod reminder;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::charge::{Allowance, Price};
use crate::delegation::{Delegation, Power, require_acting_for};
use crate::identifier::{MemberId, MspId, OrderId, PlanId};
use crate::member::Caller;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::settings::Settings;
use crate::time::LedgerTime;

pub use order::{MayCancel, MayOrder, Order, OrderDraft, OrderGround, OrderState, decide_cancellation, decide_order};
pub use plan::{MayClosePlan, MayMakePlan, Plan, PlanState, PlanTerms, decide_closing, decide_making};
pub use reminder::{DueReminder, MayRemind, Reminder, decide_asking_reminders, decide_reminding};

/// A patient's subscription: the one in force, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscription {
    /// Whose.
    pub patient: MemberId,
    /// Under which plan.
    pub plan: PlanId,
    /// Who pays.
    pub payer: Payer,
    /// Since when, without a lapse; its years count from here.
    pub from: LedgerTime,
    /// Until when it is paid.
    pub until: LedgerTime,
    /// Until when it counts as paid.
    pub grace_until: LedgerTime,
    /// What the plan offers.
    pub features: Features,
    /// What a notarization costs that is not among the free ones.
    pub notarization_price: Price,
    /// The reminders of this end that were given.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reminded: BTreeSet<Reminder>,
}

/// Who pays. JSON: `"patient"` or `{"organisation": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Payer {
    /// The patient.
    Patient,
    /// An organisation, for the patient.
    Organisation(MspId),
}

/// What a plan offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Whether new records are sealed to pre-authorised third parties as soon as they are published. Without it, where the channel's
    /// settings require subscriptions, a third party gets its envelope at its first opening.
    pub instant_release: bool,
    /// Notarizations that are free in a year of the subscription, at most 100.
    pub notarizations_a_year: u32,
    /// Whether share links may live long. The ledger tells; gateways keep to it.
    pub share_links: bool,
    /// Whether the family's vault may be used. The ledger tells; gateways keep to it.
    pub family_vault: bool,
}

/// Where a subscription stands in its course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is paid.
    Running,
    /// It has ended and still counts as paid.
    Grace,
    /// It counts no more.
    Lapsed,
}

/// A subscription as it stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionStatus {
    /// The subscription.
    pub subscription: Subscription,
    /// Where it stands.
    pub phase: Phase,
    /// How many more notarizations are free in its present year; none after a lapse.
    pub free_notarizations_left: u32,
}

/// What is done with plans and subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum SubscriptionAct {
    /// A plan was made.
    PlanMade {
        /// Which.
        plan: PlanId,
    },
    /// A plan was closed.
    PlanClosed {
        /// Which.
        plan: PlanId,
    },
    /// A subscription or its renewal was ordered.
    SubscriptionOrdered {
        /// By which order.
        order: OrderId,
        /// Of which plan.
        plan: PlanId,
        /// Who pays.
        payer: Payer,
        /// Until when it is paid now.
        until: LedgerTime,
    },
    /// An order was taken back.
    OrderCancelled {
        /// Which.
        order: OrderId,
        /// Until when the subscription is paid now.
        until: LedgerTime,
    },
    /// The patient, and whoever pays, are reminded that a subscription ends.
    SubscriptionEnding {
        /// Of what they are reminded.
        reminder: Reminder,
        /// Of which plan.
        plan: PlanId,
        /// Who pays.
        payer: Payer,
        /// Until when it is paid.
        until: LedgerTime,
    },
}

/// Whether the caller may know of a patient's subscription: the patient, guardians who may subscribe for it, and those of the
/// organisation that pays who may read its statements. To others there is none. `delegation` is the patient's for the caller.
pub fn decide_reading(
    caller: &Caller,
    patient: &MemberId,
    subscription: Option<Subscription>,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<Subscription, Refusal> {
    let unknown = || Refusal::new(RefusalCode::UnknownSubscription, "there is no subscription: order one");
    let acting = require_acting_for(caller, patient, Permission::OrderSubscription, Power::Subscribe, delegation, at);
    match (acting, caller.permitted_member(Permission::ReadStatement)) {
        (Ok(_), _) => subscription.ok_or_else(unknown),
        (Err(_), Ok(actor)) => {
            let payer = Payer::Organisation(actor.organisation.msp_id.clone());
            subscription.filter(|subscription| subscription.payer == payer).ok_or_else(unknown)
        }
        (Err(refusal), Err(_)) => Err(refusal),
    }
}

impl Subscription {
    /// Whether period and grace have ended.
    pub fn is_lapsed(&self, at: LedgerTime) -> bool {
        self.grace_until <= at
    }

    /// Where it stands.
    pub fn phase(&self, at: LedgerTime) -> Phase {
        if self.is_lapsed(at) {
            Phase::Lapsed
        } else if self.until <= at {
            Phase::Grace
        } else {
            Phase::Running
        }
    }

    /// The notarizations that are free in its present year. Years have 365 days and count from its beginning.
    pub fn allowance(&self, at: LedgerTime) -> Allowance {
        const DAYS: u32 = 365;
        let year = LedgerTime::from_milliseconds(0).plus_days(DAYS).milliseconds();
        let years = at.milliseconds().saturating_sub(self.from.milliseconds()) / year;
        let days = u32::try_from(years).unwrap_or(u32::MAX).saturating_mul(DAYS);
        Allowance { year: self.from.plus_days(days), free: self.features.notarizations_a_year }
    }
}

/// Whether third parties whom the patient pre-authorised are sealed to at publication. Where subscriptions are not required they always
/// are; else only with a plan that offers it, and otherwise they get their envelopes at their first openings.
pub fn releases_at_once(settings: &Settings, subscription: Option<&Subscription>, at: LedgerTime) -> bool {
    let offers = |subscription: &Subscription| subscription.features.instant_release && !subscription.is_lapsed(at);
    !settings.subscription_required || subscription.is_some_and(offers)
}
