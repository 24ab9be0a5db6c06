//! Client of a Fabric peer's gateway service.
//!
//! ```no_run
//! # async fn run(root: Vec<u8>, certificate: Vec<u8>, key: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_client::{Client, ConnectOptions, Connection};
//! use fabric_msp::SigningIdentity;
//!
//! let connection = Connection::lazy(ConnectOptions {
//!     endpoint: "https://localhost:7051".to_owned(),
//!     tls_root_pem: Some(root),
//!     ..ConnectOptions::default()
//! })?;
//! let client = Client::new(connection, SigningIdentity::from_pem("HospitalMSP", certificate, key)?);
//! let links = client.contract("healthchain", "links").conflict_retries(3);
//!
//! let answer = links.evaluate("Links:link", vec![b"\"link-1\"".to_vec()]).await?;
//! links.submit("Links:withdraw", vec![b"{}".to_vec()]).await?;
//!
//! // The same in stages, each with its own type.
//! let endorsed = links.proposal("Links:withdraw", vec![b"{}".to_vec()]).endorse().await?;
//! let submitted = endorsed.submit().await?;
//! println!("{} is in block {}", submitted.transaction_id(), submitted.status().await?.block_number());
//! # Ok(()) }
//! ```
//!
//! Somebody whose key is elsewhere signs [`UnsignedProposal`] and [`UnsignedTransaction`] there, and the client hands them on.
//!
//! A failure is an [`Error`] that names its [`Stage`], so that the caller knows whether the ledger may have changed.

pub mod ca;
mod call;
mod client;
mod connection;
mod contract;
mod detached;
mod error;
mod events;
mod prepared;
mod proposal;
mod transaction;

pub use call::SPANS;
pub use client::{Client, Deadlines};
pub use connection::{ConnectError, ConnectOptions, Connection};
pub use contract::Contract;
pub use detached::{SignedProposal, UnsignedProposal, UnsignedTransaction};
pub use error::{Error, ErrorDetail, Stage};
pub use events::{ChaincodeEvent, From};
pub use fabric_protos::common::BlockchainInfo;
pub use fabric_protos::protos::TxValidationCode;
pub use prepared::Unreadable;
pub use proposal::Proposal;
pub use tonic::Code;
pub use transaction::{Committed, Endorsed, Submitted};
