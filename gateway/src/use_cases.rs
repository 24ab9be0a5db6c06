//! The order of steps of what the gateway does beyond passing a call to the ledger.

pub mod amend_link;
pub mod check_readiness;
pub mod collect_records;
pub mod erase_records;
pub mod find_content;
pub mod keep_replicas;
pub mod open_link;
pub mod patient_index;
pub mod read_record;
pub mod seal_envelope;
pub mod serve_content;
pub mod serve_replica;
pub mod share_link;
pub mod sign_elsewhere;
pub mod store_record;
pub mod upload;

use std::time::{Duration, SystemTime};

use healthchain_rules::{Category, Envelope, LedgerTime, LinkId, Recipient, Sealed};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::content::Payload;
use crate::failure::Failure;
use crate::sealing::{EnvelopeContext, seal};

/// Seals a payload of a link's version to one recipient.
pub(crate) fn seal_for(
    recipient: Recipient,
    payload: &Payload,
    link: &LinkId,
    version: u32,
    category: Category,
) -> Result<Envelope, Failure> {
    let context = EnvelopeContext {
        link: link.as_str(),
        version,
        category: category.as_str(),
        recipient_key_hash: recipient.key.key_hash.as_str(),
    };
    let sealed = STANDARD
        .decode(recipient.key.public_key.as_str())
        .ok()
        .and_then(|key| seal(&key, &context, &payload.to_bytes()).ok())
        .and_then(|sealed| Sealed::try_from(STANDARD.encode(sealed)).ok());
    match sealed {
        Some(sealed) => Ok(Envelope { holder: recipient.holder, recipient_key_hash: recipient.key.key_hash, sealed }),
        None => Err(Failure::RecipientKeyUnusable(recipient.holder)),
    }
}

pub(crate) fn now() -> LedgerTime {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    LedgerTime::from_milliseconds(since_1970.as_millis() as u64)
}

/// How far apart two times are, whichever is the earlier.
fn distance(one: LedgerTime, other: LedgerTime) -> Duration {
    Duration::from_millis(one.milliseconds().abs_diff(other.milliseconds()))
}

/// Runs work that keeps a processor busy where it does not hold up other requests.
pub(crate) async fn busy<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Failure::Internal(error.to_string())))
}
