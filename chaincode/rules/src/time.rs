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
}

impl fmt::Display for LedgerTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
