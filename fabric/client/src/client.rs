//! A connection and the identity that signs over it.

use std::sync::Arc;
use std::time::Duration;

use fabric_msp::SigningIdentity;
use fabric_protos::common::BlockchainInfo;
use prost::Message;
use tonic::{Code, Status};

use crate::events::{self, ChaincodeEvent, From};
use crate::{Connection, Contract, Error, Stage};

/// One identity's way to a channel's contracts. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) connection: Connection,
    pub(crate) identity: SigningIdentity,
    pub(crate) deadlines: Arc<Deadlines>,
}

/// How long each stage may take, attempts included. Fabric sets no deadline by itself: without these, a transaction that an
/// orderer took and lost would hold its caller for ever.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// One query.
    pub evaluate: Duration,
    /// Collecting endorsements.
    pub endorse: Duration,
    /// Handing over to the orderers.
    pub submit: Duration,
    /// Waiting for the block.
    pub commit_status: Duration,
    /// After a submit: how long to wait for the block before the transaction is handed over once more.
    pub lookup: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            evaluate: Duration::from_secs(15),
            endorse: Duration::from_secs(30),
            submit: Duration::from_secs(15),
            commit_status: Duration::from_secs(60),
            lookup: Duration::from_secs(5),
        }
    }
}

impl Client {
    /// A client with the default deadlines.
    pub fn new(connection: Connection, identity: SigningIdentity) -> Self {
        Self { connection, identity, deadlines: Arc::default() }
    }

    /// The same client with other deadlines.
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = Arc::new(deadlines);
        self
    }

    /// Who signs.
    pub fn identity(&self) -> &SigningIdentity {
        &self.identity
    }

    /// Signs; a device that holds the key is waited for on a thread that may wait.
    pub(crate) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Status> {
        let signed = if self.identity.may_wait() {
            let (identity, message) = (self.identity.clone(), message.to_vec());
            tokio::task::spawn_blocking(move || identity.sign(&message))
                .await
                .map_err(|error| Status::internal(format!("signing did not end well: {error}")))?
        } else {
            self.identity.sign(message)
        };
        signed.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// A chaincode on a channel.
    pub fn contract(&self, channel: impl Into<String>, chaincode: impl Into<String>) -> Contract {
        Contract::new(self.clone(), channel.into(), chaincode.into())
    }

    /// Height and hashes of the ledger of this identity's organisation; no other organisation's peer is asked.
    pub async fn chain_info(&self, channel: &str) -> Result<BlockchainInfo, Error> {
        let question = self.contract(channel, "qscc").proposal("GetChainInfo", vec![channel.into()]);
        let answer = question.endorsing_organisations([self.identity.msp_id()]).evaluate().await?;
        BlockchainInfo::decode(answer.as_slice()).map_err(|error| {
            Error::own(
                Stage::Evaluate,
                Code::Internal,
                None,
                format!("the peer's chain information is unreadable: {error}"),
            )
        })
    }

    /// The events of a chaincode's valid transactions, in the ledger's order. The stream outlives a lost connection or a peer's
    /// restart and goes on after the last event that it gave, so that none is lost or repeated; it ends with an error only
    /// when the peer refuses.
    pub fn chaincode_events(
        &self,
        channel: impl Into<String>,
        chaincode: impl Into<String>,
        from: From,
    ) -> impl futures::Stream<Item = Result<ChaincodeEvent, Error>> + Send + Unpin + 'static {
        events::stream(self.clone(), channel.into(), chaincode.into(), from)
    }
}
