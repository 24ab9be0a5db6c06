//! Gateways of two organisations over real TLS with real certificates; only the ledger is a test's own, in memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

mod callers;
mod connections;
mod custody;
mod ledger;
mod metrics;
mod opening;
mod operations;
mod own_peer;
mod requests;
mod resources;
mod second_lock;
mod sharing;
mod traces;
mod world;
