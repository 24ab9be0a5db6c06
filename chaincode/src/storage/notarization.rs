use fabric_contract::{Context, split_composite_key};
use healthchain_rules::charge::Place;
use healthchain_rules::notarization::{
    MayListNotarizations, MayNotarize, MayRevokeNotarization, Notarization, Verification,
};
use healthchain_rules::{MemberId, NotarizationId, NotarizedHash, Refusal, RefusalCode};

use super::charge::save_charge;
use super::{Load, decode, key, ledger, put};

pub(crate) fn load_notarization(id: &NotarizationId) -> Load<Notarization> {
    Load::at(key::notarization(id))
}

/// Some of the notarizations of a hash, by id, and where they go on. For queries only.
pub(crate) async fn load_verifications(
    context: &Context,
    hash: &NotarizedHash,
    from: Option<&NotarizationId>,
    limit: u32,
) -> Result<(Vec<Verification>, Option<NotarizationId>), Refusal> {
    let from = from.map(|id| key::notarization_of_hash(hash, id));
    let page = context
        .composite_page(key::NOTARIZATION_OF_HASH, &[hash.as_str()], limit, from.as_deref())
        .await
        .map_err(ledger)?;
    let verifications = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| match attributes(&bookmark)?.as_slice() {
        [_, id] => Ok(id.parse()?),
        _ => Err(unreadable()),
    });
    Ok((verifications, next.transpose()?))
}

/// The ids of some of a patient's notarizations, newest first, and where they go on. For queries only.
pub(crate) async fn load_notarizations_of_patient(
    context: &Context,
    patient: &MemberId,
    from: Option<&Place>,
    limit: u32,
    _: MayListNotarizations,
) -> Result<(Vec<NotarizationId>, Option<Place>), Refusal> {
    let from = from.map(|from| key::notarization_of_patient(patient, from.time, &from.transaction));
    let page = context
        .composite_page(key::NOTARIZATION_OF_PATIENT, &[patient.as_str()], limit, from.as_deref())
        .await
        .map_err(ledger)?;
    let ids = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| match attributes(&bookmark)?.as_slice() {
        [_, descending, transaction] => {
            let time = key::ascending(descending).ok_or_else(unreadable)?;
            Ok(Place { time, transaction: transaction.parse()? })
        }
        _ => Err(unreadable()),
    });
    Ok((ids, next.transpose()?))
}

/// Saves a notarization with its places in the lists, and its charge. No two transactions write one of these keys, but to one id.
pub(crate) fn save_notarized(
    context: &mut Context,
    notarization: &Notarization,
    proof: &MayNotarize,
) -> Result<(), Refusal> {
    let Notarization { id, patient, time, transaction, .. } = notarization;
    put(context, key::notarization_of_patient(patient, *time, transaction), id)?;
    save_charge(context, proof.charge())?;
    save(context, notarization)
}

/// Saves a notarization that was revoked, and so for whoever verifies it.
pub(crate) fn save_revoked(
    context: &mut Context,
    notarization: &Notarization,
    _: MayRevokeNotarization,
) -> Result<(), Refusal> {
    save(context, notarization)
}

fn save(context: &mut Context, notarization: &Notarization) -> Result<(), Refusal> {
    let Notarization { id, hash, .. } = notarization;
    put(context, key::notarization_of_hash(hash, id), &notarization.verification())?;
    put(context, key::notarization(id), notarization)
}

fn attributes(bookmark: &str) -> Result<Vec<&str>, Refusal> {
    split_composite_key(bookmark).map(|(_, attributes)| attributes).map_err(|_| unreadable())
}

fn unreadable() -> Refusal {
    Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of notarizations: check its version")
}
