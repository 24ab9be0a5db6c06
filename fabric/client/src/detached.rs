//! Signing elsewhere: what is proposed and what is prepared as bytes that somebody signs who keeps the key to itself.
//!
//! Both kinds of bytes are Fabric's own messages, so that whoever signs can read what it signs: a proposal is a
//! `protos.Proposal`, a transaction a `common.Payload`. They hold everything: stored or sent, they are read again with
//! [`UnsignedProposal::read`] and [`UnsignedTransaction::read`].

use fabric_msp::{Creator, SignatureError};
use fabric_protos::common::Envelope;
use fabric_protos::gateway::{EndorseRequest, EvaluateRequest};
use fabric_protos::protos::SignedProposal as SignedProposalMessage;
use openssl::sha::sha256;
use tonic::Code;

use crate::call::{Repeat, call};
use crate::prepared::{Prepared, Proposed, Unreadable};
use crate::transaction::failed;
use crate::{Contract, Endorsed, Error, Stage};

/// A call that has its transaction id and waits for its creator's signature.
#[derive(Debug, Clone)]
pub struct UnsignedProposal {
    contract: Contract,
    creator: Creator,
    bytes: Vec<u8>,
    transaction_id: String,
    organisations: Vec<String>,
}

/// A signed call.
#[derive(Debug, Clone)]
pub struct SignedProposal {
    proposal: UnsignedProposal,
    signature: Vec<u8>,
}

/// Endorsed as the policy asks; it waits for its creator's second signature.
#[derive(Debug, Clone)]
pub struct UnsignedTransaction {
    contract: Contract,
    creator: Creator,
    bytes: Vec<u8>,
    prepared: Prepared,
}

impl UnsignedProposal {
    pub(crate) fn new(
        contract: Contract,
        creator: Creator,
        bytes: Vec<u8>,
        transaction_id: String,
        organisations: Vec<String>,
    ) -> Self {
        Self { contract, creator, bytes, transaction_id, organisations }
    }

    /// Reads what [`bytes`](Self::bytes) gave. It must be a call of this contract by this creator.
    pub fn read(contract: &Contract, creator: &Creator, bytes: Vec<u8>) -> Result<Self, Unreadable> {
        let proposed = Proposed::read(&bytes)?;
        proposed.must_be(contract, creator)?;
        Ok(Self::new(contract.clone(), creator.clone(), bytes, proposed.transaction_id, Vec::new()))
    }

    /// What is signed: a `protos.Proposal`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes, for keys that sign digests.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.bytes)
    }

    /// The id that the transaction will have: 64 hexadecimal digits.
    pub fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    /// As [`Proposal::endorsing_organisations`](crate::Proposal::endorsing_organisations). It is no part of the bytes.
    pub fn endorsing_organisations<I: Into<String>>(mut self, msp_ids: impl IntoIterator<Item = I>) -> Self {
        self.organisations = msp_ids.into_iter().map(Into::into).collect();
        self
    }

    /// Adds the creator's signature, in any form that [`Creator::accept`] takes; one that is not of the creator's key and these bytes is
    /// refused.
    pub fn sign(self, signature: &[u8]) -> Result<SignedProposal, SignatureError> {
        let signature = self.creator.accept(&self.bytes, signature)?;
        Ok(SignedProposal { proposal: self, signature })
    }

    /// With the client's own key, for this stage.
    pub(crate) async fn signed_here(self, stage: Stage) -> Result<SignedProposal, Error> {
        let signed = self.contract.client().sign(&self.bytes).await;
        let signature = signed.map_err(|status| failed(&self.contract, stage, &self.transaction_id, &status))?;
        Ok(SignedProposal { proposal: self, signature })
    }
}

