//! The ledger through the organisation's own Fabric peer.

use std::time::Duration;

use fabric_client::{ChaincodeEvent, Client, Code, ConnectOptions, Connection, Contract, Error, From as Start, Stage};
use fabric_contract::CallFailure as _;
use fabric_msp::SigningIdentity;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use super::{Ledger, LedgerFailure, Notice, Position};
use crate::configuration::{Configuration, read};
use crate::server::StartError;

/// How often a transaction that lost against others is endorsed anew.
const CONFLICT_RETRIES: u32 = 5;
/// How often endorsing is tried again when peers disagree, as they do for a moment when one is a block behind the other.
const DISAGREEMENT_RETRIES: u32 = 4;
const DISAGREEMENT_PAUSE: Duration = Duration::from_millis(150);

/// One connection to the peer, for all identities.
pub struct FabricLedger {
    connection: Connection,
    channel: String,
    chaincode: String,
}

impl FabricLedger {
    /// Prepares the connection; the peer is dialled with the first call. Must be called within a Tokio runtime.
    pub fn connect(configuration: &Configuration) -> Result<Self, StartError> {
        let peer = &configuration.peer;
        let options = ConnectOptions {
            endpoint: peer.endpoint.clone(),
            tls_root_pem: Some(read(&peer.tls_root)?),
            ..ConnectOptions::default()
        };
        let connection = Connection::lazy(options).map_err(|error| StartError::Peer(error.to_string()))?;
        Ok(Self::new(connection, &configuration.channel, &configuration.chaincode))
    }

    /// The ledger of a channel, over a connection made elsewhere.
    pub fn new(connection: Connection, channel: &str, chaincode: &str) -> Self {
        Self { connection, channel: channel.to_owned(), chaincode: chaincode.to_owned() }
    }

    fn client(&self, signer: &SigningIdentity) -> Client {
        Client::new(self.connection.clone(), signer.clone())
    }

    fn contract(&self, signer: &SigningIdentity) -> Contract {
        self.client(signer).contract(&self.channel, &self.chaincode).conflict_retries(CONFLICT_RETRIES)
    }
}

impl Ledger for FabricLedger {
    fn evaluate<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>> {
        Box::pin(
            async move { self.contract(signer).evaluate(function, arguments).await.map_err(|error| failure(&error)) },
        )
    }

    fn submit<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>> {
        Box::pin(async move {
            let contract = self.contract(signer);
            let mut retries = 0;
            loop {
                match contract.submit(function, arguments.clone()).await {
                    Err(error) if is_disagreement(&error) && retries < DISAGREEMENT_RETRIES => {
                        retries += 1;
                        tokio::time::sleep(DISAGREEMENT_PAUSE * retries).await;
                    }
                    answer => return answer.map_err(|error| failure(&error)),
                }
            }
        })
    }

    fn events(
        &self,
        signer: &SigningIdentity,
        after: Option<Position>,
    ) -> BoxStream<'static, Result<Notice, LedgerFailure>> {
        let start = match after {
            Some(Position { block, transaction }) => Start::After { block, transaction },
            None => Start::Block(0),
        };
        let events = self.client(signer).chaincode_events(&self.channel, &self.chaincode, start);
        events.map(|event| event.map(notice).map_err(|error| failure(&error))).boxed()
    }

    fn height<'a>(&'a self, signer: &'a SigningIdentity) -> BoxFuture<'a, Result<u64, LedgerFailure>> {
        Box::pin(async move {
            let info = self.client(signer).chain_info(&self.channel).await.map_err(|error| failure(&error))?;
            Ok(info.height)
        })
    }
}

fn notice(event: ChaincodeEvent) -> Notice {
    let ChaincodeEvent { block_number: block, transaction_id: transaction, payload, .. } = event;
    Notice { position: Position { block, transaction }, event: serde_json::from_slice(&payload).ok() }
}

/// Peers whose state differs answer differently. Nothing was ordered.
fn is_disagreement(error: &Error) -> bool {
    error.stage() == Stage::Endorse && says(error, "ProposalResponsePayloads do not match")
}

/// The chaincode's process is not there, or ended while it was asked: the words of a peer (`core/chaincode`).
fn is_without_chaincode(error: &Error) -> bool {
    let endorsing = matches!(error.stage(), Stage::Evaluate | Stage::Endorse);
    endorsing && (says(error, "could not launch chaincode") || says(error, "chaincode stream terminated"))
}

fn says(error: &Error, text: &str) -> bool {
    error.message().contains(text) || error.details().iter().any(|detail| detail.message.contains(text))
}

fn failure(error: &Error) -> LedgerFailure {
    if let Some(response) = error.chaincode_response() {
        return LedgerFailure::Refused { status: response.status, message: response.message.to_owned() };
    }
    if error.is_conflict() {
        return LedgerFailure::Conflict;
    }
    if error.may_have_committed() {
        let transaction = error.transaction_id().unwrap_or("unknown").to_owned();
        return LedgerFailure::OutcomeUnknown { transaction, reason: error.to_string() };
    }
    if is_without_chaincode(error) {
        return LedgerFailure::ChaincodeUnavailable(error.to_string());
    }
    // Overload counts as absence: the same call may succeed a moment later.
    let absent = matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted);
    if error.is_transport() || absent {
        return LedgerFailure::Unreachable(error.to_string());
    }
    LedgerFailure::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use fabric_msp::issue::{Authority, Request};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_is_not_there_is_unreachable_and_changes_nothing() {
        let authority = Authority::create("root", "Hospital").unwrap();
        let issued = authority.issue(&Request::signing("dr-grey", "client")).unwrap();
        let signer = SigningIdentity::from_pem("HospitalMSP", issued.certificate_pem(), issued.key_pem()).unwrap();
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = ConnectOptions { endpoint: format!("http://127.0.0.1:{port}"), ..ConnectOptions::default() };
        let ledger = FabricLedger::new(Connection::lazy(options).unwrap(), "health", "healthchain");

        let evaluated = ledger.evaluate(&signer, "Links:link", vec![]).await;
        assert!(matches!(evaluated, Err(LedgerFailure::Unreachable(_))), "{evaluated:?}");
        let submitted = ledger.submit(&signer, "Links:open", vec![]).await;
        assert!(matches!(submitted, Err(LedgerFailure::Unreachable(_))), "{submitted:?}");
        assert!(matches!(ledger.height(&signer).await, Err(LedgerFailure::Unreachable(_))));
    }

    #[test]
    fn an_event_of_a_newer_release_still_moves_the_position() {
        let event = ChaincodeEvent {
            block_number: 3,
            transaction_id: "ab".into(),
            chaincode: "healthchain".into(),
            name: "moon-landed".into(),
            payload: br#"{"type":"moon-landed"}"#.to_vec(),
        };
        let position = Position { block: 3, transaction: "ab".into() };
        assert_eq!(notice(event), Notice { position, event: None });
    }
}
