//! Any store that the `object_store` crate speaks to; by default a folder.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::{Error, GetOptions, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayloadMut};

use super::{NewRecord, Records, RecordsError, StoredBytes, new_name};
use crate::observe::observe;

/// Bytes that go to the store at once. S3 takes no less than 5 MiB, and no more than 10 000 pieces an object.
const PIECE_BYTES: usize = 6 << 20;

/// Records as objects named by random UUIDs.
#[derive(Debug, Clone)]
pub struct ObjectRecords {
    store: Arc<dyn ObjectStore>,
    prefix: object_store::path::Path,
    /// On this machine's disk.
    folder: Option<PathBuf>,
}

impl ObjectRecords {
    /// Records in any object store, under a prefix that may be empty.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { store, prefix: prefix.into(), folder: None }
    }

    /// Records in a local folder, which is made when it does not exist. A stored record is on disk before it is acknowledged.
    pub fn in_folder(folder: &Path) -> Result<Self, RecordsError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| RecordsError::Unavailable(format!("{}: {error}", folder.display())))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(failure)?.with_fsync(true);
        Ok(Self { folder: Some(folder.to_owned()), ..Self::new(Arc::new(store), "") })
    }

    fn path(&self, name: &str) -> object_store::path::Path {
        self.prefix.clone().join(name)
    }

    /// Nobody is told that something is gone before no power cut brings it back: what `with_fsync` does for what is written only.
    async fn make_deletion_durable(&self) -> Result<(), RecordsError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let synced = async { tokio::fs::File::open(folder).await?.sync_all().await };
        synced.await.map_err(|error| RecordsError::Unavailable(format!("{}: {error}", folder.display())))
    }
}

