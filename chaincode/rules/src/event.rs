//! What a transaction tells those who listen: one event a transaction, and nothing personal in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::AuditEntry;
use crate::envelope::Recipient;
use crate::identifier::MemberId;
use crate::reading::Trail;

/// A chaincode event: the entry that the transaction left on the trails. Its name on the ledger is the tag of the entry's act, its
/// payload this value in JSON. Believe it only when its transaction is valid (official clients deliver no others).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerEvent {
    /// What was done, by whom, when.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// The member to whom it was done, if it was done to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upon: Option<MemberId>,
    /// Whom the publisher's gateway is to seal an envelope for, after an opening for which there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Recipient>,
}

impl LedgerEvent {
    /// The trails on which the entry stands: its organisation's, the patient's concerned, that of the member who acted, and that of the
    /// member who was acted upon.
    pub fn trails(&self) -> impl Iterator<Item = Trail> {
        let of_organisation = Trail::OfOrganisation(self.entry.organisation.clone());
        let of_patient = self.entry.patient.clone().map(Trail::OfPatient);
        let of_members = [&self.entry.member, &self.upon].into_iter().flatten().cloned().map(Trail::OfMember);
        std::iter::once(of_organisation).chain(of_patient).chain(of_members)
    }
}
