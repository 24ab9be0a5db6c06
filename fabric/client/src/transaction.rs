//! A transaction's way onto the ledger, a type for each stage.

use std::time::Duration;

use fabric_protos::common::Envelope;
use fabric_protos::gateway::{CommitStatusRequest, SignedCommitStatusRequest, SubmitRequest};
use fabric_protos::protos::TxValidationCode;
use prost::Message;
use tonic::{Code, Status};

use crate::call::{Repeat, call};
use crate::{Contract, Error, Stage};

/// Endorsed as the policy asks, signed, not yet handed over.
#[derive(Debug, Clone)]
pub struct Endorsed {
    contract: Contract,
    transaction_id: String,
    envelope: Envelope,
    result: Vec<u8>,
    writes_private_data: bool,
}

/// Handed to the orderers.
#[derive(Debug, Clone)]
pub struct Submitted {
    contract: Contract,
    transaction_id: String,
    result: Vec<u8>,
}

/// In a block, valid or not.
#[derive(Debug, Clone)]
pub struct Committed {
    transaction_id: String,
    block_number: u64,
    code: TxValidationCode,
    result: Vec<u8>,
}

impl Endorsed {
    pub(crate) fn new(
        contract: Contract,
        transaction_id: String,
        envelope: Envelope,
        result: Vec<u8>,
        writes_private_data: bool,
    ) -> Self {
        Self { contract, transaction_id, envelope, result, writes_private_data }
    }

    /// The transaction's id: 64 hexadecimal digits.
    pub fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    /// What the chaincode answered; of no account until the transaction is committed and valid.
    pub fn result(&self) -> &[u8] {
        &self.result
    }

    /// Hands the transaction to the orderers, one attempt. On an error of which [`Error::may_have_committed`] is true, ask
    /// [`status`](Self::status) before anything else, or use [`commit`](Self::commit), which does.
    pub async fn submit(&self) -> Result<Submitted, Error> {
        let client = self.contract.client();
        let request = SubmitRequest {
            transaction_id: self.transaction_id.clone(),
            channel_id: self.contract.channel().to_owned(),
            prepared_transaction: Some(self.envelope.clone()),
        };
        let attempt = |request| {
            let mut gateway = client.connection.gateway();
            async move { gateway.submit(request).await }
        };
        call(Stage::Submit, client.deadlines.submit, Repeat::Never, request, attempt)
            .await
            .map_err(|status| failed(&self.contract, Stage::Submit, &self.transaction_id, &status))?;
        Ok(self.submitted())
    }

    /// Asks whether the transaction is committed, whether or not it was handed over: waits until the deadline if it is not.
    pub async fn status(&self) -> Result<Committed, Error> {
        self.submitted().status().await
    }

    /// Submits and waits until the transaction is committed; an invalid one is an error.
    ///
    /// A submit without a certain answer (UNAVAILABLE, a lost connection, a deadline) may be ordered all the same, and one that an
    /// orderer took may be lost with it. So the commit status is asked first in either case; only if it stays unknown the very same
    /// transaction is handed over once more, which is harmless: Fabric counts a transaction id once. One that writes private data
    /// is not: for a second copy of it peers look for private data that they have already used, and commit nothing for a minute
    /// (seen on Fabric 3.1.5 with `skipPullingInvalidTransactionsDuringCommit` off). It is waited for instead.
    pub async fn commit(self) -> Result<Committed, Error> {
        let handed_over = self.submit().await.map(drop);
        if let Err(error) = &handed_over {
            if !error.may_have_committed() {
                return Err(error.clone());
            }
            tracing::warn!(transaction = self.transaction_id, %error, "submit without an answer: looking the transaction up");
        }
        self.look_up(handed_over).await
    }

    /// As [`commit`](Self::commit), for a transaction that may have been handed over before: it is looked up first.
    pub async fn resume(self) -> Result<Committed, Error> {
        self.look_up(Ok(())).await
    }

    async fn look_up(self, handed_over: Result<(), Error>) -> Result<Committed, Error> {
        match self.submitted().status_within(self.contract.client().deadlines.lookup).await {
            Ok(committed) => return committed.valid(),
            Err(unknown) if !is_worth_repeating(&unknown) => return Err(unknown),
            Err(_) if self.writes_private_data => {}
            Err(_) => match (self.submit().await, handed_over) {
                // Whatever the second attempt says, the first one may still arrive.
                (Err(error), Err(_)) => return Err(error.uncertain()),
                (_, Ok(())) | (Ok(_), Err(_)) => {}
            },
        }
        self.submitted().status().await?.valid()
    }

    fn submitted(&self) -> Submitted {
        Submitted {
            contract: self.contract.clone(),
            transaction_id: self.transaction_id.clone(),
            result: self.result.clone(),
        }
    }
}

impl Submitted {
    /// The transaction's id: 64 hexadecimal digits.
    pub fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    /// What the chaincode answered; of no account until the transaction is committed and valid.
    pub fn result(&self) -> &[u8] {
        &self.result
    }

    /// Waits for the block. Asks again while the peer is away, until the deadline.
    pub async fn status(&self) -> Result<Committed, Error> {
        self.status_within(self.contract.client().deadlines.commit_status).await
    }

    async fn status_within(&self, limit: Duration) -> Result<Committed, Error> {
        let client = self.contract.client();
        let request = CommitStatusRequest {
            transaction_id: self.transaction_id.clone(),
            channel_id: self.contract.channel().to_owned(),
            identity: client.identity.serialized().to_vec(),
        }
        .encode_to_vec();
        let signature = client
            .sign(&request)
            .await
            .map_err(|status| failed(&self.contract, Stage::CommitStatus, &self.transaction_id, &status))?;
        let attempt = |request| {
            let mut gateway = client.connection.gateway();
            async move { gateway.commit_status(request).await }
        };
        let answer = call(
            Stage::CommitStatus,
            limit,
            Repeat::UntilDeadline,
            SignedCommitStatusRequest { request, signature },
            attempt,
        )
        .await
        .map_err(|status| failed(&self.contract, Stage::CommitStatus, &self.transaction_id, &status))?;
        Ok(Committed {
            transaction_id: self.transaction_id.clone(),
            block_number: answer.block_number,
            code: TxValidationCode::try_from(answer.result).unwrap_or(TxValidationCode::InvalidOtherReason),
            result: self.result.clone(),
        })
    }
}

impl Committed {
    /// The transaction's id: 64 hexadecimal digits.
    pub fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    /// The block that holds it.
    pub fn block_number(&self) -> u64 {
        self.block_number
    }

    /// Whether it counts, and if not, why.
    pub fn code(&self) -> TxValidationCode {
        self.code
    }

    /// What the chaincode answered.
    pub fn result(&self) -> &[u8] {
        &self.result
    }

    /// What the chaincode answered.
    pub fn into_result(self) -> Vec<u8> {
        self.result
    }

    /// Turns an invalid transaction into an error of [`Stage::Commit`].
    pub fn valid(self) -> Result<Self, Error> {
        match self.code {
            TxValidationCode::Valid => Ok(self),
            code => Err(Error::invalid(&self.transaction_id, code, self.block_number)),
        }
    }
}

/// The lookup found nothing in its time, or nobody to ask. Anything else (no permission, …) a second submit will not mend.
fn is_worth_repeating(lookup: &Error) -> bool {
    lookup.is_transport() || matches!(lookup.code(), Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled)
}

pub(crate) fn failed(contract: &Contract, stage: Stage, transaction_id: &str, status: &Status) -> Error {
    Error::from_status(stage, Some(transaction_id), status, contract.client().connection.endpoint())
}
