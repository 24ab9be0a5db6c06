use std::net::SocketAddr;

use serde::Deserialize;

/// `[operations]`: the listener for who runs the gateway.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationsConfiguration {
    /// Address of `/metrics`, `/healthz` and `/readyz` in plain HTTP, for a network that only operators reach; absent: off.
    pub listen: Option<SocketAddr>,
}
