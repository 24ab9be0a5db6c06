//! Watching a call of a port: a span in its trace, and how long it took in the metrics.

use std::time::Instant;

use tracing::Instrument as _;

use crate::telemetry::SPANS;

/// Runs a call of a port. Names are constants, so that there are few of them: an id here would be a new time series each.
pub async fn observe<T, E>(
    port: &'static str,
    operation: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = tracing::info_span!(
        target: SPANS, "port", otel.name = %format_args!("{port} {operation}"), port, operation, outcome = tracing::field::Empty
    );
    let begun = Instant::now();
    let result = call.instrument(span.clone()).await;
    let outcome = if result.is_ok() { "ok" } else { "failed" };
    span.record("outcome", outcome);
    metrics::histogram!("healthchain_port_seconds", "port" => port, "operation" => operation, "outcome" => outcome)
        .record(begun.elapsed());
    result
}
