use fabric_contract::{Context, split_composite_key};
use healthchain_rules::charge::{Account, Allowance, Charge, MayReadStatement, Place};
use healthchain_rules::subscription::Payer;
use healthchain_rules::{LedgerTime, MemberId, Refusal, RefusalCode, TransactionId};

use super::{decode, key, ledger, put};

/// Some of an account's charges, newest first, and where they go on. For queries only.
pub(crate) async fn load_charges(
    context: &Context,
    account: &Account,
    from: Option<&Place>,
    limit: u32,
    _: &MayReadStatement,
) -> Result<(Vec<Charge>, Option<Place>), Refusal> {
    let (of, attribute) = match account {
        Account::Patient(patient) => (key::CHARGE_OF_PATIENT, patient.as_str()),
        Account::Organisation(organisation) => (key::CHARGE_OF_ORGANISATION, organisation.as_str()),
    };
    let from = from.map(|Place { time, transaction }| match account {
        Account::Patient(patient) => key::charge_of_patient(patient, *time, transaction),
        Account::Organisation(organisation) => key::charge_of_organisation(organisation, *time, transaction),
    });
    let page = context.composite_page(of, &[attribute], limit, from.as_deref()).await.map_err(ledger)?;
    let charges = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| place(&bookmark)).transpose()?;
    Ok((charges, next))
}

/// The first notarizations of a year of a patient's subscription, as many as are free. For queries only.
pub(crate) async fn load_first_of_year(
    context: &Context,
    patient: &MemberId,
    allowance: Allowance,
) -> Result<Vec<Place>, Refusal> {
    if allowance.free == 0 {
        return Ok(Vec::new());
    }
    let year = key::ordered_time(allowance.year);
    let attributes = [patient.as_str(), year.as_str()];
    let page =
        context.composite_page(key::NOTARIZATION_OF_YEAR, &attributes, allowance.free, None).await.map_err(ledger)?;
    page.items.iter().map(|(_, value)| decode(value)).collect()
}

/// Adds a charge to the accounts of its patient and of the organisation that pays it; to the places of its year, if it may be free.
pub(super) fn save_charge(context: &mut Context, charge: &Charge) -> Result<(), Refusal> {
    let Charge { patient, time, transaction, .. } = charge;
    put(context, key::charge_of_patient(patient, *time, transaction), charge)?;
    if let Payer::Organisation(payer) = &charge.payer {
        put(context, key::charge_of_organisation(payer, *time, transaction), charge)?;
    }
    if let Some(Allowance { year, .. }) = charge.allowance() {
        put(context, key::notarization_of_year(patient, year, *time, transaction), &charge.place())?;
    }
    Ok(())
}

fn place(bookmark: &str) -> Result<Place, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of charges: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, descending, transaction] = attributes.as_slice() else { return Err(unreadable()) };
    let time: LedgerTime = key::ascending(descending).ok_or_else(unreadable)?;
    let transaction: TransactionId = transaction.parse()?;
    Ok(Place { time, transaction })
}
