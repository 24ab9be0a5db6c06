//! What a transaction writes, held back until its function has ended well.

use std::collections::BTreeMap;

use fabric_protos::protos::chaincode_message::Type;
use fabric_protos::protos::write_record::Type as RecordType;
use fabric_protos::protos::{DelState, PutState, WriteBatchState, WriteRecord};

use crate::error::{KeyError, LedgerError};
use crate::line::Line;

/// Well under the 100 MiB of a message, whatever the number of keys that the peer takes.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// By key, so that every peer gets the same writes in the same order; the last write of a key counts. `None` deletes.
#[derive(Debug, Default)]
pub(crate) struct Writes(BTreeMap<String, Option<Vec<u8>>>);

impl Writes {
    pub(crate) fn put(&mut self, key: String, value: Vec<u8>) {
        self.0.insert(key, Some(value));
    }

    pub(crate) fn delete(&mut self, key: String) {
        self.0.insert(key, None);
    }

    /// Sends everything to the peer: in as few messages as it takes, or one a key where it takes no batches.
    pub(crate) async fn flush(self, line: &Line) -> Result<(), LedgerError> {
        if self.0.contains_key("") {
            return Err(KeyError::Empty.into());
        }
        match line.offered.write_batch {
            Some(most) => self.flush_batches(line, most).await,
            None => self.flush_singly(line).await,
        }
    }

    async fn flush_batches(self, line: &Line, most: usize) -> Result<(), LedgerError> {
        let mut batch = WriteBatchState::default();
        let mut bytes = 0;
        for (key, value) in self.0 {
            let size = key.len() + value.as_ref().map_or(0, Vec::len);
            if batch.rec.len() == most || (bytes + size > BATCH_BYTES && !batch.rec.is_empty()) {
                line.request(Type::WriteBatchState, &std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += size;
            batch.rec.push(record(key, value));
        }
        if !batch.rec.is_empty() {
            line.request(Type::WriteBatchState, &batch).await?;
        }
        Ok(())
    }

    async fn flush_singly(self, line: &Line) -> Result<(), LedgerError> {
        for (key, value) in self.0 {
            let collection = String::new();
            match value {
                Some(value) => line.request(Type::PutState, &PutState { key, value, collection }).await?,
                None => line.request(Type::DelState, &DelState { key, collection }).await?,
            };
        }
        Ok(())
    }
}

fn record(key: String, value: Option<Vec<u8>>) -> WriteRecord {
    let kind = if value.is_some() { RecordType::PutState } else { RecordType::DelState };
    WriteRecord { key, value: value.unwrap_or_default(), r#type: kind.into(), ..Default::default() }
}
