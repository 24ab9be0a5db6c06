use healthchain_rules::{Delegation, MemberId};

use super::{Load, key};

/// What a patient lets a guardian do.
pub(crate) fn load_delegation(patient: &MemberId, guardian: &MemberId) -> Load<Delegation> {
    Load::at(key::delegation(patient, guardian))
}
