//! Whether the gateway can do its work now, dependency by dependency.

use std::time::Duration;

use crate::gateway::Gateway;

/// How long a dependency may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The state of each dependency: nothing when it works, else why it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The organisation's peer: the channel's height, or why it is not known.
    pub peer: Result<u64, String>,
    /// The record store.
    pub records: Result<(), String>,
}

/// Asks the peer for the channel's height and writes a probe to the record store.
pub async fn check_readiness(gateway: &Gateway) -> Readiness {
    let peer = async {
        let signer = gateway.organisation.signer.current();
        let height = tokio::time::timeout(TIMEOUT, gateway.ledger.height(&signer)).await;
        height.map_err(|_| no_answer())?.map_err(|error| error.to_string())
    };
    let records = async {
        let check = tokio::time::timeout(TIMEOUT, gateway.records.check()).await;
        check.map_err(|_| no_answer())?.map_err(|error| error.to_string())
    };
    let (peer, records) = tokio::join!(peer, records);
    Readiness { peer, records }
}

fn no_answer() -> String {
    format!("no answer within {} s", TIMEOUT.as_secs())
}
