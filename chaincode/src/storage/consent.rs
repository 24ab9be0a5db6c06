use fabric_contract::{Context, split_composite_key};
use healthchain_rules::consent::{MayGrant, MayRevoke};
use healthchain_rules::{Consent, ConsentBook, ConsentId, MemberId, Refusal, RefusalCode};

use super::{Load, decode, key, ledger, put};

pub(crate) fn load_consent(patient: &MemberId, id: &ConsentId) -> Load<Consent> {
    Load::at(key::consent(patient, id))
}

/// A patient's consents that stand; none is as good as an empty book.
pub(crate) fn load_consent_book(patient: &MemberId) -> Load<ConsentBook> {
    Load::at(key::consent_book(patient))
}

/// Some of a patient's consents that were ever granted, by id, and the next one's. For queries only.
pub(crate) async fn load_consents(
    context: &Context,
    patient: &MemberId,
    from: Option<&ConsentId>,
    limit: u32,
) -> Result<(Vec<Consent>, Option<ConsentId>), Refusal> {
    let from = from.map(|from| key::consent(patient, from));
    let page =
        context.composite_page(key::CONSENT, &[patient.as_str()], limit, from.as_deref()).await.map_err(ledger)?;
    let consents = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((consents, next))
}

pub(crate) fn save_granted(
    context: &mut Context,
    consent: &Consent,
    book: &ConsentBook,
    _: MayGrant,
) -> Result<(), Refusal> {
    save(context, consent, book)
}

pub(crate) fn save_revoked(
    context: &mut Context,
    consent: &Consent,
    book: &ConsentBook,
    _: MayRevoke,
) -> Result<(), Refusal> {
    save(context, consent, book)
}

fn save(context: &mut Context, consent: &Consent, book: &ConsentBook) -> Result<(), Refusal> {
    put(context, key::consent(&consent.patient, &consent.id), consent)?;
    put(context, key::consent_book(&consent.patient), book)
}

fn position(bookmark: &str) -> Result<ConsentId, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the list: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, consent] = attributes.as_slice() else { return Err(unreadable()) };
    Ok(consent.parse()?)
}
