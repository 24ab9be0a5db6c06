//! Who called, loaded together with what the call is about: two round trips whatever the function needs.

use fabric_contract::Context;
use healthchain_rules::{
    AgentAtWork, Caller, Charter, DayUse, FunctionName, KeyHolder, LedgerTime, Member, MemberId, Refusal, Signer,
};

use crate::storage::agent::{load_charter, load_day_use};
use crate::storage::member::{load_key_holder, load_member};
use crate::storage::organisation::load_organisation;
use crate::storage::{Load, Loads, Source, fetch};
use crate::transaction;

/// Loads the caller and nothing else.
pub(crate) async fn load_caller(context: &Context) -> Result<Caller, Refusal> {
    let (caller, (), ()) = load_caller_with(context, (), |(), _| ()).await?;
    Ok(caller)
}

/// Loads the caller; in the first round trip also `first`, in the second what `second` makes of it and of the calling member's id.
pub(crate) async fn load_caller_with<First: Loads, Second: Loads>(
    context: &Context,
    first: First,
    second: impl FnOnce(&First::Loaded, Option<&MemberId>) -> Second,
) -> Result<(Caller, First::Loaded, Second::Loaded), Refusal> {
    let function = context.function().parse().ok();
    let call = Call { signer: transaction::signer(context)?, function, at: transaction::time(context)? };
    load_caller_from(context, call, first, second).await
}

/// What the transaction itself says of a call: who signed it, what for, when.
pub(crate) struct Call {
    pub(crate) signer: Signer,
    pub(crate) function: Option<FunctionName>,
    pub(crate) at: LedgerTime,
}

/// The same from another source than the ledger as it stands.
pub(crate) async fn load_caller_from<First: Loads, Second: Loads>(
    source: &impl Source,
    Call { signer, function, at }: Call,
    first: First,
    second: impl FnOnce(&First::Loaded, Option<&MemberId>) -> Second,
) -> Result<(Caller, First::Loaded, Second::Loaded), Refusal> {
    let (holder, organisation, first) =
        fetch(source, (load_key_holder(&signer.msp_id, &signer.key_hash), load_organisation(&signer.msp_id), first))
            .await?;
    let who = holder.as_ref().and_then(KeyHolder::member);
    let agent = match &holder {
        Some(KeyHolder::Agent { agent, owner }) => Some(load_agent(agent, owner, at)),
        Some(KeyHolder::Member(_) | KeyHolder::Gateway(_) | KeyHolder::Former(_)) | None => None,
    };
    let (member, agent, second) = fetch(source, (who.map(load_member), agent, second(&first, who))).await?;
    let agent = agent.and_then(|(charter, owner, used)| {
        Some(AgentAtWork { charter: charter?, owner: owner?, used: used.unwrap_or_default(), function, at })
    });
    let caller = Caller::identify(&signer, holder.as_ref(), member.flatten(), organisation, agent)?;
    Ok((caller, first, second))
}

fn load_agent(agent: &MemberId, owner: &MemberId, at: LedgerTime) -> (Load<Charter>, Load<Member>, Load<DayUse>) {
    (load_charter(agent), load_member(owner), load_day_use(agent, at))
}
