//! Evaluate: one peer's answer, the own organisation's first.

use fabric_protos::{
    common::{ChannelHeader, Header},
    gateway::{EvaluateRequest, EvaluateResponse},
    protos::{
        ChaincodeAction, ChaincodeInvocationSpec, ChaincodeProposalPayload, Proposal, ProposalResponse,
        ProposalResponsePayload, SignedProposal,
    },
};
use prost::Message;
use tonic::{Code, Status};

use super::{
    Gateway,
    failure::{detail, judge, status},
};
use crate::{endorser::Endorser, proposal::decode, system};

impl Gateway {
    pub(super) async fn evaluate(&self, request: EvaluateRequest) -> Result<EvaluateResponse, Status> {
        let signed = request.proposed_transaction.unwrap_or_default();
        let target = Target::of(&signed)
            .map_err(|reason| Status::invalid_argument(format!("failed to unpack transaction proposal: {reason}")))?;
        self.check_channel(&target.channel).map_err(Status::unavailable)?;

        let own = self.endorsers[0].msp_id().to_owned();
        let protects_transient = target.transient && request.target_organizations.is_empty();
        let organisations = if protects_transient { vec![own] } else { request.target_organizations };
        let asked =
            |peer: &Endorser| organisations.is_empty() || organisations.iter().any(|name| name == peer.msp_id());
        let peers: Vec<usize> = (0..self.endorsers.len())
            .filter(|peer| self.has(&target.chaincode) && asked(&self.endorsers[*peer]))
            .collect();
        if peers.is_empty() {
            let none =
                format!("no peers available to evaluate chaincode {} in channel {}", target.chaincode, target.channel);
            return Err(Status::failed_precondition(if protects_transient {
                format!(
                    "no endorsers found in the gateway's organization; retry specifying target organization(s) to \
                     protect transient data: {none}"
                )
            } else {
                none
            }));
        }

        let mut details = Vec::new();
        let mut last = Code::Unavailable;
        for index in peers {
            let peer = &self.endorsers[index];
            match judge(peer.process(&signed).await, index > 0) {
                Ok(response) => return Ok(EvaluateResponse { result: Some(result(response)) }),
                Err(failure) => {
                    details.push(detail(peer, &failure.message));
                    if !failure.retry {
                        let message = format!("evaluate call to endorser returned error: {}", failure.message);
                        return Err(status(failure.code, message, &details));
                    }
                    last = failure.code;
                }
            }
        }
        Err(status(last, "failed to evaluate transaction, see attached details for more info", &details))
    }

    /// Whether the peers have this chaincode: all have all, system chaincodes too.
    pub(super) fn has(&self, chaincode: &str) -> bool {
        system::is_system(chaincode) || self.channel.definition(chaincode).is_some()
    }
}

/// Where a gateway sends a proposal: it looks at the invocation, not at the header's extension.
struct Target {
    channel: String,
    chaincode: String,
    transient: bool,
}

impl Target {
    fn of(signed: &SignedProposal) -> Result<Self, String> {
        if signed.proposal_bytes.is_empty() {
            return Err("a signed proposal is required".into());
        }
        let proposal: Proposal = decode("Proposal", &signed.proposal_bytes)?;
        let header: Header = decode("Header", &proposal.header)?;
        let channel = decode::<ChannelHeader>("ChannelHeader", &header.channel_header)?.channel_id;
        let payload: ChaincodeProposalPayload = decode("ChaincodeProposalPayload", &proposal.payload)?;
        let invocation: ChaincodeInvocationSpec = decode("ChaincodeInvocationSpec", &payload.input)?;
        if channel.is_empty() {
            return Err("no channel id provided".into());
        }
        let missing = |what| format!("no chaincode {what} is provided, channel id [{channel}]");
        let spec = invocation.chaincode_spec.ok_or_else(|| missing("spec"))?;
        let chaincode = spec.chaincode_id.ok_or_else(|| missing("id"))?.name;
        if chaincode.is_empty() {
            return Err(missing("name"));
        }
        Ok(Self { channel, chaincode, transient: !payload.transient_map.is_empty() })
    }
}

/// The chaincode's answer, its result taken from what was signed.
fn result(response: ProposalResponse) -> fabric_protos::protos::Response {
    let mut answer = response.response.unwrap_or_default();
    let signed = ProposalResponsePayload::decode(&response.payload[..])
        .and_then(|payload| ChaincodeAction::decode(&payload.extension[..]));
    if let Ok(action) = signed {
        answer.payload = action.response.unwrap_or_default().payload;
    }
    answer
}
