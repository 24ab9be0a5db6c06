use serde::Deserialize;

/// `[replicas]`: whose encrypted records this organisation keeps copies of, when they name it as their custodian.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplicasConfiguration {
    /// MSP ids of the organisations for which copies are kept.
    pub keep_for: Vec<String>,
    /// Bytes that all copies together may take.
    pub max_bytes: u64,
}

impl Default for ReplicasConfiguration {
    fn default() -> Self {
        Self { keep_for: Vec::new(), max_bytes: 1 << 40 }
    }
}
