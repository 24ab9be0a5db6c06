//! The channel's settings: numbers and switches that governance decides on. Without any on the ledger, the defaults hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;

/// The channel's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether third parties have records only of patients with a subscription; otherwise only a lapsed one stops them.
    pub subscription_required: bool,
    /// Approvals that an amendment of a category needs; where none is named, a majority of the other care organisations.
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
        }
    }
}
