//! The ledger through the organisation's own Fabric peer.

use std::time::Duration;

use fabric_client::{
    ChaincodeEvent, Client, Code, Committed, ConnectOptions, Connection, Contract, Error, From, Stage,
    UnsignedProposal, UnsignedTransaction,
};
use fabric_contract::CallFailure as _;
use fabric_msp::{Creator, SigningIdentity};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use super::{Before, Endorsed, Ledger, LedgerFailure, Notice, Position, Signed, Start, Unsigned};
use crate::configuration::{Configuration, read};
use crate::observe::observe;
use crate::server::StartError;

/// How often a transaction that lost against others is endorsed anew.
const CONFLICT_RETRIES: u32 = 8;
/// How often endorsing is tried again when peers disagree, as they do for a moment when one is a block behind the other.
const DISAGREEMENT_RETRIES: u32 = 4;
const DISAGREEMENT_PAUSE: Duration = Duration::from_millis(150);
/// What a peer says that endorsed itself and got no further.
const TOO_FEW_ENDORSED: &str = "failed to collect enough transaction endorsements";

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

impl FabricLedger {
    fn proposal(&self, own: &SigningIdentity, signed: Signed<'_>) -> Result<UnsignedProposal, LedgerFailure> {
        UnsignedProposal::read(&self.contract(own), signed.creator, signed.bytes.to_vec())
            .map_err(|error| LedgerFailure::Failed(error.to_string()))
    }
}

impl Ledger for FabricLedger {
    fn evaluate<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>> {
        Box::pin(observe("ledger", "evaluate", async move {
            // Only the own organisation's peer: with no name here, Fabric lets another organisation's answer when the own one fails,
            // and that one could answer what it likes.
            let question =
                self.contract(signer).proposal(function, arguments).endorsing_organisations([signer.msp_id()]);
            question.evaluate().await.map_err(|error| failure(&error))
        }))
    }

    fn submit<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>> {
        Box::pin(observe("ledger", "submit", async move {
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
        }))
    }

    fn propose(
        &self,
        own: &SigningIdentity,
        creator: &Creator,
        function: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Unsigned, LedgerFailure> {
        let proposal = self.contract(own).unsigned_proposal(creator, function, arguments);
        Ok(Unsigned { transaction: proposal.transaction_id().to_owned(), bytes: proposal.bytes().to_vec() })
    }

    fn evaluate_signed<'a>(
        &'a self,
        own: &'a SigningIdentity,
        signed: Signed<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>> {
        Box::pin(async move {
            // As in `evaluate`, no other organisation's peer is asked.
            let question = self.proposal(own, signed)?.endorsing_organisations([signed.creator.msp_id()]);
            let question = question.sign(signed.signature).map_err(LedgerFailure::NotSigned)?;
            question.evaluate().await.map_err(|error| failure(&error))
        })
    }

    fn endorse_signed<'a>(
        &'a self,
        own: &'a SigningIdentity,
        signed: Signed<'a>,
    ) -> BoxFuture<'a, Result<Endorsed, LedgerFailure>> {
        Box::pin(async move {
            let proposal = self.proposal(own, signed)?.sign(signed.signature).map_err(LedgerFailure::NotSigned)?;
            let mut retries = 0;
            let transaction = loop {
                match proposal.endorse().await {
                    Err(error) if is_disagreement(&error) && retries < DISAGREEMENT_RETRIES => {
                        retries += 1;
                        tokio::time::sleep(DISAGREEMENT_PAUSE * retries).await;
                    }
                    endorsed => break endorsed.map_err(|error| failure(&error))?,
                }
            };
            let result = transaction.result().to_vec();
            let (id, bytes) = (transaction.transaction_id().to_owned(), transaction.bytes().to_vec());
            Ok(Endorsed { unsigned: Unsigned { transaction: id, bytes }, result })
        })
    }

    fn submit_signed<'a>(
        &'a self,
        own: &'a SigningIdentity,
        signed: Signed<'a>,
        before: Before,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerFailure>> {
        Box::pin(async move {
            let transaction = UnsignedTransaction::read(&self.contract(own), signed.creator, signed.bytes.to_vec());
            let transaction = transaction.map_err(|error| LedgerFailure::Failed(error.to_string()))?;
            let endorsed = transaction.sign(signed.signature).map_err(LedgerFailure::NotSigned)?;
            let committed = match before {
                Before::New => endorsed.commit().await,
                Before::MayBeOut => endorsed.resume().await,
            };
            committed.map(Committed::into_result).map_err(|error| failure(&error))
        })
    }

    fn events(&self, signer: &SigningIdentity, start: Start) -> BoxStream<'static, Result<Notice, LedgerFailure>> {
        let start = match start {
            Start::After(Position { block, transaction }) => From::After { block, transaction },
            Start::Block(number) => From::Block(number),
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

/// Peers whose state differs answer differently, or one refuses what another endorsed. Nothing was ordered.
fn is_disagreement(error: &Error) -> bool {
    Symptoms::of(error).is_disagreement()
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
    Symptoms::of(error).failure(error.to_string())
}

/// What tells apart the failures of calls that certainly changed nothing. The texts are those of Fabric's peers.
struct Symptoms<'a> {
    stage: Stage,
    code: Code,
    is_transport: bool,
    texts: Vec<&'a str>,
}

