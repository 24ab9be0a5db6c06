use std::num::NonZeroU32;

use serde::Deserialize;

/// `[limits]`: how much one caller may ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfiguration {
    /// Requests a second that a member, or an address without a certificate, may send all the time.
    pub requests_per_second: NonZeroU32,
    /// Requests that it may send at once after a pause.
    pub burst: NonZeroU32,
}

impl Default for LimitsConfiguration {
    fn default() -> Self {
        let (requests_per_second, burst) = const { (NonZeroU32::new(200).unwrap(), NonZeroU32::new(400).unwrap()) };
        Self { requests_per_second, burst }
    }
}
