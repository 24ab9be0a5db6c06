use fabric_contract::{Context, contract};
use healthchain_rules::charge::{Account, ChargeLine, Sums};
use healthchain_rules::subscription::{
    DueReminder, Order, Plan, PlanTerms, Reminder, Subscription, SubscriptionStatus,
};
use healthchain_rules::{LedgerTime, MemberId, OrderId, PlanId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Makes a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakePlan {
    /// The plan's id, chosen by the caller, so that a retry is recognised.
    pub plan: PlanId,
    /// What it offers, for how much. They do not change.
    pub terms: PlanTerms,
}

/// Asks for the plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlansQuery {
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Orders a subscription for a patient, or its renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderSubscription {
    /// The order's id, chosen by the caller among the patient's orders, so that a retry is recognised.
    pub order: OrderId,
    /// For which patient.
    pub patient: MemberId,
    /// Of which plan.
    pub plan: PlanId,
    /// For how many periods, 1 to 12.
    pub periods: u32,
}

/// Takes an order back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    /// Which.
    pub order: OrderId,
    /// Of which patient.
    pub patient: MemberId,
}

/// Asks which reminders are due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DueRemindersQuery {
    /// Of subscriptions that end within so many days, at most 30 (more count as 30), 30 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Subscriptions looked at, 1 to 100, 20 if absent; not each has a reminder that is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Reminds a patient, and whoever pays, that a subscription ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemindSubscriber {
    /// Which patient.
    pub patient: MemberId,
    /// Of what.
    pub reminder: Reminder,
    /// Until when the subscription is paid, as the caller knows it.
    pub until: LedgerTime,
}

/// Asks for a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementQuery {
    /// Whose.
    pub account: Account,
    /// From when; from the beginning if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LedgerTime>,
    /// Until when (that moment excluded); until now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LedgerTime>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Lines at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// A page of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// The charges, newest first, with what is due for each.
    pub lines: Vec<ChargeLine>,
    /// What the account pays of this page's lines, by currency. Sums of pages add up to the statement's.
    pub sums: Sums,
    /// Asks for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<PageToken>,
}

/// Subscription plans, orders and statements.
#[contract(name = "Subscriptions")]
pub trait Subscriptions {
    /// Makes a plan. For maintainers. Repeating it with the same terms is harmless; plans do not change.
    #[submit]
    async fn make_plan(&self, context: &mut Context, call: MakePlan) -> Result<Plan, Refusal>;

    /// Closes a plan: it takes no orders any more, also no renewals; what was ordered runs on. For maintainers of the organisation that
    /// made it. Harmless on a closed one.
    #[submit]
    async fn close_plan(&self, context: &mut Context, plan: PlanId) -> Result<Plan, Refusal>;

    /// The plans, by id. For every active member.
    #[evaluate]
    async fn plans(&self, context: &Context, query: PlansQuery) -> Result<Page<Plan>, Refusal>;

    /// Orders a subscription; charges it to the patient, who orders (or a guardian who may), or to the payer whose officer orders. The
    /// same plan by the same payer is renewed and goes on where it ends; after its end another plan or payer begins at once. Repeating
    /// it with the same facts is harmless.
    #[submit]
    async fn order(&self, context: &mut Context, call: OrderSubscription) -> Result<Order, Refusal>;

    /// Takes the last order back before its period begins; what it cost is given back. For whoever may order for the same payer.
    /// Harmless on a cancelled one.
    #[submit]
    async fn cancel(&self, context: &mut Context, call: CancelOrder) -> Result<Order, Refusal>;

    /// A patient's subscription as it stands now, also a lapsed one; for the patient, guardians who may subscribe for it, and those of
    /// the paying organisation who read its statements.
    #[evaluate]
    async fn subscription(&self, context: &Context, patient: MemberId) -> Result<SubscriptionStatus, Refusal>;

    /// The reminders that nobody has given yet to patients of the caller's organisation, which serves patients; the subscriptions that
    /// end first come first. For maintainers, and so their agents. Subscriptions that were ordered before the ledger kept this list come on
    /// it with their renewal.
    #[evaluate]
    async fn due_reminders(&self, context: &Context, query: DueRemindersQuery) -> Result<Page<DueReminder>, Refusal>;

    /// Reminds a patient of the caller's organisation, and whoever pays: the event tells them. For maintainers, and so their agents. Each
    /// reminder is given once, when it is due; repeating it is harmless.
    #[submit]
    async fn remind(&self, context: &mut Context, call: RemindSubscriber) -> Result<Subscription, Refusal>;

    /// An account's charges, newest first, with what is due. Of a patient for the patient and guardians who may subscribe for it, of an
    /// organisation for its payer officers and administrators.
    #[evaluate]
    async fn statement(&self, context: &Context, query: StatementQuery) -> Result<Statement, Refusal>;
}
