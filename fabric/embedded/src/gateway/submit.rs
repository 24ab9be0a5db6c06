//! Submit, and what became of it: CommitStatus.

use fabric_protos::gateway::{
    CommitStatusRequest, CommitStatusResponse, SignedCommitStatusRequest, SubmitRequest, SubmitResponse,
};
use prost::Message;
use tonic::Status;

use super::Gateway;

impl Gateway {
    pub(super) async fn submit(&self, request: SubmitRequest) -> Result<SubmitResponse, Status> {
        let Some(envelope) = request.prepared_transaction else {
            return Err(Status::invalid_argument("a prepared transaction is required"));
        };
        if envelope.signature.is_empty() {
            return Err(Status::invalid_argument("prepared transaction must be signed"));
        }
        self.check_channel(&request.channel_id).map_err(Status::failed_precondition)?;
        self.orderer.broadcast(envelope).await.map_err(|refusal| {
            if refusal.is_clients_fault() {
                let (name, info) = (refusal.status.as_str_name(), refusal.info);
                Status::aborted(format!("received unsuccessful response from orderer: status={name}, info={info}"))
            } else {
                Status::unavailable("no orderers could successfully process transaction")
            }
        })?;
        Ok(SubmitResponse {})
    }

    pub(super) async fn commit_status(
        &self,
        signed: SignedCommitStatusRequest,
    ) -> Result<CommitStatusResponse, Status> {
        if signed.request.is_empty() {
            return Err(Status::invalid_argument("a commit status request is required"));
        }
        let request = CommitStatusRequest::decode(&signed.request[..])
            .map_err(|error| Status::invalid_argument(format!("invalid status request: {error}")))?;
        if request.identity.is_empty() {
            return Err(Status::invalid_argument("no identity provided"));
        }
        if request.channel_id.is_empty() {
            return Err(Status::invalid_argument("no channel ID provided"));
        }
        if request.transaction_id.is_empty() {
            return Err(Status::invalid_argument("transaction ID should not be empty"));
        }
        self.check_reader(&request.channel_id, &request.identity, &signed.request, &signed.signature)?;

        let mut heights = self.channel.ledger.subscribe();
        loop {
            heights.borrow_and_update();
            let found = self.channel.ledger.transaction_location(&request.transaction_id);
            if let Some(found) = found.map_err(|error| Status::aborted(error.to_string()))? {
                return Ok(CommitStatusResponse { result: found.code as i32, block_number: found.block });
            }
            heights.changed().await.map_err(|_| Status::unavailable("the ledger has stopped; start it again"))?;
        }
    }

    /// The channel's Readers policy over something signed.
    pub(super) fn check_reader(
        &self,
        channel: &str,
        identity: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Status> {
        if channel != self.channel.name {
            return Err(Status::permission_denied(format!("Failed to get policy manager for channel [{channel}]")));
        }
        self.channel.members.check_reader(channel, identity, message, signature).map_err(Status::permission_denied)
    }
}
