use fabric_contract::Context;
use healthchain_interface::{OpenLink, Opened};
use healthchain_rules::emergency::unknown_emergency;
use healthchain_rules::link::unknown_link;
use healthchain_rules::opening::{OpeningAct, decide_opening, decide_reading};
use healthchain_rules::{Envelope, Grounds, Link, Opening, Recipient, Refusal, TransactionId};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::grounds::load_grounds;
use crate::storage::emergency::load_emergency;
use crate::storage::envelope::load_envelope;
use crate::storage::fetch;
use crate::storage::link::load_link;
use crate::storage::opening::{load_opening, save_opening};
use crate::transaction;

/// Costs three round trips and the batch of writes: key, organisation and link; member and consents; the one envelope.
pub(super) async fn open(context: &mut Context, call: OpenLink) -> Result<Opened, Refusal> {
    let about = (load_link(&call.link), call.emergency.as_ref().map(load_emergency));
    let (caller, (link, emergency), grounds) = load_caller_with(context, about, |(link, _), who| {
        link.as_ref().map(|link: &Link| load_grounds(&link.patient, who))
    })
    .await?;
    let (link, grounds) = link.zip(grounds).ok_or_else(unknown_link)?;
    let emergency = emergency.map(|found| found.ok_or_else(unknown_emergency)).transpose()?;
    let grounds = Grounds { emergency, ..grounds };

    let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
    let (opening, proof) = decide_opening(&caller, &link, &grounds, call.purpose, transaction, at)?;
    let envelope = load_envelope_of(context, &opening).await?;

    save_opening(context, &opening, proof)?;
    let wanted = opening.recipient().filter(|_| envelope.is_none()).cloned();
    Record::new(OpeningAct::of(&opening)).about(&opening.patient).wanting(wanted).save(context, &caller)?;
    Ok(Opened { opening, envelope })
}

pub(super) async fn opening(context: &Context, id: TransactionId) -> Result<Opening, Refusal> {
    let (caller, opening, ()) = load_caller_with(context, load_opening(&id), |_, _| ()).await?;
    decide_reading(&caller, opening)
}

async fn load_envelope_of(context: &Context, opening: &Opening) -> Result<Option<Envelope>, Refusal> {
    let load = |recipient: &Recipient| load_envelope(&opening.link, opening.version, &recipient.key.key_hash);
    Ok(fetch(context, opening.recipient().map(load)).await?.flatten())
}