impl Records for ObjectRecords {
    fn create(&self, name: &str) -> Box<dyn NewRecord> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        Box::new(NewObject { store, path, waiting: PutPayloadMut::new(), begun: None })
    }

    fn fetch<'a>(
        &'a self,
        name: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, Result<StoredBytes, RecordsError>> {
        Box::pin(observe("records", "fetch", async move {
            let options = GetOptions::new().with_range(range);
            let object = self.store.get_opts(&self.path(name), options).await.map_err(failure)?;
            Ok(object.into_stream().map_err(failure).boxed())
        }))
    }

    fn holds<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, RecordsError>> {
        Box::pin(observe("records", "holds", async move {
            match self.store.head(&self.path(name)).await {
                Ok(_) => Ok(true),
                Err(Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(failure(error)),
            }
        }))
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), RecordsError>> {
        Box::pin(observe("records", "delete", async move {
            match self.store.delete(&self.path(name)).await {
                // What is there no more may have been deleted just before the power was cut.
                Ok(()) | Err(Error::NotFound { .. }) => self.make_deletion_durable().await,
                Err(error) => Err(failure(error)),
            }
        }))
    }

    fn list(&self) -> BoxStream<'_, Result<String, RecordsError>> {
        let objects = self.store.list(Some(&self.prefix)).map_err(failure);
        let name = |object: ObjectMeta| object.location.filename().map(str::to_owned);
        objects.try_filter_map(move |object| std::future::ready(Ok(name(object)))).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), RecordsError>> {
        Box::pin(async move {
            let probe = self.path(&format!("probe-{}", new_name()));
            self.store.put(&probe, Bytes::from_static(b"probe").into()).await.map_err(failure)?;
            self.store.delete(&probe).await.map_err(failure)
        })
    }

    fn room(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(self.folder.as_deref()?).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// An object that goes to the store piece by piece, or at once when it is small.
struct NewObject {
    store: Arc<dyn ObjectStore>,
    path: object_store::path::Path,
    waiting: PutPayloadMut,
    begun: Option<Box<dyn MultipartUpload>>,
}

impl NewRecord for NewObject {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), RecordsError>> {
        Box::pin(observe("records", "write", async move {
            self.waiting.push(bytes);
            if self.waiting.content_length() < PIECE_BYTES { Ok(()) } else { self.send_piece().await }
        }))
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<(), RecordsError>> {
        Box::pin(observe("records", "finish", async move {
            if self.begun.is_none() {
                let whole = std::mem::take(&mut self.waiting).freeze();
                return self.store.put(&self.path, whole).await.map(drop).map_err(failure);
            }
            self.send_piece().await?;
            if let Some(upload) = &mut self.begun {
                upload.complete().await.map_err(failure)?;
            }
            self.begun = None;
            Ok(())
        }))
    }
}

impl NewObject {
    async fn send_piece(&mut self) -> Result<(), RecordsError> {
        let piece = std::mem::take(&mut self.waiting).freeze();
        let upload = match &mut self.begun {
            Some(upload) => upload,
            None => self.begun.insert(self.store.put_multipart(&self.path).await.map_err(failure)?),
        };
        if piece.content_length() > 0 { upload.put_part(piece).await.map_err(failure) } else { Ok(()) }
    }
}

impl Drop for NewObject {
    fn drop(&mut self) {
        let (Some(mut upload), Ok(runtime)) = (self.begun.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "an upload to the record store could not be given up");
            }
        });
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

    async fn store(records: &ObjectRecords, pieces: &[Bytes]) -> String {
        let name = new_name();
        let mut object = records.create(&name);
        for piece in pieces {
            object.write(piece.clone()).await.unwrap();
        }
        object.finish().await.unwrap();
        name
    }

    async fn fetch(records: &ObjectRecords, name: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, RecordsError> {
        let chunks: Vec<Bytes> = records.fetch(name, range).await?.try_collect().await?;
        Ok(chunks.concat())
    }

    fn in_folder() -> (tempfile::TempDir, ObjectRecords) {
        let folder = tempfile::tempdir().unwrap();
        let records = ObjectRecords::in_folder(folder.path()).unwrap();
        (folder, records)
    }

    #[tokio::test]
    async fn a_stored_record_is_there_after_a_restart() {
        let (folder, records) = in_folder();
        let name = store(&records, &[Bytes::from_static(b"jwe")]).await;
        let again = ObjectRecords::in_folder(folder.path()).unwrap();
        assert_eq!(fetch(&again, &name, None).await.unwrap(), b"jwe");
    }

    #[tokio::test]
    async fn a_record_of_many_pieces_comes_back_whole_and_in_ranges() {
        let (_folder, records) = in_folder();
        let pieces: Vec<Bytes> = (0..5u8).map(|number| vec![number; PIECE_BYTES / 2 + 1].into()).collect();
        let name = store(&records, &pieces).await;
        let whole = pieces.concat();
        assert_eq!(fetch(&records, &name, None).await.unwrap(), whole);
        let middle = 3 << 20..(7 << 20) + 1;
        let expected = &whole[middle.start as usize..middle.end as usize];
        assert_eq!(fetch(&records, &name, Some(middle)).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_record_that_is_given_up_half_way_leaves_nothing() {
        let (folder, records) = in_folder();
        let mut object = records.create(&new_name());
        object.write(vec![0; PIECE_BYTES].into()).await.unwrap();
        drop(object);
        for _ in 0..100 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            if std::fs::read_dir(folder.path()).unwrap().count() == 0 {
                return;
            }
        }
        panic!("the half record is still there");
    }

    #[tokio::test]
    async fn a_deleted_record_is_lost_and_deleting_it_again_succeeds() {
        let (_folder, records) = in_folder();
        let name = store(&records, &[Bytes::from_static(b"jwe")]).await;
        assert!(records.holds(&name).await.unwrap());
        let listed: Vec<_> = records.list().try_collect().await.unwrap();
        assert_eq!(listed, [name.as_str()]);
        records.delete(&name).await.unwrap();
        records.delete(&name).await.unwrap();
        assert!(matches!(fetch(&records, &name, None).await, Err(RecordsError::Lost)));
        assert!(!records.holds(&name).await.unwrap());
        assert_eq!(records.list().count().await, 0);
    }

    /// The folder may lie on a disk that is not mounted now: then the record is still there.
    #[tokio::test]
    async fn nothing_counts_as_deleted_whose_absence_the_disk_does_not_confirm() {
        let (folder, records) = in_folder();
        let name = store(&records, &[Bytes::from_static(b"jwe")]).await;
        let elsewhere = folder.path().with_extension("unmounted");
        std::fs::rename(folder.path(), &elsewhere).unwrap();
        assert!(matches!(records.delete(&name).await, Err(RecordsError::Unavailable(_))));
        std::fs::rename(&elsewhere, folder.path()).unwrap();
        assert_eq!(fetch(&records, &name, None).await.unwrap(), b"jwe");
        records.delete(&name).await.unwrap();
    }

    #[tokio::test]
    async fn a_name_cannot_leave_the_store() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        let records = ObjectRecords::in_folder(&folder.path().join("records")).unwrap();
        assert!(fetch(&records, "../secret", None).await.is_err());
        records.delete("../secret").await.unwrap_or_default();
        assert!(folder.path().join("secret").exists());
    }

    #[tokio::test]
    async fn the_check_leaves_nothing_behind_and_notices_a_missing_store() {
        let (folder, records) = in_folder();
        records.check().await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let path = folder.path().join("file");
        std::fs::write(&path, "not a folder").unwrap();
        assert!(ObjectRecords::in_folder(&path).is_err());
    }
}
