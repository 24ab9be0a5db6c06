use fabric_contract::Context;
use healthchain_rules::accounting::{HoldBook, MayHold};
use healthchain_rules::{Hold, HoldId, MemberId, MspId, Refusal};

use super::{Load, key, put};

pub(crate) fn load_hold(msp_id: &MspId, id: &HoldId) -> Load<Hold> {
    Load::at(key::hold(msp_id, id))
}

/// The holds that stand on a patient's accounting; none is as good as an empty book.
pub(crate) fn load_hold_book(patient: &MemberId) -> Load<HoldBook> {
    Load::at(key::hold_book(patient))
}

pub(crate) fn save_hold(context: &mut Context, hold: &Hold, book: &HoldBook, _: MayHold) -> Result<(), Refusal> {
    put(context, key::hold(&hold.organisation, &hold.id), hold)?;
    put(context, key::hold_book(&hold.terms.patient), book)
}
