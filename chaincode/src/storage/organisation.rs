use fabric_contract::Context;
use healthchain_rules::organisation::{MayEnter, MayFound};
use healthchain_rules::{KeyHolder, Member, MspId, Organisation, Refusal};

use super::{Load, decode, key, ledger, member, put};

pub(crate) fn load_organisation(msp_id: &MspId) -> Load<Organisation> {
    Load::at(key::organisation(msp_id))
}

/// All organisations, by MSP id: at most as many as may be founded.
pub(crate) async fn load_organisations(context: &Context) -> Result<Vec<Organisation>, Refusal> {
    let found = context.partial_composite(key::ORGANISATION, &[]).collect().await.map_err(ledger)?;
    found.iter().map(|(_, value)| decode(value)).collect()
}

pub(crate) fn save_founded(context: &mut Context, organisations: &[Organisation], _: MayFound) -> Result<(), Refusal> {
    organisations.iter().try_for_each(|organisation| save(context, organisation))
}

/// Saves the organisation with its first administrator, and whose keys the two keys are.
pub(crate) fn save_entered(
    context: &mut Context,
    organisation: &Organisation,
    administrator: &Member,
    _: MayEnter,
) -> Result<(), Refusal> {
    save_with_gateway_key(context, organisation)?;
    member::save_with_key(context, administrator)
}

/// Saves the organisation, and that its gateway's key is its gateway's.
pub(super) fn save_with_gateway_key(context: &mut Context, organisation: &Organisation) -> Result<(), Refusal> {
    if let Some(gateway_key_hash) = organisation.gateway_key_hash() {
        let gateway = KeyHolder::Gateway(organisation.msp_id.clone());
        put(context, key::key_holder(&organisation.msp_id, gateway_key_hash), &gateway)?;
    }
    save(context, organisation)
}

fn save(context: &mut Context, organisation: &Organisation) -> Result<(), Refusal> {
    put(context, key::organisation(&organisation.msp_id), organisation)
}
