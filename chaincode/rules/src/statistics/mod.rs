//! Population statistics: what care organisations count, what of it is shown, and what is released with noise.

pub mod contribution;
pub mod measure;
pub mod release;
mod suppression;
pub mod table;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Month;
use crate::identifier::{MeasureId, ReleaseId};

/// What is done to population statistics. No counts: the trail is read by others than the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum StatisticsAct {
    /// A measure was defined.
    MeasureDefined {
        /// Which.
        measure: MeasureId,
    },
    /// A measure was ended.
    MeasureEnded {
        /// Which.
        measure: MeasureId,
        /// The last month that it counts.
        last: Month,
    },
    /// An organisation's counts of a month were contributed.
    CountsContributed {
        /// For which measure.
        measure: MeasureId,
        /// Of which month.
        period: Month,
    },
    /// A month was closed: nothing is contributed to it any more.
    PeriodClosed {
        /// Of which measure.
        measure: MeasureId,
        /// Which month.
        period: Month,
    },
    /// Noisy counts were released.
    StatisticsReleased {
        /// Of which measure.
        measure: MeasureId,
        /// Which release.
        release: ReleaseId,
        /// What it spent, in thousandths of ε.
        epsilon: u32,
    },
}
