//! Chaincode runtime and contract API for Hyperledger Fabric.
//!
//! A contract is one trait under [`#[contract]`](contract): from it come the trait to implement, the dispatcher that a
//! [`Chaincode`] serves, a typed client over anything that can [`Transact`], and the contract's metadata.
//!
//! ```
//! use fabric_contract::{Context, contract};
//!
//! /// Why a call is refused, in words.
//! #[derive(Debug, PartialEq)]
//! pub struct Refusal(String);
//!
//! impl From<Refusal> for (u16, String) {
//!     fn from(refusal: Refusal) -> Self {
//!         (409, refusal.0)
//!     }
//! }
//! # impl std::str::FromStr for Refusal {
//! #     type Err = std::convert::Infallible;
//! #     fn from_str(text: &str) -> Result<Self, Self::Err> { Ok(Self(text.to_owned())) }
//! # }
//! # impl std::fmt::Display for Refusal {
//! #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
//! # }
//!
//! #[contract(name = "Assets")]
//! pub trait Assets {
//!     #[submit]
//!     async fn create(&self, ctx: &mut Context, key: String, value: String) -> Result<(), Refusal>;
//!     #[evaluate]
//!     async fn read(&self, ctx: &Context, key: String) -> Result<Option<String>, Refusal>;
//! }
//! ```

// The macro names this crate; its own tests use the macro too.
extern crate self as fabric_contract;

mod chaincode;
mod context;
mod conversation;
mod error;
mod identity;
mod invocation;
mod keys;
mod line;
pub mod metadata;
mod results;
mod server;
mod transact;
mod writes;

#[doc(hidden)]
pub mod macro_support;

pub use chaincode::{Chaincode, Contract, Outcome};
pub use context::Context;
pub use error::{Failure, KeyError, LedgerError};
pub use fabric_contract_macros::contract;
pub use identity::ClientIdentity;
pub use keys::{composite_key, split_composite_key};
pub use results::{KeyModification, KeyValue, Page, QueryItem, Results};
pub use server::{ServeError, Server, ServerOptions, TlsOptions};
pub use transact::{CallError, CallFailure, ChaincodeResponse, Transact};
