//! What a record is wanted for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a record is wanted for. Every opening names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Treatment of the patient.
    Treatment,
    /// Payment for care (45 CFR 164.501).
    Payment,
    /// Health care operations (45 CFR 164.501).
    Operations,
    /// Research.
    Research,
    /// Public health activities.
    PublicHealth,
    /// The patient's own use (45 CFR 164.524), or that of a person the patient trusts.
    Personal,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] =
        [Self::Treatment, Self::Payment, Self::Operations, Self::Research, Self::PublicHealth, Self::Personal];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Treatment => "treatment",
            Self::Payment => "payment",
            Self::Operations => "operations",
            Self::Research => "research",
            Self::PublicHealth => "public-health",
            Self::Personal => "personal",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
