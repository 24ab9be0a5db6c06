use fabric_contract::Context;
use healthchain_rules::consent::{MayGrant, MayRevoke};
use healthchain_rules::{Consent, ConsentBook, ConsentId, MemberId, Refusal};

use super::{Load, key, put};

pub(crate) fn load_consent(patient: &MemberId, id: &ConsentId) -> Load<Consent> {
    Load::at(key::consent(patient, id))
}

/// A patient's consents that stand; none is as good as an empty book.
pub(crate) fn load_consent_book(patient: &MemberId) -> Load<ConsentBook> {
    Load::at(key::consent_book(patient))
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
