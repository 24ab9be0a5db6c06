use std::fs;

use fabric_client::{Client, ConnectOptions, Connection, Contract};
use fabric_msp::SigningIdentity;
use healthchain_interface::{AuditClient, ConsentsClient, LinksClient, MembersClient};
use healthchain_network::{Consortium, MemberAccess, PeerAccess};

/// A client that skips the gateways: it signs with the member's own X.509 key and calls the chaincode over a peer.
#[derive(Clone)]
pub struct Chain {
    /// The chaincode, for what no typed client does.
    pub contract: Contract,
}

impl Chain {
    /// The member's own client.
    pub fn new(peer: &PeerAccess, member: &MemberAccess, consortium: &Consortium) -> Self {
        let read = |path| fs::read(path).expect("the network wrote its files");
        let connection = Connection::lazy(ConnectOptions {
            endpoint: peer.endpoint.clone(),
            tls_root_pem: Some(read(&peer.tls_root)),
            ..ConnectOptions::default()
        })
        .expect("the network's endpoint is one");
        let identity = SigningIdentity::from_pem(
            member.msp_id.as_str(),
            read(&member.identity.certificate),
            read(&member.identity.key),
        )
        .expect("the network issues identities");
        let contract =
            Client::new(connection, identity).contract(consortium.channel.as_str(), consortium.chaincode.name.as_str());
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
