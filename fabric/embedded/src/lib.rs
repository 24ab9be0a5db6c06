//! Hyperledger Fabric's protocols in one process, for development, demonstration and tests.

pub mod ledger;
