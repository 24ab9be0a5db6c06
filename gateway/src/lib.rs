//! Healthchain's REST gateway.

pub mod configuration;
pub mod content;
pub mod contents;
pub mod custodian;
pub mod failure;
pub mod gateway;
pub mod http;
pub mod ledger;
pub mod records;
pub mod sealing;
pub mod server;
pub mod tls;
pub mod use_cases;
pub mod wallet;
