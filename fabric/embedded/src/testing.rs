//! A whole network in memory, for tests of contracts and clients: organisations with new identities, chaincodes in the same
//! process, no port and no file.
//!
//! ```no_run
//! # use fabric_embedded::testing::Network;
//! # async fn example(chaincode: fabric_contract::Chaincode) {
//! let network = Network::of(&["HospitalMSP", "PayerMSP"])
//!     .chaincode("records", "OutOf(2, 'HospitalMSP.peer', 'PayerMSP.peer')", move |id, outgoing, incoming| {
//!         chaincode.clone().serve_channel(id, outgoing, incoming)
//!     })
//!     .start()
//!     .await;
//! let connection = fabric_client::Connection::from_channel(network.connect("HospitalMSP"));
//! let amy = fabric_client::Client::new(connection, network.identity("HospitalMSP", "amy", "client"));
//! let records = amy.contract(network.channel(), "records");
//! # }
//! ```
//!
//! Everything here panics in place of returning errors: a test that cannot have its network has failed.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::Arc,
};

use fabric_msp::{
    Msp, SigningIdentity,
    issue::{Authority, Request},
    policy,
};
use fabric_protos::{
    msp::{FabricCryptoConfig, FabricMspConfig, FabricNodeOUs, FabricOuIdentifier},
    protos::ChaincodeMessage,
};
use tokio::sync::mpsc;

use crate::{
    Embedded,
    config::{Access, Batch, ChaincodeDefinition, Config, Listen, Orderer, Organisation, Times},
    ledger::Storage,
};

/// The channel that test networks have.
pub const CHANNEL: &str = "test";

/// A running network with the authorities of its organisations. It is an [`Embedded`].
pub struct Network {
    embedded: Embedded,
    authorities: Authorities,
    tls: Option<Authority>,
}

/// The organisations' authorities; clones issue for the same organisations, so that a network can be started again.
#[derive(Clone)]
pub struct Authorities(Arc<BTreeMap<String, Authority>>);

/// A network that is being described.
pub struct Description {
    authorities: Authorities,
    organisations: Vec<String>,
    chaincodes: Vec<ChaincodeDefinition>,
    batch: Batch,
    times: Times,
    storage: Storage,
    tls: Option<Authority>,
}

impl Network {
    /// Describes a network of these organisations. Blocks are cut after 5 ms.
    pub fn of(msp_ids: &[&str]) -> Description {
        let authorities = msp_ids.iter().map(|msp_id| {
            let authority = Authority::create(&format!("ca.{msp_id}"), msp_id).expect("an authority can be made");
            ((*msp_id).to_owned(), authority)
        });
        Description {
            authorities: Authorities(Arc::new(authorities.collect())),
            organisations: msp_ids.iter().map(|msp_id| (*msp_id).to_owned()).collect(),
            chaincodes: Vec::new(),
            batch: Batch { timeout_milliseconds: 5, ..Batch::default() },
            times: Times::default(),
            storage: Storage::Memory,
            tls: None,
        }
    }

    /// The channel's name.
    pub fn channel(&self) -> &'static str {
        CHANNEL
    }

    /// A new identity with an organisational unit (`client`, `admin`, `peer` or `orderer`).
    pub fn identity(&self, msp_id: &str, common_name: &str, unit: &str) -> SigningIdentity {
        self.authorities.identity(msp_id, common_name, unit)
    }

    /// The certificate that verifies the peers' ports, PEM, if they listen.
    pub fn tls_root(&self) -> Option<String> {
        self.tls.as_ref().map(|tls| tls.certificate().pem())
    }

    /// The organisations' authorities.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }
}

impl Network {
    /// Stops it and waits until nothing runs any more.
    pub async fn stop(self) {
        self.embedded.stop().await;
    }
}

impl Deref for Network {
    type Target = Embedded;

    fn deref(&self) -> &Embedded {
        &self.embedded
    }
}

impl Authorities {
    /// An organisation's authority.
    pub fn of(&self, msp_id: &str) -> &Authority {
        self.0.get(msp_id).unwrap_or_else(|| panic!("{msp_id} is no organisation of this network"))
    }

