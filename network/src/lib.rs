//! Makes, starts, watches and stops a Healthchain consortium on one machine.
//!
//! [`Consortium`] is the shape, read from a file; [`Network`] is one consortium in one folder, on real Fabric or on the
//! embedded ledger, in processes of their own or all in one. Whatever a call finds done it leaves as it is, so every call may be repeated.
//!
//! The crate's program is what `test-network.sh` runs; end-to-end tests use the library.

mod chaincode_package;
mod consortium;
pub mod demo;
mod dev;
mod embedded;
mod error;
mod fabric;
mod founding;
mod health;
mod identities;
mod layout;
mod ledger;
mod lifecycle;
pub mod logs;
mod memory;
mod network;
mod origin;
#[doc(hidden)]
pub mod output;
mod ports;
mod process;
mod programs;
mod progress;
mod render;
mod site;
mod status;

pub use consortium::{
    Batch, ChaincodeDefinition, Consortium, ConsortiumError, Member, Ordering, Organisation, Policies, Ports, Quorum,
};
pub use dev::{Keep, OneProcess};
pub use error::NetworkError;
pub use layout::{CertificateFiles, Layout, OrganisationFolder};
pub use ledger::LedgerKind;
pub use memory::Memory;
pub use network::{ChaincodeAccess, MemberAccess, Network, PeerAccess, Up};
pub use origin::Origin;
pub use ports::Conflict;
pub use programs::Programs;
pub use progress::Progress;
pub use status::{ComponentStatus, Health, table};
