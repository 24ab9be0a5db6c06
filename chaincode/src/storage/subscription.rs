use healthchain_rules::{MemberId, Subscription};

use super::{Load, key};

pub(crate) fn load_subscription(patient: &MemberId) -> Load<Subscription> {
    Load::at(key::subscription(patient))
}
