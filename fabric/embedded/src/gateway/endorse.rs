//! Endorse: enough peers' signatures over one result, as a transaction that the client signs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fabric_msp::Identity;
use fabric_protos::{
    common::{ChannelHeader, Envelope, Header, Payload, SignaturePolicyEnvelope},
    gateway::{EndorseRequest, EndorseResponse, ErrorDetail},
    protos::{
        ChaincodeActionPayload, ChaincodeCall, ChaincodeEndorsedAction, ChaincodeInterest, ChaincodeInvocationSpec,
        ChaincodeProposalPayload, Endorsement, Proposal, ProposalResponse, SignedProposal, Transaction,
        TransactionAction,
    },
};
use futures::future::join_all;
use prost::Message;
use tonic::{Code, Status};

use super::{
    Gateway,
    failure::{detail, judge, status},
    plan::{self, Layout},
    within,
};
use crate::proposal::decode;

/// Endorsements collected so far, by peer.
#[derive(Default)]
struct Collected {
    payload: Option<Vec<u8>>,
    endorsements: BTreeMap<usize, Endorsement>,
    failed: BTreeSet<usize>,
    details: Vec<ErrorDetail>,
}

/// Who is asked.
enum Plan {
    /// Exactly these, whatever the policy says.
    Asked(Layout),
    /// Whoever satisfies these policies.
    Policies { policies: Vec<SignaturePolicyEnvelope>, peers: Vec<Option<Identity>> },
}

impl Gateway {
    pub(super) async fn endorse(
        &self,
        request: EndorseRequest,
        limit: Option<Duration>,
    ) -> Result<EndorseResponse, Status> {
        let signed = request.proposed_transaction.unwrap_or_default();
        if signed.proposal_bytes.is_empty() {
            return Err(Status::invalid_argument("the proposed transaction must contain a signed proposal"));
        }
        let parts = Parts::of(&signed).map_err(Status::invalid_argument)?;
        let started = tokio::time::Instant::now();
        let mut collected = Collected::default();
        let plan = if request.endorsing_organizations.is_empty() {
            let expired =
                || Status::deadline_exceeded("endorsement timeout expired while collecting first endorsement");
            within(limit, expired, self.plan_from_first(&parts, &signed, &mut collected)).await?
        } else {
            self.plan_for(&parts, &request.endorsing_organizations)?
        };
        let expired = || Status::deadline_exceeded("endorsement timeout expired while collecting endorsements");
        let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
        let layout = within(left, expired, self.collect(&plan, &signed, &mut collected)).await?;
        Ok(EndorseResponse { prepared_transaction: Some(parts.transaction(collected, &layout)) })
    }

    fn plan_for(&self, parts: &Parts, organisations: &[String]) -> Result<Plan, Status> {
        let mut layout = Layout::new();
        let mut missing = Vec::new();
        for organisation in organisations {
            let known = parts.channel == self.channel.name && self.has(&parts.chaincode);
            match self.endorsers.iter().position(|peer| known && peer.msp_id() == organisation) {
                Some(peer) => _ = layout.insert(peer),
                None => missing.push(organisation.as_str()),
            }
        }
        if missing.is_empty() {
            return Ok(Plan::Asked(layout));
        }
        Err(Status::unavailable(format!("failed to find any endorsing peers for org(s): {}", missing.join(", "))))
    }

    /// The own peer simulates; whose policies count follows from what its simulation touched.
    async fn plan_from_first(
        &self,
        parts: &Parts,
        signed: &SignedProposal,
        collected: &mut Collected,
    ) -> Result<Plan, Status> {
        if parts.channel != self.channel.name || !self.has(&parts.chaincode) {
            return Err(Status::failed_precondition(if parts.transient {
                "no endorsers found in the gateway's organization; retry specifying endorsing organization(s) to protect \
                 transient data"
                    .to_owned()
            } else {
                parts.no_metadata(&parts.chaincode)
            }));
        }
        let own = &self.endorsers[0];
        let response = judge(own.process(signed).await, false).map_err(|failure| {
            let message = "failed to endorse transaction, see attached details for more info";
            status(Code::Aborted, message, &[detail(own, failure.message)])
        })?;
        let policies = self.policies(parts, response.interest.as_ref())?;
        collected.add(0, response);
        let peers: Vec<_> = self.endorsers.iter().map(|peer| peer.identity()).collect();
        if plan::layout(&policies, &peers, &BTreeSet::new()).is_none() {
            return Err(Status::failed_precondition(
                "no combination of peers can be derived which satisfy the endorsement policy: no peer combination can \
                 satisfy the endorsement policy",
            ));
        }
        Ok(Plan::Policies { policies, peers })
    }

