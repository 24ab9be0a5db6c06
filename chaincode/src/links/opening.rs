use fabric_contract::Context;
use healthchain_interface::{OpenLink, Opened};
use healthchain_rules::audit::Act;
use healthchain_rules::link::unknown_link;
use healthchain_rules::opening::{decide_opening, decide_reading};
use healthchain_rules::{Decision, Envelope, LedgerEvent, Link, Opening, Refusal, TransactionId};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::storage::consent::load_consent_book;
use crate::storage::envelope::load_envelope;
use crate::storage::fetch;
use crate::storage::link::load_link;
use crate::storage::opening::{load_opening, save_opening};
use crate::transaction;

/// Costs three round trips and the batch of writes: key, organisation and link; member and consents; the one envelope.
pub(super) async fn open(context: &mut Context, call: OpenLink) -> Result<Opened, Refusal> {
    let (caller, link, book) = load_caller_with(context, load_link(&call.link), |link: &Option<Link>| {
        link.as_ref().map(|link| load_consent_book(&link.patient))
    })
    .await?;
    let link = link.ok_or_else(unknown_link)?;
    let book = book.flatten().unwrap_or_default();

    let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
    let (opening, proof) = decide_opening(&caller, &link, &book, call.purpose, transaction, at)?;
    let envelope = load_envelope_of(context, &opening).await?;

    save_opening(context, &opening, proof)?;
    Record::new(Act::of_opening(&opening)).about(&opening.patient).save(context, &caller)?;
    transaction::announce(context, &event(&opening, envelope.as_ref()))?;
    Ok(Opened { opening, envelope })
}

pub(super) async fn opening(context: &Context, id: TransactionId) -> Result<Opening, Refusal> {
    let (caller, opening, ()) = load_caller_with(context, load_opening(&id), |_| ()).await?;
    decide_reading(&caller, opening)
}

async fn load_envelope_of(context: &Context, opening: &Opening) -> Result<Option<Envelope>, Refusal> {
    match &opening.decision {
        Decision::Permitted { recipient, .. } => {
            let load = load_envelope(&opening.link, opening.version, &recipient.key.key_hash);
            fetch(context, load).await
        }
        Decision::Denied { .. } => Ok(None),
    }
}

fn event(opening: &Opening, envelope: Option<&Envelope>) -> LedgerEvent {
    match &opening.decision {
        Decision::Permitted { category, recipient, .. } => LedgerEvent::LinkOpened {
            opening: opening.transaction.clone(),
            link: opening.link.clone(),
            version: opening.version,
            category: *category,
            publisher: opening.publisher.clone(),
            patient: opening.patient.clone(),
            opener: opening.opener.clone(),
            organisation: opening.organisation.clone(),
            wanted: envelope.is_none().then(|| recipient.clone()),
        },
        Decision::Denied { .. } => LedgerEvent::OpeningDenied {
            opening: opening.transaction.clone(),
            link: opening.link.clone(),
            patient: opening.patient.clone(),
            opener: opening.opener.clone(),
            organisation: opening.organisation.clone(),
        },
    }
}
