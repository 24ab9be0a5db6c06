use fabric_contract::Context;
use healthchain_rules::delegation::{MayDelegate, MayEndDelegation, MayListDelegations};
use healthchain_rules::{Delegation, MemberId, Refusal};

use super::{Load, decode, fetch, key, last_attribute, ledger, put};

/// What a patient lets a guardian do.
pub(crate) fn load_delegation(patient: &MemberId, guardian: &MemberId) -> Load<Delegation> {
    Load::at(key::delegation(patient, guardian))
}

/// Some of a patient's delegations, by guardian, and the guardian where they go on. For queries only.
pub(crate) async fn load_delegations_of(
    context: &Context,
    patient: &MemberId,
    from: Option<&MemberId>,
    limit: u32,
    _: MayListDelegations,
) -> Result<(Vec<Delegation>, Option<MemberId>), Refusal> {
    let from = from.map(|guardian| key::delegation(patient, guardian));
    let attributes = [patient.as_str()];
    let page = context.composite_page(key::DELEGATION, &attributes, limit, from.as_deref()).await.map_err(ledger)?;
    let delegations = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| last_attribute(&bookmark)).transpose()?;
    Ok((delegations, next))
}

/// Some of a guardian's delegations, by patient, and the patient where they go on. For queries only.
pub(crate) async fn load_delegations_to(
    context: &Context,
    guardian: &MemberId,
    from: Option<&MemberId>,
    limit: u32,
    _: MayListDelegations,
) -> Result<(Vec<Delegation>, Option<MemberId>), Refusal> {
    let from = from.map(|patient| key::ward(guardian, patient));
    let attributes = [guardian.as_str()];
    let page = context.composite_page(key::WARD, &attributes, limit, from.as_deref()).await.map_err(ledger)?;
    let patients = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<Vec<MemberId>, _>>()?;
    let loads: Vec<_> = patients.iter().map(|patient| load_delegation(patient, guardian)).collect();
    let next = page.bookmark.map(|bookmark| last_attribute(&bookmark)).transpose()?;
    Ok((fetch(context, loads).await?, next))
}

/// Saves a delegation, and that the patient is among the guardian's.
pub(crate) fn save_delegated(context: &mut Context, delegation: &Delegation, _: MayDelegate) -> Result<(), Refusal> {
    put(context, key::ward(&delegation.guardian, &delegation.patient), &delegation.patient)?;
    save(context, delegation)
}

pub(crate) fn save_ended(context: &mut Context, delegation: &Delegation, _: MayEndDelegation) -> Result<(), Refusal> {
    save(context, delegation)
}

fn save(context: &mut Context, delegation: &Delegation) -> Result<(), Refusal> {
    put(context, key::delegation(&delegation.patient, &delegation.guardian), delegation)
}
