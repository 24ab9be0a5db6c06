//! Gateways of two organisations over real TLS with real certificates; only the ledger is a test's own, in memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

mod agents;
mod amending;
mod callers;
mod clinic_systems;
mod connections;
mod custody;
mod detached;
mod keeper;
mod ledger;
mod limits;
mod metrics;
mod node;
mod open_id;
mod opening;
mod operations;
mod own_peer;
mod patient_index;
mod postgres;
mod proofs;
mod repeatable;
mod request_of;
mod requests;
mod resources;
mod route_walk;
mod s3;
mod second_lock;
mod sessions;
mod several;
mod sharing;
mod state;
mod streaming;
mod traces;
mod wallet;
mod wallet_hsm;
mod world;
