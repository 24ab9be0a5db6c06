//! Fabric identities: certificates, MSP folders, NodeOUs, signature policies, issuing.
