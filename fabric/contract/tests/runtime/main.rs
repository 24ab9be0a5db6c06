//! The runtime as a peer and a client see it.

#![allow(clippy::unwrap_used)] // reason: helpers of tests stand outside of test functions

mod conversation;
mod definitions;
mod notes;
mod peer;
mod service;
