//! Subscriptions: whether third parties may have a patient's records, and what is paid for beside.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{MemberId, MspId, PlanId};
use crate::time::LedgerTime;

/// A patient's subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscription {
    /// Whose.
    pub patient: MemberId,
    /// Under which plan.
    pub plan: PlanId,
    /// Who pays.
    pub payer: Payer,
    /// Since when.
    pub from: LedgerTime,
    /// Until when it is paid.
    pub until: LedgerTime,
    /// Until when it counts as paid.
    pub grace_until: LedgerTime,
    /// What the plan offers.
    pub features: Features,
}

/// Who pays. JSON: `"patient"` or `{"organisation": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Payer {
    /// The patient.
    Patient,
    /// A payer, for the patient.
    Organisation(MspId),
}

/// What a plan offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Whether new records are sealed to pre-authorised parties as soon as they are published.
    pub instant_release: bool,
    /// Notarizations that are free in a year of the subscription.
    pub notarizations_a_year: u32,
    /// Whether share links may live long.
    pub share_links: bool,
    /// Whether the family's vault may be used.
    pub family_vault: bool,
}

impl Subscription {
    /// Whether period and grace have ended.
    pub fn is_lapsed(&self, at: LedgerTime) -> bool {
        self.grace_until <= at
    }
}
