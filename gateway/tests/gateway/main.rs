//! Gateways of two organisations over real TLS with real certificates; only the ledger is a test's own, in memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

mod callers;
mod connections;
mod custody;
mod detached;
mod ledger;
mod limits;
mod metrics;
mod opening;
mod operations;
mod own_peer;
mod patient_index;
mod postgres;
mod repeatable;
mod requests;
mod resources;
mod second_lock;
mod several;
mod sharing;
mod state;
mod traces;
mod world;
