//! What is said of a gateway's work: its log, and the traces of its requests (OpenTelemetry, W3C Trace Context).
//!
//! Spans carry routes, functions and outcomes, never ids of people, records or tokens.

use std::io::IsTerminal as _;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::configuration::{Configuration, LogConfiguration, LogFormat, TelemetryConfiguration};

/// How long traces under way may take to leave when the gateway stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why neither log nor traces can be written as the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("[log] filter, or RUST_LOG: {0}; write for example info, or warn,healthchain_gateway=debug")]
    Filter(String),
    /// The collector's address cannot be used.
    #[error("[telemetry] otlp_endpoint: {0}; write http://HOST:PORT of a collector that takes OTLP over gRPC")]
    Endpoint(String),
}

/// Traces on their way out. Dropped without [`Telemetry::stop`], the last ones may be lost.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Writes this process's log to standard error and its traces to the collector. Once a process, within a Tokio runtime.
    pub fn start(configuration: &Configuration) -> Result<Self, TelemetryError> {
        let provider = provider(&configuration.telemetry, &configuration.msp_id)?;
        let log = log(&configuration.log)?;
        let traces = provider.as_ref().map(traces);
        tracing_subscriber::registry().with(log).with(traces).init();
        Ok(Self(provider))
    }

    /// Sends what is left.
    pub async fn stop(self) {
        let Some(provider) = self.0 else { return };
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

/// A provider of traces to the configured collector; none without one.
pub fn provider(
    configuration: &TelemetryConfiguration,
    organisation: &str,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &configuration.otlp_endpoint else { return Ok(None) };
    if endpoint.scheme() != "http" {
        return Err(TelemetryError::Endpoint(format!(
            "{} is not spoken; a collector on this machine may",
            endpoint.scheme()
        )));
    }
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint.as_str());
    let exporter = exporter.build().map_err(|error| TelemetryError::Endpoint(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name("healthchain-gateway")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("healthchain.organisation", organisation.to_owned()));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::TraceIdRatioBased(configuration.sample_ratio))
        .with_resource(resource.build());
    Ok(Some(provider.build()))
}

/// The layer that makes traces of spans, of our own ones only: those of libraries are not known to be free of personal data.
pub fn traces<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("healthchain-gateway"));
    let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false);
    // Spans alone: an event's text is for the log.
    let ours =
        Targets::new().with_target(SPANS, LevelFilter::INFO).with_target(fabric_client::SPANS, LevelFilter::INFO);
    layer.with_filter(ours)
}

/// Target of the spans that traces are made of.
pub const SPANS: &str = "healthchain_gateway::span";

/// Makes a request's span part of the trace that its caller is in, if it says so (`traceparent`).
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(headers));
    // An error means that no trace is made of this span.
    let _ = span.set_parent(context);
}

/// The headers that make another server's work part of the present trace.
pub fn trace_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Outgoing(&mut headers));
    headers
}

fn log<S>(configuration: &LogConfiguration) -> Result<Box<dyn Layer<S> + Send + Sync>, TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| configuration.filter.clone());
    let filter = EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter(error.to_string()))?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    Ok(match configuration.format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    })
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
