use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use crate::state::uploads::Quota;
use crate::use_cases::upload::UploadLimits;

/// `[limits]`: how much one caller may ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfiguration {
    /// Requests a second that a member, or an address without a certificate, may send all the time.
    pub requests_per_second: NonZeroU32,
    /// Requests that it may send at once after a pause.
    pub burst: NonZeroU32,
    /// Resumable uploads that one member may have under way.
    pub uploads: u32,
    /// Bytes that these may have together.
    pub upload_bytes: u64,
    /// Hours that an upload waits for more.
    pub upload_hours: NonZeroU32,
}

impl LimitsConfiguration {
    /// What holds for resumable uploads.
    pub fn of_uploads(&self) -> UploadLimits {
        let quota = Quota { count: self.uploads, bytes: self.upload_bytes };
        UploadLimits { quota, patience: Duration::from_secs(u64::from(self.upload_hours.get()) * 60 * 60) }
    }
}

impl Default for LimitsConfiguration {
    fn default() -> Self {
        let (requests_per_second, burst) = const { (NonZeroU32::new(200).unwrap(), NonZeroU32::new(400).unwrap()) };
        let upload_hours = const { NonZeroU32::new(24).unwrap() };
        Self { requests_per_second, burst, uploads: 8, upload_bytes: 4 << 30, upload_hours }
    }
}
