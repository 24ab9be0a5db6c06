use fabric_client::Contract;
use healthchain_interface::{AuditClient, ConsentsClient, LinksClient, MembersClient};
use healthchain_network::{Consortium, MemberAccess, PeerAccess};

use crate::peers::client;

/// A client that skips the gateways: it signs with the member's own X.509 key and calls the chaincode over a peer.
#[derive(Clone)]
pub struct Chain {
    /// The chaincode, for what no typed client does.
    pub contract: Contract,
}

impl Chain {
    /// The member's own client.
    pub fn new(peer: &PeerAccess, member: &MemberAccess, consortium: &Consortium) -> Self {
        let contract = client(peer, member).contract(consortium.channel.as_str(), consortium.chaincode.name.as_str());
        Self { contract: contract.conflict_retries(5) }
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