impl<'a> Symptoms<'a> {
    fn of(error: &'a Error) -> Self {
        let details = error.details().iter().map(|detail| detail.message.as_str());
        Self {
            stage: error.stage(),
            code: error.code(),
            is_transport: error.is_transport(),
            texts: std::iter::once(error.message()).chain(details).collect(),
        }
    }

    fn failure(&self, reason: String) -> LedgerFailure {
        if self.is_without_chaincode() {
            LedgerFailure::ChaincodeUnavailable(reason)
        } else if self.is_without_peer() {
            LedgerFailure::Unreachable(reason)
        } else if self.is_short_of_peers() {
            LedgerFailure::TooFewPeers(reason)
        } else {
            LedgerFailure::Failed(reason)
        }
    }

    /// The own peer is asked first, and others only about what it endorsed: what one of them refuses, it does not know yet.
    fn is_disagreement(&self) -> bool {
        let refused_by_others = self.say(TOO_FEW_ENDORSED) && self.say("chaincode response ");
        self.stage == Stage::Endorse && (refused_by_others || self.say("ProposalResponsePayloads do not match"))
    }

    /// The chaincode's process is not there, or ended while it was asked (`core/chaincode`).
    fn is_without_chaincode(&self) -> bool {
        self.say("could not launch chaincode") || self.say("chaincode stream terminated")
    }

    /// The own peer does not answer, or has too much to do, which passes likewise.
    fn is_without_peer(&self) -> bool {
        let unavailable = self.code == Code::Unavailable && self.stage != Stage::Endorse;
        unavailable || self.is_transport || matches!(self.code, Code::DeadlineExceeded | Code::ResourceExhausted)
    }

    /// The own peer answers, but knows too few others, as just after its start, or too few of them answer
    /// (`internal/pkg/gateway`).
    fn is_short_of_peers(&self) -> bool {
        let short = self.code == Code::Unavailable
            || self.say("no combination of peers can be derived")
            || self.say(TOO_FEW_ENDORSED);
        self.stage == Stage::Endorse && short && !self.is_disagreement()
    }

    fn say(&self, words: &str) -> bool {
        self.texts.iter().any(|text| text.contains(words))
    }
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

    #[test]
    fn what_only_another_peer_refuses_may_be_news_to_it_and_is_tried_again() {
        let disagree = |stage, texts: &[&str]| {
            let symptoms = Symptoms { stage, code: Code::Aborted, is_transport: false, texts: texts.to_vec() };
            symptoms.is_disagreement()
        };
        let refusal = "error 404, chaincode response 404, {\"code\":\"unknown-consent\"}";
        assert!(disagree(Stage::Endorse, &[TOO_FEW_ENDORSED, refusal]));
        assert!(!disagree(Stage::Endorse, &["failed to endorse transaction, see attached details", refusal]));
        assert!(!disagree(Stage::Endorse, &[TOO_FEW_ENDORSED, "connection refused"]));
        assert!(!disagree(Stage::Evaluate, &[refusal]));
    }

    #[test]
    fn failures_that_changed_nothing_are_told_apart_by_what_peers_say() {
        let failure = |stage, code, is_transport, text| {
            Symptoms { stage, code, is_transport, texts: vec!["see attached details", text] }.failure("why".into())
        };
        let endorse = |code, text| failure(Stage::Endorse, code, false, text);
        let why = || "why".to_owned();
        // A peer that has just started does not know the others yet: it comes right by itself.
        let lonely = "no combination of peers can be derived which satisfy the endorsement policy: …";
        assert_eq!(endorse(Code::FailedPrecondition, lonely), LedgerFailure::TooFewPeers(why()));
        let others_down = "failed to collect enough transaction endorsements";
        assert_eq!(endorse(Code::Aborted, others_down), LedgerFailure::TooFewPeers(why()));
        assert_eq!(endorse(Code::Unavailable, "connection refused"), LedgerFailure::TooFewPeers(why()));
        assert_eq!(failure(Stage::Endorse, Code::Unavailable, true, "tcp"), LedgerFailure::Unreachable(why()));
        assert_eq!(failure(Stage::Evaluate, Code::Unavailable, false, "…"), LedgerFailure::Unreachable(why()));
        assert_eq!(endorse(Code::ResourceExhausted, "too many requests"), LedgerFailure::Unreachable(why()));
        for text in ["could not launch chaincode healthchain_1: …", "error sending: chaincode stream terminated"] {
            assert_eq!(endorse(Code::Aborted, text), LedgerFailure::ChaincodeUnavailable(why()));
        }
        // Nobody may be told to try again what can never succeed.
        let different = "failed to collect enough transaction endorsements: ProposalResponsePayloads do not match";
        assert_eq!(endorse(Code::Aborted, different), LedgerFailure::Failed(why()));
        let stranger = "access denied: channel [health] creator org [HospitalMSP]";
        assert_eq!(endorse(Code::PermissionDenied, stranger), LedgerFailure::Failed(why()));
    }
}
