use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::gateway::Gateway;
use crate::use_cases::check_readiness::{Readiness, check_readiness};

/// The process is alive.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    /// Always `alive`.
    status: &'static str,
    /// The program's version.
    version: &'static str,
}

/// What the gateway depends on: `ok`, or what is wrong.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReadinessReport {
    /// Whether everything is `ok`.
    ready: bool,
    /// The organisation's peer.
    peer: String,
    /// The record store.
    records: String,
    /// The channel's height at that peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
}

/// Whether the process is alive
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "It is", body = ref("#/components/schemas/Health"))))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "alive", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the gateway can serve now
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "It can", body = ref("#/components/schemas/ReadinessReport")),
        (status = 503, description = "It cannot, and why", body = ref("#/components/schemas/ReadinessReport")),
    ))]
pub(crate) async fn readyz(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<ReadinessReport>) {
    let Readiness { peer, records } = check_readiness(&gateway).await;
    let ready = peer.is_ok() && records.is_ok();
    if !ready {
        tracing::warn!(?peer, ?records, "not ready");
    }
    // The route asks for no certificate: which dependency fails is said, its addresses and paths stay in the log.
    let state = |works: bool, remedy: &str| if works { "ok".to_owned() } else { format!("unavailable: {remedy}") };
    let report = ReadinessReport {
        ready,
        peer: state(peer.is_ok(), "the peer does not answer; the gateway's log says why"),
        records: state(records.is_ok(), "the record store cannot be written; the gateway's log says why"),
        height: peer.ok(),
    };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(report))
}