impl SignedProposal {
    /// Runs the chaincode on one peer and returns its answer; nothing is written, and the same signature can ask again.
    pub async fn evaluate(&self) -> Result<Vec<u8>, Error> {
        let UnsignedProposal { contract, transaction_id, organisations, .. } = &self.proposal;
        let client = contract.client();
        let request = EvaluateRequest {
            transaction_id: transaction_id.clone(),
            channel_id: contract.channel().to_owned(),
            proposed_transaction: Some(self.message()),
            target_organizations: organisations.clone(),
        };
        let attempt = |request| {
            let mut gateway = client.connection.gateway();
            async move { gateway.evaluate(request).await }
        };
        let answer = call(Stage::Evaluate, client.deadlines.evaluate, Repeat::Once, request, attempt)
            .await
            .map_err(|status| failed(contract, Stage::Evaluate, transaction_id, &status))?;
        Ok(answer.result.map(|result| result.payload).unwrap_or_default())
    }

    /// Collects the endorsements that the policy asks for. What the peer prepares has to be what was proposed.
    pub async fn endorse(&self) -> Result<UnsignedTransaction, Error> {
        let UnsignedProposal { contract, creator, bytes, transaction_id, organisations } = &self.proposal;
        let client = contract.client();
        let request = EndorseRequest {
            transaction_id: transaction_id.clone(),
            channel_id: contract.channel().to_owned(),
            proposed_transaction: Some(self.message()),
            endorsing_organizations: organisations.clone(),
        };
        let attempt = |request| {
            let mut gateway = client.connection.gateway();
            async move { gateway.endorse(request).await }
        };
        let answer = call(Stage::Endorse, client.deadlines.endorse, Repeat::Once, request, attempt)
            .await
            .map_err(|status| failed(contract, Stage::Endorse, transaction_id, &status))?;
        let prepared = || {
            let envelope = answer.prepared_transaction.ok_or("the peer returned no prepared transaction")?;
            let prepared = Prepared::read(&envelope.payload)?;
            prepared.must_be_of(&Proposed::read(bytes)?)?;
            Ok((envelope.payload, prepared))
        };
        let (bytes, prepared) = prepared()
            .map_err(|Unreadable(reason)| Error::own(Stage::Endorse, Code::Internal, Some(transaction_id), reason))?;
        Ok(UnsignedTransaction { contract: contract.clone(), creator: creator.clone(), bytes, prepared })
    }

    fn message(&self) -> SignedProposalMessage {
        SignedProposalMessage { proposal_bytes: self.proposal.bytes.clone(), signature: self.signature.clone() }
    }
}

impl UnsignedTransaction {
    /// Reads what [`bytes`](Self::bytes) gave. It must be a transaction of this contract by this creator.
    pub fn read(contract: &Contract, creator: &Creator, bytes: Vec<u8>) -> Result<Self, Unreadable> {
        let prepared = Prepared::read(&bytes)?;
        prepared.proposed.must_be(contract, creator)?;
        Ok(Self { contract: contract.clone(), creator: creator.clone(), bytes, prepared })
    }

    /// What is signed: a `common.Payload`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes, for keys that sign digests.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.bytes)
    }

    /// The transaction's id: 64 hexadecimal digits.
    pub fn transaction_id(&self) -> &str {
        &self.prepared.proposed.transaction_id
    }

    /// What the chaincode answered; of no account until the transaction is committed and valid.
    pub fn result(&self) -> &[u8] {
        &self.prepared.result
    }

    /// Adds the creator's signature, in any form that [`Creator::accept`] takes; one that is not of the creator's key and these bytes is
    /// refused. Its commit status is asked with the client's own identity.
    pub fn sign(self, signature: &[u8]) -> Result<Endorsed, SignatureError> {
        let signature = self.creator.accept(&self.bytes, signature)?;
        Ok(self.endorsed(signature))
    }

    /// With the client's own key.
    pub(crate) async fn signed_here(self) -> Result<Endorsed, Error> {
        let signed = self.contract.client().sign(&self.bytes).await;
        let failed = |status| failed(&self.contract, Stage::Endorse, self.transaction_id(), &status);
        let signature = signed.map_err(failed)?;
        Ok(self.endorsed(signature))
    }

    fn endorsed(self, signature: Vec<u8>) -> Endorsed {
        let Self { contract, bytes, prepared, .. } = self;
        let Prepared { proposed, result, writes_private_data } = prepared;
        let envelope = Envelope { payload: bytes, signature };
        Endorsed::new(contract, proposed.transaction_id, envelope, result, writes_private_data)
    }
}
