use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[webhooks]`: servers that members have told of events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfiguration {
    /// PEM file with an authority of receivers' TLS certificates, besides the system's.
    pub tls_root: Option<PathBuf>,
    /// Whether receivers may be at addresses that are not of the public internet. Members then have this gateway call servers of the
    /// organisation's own network.
    pub allow_private: bool,
    /// Tries of a message before it becomes a dead letter.
    pub tries: NonZeroU32,
    /// Milliseconds until the second try, about; each further pause is three times as long, up to six hours.
    pub first_pause_ms: NonZeroU64,
    /// Webhooks that one member may have.
    pub of_one_member: NonZeroU32,
}

impl Default for WebhooksConfiguration {
    fn default() -> Self {
        let (tries, of_one_member) = const { (NonZeroU32::new(10).unwrap(), NonZeroU32::new(10).unwrap()) };
        let first_pause_ms = const { NonZeroU64::new(5000).unwrap() };
        Self { tls_root: None, allow_private: false, tries, first_pause_ms, of_one_member }
    }
}

impl WebhooksConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.tls_root.iter_mut().for_each(|path| *path = folder.join(&*path));
    }
}
