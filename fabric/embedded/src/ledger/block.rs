//! Blocks: hashes, the orderer's signature and the five metadata entries.

/// Signs blocks as the orderer does.
pub trait BlockSigner: Send + Sync {
    /// The orderer's `msp.SerializedIdentity`, encoded.
    fn creator(&self) -> Vec<u8>;

    /// The signature over `message` (ECDSA over its SHA-256, DER, low S), or why there is none.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}
