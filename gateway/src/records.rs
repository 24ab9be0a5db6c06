//! Port: the publishing organisation's own store of encrypted records. No other organisation can read it.

pub mod object_store;

use bytes::Bytes;
use futures::future::BoxFuture;

/// A store of encrypted contents under random names.
pub trait Records: Send + Sync {
    /// Keeps a content durably and tells the random name it was given.
    fn store(&self, content: Bytes) -> BoxFuture<'_, Result<String, RecordsError>>;

    /// The content that was stored under this name, whole.
    fn fetch<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Bytes, RecordsError>>;

    /// Writes and deletes a probe, so that a full or read-only store is noticed before a member notices it.
    fn check(&self) -> BoxFuture<'_, Result<(), RecordsError>>;

    /// Bytes that are left in the store, where that is known.
    fn room(&self) -> Option<u64> {
        None
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// Nothing is stored under this name (any more).
    #[error("the record is not in the store any more; restore the store from its backup")]
    Lost,
    /// The store cannot be reached, read or written.
    #[error("the record store failed: {0}; check that it is reachable, writable and has room")]
    Unavailable(String),
}
