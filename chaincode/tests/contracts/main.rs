//! The contracts on the embedded ledger, as members call them: endorsed by several organisations, ordered, validated, committed.

#![allow(clippy::unwrap_used)] // In helpers of tests, too.
#![allow(clippy::disallowed_methods)] // Clients have a clock.

mod accounting;
mod agents;
mod amendments;
mod audit;
mod consents;
mod consortium;
mod costs;
mod custody;
mod delegations;
mod emergencies;
mod envelopes;
mod erasures;
mod governance;
mod identities;
mod links;
mod members;
mod metadata;
mod notarizations;
mod openings;
mod organisations;
mod recoveries;
mod replays;
mod requests;
mod resealing;
mod rewards;
mod statistics;
mod subscriptions;
mod tellings;
mod upgrade;
