//! What the end-to-end tests are written with: a network of their own, people who call its REST interface as clinic software
//! would, and clients that skip the gateways.
//!
//! The tests themselves are in `tests/suite/`; they run on the ledger that `HEALTHCHAIN_LEDGER` names (`embedded`, `fabric`, or `dev`: embedded,
//! all in one process).

mod chain;
mod dishonest;
mod forged;
mod peers;
mod person;
mod world;

pub use chain::Chain;
pub use dishonest::{DISHONEST_FUNCTION, serve_dishonestly};
pub use forged::Forged;
pub use person::{Answer, Person, sha256, until};
pub use world::{World, ledger_kind};
