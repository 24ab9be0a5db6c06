//! Healthchain's REST gateway.

pub mod configuration;
pub mod content;
pub mod http;
pub mod records;
pub mod sealing;
pub mod tls;
