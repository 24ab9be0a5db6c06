//! The listener for who runs the gateway, in plain HTTP: `/metrics` (Prometheus), `/healthz` and `/readyz`.
//!
//! No label names a person, a record or an address; how many time series there are is bounded by the routes and functions that there are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use fabric_msp::Certificate;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::configuration::Configuration;
use crate::custodian;
use crate::gateway::Gateway;
use crate::http::routes::operations::{LatestReadiness, healthz, readyz};
use crate::state::{checkpoint, replicas};

/// Upper bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// How often measurements that nobody asks for are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const DAY: f64 = 24.0 * 60.0 * 60.0;

/// The gateway's own certificates, each under a name, whose end the metrics tell.
pub type Certificates = Vec<(&'static str, PathBuf)>;

/// Those of a configuration.
pub fn certificates(configuration: &Configuration) -> Certificates {
    let (tls, identity) = (&configuration.tls.certificate, &configuration.identity.certificate);
    vec![("tls", tls.clone()), ("identity", identity.clone())]
}

/// Binds the address; the future serves until it is dropped.
pub async fn listen(
    address: SocketAddr,
    gateway: Arc<Gateway>,
    certificates: Certificates,
) -> std::io::Result<(SocketAddr, impl Future<Output = ()>)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let recorder = recorder();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(Extension(Arc::new(LatestReadiness::default())))
        .layer(Extension::<Measured>((recorder, Arc::new(certificates))))
        .with_state(gateway);
    let serve = async move {
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                recorder.run_upkeep();
            }
        };
        tokio::select! {
            served = axum::serve(listener, router).into_future() => {
                if let Err(error) = served {
                    tracing::error!(%error, "the operators' listener ended");
                }
            }
            () = upkeep => {}
        }
    };
    Ok((address, serve))
}

/// What has been measured in this process: several gateways in one share it.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).expect("there are buckets");
        let handle = builder.install_recorder().expect("nothing else in this program records metrics");
        describe();
        handle
    })
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_histogram!("healthchain_http_request_seconds", Unit::Seconds, "Time until a request was answered");
    describe_gauge!("healthchain_http_requests_in_flight", "Requests that are not answered yet");
    describe_counter!("healthchain_http_rate_limited_total", "Requests answered 429");
    describe_histogram!("healthchain_port_seconds", Unit::Seconds, "Calls of what the gateway depends on");
    describe_histogram!("fabric_client_stage_seconds", Unit::Seconds, "Calls of the peer, by stage of a transaction");
    describe_gauge!("healthchain_ready", "1 when the dependency works");
    describe_gauge!("healthchain_ledger_height", "Blocks of the channel, as the own peer knows it");
    describe_gauge!(
        "healthchain_custodian_lag_blocks",
        "Blocks behind the last event that the key custodian dealt with"
    );
    describe_counter!("healthchain_agent_work_total", "What agents have come to, by agent and outcome");
    describe_gauge!("healthchain_agent_paused", "1 while the ledger does not let the agent act");
    describe_gauge!("healthchain_certificate_days_left", "Days until the gateway's certificate ends");
    describe_gauge!("healthchain_records_room_bytes", Unit::Bytes, "Bytes left where records are stored");
    describe_gauge!("healthchain_replicas", "Copies of other organisations' records, kept and still to be made");
    describe_gauge!("healthchain_replicas_bytes", Unit::Bytes, "Bytes of the copies that are kept");
    describe_gauge!("healthchain_state_connections", "Connections to the state's database");
    describe_gauge!("healthchain_event_streams", "Streams in which members follow the ledger's events");
    describe_counter!(
        "healthchain_webhook_deliveries_total",
        "Messages to members' servers, by whether they were taken"
    );
    describe_counter!("healthchain_webhook_dead_letters_total", "Messages that were given up");
    // What never happened is 0, too.
    for outcome in ["taken", "not-taken"] {
        metrics::counter!("healthchain_webhook_deliveries_total", "outcome" => outcome).increment(0);
    }
    metrics::counter!("healthchain_webhook_dead_letters_total").increment(0);
    metrics::gauge!("healthchain_event_streams").increment(0);
    metrics::counter!("healthchain_http_rate_limited_total").increment(0);
}

type Measured = (&'static PrometheusHandle, Arc<Certificates>);

async fn metrics(
    State(gateway): State<Arc<Gateway>>,
    Extension(latest): Extension<Arc<LatestReadiness>>,
    Extension((recorder, certificates)): Extension<Measured>,
) -> impl IntoResponse {
    let readiness = latest.of(&gateway).await;
    for (dependency, why) in readiness.dependencies() {
        metrics::gauge!("healthchain_ready", "dependency" => dependency).set(if why.is_none() { 1.0 } else { 0.0 });
    }
    if let Ok(height) = readiness.peer {
        metrics::gauge!("healthchain_ledger_height").set(height as f64);
        if let Ok(Some(read)) = checkpoint::load(&gateway.state, custodian::READER).await {
            let lag = height.saturating_sub(read.block + 1);
            metrics::gauge!("healthchain_custodian_lag_blocks").set(lag as f64);
        }
    }
    if let Ok(Some(room)) = readiness.disk {
        metrics::gauge!("healthchain_records_room_bytes").set(room as f64);
    }
    if let Ok(measure) = replicas::measure(&gateway.state).await {
        metrics::gauge!("healthchain_replicas", "state" => "kept").set(measure.kept as f64);
        metrics::gauge!("healthchain_replicas", "state" => "pending").set(measure.pending as f64);
        metrics::gauge!("healthchain_replicas_bytes").set(measure.bytes as f64);
    }
    let pool = gateway.state.pool();
    let idle = pool.num_idle();
    let used = (pool.size() as usize).saturating_sub(idle);
    for (state, connections) in [("idle", idle), ("used", used)] {
        metrics::gauge!("healthchain_state_connections", "state" => state).set(connections as f64);
    }
    for (name, path) in certificates.iter() {
        if let Some(days) = days_left(path) {
            metrics::gauge!("healthchain_certificate_days_left", "certificate" => *name).set(days);
        }
    }
    recorder.run_upkeep();
    ([(CONTENT_TYPE, TEXT)], recorder.render())
}

/// Read anew each time: a renewed certificate is a new file.
fn days_left(path: &Path) -> Option<f64> {
    let certificate = Certificate::from_pem(std::fs::read(path).ok()?).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some((certificate.not_after() as f64 - now) / DAY)
}
