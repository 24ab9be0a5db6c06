//! Whether the gateway can do its work now, dependency by dependency.

use std::time::Duration;

use healthchain_interface::OrganisationsClient;

use crate::failure::Failure;
use crate::gateway::Gateway;

/// How long a dependency may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The state of each dependency: what it says of itself when it works, else why it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The organisation's peer: the channel's height.
    pub peer: Result<u64, String>,
    /// The chaincode, as that peer reaches it.
    pub chaincode: Result<(), String>,
    /// The record store.
    pub records: Result<(), String>,
    /// The database of the gateway's state.
    pub state: Result<(), String>,
    /// Bytes that are left where records are stored, where that is known: less than the largest record is not enough.
    pub disk: Result<Option<u64>, String>,
}

impl Readiness {
    /// Each dependency with why it fails, if it does.
    pub fn dependencies(&self) -> [(&'static str, Option<&str>); 5] {
        fn why<T>(state: &Result<T, String>) -> Option<&str> {
            state.as_ref().err().map(String::as_str)
        }
        [
            ("peer", why(&self.peer)),
            ("chaincode", why(&self.chaincode)),
            ("records", why(&self.records)),
            ("state", why(&self.state)),
            ("disk", why(&self.disk)),
        ]
    }

    /// Whether all of them work.
    pub fn is_ready(&self) -> bool {
        self.dependencies().iter().all(|(_, why)| why.is_none())
    }
}

/// Asks the peer for the channel's height and the chaincode for the own organisation, writes a probe to the record store, asks the
/// database and looks at the room on disk.
pub async fn check_readiness(gateway: &Gateway) -> Readiness {
    let signer = gateway.organisation.signer.current();
    let (peer, chaincode, records, state) = tokio::join!(
        answer(gateway.ledger.height(&signer)),
        answer(chaincode(gateway)),
        answer(gateway.records.check()),
        answer(gateway.state.check()),
    );
    Readiness { peer, chaincode, records, state, disk: disk(gateway) }
}

/// A refusal is an answer, too: before the consortium is founded, the chaincode knows no organisation.
async fn chaincode(gateway: &Gateway) -> Result<(), Failure> {
    let organisations = OrganisationsClient::new(gateway.own_contract());
    match organisations.organisation(&gateway.organisation.msp_id).await.map_err(Failure::from) {
        Ok(_) | Err(Failure::Refused(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn disk(gateway: &Gateway) -> Result<Option<u64>, String> {
    let needed = gateway.max_record_bytes as u64;
    match gateway.records.room() {
        Some(left) if left < needed => {
            Err(format!("{left} bytes are left where records are stored; a record may need {needed}"))
        }
        left => Ok(left),
    }
}

async fn answer<T, E: std::fmt::Display>(ask: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    let answered = tokio::time::timeout(TIMEOUT, ask).await;
    answered.map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))?.map_err(|error| error.to_string())
}
