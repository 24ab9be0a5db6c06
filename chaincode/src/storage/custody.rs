use fabric_contract::Context;
use healthchain_rules::custody::{MayConfirmClearance, MayNameCustodians};
use healthchain_rules::{Custodians, MspId, Refusal};

use super::{Load, key, put};

/// Whom an organisation named; none are as good as an empty list.
pub(crate) fn load_custodians(organisation: &MspId) -> Load<Custodians> {
    Load::at(key::custodians(organisation))
}

pub(crate) fn save_custodians(
    context: &mut Context,
    custodians: &Custodians,
    _: MayNameCustodians,
) -> Result<(), Refusal> {
    save(context, custodians)
}

pub(crate) fn save_cleared(
    context: &mut Context,
    custodians: &Custodians,
    _: MayConfirmClearance,
) -> Result<(), Refusal> {
    save(context, custodians)
}

fn save(context: &mut Context, custodians: &Custodians) -> Result<(), Refusal> {
    put(context, key::custodians(&custodians.organisation), custodians)
}
