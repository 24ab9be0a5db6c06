use serde::Deserialize;

/// `[log]`: what is written to standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfiguration {
    /// `text` for people, `json` for collectors: one object a line.
    pub format: LogFormat,
    /// What is written, as `tracing-subscriber` reads it: `info`, `warn,healthchain_gateway=debug`. `RUST_LOG` goes before it.
    pub filter: String,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfiguration {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}
