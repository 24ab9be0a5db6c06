//! Any store that the `object_store` crate speaks to; by default a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::local::LocalFileSystem;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};

use super::{Records, RecordsError};
use crate::observe::observe;

/// Records as objects named by random UUIDs.
#[derive(Debug, Clone)]
pub struct ObjectRecords {
    store: Arc<dyn ObjectStore>,
    /// On this machine's disk.
    folder: Option<PathBuf>,
}

impl ObjectRecords {
    /// Records in any object store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, folder: None }
    }

    /// Records in a local folder, which is made when it does not exist. A stored record is on disk before it is acknowledged.
    pub fn in_folder(folder: &Path) -> Result<Self, RecordsError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| RecordsError::Unavailable(format!("{}: {error}", folder.display())))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(failure)?.with_fsync(true);
        Ok(Self { folder: Some(folder.to_owned()), ..Self::new(Arc::new(store)) })
    }
}

impl Records for ObjectRecords {
    fn store(&self, content: Bytes) -> BoxFuture<'_, Result<String, RecordsError>> {
        Box::pin(observe("records", "store", async move {
            let name = uuid::Uuid::new_v4().simple().to_string();
            self.store.put(&object_store::path::Path::from(name.as_str()), content.into()).await.map_err(failure)?;
            Ok(name)
        }))
    }

    fn fetch<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Bytes, RecordsError>> {
        Box::pin(observe("records", "fetch", async move {
            let path = object_store::path::Path::from(name);
            self.store.get(&path).await.map_err(failure)?.bytes().await.map_err(failure)
        }))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), RecordsError>> {
        Box::pin(async move {
            let probe = object_store::path::Path::from(format!("probe-{}", uuid::Uuid::new_v4().simple()));
            self.store.put(&probe, Bytes::from_static(b"probe").into()).await.map_err(failure)?;
            self.store.delete(&probe).await.map_err(failure)
        })
    }

    fn room(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(self.folder.as_deref()?).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

fn failure(error: Error) -> RecordsError {
    match error {
        Error::NotFound { .. } => RecordsError::Lost,
        other => RecordsError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stored_record_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let name = ObjectRecords::in_folder(folder.path()).unwrap().store(Bytes::from_static(b"jwe")).await.unwrap();
        let again = ObjectRecords::in_folder(folder.path()).unwrap();
        assert_eq!(again.fetch(&name).await.unwrap(), "jwe");
    }

    #[tokio::test]
    async fn the_same_content_is_never_stored_under_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let records = ObjectRecords::in_folder(folder.path()).unwrap();
        let content = Bytes::from_static(b"jwe");
        assert_ne!(records.store(content.clone()).await.unwrap(), records.store(content).await.unwrap());
    }

    #[tokio::test]
    async fn a_deleted_record_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let records = ObjectRecords::in_folder(folder.path()).unwrap();
        assert!(matches!(records.fetch("nothing").await, Err(RecordsError::Lost)));
    }

    #[tokio::test]
    async fn a_name_cannot_leave_the_store() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        let records = ObjectRecords::in_folder(&folder.path().join("records")).unwrap();
        assert!(records.fetch("../secret").await.is_err());
    }

    #[tokio::test]
    async fn the_check_leaves_nothing_behind_and_notices_a_missing_store() {
        let folder = tempfile::tempdir().unwrap();
        let records = ObjectRecords::in_folder(folder.path()).unwrap();
        records.check().await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let path = folder.path().join("file");
        std::fs::write(&path, "not a folder").unwrap();
        assert!(ObjectRecords::in_folder(&path).is_err());
    }
}
