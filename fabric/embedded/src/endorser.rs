//! One organisation's peer as an endorser: checks a proposal, has the chaincode simulate it, and signs the result (Fabric:
//! `core/endorser`).

use std::{collections::BTreeMap, sync::Arc};

use fabric_msp::{Identity, SigningError, SigningIdentity};
use fabric_protos::{
    common::SignaturePolicyEnvelope,
    protos::{
        ChaincodeAction, ChaincodeCall, ChaincodeEvent, ChaincodeId, ChaincodeInput, ChaincodeInterest, Endorsement,
        ProposalResponse, ProposalResponsePayload, Response, SignedProposal,
    },
};
use prost::Message;

use crate::{
    access,
    chaincode::{Connection, Outcome, Simulation},
    channel::Channel,
    ledger::SimulationResult,
    proposal::{self, Unpacked},
    system,
};

/// A response of a chaincode from this status on is no success.
const ERROR_THRESHOLD: i32 = 400;
/// From this one on it is not even an answer that could be endorsed later.
const ERROR: i32 = 500;

pub(crate) struct Endorser {
    channel: Arc<Channel>,
    peer: SigningIdentity,
    address: String,
    connections: BTreeMap<String, Connection>,
}

/// What a peer answers to a proposal: where both are there, a gRPC caller sees the error, the gateway beside it sees both.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Option<ProposalResponse>,
    pub(crate) error: Option<String>,
}

impl Endorser {
    pub(crate) fn new(channel: Arc<Channel>, peer: SigningIdentity, address: String) -> Self {
        let connections = channel
            .definitions
            .values()
            .map(|definition| {
                let package_id = definition.package_id.clone();
                let connection = Connection::new(package_id.clone(), definition.access.clone(), &channel.times);
                (package_id, connection)
            })
            .collect();
        Self { channel, peer, address, connections }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(crate) fn msp_id(&self) -> &str {
        self.peer.msp_id()
    }

    /// `host:port` as error details name it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The peer's own identity, as policies see it.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.channel.members.identify(self.peer.serialized()).ok()
    }

    /// `ProcessProposal`.
    pub(crate) async fn process(self: &Arc<Self>, signed: &SignedProposal) -> Answer {
        if let Err(reason) = proposal::filter(signed, self.channel.times.time_window) {
            return Answer { response: None, error: Some(reason) };
        }
        let (proposal, creator) = match self.check(signed) {
            Ok(Checked::Proposal(proposal, creator)) => (proposal, creator),
            Ok(Checked::NoChannel(reason)) => return Answer { response: Some(refusal(reason)), error: None },
            Err(reason) => return Answer { response: Some(refusal(reason.clone())), error: Some(reason) },
        };
        let response = self.endorse(&proposal, creator).await.unwrap_or_else(|reason| {
            tracing::debug!(transaction = proposal.channel.tx_id, peer = self.msp_id(), reason, "not endorsed");
            refusal(reason)
        });
        Answer { response: Some(response), error: None }
    }

    fn check(&self, signed: &SignedProposal) -> Result<Checked, String> {
        let proposal = Unpacked::new(signed.clone())?;
        let channel = &proposal.channel.channel_id;
        if *channel != self.channel.name {
            return Ok(Checked::NoChannel(format!("channel '{channel}' not found")));
        }
        let creator = proposal.validate(&self.channel.members)?;
        let transaction = &proposal.channel.tx_id;
        let known = self.channel.ledger.transaction_location(transaction).map_err(|error| error.to_string())?;
        if known.is_some() {
            let creator = hex::encode(&proposal.signature.creator);
            return Err(format!("duplicate transaction found [{transaction}]. Creator [{creator}]"));
        }
        if !system::is_system(&proposal.chaincode) && !self.channel.members.may_write(&creator) {
            return Err(access::policy_text(channel, "Writers"));
        }
        Ok(Checked::Proposal(Box::new(proposal), creator))
    }

    async fn endorse(self: &Arc<Self>, proposal: &Unpacked, creator: Identity) -> Result<ProposalResponse, String> {
        let name = &proposal.chaincode;
        if system::is_system(name) {
            let response = system::query(&self.channel, name, &proposal.input)
                .map_err(|reason| format!("error in simulation: {reason}"))?;
            return Ok(self.answer(proposal, response, Vec::new(), None, "syscc", None));
        }
        let definition = self.channel.definition(name).ok_or_else(|| {
            format!(
                "make sure the chaincode {name} has been successfully defined on channel {} and try again: chaincode \
                 {name} not found",
                self.channel.name
            )
        })?;
        let (outcome, result) =
            self.simulate(proposal, creator).await.map_err(|reason| format!("error in simulation: {reason}"))?;
        let event = outcome.event.filter(|_| outcome.response.status < ERROR_THRESHOLD).map(|event| ChaincodeEvent {
            chaincode_id: name.clone(),
            tx_id: proposal.channel.tx_id.clone(),
            ..event
        });
        let interest = interest(&result);
        let results = result.read_write_set;
        Ok(self.answer(proposal, outcome.response, results, event, &definition.version, Some(interest)))
    }

