//! Whether a file is still the one that was read.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Tells one state of a file from the next. Take it before reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    place: (u64, u64),
    length: u64,
    changed: (i64, i64),
}

impl FileStamp {
    /// Of a file as it is now; none where there is none. It costs microseconds, so that it may be asked with each request.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self { place: (file.dev(), file.ino()), length: file.len(), changed: (file.ctime(), file.ctime_nsec()) })
    }
}
