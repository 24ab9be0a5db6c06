//! What every part of the network shares: the channel's ledger, members and chaincode definitions.

use std::collections::BTreeMap;

use fabric_protos::common::SignaturePolicyEnvelope;

use crate::{
    access::Members,
    config::{ChaincodeDefinition, Times},
    ledger::Ledger,
};

pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) members: Members,
    pub(crate) ledger: Ledger,
    pub(crate) definitions: BTreeMap<String, ChaincodeDefinition>,
    pub(crate) times: Times,
}

impl Channel {
    pub(crate) fn definition(&self, chaincode: &str) -> Option<&ChaincodeDefinition> {
        self.definitions.get(chaincode)
    }

    pub(crate) fn policy(&self, chaincode: &str) -> Option<&SignaturePolicyEnvelope> {
        self.definition(chaincode).map(|definition| &definition.policy)
    }
}