    async fn simulate(
        self: &Arc<Self>,
        proposal: &Unpacked,
        creator: Identity,
    ) -> Result<(Outcome, SimulationResult), String> {
        let transaction = proposal.channel.tx_id.clone();
        let simulation = Simulation::begin(self.clone(), transaction.clone(), proposal.signed.clone(), creator)
            .map_err(|error| error.to_string())?;
        simulation.read_definition(&proposal.chaincode)?;
        let outcome = self.call(&simulation, &proposal.chaincode, &proposal.input).await.map_err(|reason| {
            let by_chaincode = reason.starts_with("transaction returned with failure");
            if by_chaincode { reason } else { format!("failed to execute transaction {transaction}: {reason}") }
        })?;
        Ok((outcome, simulation.finish()?))
    }

    /// Calls a chaincode within a simulation.
    pub(crate) async fn call(
        &self,
        simulation: &Simulation,
        chaincode: &str,
        input: &ChaincodeInput,
    ) -> Result<Outcome, String> {
        let not_found = || format!("chaincode {chaincode} not found");
        let definition = self.channel.definition(chaincode).ok_or_else(not_found)?;
        let connection = self.connections.get(&definition.package_id).ok_or_else(not_found)?;
        let stream = connection.stream().await?;
        stream.execute(simulation, chaincode, input, self.channel.times.execute).await
    }

    fn answer(
        &self,
        proposal: &Unpacked,
        response: Response,
        results: Vec<u8>,
        event: Option<ChaincodeEvent>,
        version: &str,
        interest: Option<ChaincodeInterest>,
    ) -> ProposalResponse {
        if (ERROR_THRESHOLD..ERROR).contains(&response.status) {
            return ProposalResponse { response: Some(response), ..Default::default() };
        }
        let action = ChaincodeAction {
            results,
            events: event.map(|event| event.encode_to_vec()).unwrap_or_default(),
            response: Some(response.clone()),
            chaincode_id: Some(ChaincodeId {
                name: proposal.chaincode.clone(),
                version: version.to_owned(),
                ..Default::default()
            }),
        };
        let payload =
            ProposalResponsePayload { proposal_hash: proposal.hash.to_vec(), extension: action.encode_to_vec() }
                .encode_to_vec();
        let endorsement = match (response.status < ERROR).then(|| self.sign(&payload)).transpose() {
            Ok(endorsement) => endorsement,
            Err(error) => return refusal(format!("the endorsement cannot be signed: {error}")),
        };
        let version = if endorsement.is_some() { 1 } else { 0 };
        ProposalResponse { version, timestamp: None, response: Some(response), payload, endorsement, interest }
    }

    /// The default endorsement plugin ("escc"): a signature over payload and endorser.
    fn sign(&self, payload: &[u8]) -> Result<Endorsement, SigningError> {
        let endorser = self.peer.serialized().to_vec();
        let signature = self.peer.sign(&[payload, &endorser].concat())?;
        Ok(Endorsement { endorser, signature })
    }
}

enum Checked {
    Proposal(Box<Unpacked>, Identity),
    NoChannel(String),
}

fn refusal(message: String) -> ProposalResponse {
    ProposalResponse { response: Some(Response { status: ERROR, message, payload: Vec::new() }), ..Default::default() }
}

/// Whose policies a transaction of this simulation has to satisfy, as far as a gateway can tell beforehand.
fn interest(result: &SimulationResult) -> ChaincodeInterest {
    let chaincodes = result.namespaces.iter().filter(|(name, _)| !system::is_system(name)).map(|(name, touched)| {
        let key_policies: Vec<_> = touched
            .written_keys
            .values()
            .flatten()
            .filter_map(|policy| SignaturePolicyEnvelope::decode(&policy[..]).ok())
            .collect();
        ChaincodeCall {
            name: name.clone(),
            disregard_namespace_policy: !key_policies.is_empty() && key_policies.len() == touched.written_keys.len(),
            key_policies,
            ..Default::default()
        }
    });
    ChaincodeInterest { chaincodes: chaincodes.collect() }
}
