//! The runtime as a peer and a client see it.

mod conversation;
mod definitions;
mod notes;
mod peer;
