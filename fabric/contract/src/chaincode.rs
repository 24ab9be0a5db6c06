//! The contracts of one chaincode, and how a function's name leads to its function.

use std::sync::Arc;

use fabric_protos::protos::ChaincodeMessage;
use futures::future::BoxFuture;
use schemars::SchemaGenerator;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::context::Context;
use crate::conversation;
use crate::error::Failure;
use crate::metadata::{self, ContractMetadata};
use crate::server::{ServeError, Server, ServerOptions};

/// A contract's result for the client (JSON), or why there is none.
pub type Outcome = Result<Vec<u8>, Failure>;

/// One contract as the runtime calls it; [`#[contract]`](crate::contract) writes the implementation.
pub trait Contract: Send + Sync + 'static {
    /// The name before the colon in `Contract:function`.
    fn name(&self) -> &'static str;

    /// Runs a function with the client's arguments; `None` if there is no such function.
    fn invoke<'a>(
        &'a self,
        ctx: &'a mut Context,
        function: &'a str,
        arguments: &'a [Vec<u8>],
    ) -> Option<BoxFuture<'a, Outcome>>;

    /// What the contract offers, for clients and tools; shared schemas go to the generator.
    fn metadata(&self, schemas: &mut SchemaGenerator) -> ContractMetadata;
}

/// A chaincode: some contracts, served to peers. The first contract is the one meant by a name without a contract.
#[derive(Clone, Default)]
pub struct Chaincode {
    contracts: Vec<Arc<dyn Contract>>,
}

impl Chaincode {
    /// A chaincode without contracts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a contract.
    ///
    /// # Panics
    /// If there is one of that name already, or it has the name of Fabric's own contract.
    #[must_use]
    pub fn contract(mut self, contract: impl Contract) -> Self {
        let name = contract.name();
        assert!(
            name != metadata::SYSTEM_CONTRACT && self.find(name).is_none(),
            "a chaincode has one contract of a name, and {name:?} is taken: name it otherwise in #[contract(name = …)]"
        );
        self.contracts.push(Arc::new(contract));
        self
    }

    /// What `org.hyperledger.fabric:GetMetadata` returns.
    pub fn metadata(&self) -> serde_json::Value {
        metadata::describe(&self.contracts)
    }

    /// Serves peers over gRPC ("chaincode as a service") until the process ends.
    pub async fn serve(self, options: ServerOptions) -> Result<(), ServeError> {
        self.bind(options).await?.run_until(std::future::pending()).await
    }

    /// Listens on the address of the options, without serving yet.
    pub async fn bind(self, options: ServerOptions) -> Result<Server, ServeError> {
        Server::bind(self, options).await
    }

    /// Serves one peer in the same process, over channels of the messages that gRPC would carry, until `incoming` ends.
    /// The chaincode speaks first, as `chaincode_id`.
    pub async fn serve_channel(
        self,
        chaincode_id: impl Into<String>,
        outgoing: mpsc::Sender<ChaincodeMessage>,
        incoming: mpsc::Receiver<ChaincodeMessage>,
    ) {
        conversation::hold(self, chaincode_id.into(), outgoing, ReceiverStream::new(incoming)).await;
    }

    /// Runs the function that the transaction names. The texts are those of the official SDKs.
    pub(crate) async fn invoke(&self, ctx: &mut Context) -> Outcome {
        let called = std::mem::take(&mut ctx.invocation.function);
        let arguments = std::mem::take(&mut ctx.invocation.arguments);
        let (contract, function) = match called.rsplit_once(':') {
            Some((contract, function)) => (contract, function),
            None => (self.contracts.first().map_or("", |first| first.name()), called.as_str()),
        };

        if contract == metadata::SYSTEM_CONTRACT {
            return match function {
                "" => Err(blank_function()),
                metadata::SYSTEM_FUNCTION => Ok(self.metadata().to_string().into_bytes()),
                _ => Err(unknown_function(function, contract)),
            };
        }
        let found =
            self.find(contract).ok_or_else(|| Failure::new(500, format!("Contract not found with name {contract}")))?;
        if function.is_empty() {
            return Err(blank_function());
        }
        ctx.invocation.function = format!("{contract}:{function}");
        match found.invoke(ctx, function, &arguments) {
            Some(outcome) => outcome.await,
            None => Err(unknown_function(function, contract)),
        }
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn Contract>> {
        self.contracts.iter().find(|contract| contract.name() == name)
    }
}

fn blank_function() -> Failure {
    Failure::new(500, "Blank function name passed")
}

fn unknown_function(function: &str, contract: &str) -> Failure {
    Failure::new(500, format!("Function {function} not found in contract {contract}"))
}
