use fabric_client::Contract;
use fabric_msp::SigningIdentity;
use healthchain_interface::{AuditClient, ConsentsClient, LinksClient, MembersClient};
use healthchain_network::{Consortium, PeerAccess};

use crate::peers::client;

/// A client that skips the gateways: it signs with an X.509 key of its own and calls the chaincode over a peer.
#[derive(Clone)]
pub struct Chain {
    /// The chaincode, for what no typed client does.
    pub contract: Contract,
}

impl Chain {
    /// The client of whoever has this identity.
    pub fn new(peer: &PeerAccess, identity: SigningIdentity, consortium: &Consortium) -> Self {
        let contract = client(peer, identity).contract(consortium.channel.as_str(), consortium.chaincode.name.as_str());
        Self { contract: contract.conflict_retries(5) }
    }

    /// The channel's blocks as the peer keeps them, the first one first.
    pub async fn blocks(&self) -> Vec<Vec<u8>> {
        let (client, channel) = (self.contract.client(), self.contract.channel());
        let height = client.chain_info(channel).await.expect("the peer tells its height").height;
        let (system, own) = (client.contract(channel, "qscc"), client.identity().msp_id());
        let block = |number: u64| {
            let arguments = vec![channel.into(), number.to_string().into()];
            system.proposal("GetBlockByNumber", arguments).endorsing_organisations([own]).evaluate()
        };
        let mut blocks = Vec::new();
        for number in 0..height {
            blocks.push(block(number).await.expect("the peer has its blocks"));
        }
        blocks
    }

    /// Links.
    pub fn links(&self) -> LinksClient<Contract> {
        LinksClient::new(self.contract.clone())
    }

    /// Consents.
    pub fn consents(&self) -> ConsentsClient<Contract> {
        ConsentsClient::new(self.contract.clone())
    }

    /// Members.
    pub fn members(&self) -> MembersClient<Contract> {
        MembersClient::new(self.contract.clone())
    }

    /// The audit trail.
    pub fn audit(&self) -> AuditClient<Contract> {
        AuditClient::new(self.contract.clone())
    }
}
