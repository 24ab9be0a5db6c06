//! Port: the publishing organisation's own store of encrypted records. No other organisation can read it.

pub mod object_store;

use std::ops::Range;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// Bytes of a stored content, in order.
pub type StoredBytes = BoxStream<'static, Result<Bytes, RecordsError>>;

/// A store of encrypted contents under random names.
pub trait Records: Send + Sync {
    /// Begins to keep a content under a name that nothing else has ([`new_name`]).
    fn create(&self, name: &str) -> Box<dyn NewRecord>;

    /// The content that was stored under this name, whole or a part of its bytes.
    fn fetch<'a>(
        &'a self,
        name: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, Result<StoredBytes, RecordsError>>;

    /// Whether a content lies under this name; it is not read.
    fn holds<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, RecordsError>>;

    /// Destroys a content. That there is none (any more) is a success.
    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), RecordsError>>;

    /// The names of everything that is stored.
    fn list(&self) -> BoxStream<'_, Result<String, RecordsError>>;

    /// Writes and deletes a probe, so that a full or read-only store is noticed before a member notices it.
    fn check(&self) -> BoxFuture<'_, Result<(), RecordsError>>;

    /// Bytes that are left in the store, where that is known.
    fn room(&self) -> Option<u64> {
        None
    }
}

/// A content on its way into the store. Nobody finds it before it is finished, and dropped before, it is gone.
pub trait NewRecord: Send {
    /// Takes the next bytes.
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), RecordsError>>;

    /// Makes the content durable and findable.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), RecordsError>>;
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

/// A random name, which says nothing of what it names.
pub fn new_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
