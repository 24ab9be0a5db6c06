//! A chaincode on a channel.

use std::sync::Arc;
use std::time::Duration;

use fabric_contract::Transact;
use fabric_msp::Creator;

use crate::{Client, Error, Proposal, UnsignedProposal};

/// A chaincode on a channel, called by one identity. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Contract(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    client: Client,
    channel: String,
    chaincode: String,
    conflict_retries: u32,
}

impl Contract {
    pub(crate) fn new(client: Client, channel: String, chaincode: String) -> Self {
        Self(Arc::new(Inner { client, channel, chaincode, conflict_retries: 0 }))
    }

    /// Lets [`submit`](Self::submit) endorse anew, at most `times`, when the commit says that another transaction changed what
    /// this one had read. Each time is a new transaction; the earlier ones stay in the ledger, invalid.
    pub fn conflict_retries(mut self, times: u32) -> Self {
        Arc::make_mut(&mut self.0).conflict_retries = times;
        self
    }

    /// The channel.
    pub fn channel(&self) -> &str {
        &self.0.channel
    }

    /// The chaincode's name.
    pub fn chaincode(&self) -> &str {
        &self.0.chaincode
    }

    /// Who calls.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Asks the chaincode; nothing is written. `function` is `Contract:function`. Another organisation's peer may answer when the one that
    /// was asked fails: name the [`endorsing_organisations`](Proposal::endorsing_organisations) of a [`proposal`](Self::proposal) to
    /// take only theirs for an answer.
    pub async fn evaluate(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
        self.proposal(function, arguments).evaluate().await
    }

    /// Endorses, submits and waits until the transaction is committed and valid; returns the chaincode's answer.
    ///
    /// A submit without a certain answer is looked up by its transaction id before anything else
    /// ([`Endorsed::commit`](crate::Endorsed::commit)).
    pub async fn submit(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let mut conflicts = 0;
        loop {
            let committed = self.proposal(function, arguments.clone()).endorse().await?.commit().await;
            match committed {
                Ok(committed) => return Ok(committed.into_result()),
                Err(error) if error.is_conflict() && conflicts < self.0.conflict_retries => {
                    conflicts += 1;
                    tracing::debug!(function, conflicts, "read conflict: endorsing anew");
                    tokio::time::sleep(pause(conflicts)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A call in stages.
    pub fn proposal(&self, function: &str, arguments: Vec<Vec<u8>>) -> Proposal {
        Proposal::new(self.clone(), self.0.client.identity.creator(), function, arguments)
    }

    /// A call in stages by somebody whose key is elsewhere; this client hands on what is signed there.
    pub fn unsigned_proposal(&self, creator: &Creator, function: &str, arguments: Vec<Vec<u8>>) -> UnsignedProposal {
        Proposal::new(self.clone(), creator, function, arguments).unsigned(creator.clone())
    }
}

impl Transact for Contract {
    type Error = Error;

    async fn evaluate(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
        Self::evaluate(self, function, arguments).await
    }

    async fn submit(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
        Self::submit(self, function, arguments).await
    }
}

/// Up to 10 ms, 20 ms, 40 ms, … by chance, so that two that met do not meet again.
fn pause(conflicts: u32) -> Duration {
    let mut byte = [0];
    openssl::rand::rand_bytes(&mut byte).expect("the system has randomness");
    Duration::from_millis((u64::from(byte[0]) * 10 / 255) << (conflicts - 1).min(6))
}
