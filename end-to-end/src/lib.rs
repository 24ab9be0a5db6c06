//! Tests that belong to no program alone, on either ledger.
