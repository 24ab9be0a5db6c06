use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::use_cases::check_readiness::{Readiness, check_readiness};

/// How long an answer about the dependencies serves.
const FRESH: Duration = Duration::from_secs(1);

/// The process is alive.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    /// Always `alive`.
    status: &'static str,
    /// The program's version.
    version: &'static str,
    /// That the ledger is for development only, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    development: Option<String>,
}

/// What the gateway depends on: `ok`, or what is wrong.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReadinessReport {
    /// Whether everything is `ok`, and the gateway is not stopping.
    ready: bool,
    /// Whether the gateway was told to stop: it finishes what is under way and takes nothing new.
    stopping: bool,
    /// The organisation's peer.
    peer: String,
    /// The chaincode, as that peer reaches it.
    chaincode: String,
    /// The record store.
    records: String,
    /// The database of the gateway's state.
    state: String,
    /// Room for records on disk.
    disk: String,
    /// The channel's height at that peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    /// That the ledger is for development only, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    development: Option<String>,
}

/// What the dependencies said last: however often strangers ask, they are asked once in [`FRESH`].
#[derive(Default)]
pub(crate) struct LatestReadiness(Mutex<Option<(Instant, Readiness)>>);

impl LatestReadiness {
    pub(crate) async fn of(&self, gateway: &Gateway) -> Readiness {
        // Held while the dependencies are asked: whoever comes meanwhile waits for the same answer.
        let mut latest = self.0.lock().await;
        if let Some((at, readiness)) = &*latest
            && at.elapsed() < FRESH
        {
            return readiness.clone();
        }
        let readiness = check_readiness(gateway).await;
        for (dependency, reason) in readiness.dependencies() {
            if let Some(reason) = reason {
                tracing::warn!(dependency, reason, "not ready");
            }
        }
        *latest = Some((Instant::now(), readiness.clone()));
        readiness
    }
}

/// Whether the process is alive
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "It is", body = ref("#/components/schemas/Health"))))]
pub(crate) async fn healthz(State(gateway): State<Arc<Gateway>>) -> Json<Health> {
    let development = gateway.development.clone();
    Json(Health { status: "alive", version: env!("CARGO_PKG_VERSION"), development })
}

/// Whether the gateway can serve now
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "It can", body = ref("#/components/schemas/ReadinessReport")),
        (status = 503, description = "It cannot, and why", body = ref("#/components/schemas/ReadinessReport")),
    ))]
pub(crate) async fn readyz(
    State(gateway): State<Arc<Gateway>>,
    Extension(latest): Extension<Arc<LatestReadiness>>,
) -> (StatusCode, Json<ReadinessReport>) {
    let readiness = latest.of(&gateway).await;
    let stopping = gateway.is_stopping();
    let ready = readiness.is_ready() && !stopping;
    // The route asks for no certificate: which dependency fails is said, its addresses and paths stay in the log.
    let [peer, chaincode, records, state, disk] = readiness.dependencies().map(|(_, why)| why.is_none());
    let told = |works: bool, remedy: &str| if works { "ok".to_owned() } else { format!("unavailable: {remedy}") };
    let report = ReadinessReport {
        ready,
        stopping,
        peer: told(peer, "the peer does not answer; the gateway's log says why"),
        chaincode: told(chaincode, "the chaincode does not answer; the gateway's log says why"),
        records: told(records, "the record store cannot be written; the gateway's log says why"),
        state: told(state, "the state database does not answer; the gateway's log says why"),
        disk: told(disk, "too little room is left for records; the gateway's log says how much"),
        height: readiness.peer.ok(),
        development: gateway.development.clone(),
    };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(report))
}
