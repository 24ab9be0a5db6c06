use fabric_contract::Context;
use healthchain_rules::{Charter, DayUse, LedgerTime, MemberId, Refusal};

use super::{Load, key, put};

pub(crate) fn load_charter(agent: &MemberId) -> Load<Charter> {
    Load::at(key::charter(agent))
}

/// What an agent used up on the day of this time.
pub(crate) fn load_day_use(agent: &MemberId, at: LedgerTime) -> Load<DayUse> {
    Load::at(key::agent_day(agent, at))
}

pub(crate) fn save_day_use(
    context: &mut Context,
    agent: &MemberId,
    at: LedgerTime,
    used: DayUse,
) -> Result<(), Refusal> {
    put(context, key::agent_day(agent, at), &used)
}
