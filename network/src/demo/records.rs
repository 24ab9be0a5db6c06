//! The records of the demonstration: FHIR bundles.

use std::path::{Path, PathBuf};

use openssl::sha::sha256;

use super::failed;
use crate::{NetworkError, tell};

/// What the bundles are published as.
pub(super) const MEDIA_TYPE: &str = "application/fhir+json";

/// The bundle that we ship; entirely invented.
const SHIPPED: (&str, &[u8]) =
    ("network/samples/invented-patient.json", include_bytes!("../../samples/invented-patient.json"));

/// One bundle.
pub(super) struct Record {
    /// Its file's name.
    pub(super) name: String,
    /// Its file.
    pub(super) file: PathBuf,
    /// Its content.
    pub(super) bytes: Vec<u8>,
    /// The content's hash, in hexadecimal digits.
    pub(super) sha256: String,
}

impl Record {
    fn new(file: PathBuf, bytes: Vec<u8>) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, file, sha256: hex::encode(sha256(&bytes)), bytes }
    }

    /// Fails unless these are the record's very bytes.
    pub(super) fn require_same(&self, bytes: &[u8]) -> Result<(), NetworkError> {
        let came = hex::encode(sha256(bytes));
        if came == self.sha256 {
            return Ok(());
        }
        Err(failed(&format!("{} comes back as it was", self.name), format!("SHA-256 {} became {came}", self.sha256)))
    }
}

/// The FHIR bundles of a folder, by name; without a folder, the one that we ship.
pub(super) fn load(folder: Option<&Path>) -> Result<Vec<Record>, NetworkError> {
    let Some(folder) = folder else { return Ok(vec![Record::new(SHIPPED.0.into(), SHIPPED.1.to_vec())]) };
    let entries = std::fs::read_dir(folder).map_err(NetworkError::file(folder))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut records = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(NetworkError::file(&file))?;
        if is_bundle(&bytes) {
            records.push(Record::new(file, bytes));
        } else {
            tell!("{} is no FHIR bundle and is passed over.", file.display());
        }
    }
    if records.is_empty() {
        return Err(failed("reading the records", format!("{} holds no FHIR bundle (*.json)", folder.display())));
    }
    Ok(records)
}

fn is_bundle(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|value| value["resourceType"] == "Bundle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_that_we_ship_is_a_bundle() {
        let records = load(None).unwrap();

        assert_eq!(records.len(), 1);
        assert!(is_bundle(&records[0].bytes));
    }

    #[test]
    fn only_the_bundles_of_a_folder_are_taken_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("b.json", r#"{"resourceType": "Bundle"}"#);
        write("a.json", r#"{"resourceType": "Bundle"}"#);
        write("c.json", r#"{"name": "no bundle"}"#);
        write("d.txt", r#"{"resourceType": "Bundle"}"#);

        let names: Vec<_> = load(Some(folder.path())).unwrap().into_iter().map(|record| record.name).collect();

        assert_eq!(names, ["a.json", "b.json"]);
    }

    #[test]
    fn a_folder_without_bundles_is_refused() {
        let folder = tempfile::tempdir().unwrap();

        assert!(load(Some(folder.path())).is_err());
    }

    #[test]
    fn one_byte_that_differs_is_noticed() {
        let record = Record::new("x.json".into(), b"content".to_vec());

        assert!(record.require_same(b"content").is_ok());
        assert!(record.require_same(b"contenT").is_err());
    }
}
