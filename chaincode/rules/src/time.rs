//! Time as the ledger knows it: the transaction's, which the client chose (see docs/threat-model.md for what rests on it).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::Malformed;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LedgerTime(u64);

impl LedgerTime {
    /// From milliseconds since 1970.
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// From a protobuf timestamp (seconds since 1970 and nanoseconds); times before 1970 are malformed.
    pub fn from_timestamp(seconds: i64, nanoseconds: i32) -> Result<Self, Malformed> {
        let malformed = || Malformed::new("a transaction's time", "a moment after 1970");
        let seconds = u64::try_from(seconds).map_err(|_| malformed())?;
        let milliseconds = u64::try_from(nanoseconds).map_err(|_| malformed())? / 1_000_000;
        let total =
            seconds.checked_mul(1000).and_then(|whole| whole.checked_add(milliseconds)).ok_or_else(malformed)?;
        Ok(Self(total))
    }

    /// Milliseconds since 1970.
    pub const fn milliseconds(self) -> u64 {
        self.0
    }

    /// So many hours later.
    pub const fn plus_hours(self, hours: u32) -> Self {
        Self(self.0.saturating_add(hours as u64 * 3_600_000))
    }

    /// So many days of 24 hours later.
    pub const fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(days as u64 * 86_400_000))
    }

    /// So many days before this time, at the earliest 1970.
    pub const fn minus_days(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days as u64 * 86_400_000))
    }
}

impl fmt::Display for LedgerTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_are_added_and_the_last_moment_is_not_passed() {
        let at = LedgerTime::from_milliseconds(1_000);
        assert_eq!(at.plus_hours(2).milliseconds(), 7_201_000);
        assert_eq!(at.plus_days(2).milliseconds(), 172_801_000);
        let last = LedgerTime::from_milliseconds(u64::MAX);
        assert_eq!((last.plus_hours(1), last.plus_days(1)), (last, last));
    }
}
