//! The rules: refusals first, then the tables and what must hold whatever happens.

#![allow(clippy::unwrap_used)] // In helpers of tests, too.
#![recursion_limit = "256"] // The stored samples are one JSON text.

mod accounting;
mod agents;
mod amendments;
mod attestations;
mod calendar;
mod changes;
mod charges;
mod consents;
mod custody;
mod delegations;
mod emergencies;
mod erasures;
mod governance;
mod groups;
mod histories;
mod identifiers;
mod links;
mod members;
mod names;
mod notarizations;
mod openings;
mod orders;
mod properties;
mod readings;
mod recoveries;
mod reminders;
mod replays;
mod requests;
mod resealing;
mod rewards;
mod rights_floor;
mod rotations;
mod standing;
mod standing_rules;
mod statistics;
mod stored;
mod subscription_histories;
mod subscriptions;
mod support;
mod suppression;
mod tables;
mod tellings;
