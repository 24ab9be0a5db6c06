use std::fs;
use std::path::Path;
use std::sync::Arc;

use fabric_client::{Client, ConnectOptions, Connection};
use fabric_msp::SigningIdentity;
use healthchain_network::{MemberAccess, Network, PeerAccess};

use crate::until;

/// The organisations' peers, asked for their heights. A write is acknowledged by the writer's own peer, and the others follow within
/// moments; tests that are not about those moments wait until all are level.
#[derive(Clone)]
pub(crate) struct Peers {
    channel: String,
    clients: Arc<Vec<(String, Client)>>,
}

impl Peers {
    /// Each peer, asked by its organisation's founding administrator.
    pub(crate) fn of(network: &Network) -> Self {
        let client = |name: &str, founder: &str| {
            let peer = network.peer(name).expect("each organisation has a peer");
            let administrator = network.member(founder).expect("each organisation has a founder");
            (name.to_owned(), client(&peer, identity(&administrator)))
        };
        let consortium = network.consortium();
        let organisations = consortium.organisations.iter();
        let clients = organisations.map(|it| client(&it.name, it.founder().id.as_str())).collect();
        Self { channel: consortium.channel.clone(), clients: Arc::new(clients) }
    }

    /// Waits until every peer has the blocks that the highest one has now.
    pub(crate) async fn level(&self) {
        let heights =
            futures::future::join_all(self.clients.iter().map(|(_, client)| client.chain_info(&self.channel)));
        let highest = heights.await.into_iter().flatten().map(|info| info.height).max();
        for (name, client) in self.clients.iter() {
            until(&format!("{name}'s peer"), || async {
                let info = client.chain_info(&self.channel).await.map_err(|error| error.to_string())?;
                if Some(info.height) >= highest { Ok(()) } else { Err(format!("at {} of {highest:?}", info.height)) }
            })
            .await;
        }
    }
}

/// A member's own X.509 identity.
pub(crate) fn identity(member: &MemberAccess) -> SigningIdentity {
    let (certificate, key) = (read(&member.identity.certificate), read(&member.identity.key));
    SigningIdentity::from_pem(member.msp_id.as_str(), certificate, key).expect("the network issues identities")
}

/// A client that signs with this identity, at a peer.
pub(crate) fn client(peer: &PeerAccess, identity: SigningIdentity) -> Client {
    let connection = Connection::lazy(ConnectOptions {
        endpoint: peer.endpoint.clone(),
        tls_root_pem: Some(read(&peer.tls_root)),
        ..ConnectOptions::default()
    });
    Client::new(connection.expect("the network's endpoint is one"), identity)
}

/// A file of the network's.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("the network wrote its files")
}
