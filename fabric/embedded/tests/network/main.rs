//! What clients and chaincodes see of an embedded network, compared with what Fabric's peers answer.

#![allow(clippy::unwrap_used)] // reason: a test that meets a surprise shall fail

mod raw;
mod script;

mod dialling;
mod endorsing;
mod ordering;
mod starting;

use fabric_client::{Client, Connection, Contract, Error};
use fabric_embedded::testing::{Description, Network};

pub(crate) const BOTH: &str = "AND('Org1MSP.peer', 'Org2MSP.peer')";

/// Two organisations with the scripted chaincode `script`.
pub(crate) fn network(policy: &str) -> Description {
    Network::of(&["Org1MSP", "Org2MSP"]).chaincode("script", policy, script::serve)
}

/// A client of `Org1MSP` at its own gateway.
pub(crate) fn client(network: &Network) -> Client {
    Client::new(Connection::from_channel(network.connect("Org1MSP")), network.identity("Org1MSP", "amy", "client"))
}

pub(crate) fn contract(network: &Network) -> Contract {
    client(network).contract(network.channel(), "script")
}

pub(crate) fn arguments(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) async fn submit(contract: &Contract, call: &[&str]) -> Result<String, Error> {
    contract.submit(call[0], arguments(&call[1..])).await.map(|bytes| String::from_utf8(bytes).unwrap())
}

pub(crate) async fn evaluate(contract: &Contract, call: &[&str]) -> Result<String, Error> {
    contract.evaluate(call[0], arguments(&call[1..])).await.map(|bytes| String::from_utf8(bytes).unwrap())
}
