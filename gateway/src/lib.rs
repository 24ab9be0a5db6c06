//! Healthchain's REST gateway: one process per organisation, HTTP in, Fabric transactions out.
//!
//! A TLS client certificate names the member ([`http`]), the member's key in the [`wallet`] signs the transactions, and the
//! [`ledger`] decides. The gateway encrypts ([`content`]), seals ([`sealing`]), stores ([`records`]) and fetches ([`contents`]); it
//! never decides whether somebody may do something. A request runs http → [`use_cases`] → port → implementation.

pub mod agents;
pub mod callers;
pub mod check;
pub mod configuration;
pub mod content;
pub mod contents;
pub mod custodian;
pub mod digest;
pub mod events;
pub mod failure;
mod file_stamp;
pub mod gateway;
pub mod hsm;
pub mod http;
pub mod keeper;
pub mod ledger;
pub mod observe;
pub mod operations;
pub mod rebuild;
pub mod records;
pub mod replicas;
pub mod sealing;
pub mod server;
pub mod state;
pub mod telemetry;
pub mod tls;
pub mod use_cases;
pub mod wallet;
pub mod webhooks;
