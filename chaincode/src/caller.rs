//! Who called, loaded together with what the call is about: two round trips whatever the function needs.

use fabric_contract::Context;
use healthchain_rules::{Caller, KeyHolder, Refusal};

use crate::storage::member::{load_key_holder, load_member};
use crate::storage::organisation::load_organisation;
use crate::storage::{Load, Loads, fetch};
use crate::transaction;

/// Loads the caller and nothing else.
pub(crate) async fn load_caller(context: &Context) -> Result<Caller, Refusal> {
    let (caller, (), ()) = load_caller_with(context, (), |()| ()).await?;
    Ok(caller)
}

/// Loads the caller; in the first round trip also `first`, in the second what `second` makes of it.
pub(crate) async fn load_caller_with<First: Loads, Second: Loads>(
    context: &Context,
    first: First,
    second: impl FnOnce(&First::Loaded) -> Second,
) -> Result<(Caller, First::Loaded, Second::Loaded), Refusal> {
    let signer = transaction::signer(context)?;
    let (holder, organisation, first) =
        fetch(context, (load_key_holder(&signer.msp_id, &signer.key_hash), load_organisation(&signer.msp_id), first))
            .await?;
    let (member, second) = fetch(context, (holder.as_ref().and_then(load_holder), second(&first))).await?;
    let caller = Caller::identify(&signer, holder.as_ref(), member.flatten(), organisation)?;
    Ok((caller, first, second))
}

fn load_holder(holder: &KeyHolder) -> Option<Load<healthchain_rules::Member>> {
    match holder {
        KeyHolder::Member(id) => Some(load_member(id)),
        KeyHolder::Gateway(_) => None,
    }
}
