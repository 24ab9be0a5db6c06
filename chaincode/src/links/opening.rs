use fabric_contract::Context;
use healthchain_interface::{OpenLink, Opened};
use healthchain_rules::emergency::unknown_emergency;
use healthchain_rules::link::unknown_link;
use healthchain_rules::opening::{OpeningAct, decide_opening, decide_reading};
use healthchain_rules::replay::{Evidence, RULES, Replay};
use healthchain_rules::{
    Caller, Envelope, Grounds, LedgerTime, Link, LinkId, Opening, Recipient, Refusal, RefusalCode, Signer,
    TransactionId,
};

use crate::audit::Record;
use crate::caller::{Call, load_caller_from, load_caller_with};
use crate::grounds::load_grounds;
use crate::storage::custody::load_custodians;
use crate::storage::emergency::load_emergency;
use crate::storage::envelope::load_envelope;
use crate::storage::evidence::{Past, Witness, save_evidence};
use crate::storage::link::load_link;
use crate::storage::opening::{load_opening, save_opening};
use crate::storage::{Source, fetch};
use crate::transaction;

/// Costs three round trips and the batch of writes: key, organisation and link; member and consents; the one envelope.
pub(super) async fn open(context: &mut Context, call: OpenLink) -> Result<Opened, Refusal> {
    let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
    let signer = transaction::signer(context)?;
    let signing_key = signer.key_hash.clone();
    let witness = Witness::new(context);
    let (caller, link, grounds) = load_case(&witness, signer, at, &call.link, call.emergency.as_ref()).await?;
    let evidence = Evidence { rules: RULES, signing_key, values: witness.seen() };

    let (opening, proof) = decide_opening(&caller, &link, &grounds, call.purpose, transaction, at)?;
    let envelope = load_envelope_of(context, &opening).await?;

    save_evidence(context, &opening, &evidence, &proof)?;
    save_opening(context, &opening, proof)?;
    let wanted = opening.recipient().filter(|_| envelope.is_none()).cloned();
    Record::new(OpeningAct::of(&opening)).about(&opening.patient).wanting(wanted).save(context, &caller)?;
    Ok(Opened { opening, envelope })
}

pub(super) async fn opening(context: &Context, id: TransactionId) -> Result<Opening, Refusal> {
    let (caller, opening, custodians) = load_caller_with(context, load_opening(&id), |opening: &Option<Opening>, _| {
        opening.as_ref().map(|opening| load_custodians(&opening.publisher))
    })
    .await?;
    decide_reading(&caller, opening, custodians.flatten().as_ref())
}

/// What the decision on an opening rests on.
async fn load_case(
    source: &impl Source,
    signer: Signer,
    at: LedgerTime,
    link: &LinkId,
    emergency: Option<&TransactionId>,
) -> Result<(Caller, Link, Grounds), Refusal> {
    let function = "Links:open".parse().ok();
    let about = (load_link(link), emergency.map(load_emergency));
    let (caller, (link, emergency), grounds) =
        load_caller_from(source, Call { signer, function, at }, about, |(link, _), who| {
            link.as_ref().map(|link: &Link| load_grounds(&link.patient, who))
        })
        .await?;
    let (link, grounds) = link.zip(grounds).ok_or_else(unknown_link)?;
    let emergency = emergency.map(|found| found.ok_or_else(unknown_emergency)).transpose()?;
    Ok((caller, link, Grounds { emergency, ..grounds }))
}

/// Computes an opening's decision again from the values that it read.
pub(crate) async fn replay(context: &Context, opening: Opening, evidence: Evidence) -> Result<Replay, Refusal> {
    let signer = Signer {
        msp_id: opening.organisation.clone(),
        key_hash: evidence.signing_key.clone(),
        is_administrator: false, // Openings do not ask.
    };
    let past = Past::new(context, &evidence);
    let case = load_case(&past, signer, opening.time, &opening.link, opening.emergency.as_ref()).await;
    let replayed = case.and_then(|(caller, link, grounds)| {
        decide_opening(&caller, &link, &grounds, opening.purpose, opening.transaction.clone(), opening.time)
    });
    let replayed = match replayed {
        Ok((replayed, _)) => Some(replayed),
        Err(refusal) if refusal.code() == RefusalCode::Ledger => return Err(refusal),
        Err(_) => None,
    };
    let missing = past.missing();
    Ok(Replay::compare(opening, &evidence, replayed, missing))
}

async fn load_envelope_of(context: &Context, opening: &Opening) -> Result<Option<Envelope>, Refusal> {
    let load = |recipient: &Recipient| load_envelope(&opening.link, opening.version, &recipient.key.key_hash);
    Ok(fetch(context, opening.recipient().map(load)).await?.flatten())
}
