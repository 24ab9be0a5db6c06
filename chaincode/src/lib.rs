//! Healthchain's chaincode.
