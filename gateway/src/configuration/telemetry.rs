use serde::Deserialize;
use url::Url;

/// `[telemetry]`: where traces go (OpenTelemetry).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfiguration {
    /// `http://host:port` of a collector that takes OTLP over gRPC; without one no trace leaves the gateway.
    pub otlp_endpoint: Option<Url>,
    /// Share of the requests that are traced, 0.0 to 1.0. It is judged by the trace's id, so that all gateways with the same ratio
    /// trace the same requests, and no caller can have every request traced.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfiguration {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0 }
    }
}