    fn policies(
        &self,
        parts: &Parts,
        interest: Option<&ChaincodeInterest>,
    ) -> Result<Vec<SignaturePolicyEnvelope>, Status> {
        let itself = [ChaincodeCall { name: parts.chaincode.clone(), ..Default::default() }];
        let calls = interest.map(|interest| &interest.chaincodes[..]).filter(|calls| !calls.is_empty());
        let mut policies = Vec::new();
        for call in calls.unwrap_or(&itself) {
            let policy = self.channel.policy(&call.name);
            let policy = policy.ok_or_else(|| Status::failed_precondition(parts.no_metadata(&call.name)))?;
            policies.extend(call.key_policies.iter().cloned());
            if !call.disregard_namespace_policy {
                policies.push(policy.clone());
            }
        }
        Ok(policies)
    }

    /// Asks layout after layout until one is complete.
    async fn collect(&self, plan: &Plan, signed: &SignedProposal, collected: &mut Collected) -> Result<Layout, Status> {
        loop {
            let layout = match plan {
                Plan::Asked(layout) => Some(layout.clone()).filter(|_| collected.failed.is_empty()),
                Plan::Policies { policies, peers } => plan::layout(policies, peers, &collected.failed),
            };
            let Some(layout) = layout else {
                let message = "failed to collect enough transaction endorsements, see attached details for more info";
                return Err(status(Code::Aborted, message, &collected.details));
            };
            let missing: Vec<usize> =
                layout.iter().copied().filter(|peer| !collected.endorsements.contains_key(peer)).collect();
            if missing.is_empty() {
                return Ok(layout);
            }
            let mut asked = Vec::new();
            for peer in &missing {
                asked.push(self.endorsers[*peer].process(signed));
            }
            let answers = join_all(asked).await;
            for (peer, answer) in missing.into_iter().zip(answers) {
                let outcome = judge(answer, peer > 0).map_err(|failure| failure.message);
                let added = outcome.and_then(|response| {
                    if collected.add(peer, response) {
                        Ok(())
                    } else {
                        Err("ProposalResponsePayloads do not match".into())
                    }
                });
                if let Err(message) = added {
                    collected.failed.insert(peer);
                    collected.details.push(detail(&self.endorsers[peer], message));
                }
            }
        }
    }
}

impl Collected {
    /// Keeps an endorsement if it is over the same bytes as the first one.
    fn add(&mut self, peer: usize, response: ProposalResponse) -> bool {
        let payload = self.payload.get_or_insert_with(|| response.payload.clone());
        if *payload != response.payload {
            return false;
        }
        self.endorsements.insert(peer, response.endorsement.unwrap_or_default());
        true
    }
}

/// What a gateway needs of a proposal.
struct Parts {
    header: Header,
    payload: ChaincodeProposalPayload,
    channel: String,
    chaincode: String,
    transient: bool,
}

impl Parts {
    fn of(signed: &SignedProposal) -> Result<Self, String> {
        let proposal: Proposal = decode("Proposal", &signed.proposal_bytes)?;
        let header: Header = decode("Header", &proposal.header)?;
        let channel = decode::<ChannelHeader>("ChannelHeader", &header.channel_header)?.channel_id;
        let payload: ChaincodeProposalPayload = decode("ChaincodeProposalPayload", &proposal.payload)?;
        let invocation: ChaincodeInvocationSpec = decode("ChaincodeInvocationSpec", &payload.input)?;
        let chaincode = invocation.chaincode_spec.unwrap_or_default().chaincode_id.unwrap_or_default().name;
        Ok(Self { header, channel, chaincode, transient: !payload.transient_map.is_empty(), payload })
    }

    fn no_metadata(&self, chaincode: &str) -> String {
        format!(
            "no combination of peers can be derived which satisfy the endorsement policy: No metadata was found for \
             chaincode {chaincode} in channel {}",
            self.channel
        )
    }

    fn transaction(self, mut collected: Collected, layout: &Layout) -> Envelope {
        let public = ChaincodeProposalPayload { input: self.payload.input, ..Default::default() };
        let action = ChaincodeActionPayload {
            chaincode_proposal_payload: public.encode_to_vec(),
            action: Some(ChaincodeEndorsedAction {
                proposal_response_payload: collected.payload.unwrap_or_default(),
                endorsements: layout.iter().filter_map(|peer| collected.endorsements.remove(peer)).collect(),
            }),
        };
        let transaction = Transaction {
            actions: vec![TransactionAction {
                header: self.header.signature_header.clone(),
                payload: action.encode_to_vec(),
            }],
        };
        let payload = Payload { header: Some(self.header), data: transaction.encode_to_vec() };
        Envelope { payload: payload.encode_to_vec(), signature: Vec::new() }
    }
}
