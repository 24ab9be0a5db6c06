//! HTTP in: who calls, what is asked, and how each failure is answered.

mod body_time;
pub mod browsers;
mod caller;
mod condition;
pub mod connections;
pub(crate) mod detached;
mod development;
mod incoming;
mod input;
mod linger;
pub mod listener;
mod observe;
mod openapi;
pub mod problem;
pub mod rates;
mod repeatable;
mod resources;
pub mod router;
pub(crate) mod routes;
pub mod streams;
mod tus;
