//! The channel's settings: numbers and switches that governance decides on. Without any on the ledger, the defaults hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::identifier::{Currency, Malformed};
use crate::limit;

/// The channel's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether third parties have records only of patients with a subscription; otherwise only a lapsed one stops them.
    pub subscription_required: bool,
    /// Approvals that an amendment of a category needs; where none is named, a majority of the other care organisations.
    /// An amendment never waits for more approvals than there are organisations to give them.
    pub amendment_quorum: BTreeMap<Category, u32>,
    /// Days within which a proposal is voted on.
    pub proposal_days: u32,
    /// Days within which an amendment is approved.
    pub amendment_days: u32,
    /// Hours that an emergency access lasts at most.
    pub emergency_hours: u32,
    /// Days within which an emergency access is reviewed.
    pub review_days: u32,
    /// Hours between the last approval of a recovery and its completion.
    pub recovery_hours: u32,
    /// What a notarization costs an organisation, in minor units of the currency.
    pub notarization_price: u32,
    /// The currency (ISO 4217).
    pub currency: Currency,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            subscription_required: false,
            amendment_quorum: BTreeMap::new(),
            proposal_days: 14,
            amendment_days: 14,
            emergency_hours: 4,
            review_days: 3,
            recovery_hours: 72,
            notarization_price: 0,
            currency: "USD".parse().expect("three letters"),
        }
    }
}

impl Settings {
    pub(crate) fn require_bounds(&self) -> Result<(), Malformed> {
        let bounds = [
            (self.proposal_days, limit::PROPOSAL_DAYS, Malformed::new("proposal_days", "1 to 90")),
            (self.amendment_days, limit::AMENDMENT_DAYS, Malformed::new("amendment_days", "1 to 90")),
            (self.emergency_hours, limit::EMERGENCY_HOURS, Malformed::new("emergency_hours", "1 to 24")),
            (self.review_days, limit::REVIEW_DAYS, Malformed::new("review_days", "1 to 30")),
            (self.recovery_hours, limit::RECOVERY_HOURS, Malformed::new("recovery_hours", "24 to 720")),
            (self.notarization_price, limit::NOTARIZATION_PRICE, Malformed::new("notarization_price", "0 to 1000000")),
        ];
        let quorums = self.amendment_quorum.values().map(|quorum| {
            (*quorum, limit::AMENDMENT_QUORUM, Malformed::new("each amendment_quorum", "1 to 64 organisations"))
        });
        match bounds.into_iter().chain(quorums).find(|(value, bounds, _)| !bounds.contains(value)) {
            Some((_, _, malformed)) => Err(malformed),
            None => Ok(()),
        }
    }
}
