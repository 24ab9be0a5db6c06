//! The peer's side of a chaincode: streams to its program, one an organisation, and what its calls may ask.

mod connection;
mod requests;
mod stream;

pub(crate) use connection::Connection;
pub(crate) use requests::Simulation;
pub(crate) use stream::{Outcome, Stream};
