use fabric_contract::Context;
use healthchain_rules::agent::{MayDeploy, MayStop};
use healthchain_rules::{Charter, DayUse, KeyHolder, LedgerTime, Member, MemberId, Refusal};

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

/// Saves an agent as a member with its charter, and whose its key is.
pub(crate) fn save_deployed(
    context: &mut Context,
    agent: &Member,
    charter: &Charter,
    _: MayDeploy,
) -> Result<(), Refusal> {
    let holder = KeyHolder::Agent { agent: charter.agent.clone(), owner: charter.owner.clone() };
    put(context, key::key_holder(&agent.organisation, &agent.key_hash), &holder)?;
    put(context, key::member(&agent.id), agent)?;
    put(context, key::charter(&agent.id), charter)
}

pub(crate) fn save_stopped(context: &mut Context, charter: &Charter, _: MayStop) -> Result<(), Refusal> {
    put(context, key::charter(&charter.agent), charter)
}
