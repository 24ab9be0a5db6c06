use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A path, or a table that says more. A wrong key in the table is named, which serde's own untagged enums do not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOr<T> {
    /// A path.
    File(PathBuf),
    /// What else may stand there.
    Table(T),
}

impl<T> FileOr<T> {
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Self::File(path) = self {
            *path = folder.join(&*path);
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FileOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = FileOr<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a path or a table")
            }

            fn visit_str<E>(self, path: &str) -> Result<Self::Value, E> {
                Ok(FileOr::File(path.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(FileOr::Table)
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}