    /// A new identity with an organisational unit.
    pub fn identity(&self, msp_id: &str, common_name: &str, unit: &str) -> SigningIdentity {
        let issued = self.of(msp_id).issue(&Request::signing(common_name, unit)).expect("a certificate can be issued");
        SigningIdentity::from_pem(msp_id, issued.certificate_pem(), issued.key_pem()).expect("what was issued fits")
    }

    fn msp(&self, msp_id: &str) -> Msp {
        let unit = |name: &str| {
            let organizational_unit_identifier = name.to_owned();
            Some(FabricOuIdentifier { organizational_unit_identifier, certificate: Vec::new() })
        };
        let config = FabricMspConfig {
            name: msp_id.to_owned(),
            root_certs: vec![self.of(msp_id).certificate().pem().into_bytes()],
            crypto_config: Some(FabricCryptoConfig {
                signature_hash_family: "SHA2".into(),
                identity_identifier_hash_function: "SHA256".into(),
            }),
            fabric_node_ous: Some(FabricNodeOUs {
                enable: true,
                client_ou_identifier: unit("client"),
                peer_ou_identifier: unit("peer"),
                admin_ou_identifier: unit("admin"),
                orderer_ou_identifier: unit("orderer"),
            }),
            ..Default::default()
        };
        Msp::from_config(config).expect("a new authority makes a good MSP")
    }
}

impl Description {
    /// Adds a chaincode with its endorsement policy. `serve` is called for each organisation's stream with what
    /// `fabric_contract::Chaincode::serve_channel` takes: the id to register as, the way out and the way in.
    #[must_use]
    pub fn chaincode<F, S>(mut self, name: &str, policy: &str, serve: F) -> Self
    where
        F: Fn(String, mpsc::Sender<ChaincodeMessage>, mpsc::Receiver<ChaincodeMessage>) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        self.chaincodes.push(ChaincodeDefinition {
            name: name.to_owned(),
            version: "1.0".to_owned(),
            sequence: 1,
            package_id: format!("{name}:in-process"),
            policy: policy::parse(policy).expect("the policy is well formed"),
            access: Access::InProcess(Arc::new(move |id, outgoing, incoming| {
                tokio::spawn(serve(id, outgoing, incoming));
            })),
        });
        self
    }

    /// Adds a chaincode in all its details.
    #[must_use]
    pub fn definition(mut self, definition: ChaincodeDefinition) -> Self {
        self.chaincodes.push(definition);
        self
    }

    /// When blocks are cut.
    #[must_use]
    pub fn batch(mut self, batch: Batch) -> Self {
        self.batch = batch;
        self
    }

    /// Waiting times.
    #[must_use]
    pub fn times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// Where the ledger is kept, in place of memory.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// Also listens on free ports of 127.0.0.1, with TLS certificates for `localhost` and that address.
    #[must_use]
    pub fn listen(mut self) -> Self {
        self.tls = Some(Authority::create("tls", "test network").expect("an authority can be made"));
        self
    }

    /// The organisations of a network that was started before.
    #[must_use]
    pub fn authorities(mut self, authorities: Authorities) -> Self {
        self.authorities = authorities;
        self
    }

    /// Starts it.
    pub async fn start(self) -> Network {
        let (authorities, first) = (self.authorities, &self.organisations[0]);
        let organisations = self.organisations.iter().map(|msp_id| Organisation {
            msp: authorities.msp(msp_id),
            peer: authorities.identity(msp_id, &format!("peer.{msp_id}"), "peer"),
            listen: self.tls.as_ref().map(|tls| {
                let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let request = Request::tls(format!("peer.{msp_id}"), &["localhost"], &[here]);
                let issued = tls.issue(&request).expect("a certificate can be issued");
                let (certificate, key) = (issued.certificate_pem().into_bytes(), issued.key_pem().to_vec());
                Listen { address: SocketAddr::new(here, 0), certificate, key }
            }),
        });
        let config = Config {
            channel: CHANNEL.to_owned(),
            storage: self.storage,
            batch: self.batch,
            times: self.times,
            orderer: Orderer {
                identity: authorities.identity(first, "orderer", "orderer"),
                msp: authorities.msp(first),
            },
            organisations: organisations.collect(),
            chaincodes: self.chaincodes,
            operations: None,
        };
        let embedded = Embedded::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        Network { embedded, authorities, tls: self.tls }
    }
}
