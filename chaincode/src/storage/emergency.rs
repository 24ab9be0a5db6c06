use healthchain_rules::{Docket, Emergency, MemberId, TransactionId};

use super::{Load, key};

pub(crate) fn load_emergency(id: &TransactionId) -> Load<Emergency> {
    Load::at(key::emergency(id))
}

/// A clinician's emergency accesses that wait for their reviews; none is as good as an empty docket.
pub(crate) fn load_docket(clinician: &MemberId) -> Load<Docket> {
    Load::at(key::emergency_docket(clinician))
}
