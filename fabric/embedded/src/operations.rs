//! What an operator asks: `GET /healthz` and `GET /version`.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{BANNER, StartError, channel::Channel, orderer::Orderer};

/// Serves until `tasks` ends; answers the address listened on.
pub(crate) async fn serve(
    tasks: &mut JoinSet<()>,
    address: SocketAddr,
    channel: Arc<Channel>,
    orderer: Orderer,
) -> Result<SocketAddr, StartError> {
    let refused = |source| StartError::Port { address, what: "operations".into(), source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let router =
        Router::new().route("/healthz", get(health)).route("/version", get(version)).with_state((channel, orderer));
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the operations port is no longer served");
        }
    });
    Ok(address)
}

async fn health(State((channel, orderer)): State<(Arc<Channel>, Orderer)>) -> (StatusCode, Json<Value>) {
    let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let heights = json!({ &channel.name: channel.ledger.height() });
    if orderer.has_failed() {
        let failed = json!([{ "component": "ledger", "reason": "a block could not be committed; see the log" }]);
        let body = json!({
            "status": "Service Unavailable", "time": time, "failed_checks": failed, "block_heights": heights,
        });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body));
    }
    (StatusCode::OK, Json(json!({ "status": "OK", "time": time, "block_heights": heights })))
}

async fn version() -> Json<Value> {
    Json(json!({ "CommitSHA": "", "Version": concat!("embedded-", env!("CARGO_PKG_VERSION")), "Note": BANNER }))
}
