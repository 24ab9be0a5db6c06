use fabric_contract::Context;
use healthchain_rules::opening::Decided;
use healthchain_rules::{Opening, Refusal, TransactionId};

use super::{Load, key, put};

pub(crate) fn load_opening(transaction: &TransactionId) -> Load<Opening> {
    Load::at(key::opening(transaction))
}

pub(crate) fn save_opening(context: &mut Context, opening: &Opening, _: Decided) -> Result<(), Refusal> {
    put(context, key::opening(&opening.transaction), opening)
}
