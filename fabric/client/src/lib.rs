//! Client of a Fabric peer's gateway service.
