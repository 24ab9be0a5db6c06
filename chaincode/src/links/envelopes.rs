use fabric_contract::Context;
use healthchain_interface::AddEnvelope;
use healthchain_rules::custody::decide_giving;
use healthchain_rules::envelope::{
    AdditionState, EnvelopeAct, decide_adding, decide_addition, decide_reading_own, unknown_envelope,
};
use healthchain_rules::link::unknown_link;
use healthchain_rules::opening::{decide_reading_envelope, require_in_force};
use healthchain_rules::{
    Actor, AgentAtWork, Caller, Decision, Envelope, Grounds, Link, LinkId, Opening, Outcome, Refusal, RefusalCode,
    TransactionId,
};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::grounds::load_grounds;
use crate::storage::agent::load_charter;
use crate::storage::custody::load_custodians;
use crate::storage::emergency::load_emergency;
use crate::storage::envelope::{load_envelope, save_added};
use crate::storage::fetch;
use crate::storage::link::load_link;
use crate::storage::member::load_member;
use crate::storage::opening::load_opening;
use crate::storage::organisation::load_organisation;
use crate::transaction;

pub(super) async fn of_opening(context: &Context, id: TransactionId) -> Result<Option<Envelope>, Refusal> {
    let (caller, opening, present) = load_with_present(context, &id).await?;
    let opening = decide_reading_envelope(&caller, opening)?;
    let Present { opener, link, grounds } = present.ok_or_else(unknown_link)?;

    let recipient = require_in_force(&opening, &opener, &link, &grounds, transaction::time(context)?)?;
    fetch(context, load_envelope(&opening.link, opening.version, &recipient.key.key_hash)).await
}

pub(super) async fn in_force(context: &Context, id: TransactionId) -> Result<Opening, Refusal> {
    let (caller, opening, present) = load_with_present(context, &id).await?;
    let custodians = fetch(context, opening.as_ref().map(|opening| load_custodians(&opening.publisher))).await?;
    let opening = decide_giving(&caller, opening, custodians.flatten().as_ref())?;
    let Present { opener, link, grounds } = present.ok_or_else(unknown_link)?;

    require_in_force(&opening, &opener, &link, &grounds, transaction::time(context)?)?;
    Ok(opening)
}

pub(super) async fn of_custodian(context: &Context, link: LinkId, version: u32) -> Result<Envelope, Refusal> {
    let (caller, link, ()) = load_caller_with(context, load_link(&link), |_, _| ()).await?;
    let (link, key) = decide_reading_own(&caller, link)?;
    fetch(context, load_envelope(&link.id, version, &key.key_hash)).await?.ok_or_else(unknown_envelope)
}

pub(super) async fn add(context: &mut Context, call: AddEnvelope) -> Result<Envelope, Refusal> {
    let (caller, opening, present) = load_with_present(context, &call.opening).await?;
    let opening = decide_adding(&caller, opening)?;
    let Present { opener, link, grounds } = present.ok_or_else(unknown_link)?;
    let existing = match &opening.decision {
        Decision::Permitted { recipient, .. } => {
            fetch(context, load_envelope(&opening.link, opening.version, &recipient.key.key_hash)).await?
        }
        Decision::Denied { .. } => None,
    };

    let state = AdditionState { opener: &opener, link: &link, grounds: &grounds, existing: existing.as_ref() };
    match decide_addition(&opening, state, call.envelope, transaction::time(context)?)? {
        Outcome::Repeated(envelope) => Ok(envelope),
        Outcome::Decided(envelope, proof) => {
            save_added(context, &opening.link, opening.version, &envelope, proof)?;
            let Opening { transaction, link, patient, organisation, .. } = opening;
            let holder = envelope.holder.clone();
            let act =
                EnvelopeAct::EnvelopeAdded { link, opening: transaction, holder, organisation: Some(organisation) };
            Record::new(act).about(&patient).save(context, &caller)?;
            Ok(envelope)
        }
    }
}

/// What an opening rested on, as it stands now.
struct Present {
    opener: Actor,
    link: Link,
    grounds: Grounds,
}

/// Loads the caller, the opening, and what it rests on now.
async fn load_with_present(
    context: &Context,
    id: &TransactionId,
) -> Result<(Caller, Option<Opening>, Option<Present>), Refusal> {
    let at = transaction::time(context)?;
    let (caller, opening, present) = load_caller_with(context, load_opening(id), |opening: &Option<Opening>, _| {
        opening.as_ref().map(|opening| {
            let agent = opening.owner.as_ref().map(|owner| (load_charter(&opening.opener), load_member(owner)));
            (
                (load_member(&opening.opener), agent, load_organisation(&opening.organisation)),
                load_link(&opening.link),
                load_grounds(&opening.patient, Some(&opening.opener)),
                opening.emergency.as_ref().map(load_emergency),
            )
        })
    })
    .await?;
    let present = match present {
        Some(((Some(member), agent, Some(organisation)), Some(link), grounds, emergency)) => {
            let agent = agent.and_then(|(charter, owner)| Some(AgentAtWork::at_rest(charter?, owner?, at)));
            let opener = Actor { member, organisation, agent };
            Some(Present { opener, link, grounds: Grounds { emergency: emergency.flatten(), ..grounds } })
        }
        Some(_) => return Err(Refusal::new(RefusalCode::Ledger, "the opening names what is not on the ledger")),
        None => None,
    };
    Ok((caller, opening, present))
}
