//! Chaincode runtime and contract API for Hyperledger Fabric.
