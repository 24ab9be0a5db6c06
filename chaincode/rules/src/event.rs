//! What a transaction tells those who listen: one event a transaction, and nothing personal in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::AuditEntry;
use crate::envelope::Recipient;

/// A chaincode event: the entry that the transaction left on the trails. Its name on the ledger is the tag of the entry's act, its
/// payload this value in JSON. Believe it only when its transaction is valid (official clients deliver no others).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerEvent {
    /// What was done, by whom, when.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// Whom the publisher's gateway is to seal an envelope for, after an opening for which there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Recipient>,
}
