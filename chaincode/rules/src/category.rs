//! What kind of record a link leads to.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of record a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// A summary of the patient's record.
    Summary,
    /// A note of an encounter.
    EncounterNote,
    /// Laboratory results.
    Laboratory,
    /// Images and their reports.
    Imaging,
    /// Prescriptions and dispensations.
    Medication,
    /// Immunizations.
    Immunization,
    /// Allergies and intolerances.
    Allergy,
    /// Claims and explanations of benefit.
    Claim,
    /// Substance-use notes and others under 42 CFR Part 2: never without consent.
    Restricted,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 9] = [
        Self::Summary,
        Self::EncounterNote,
        Self::Laboratory,
        Self::Imaging,
        Self::Medication,
        Self::Immunization,
        Self::Allergy,
        Self::Claim,
        Self::Restricted,
    ];

    /// The name on the wire and in keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::EncounterNote => "encounter-note",
            Self::Laboratory => "laboratory",
            Self::Imaging => "imaging",
            Self::Medication => "medication",
            Self::Immunization => "immunization",
            Self::Allergy => "allergy",
            Self::Claim => "claim",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
