//! What can go wrong in the ledger engine, and what to do about it.

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process (or another handle in this one) holds the folder.
    #[error("the ledger in {0} is in use by another process: stop that process, or choose another data folder")]
    InUse(String),
    /// The store could not be read or written.
    #[error("the ledger's store failed: {0}; check free disk space and the folder's permissions, then start again")]
    Storage(#[source] Box<redb::Error>),
    /// The data folder could not be made.
    #[error("the ledger's folder {folder} cannot be used: {source}; check its permissions")]
    Folder {
        /// The folder.
        folder: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What is stored contradicts itself.
    #[error("the ledger is damaged: {0}; restore the data folder from a copy, or remove it to start an empty ledger")]
    Damaged(String),
    /// The orderer's key could not sign a block.
    #[error("block {block} could not be signed: {reason}; check the orderer's signing key")]
    Signing {
        /// The number of the block.
        block: u64,
        /// What the signer said.
        reason: String,
    },
    /// The caller handed over a different number of codes than envelopes.
    #[error("a block of {envelopes} envelopes needs as many validation codes, not {codes}")]
    CodesMissing {
        /// Envelopes in the block.
        envelopes: usize,
        /// Codes handed over.
        codes: usize,
    },
    /// A page was asked for after a write. The text is Fabric's, letter by letter.
    #[error("txid [{0}]: unsuppored transaction. Paginated queries are supported only in a read-only transaction")]
    PageAfterWrite(String),
    /// A write was asked for after a page. The text is Fabric's, letter by letter.
    #[error(
        "txid [{0}]: unsuppored transaction. Transaction has already performed a paginated query. Writes are not allowed"
    )]
    WriteAfterPage(String),
    /// No open query has this id. The text is Fabric's.
    #[error("query iterator not found")]
    UnknownQuery,
    /// Private data collections were used.
    #[error(
        "private data collections are not part of the embedded network yet: keep this value in the public state, or run on Fabric's own peers"
    )]
    PrivateData,
}

macro_rules! storage_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for LedgerError {
            fn from(error: $error) -> Self {
                Self::Storage(Box::new(redb::Error::from(error)))
            }
        }
    )*};
}

storage_errors!(redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);
