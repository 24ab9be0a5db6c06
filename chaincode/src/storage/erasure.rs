use fabric_contract::Context;
use healthchain_rules::erasure::{MayConfirm, MayErase};
use healthchain_rules::{ErasureReceipt, Link, LinkId, Refusal};

use super::envelope::EnvelopeKeys;
use super::{Load, amendment, envelope, key, link, put};

pub(crate) fn load_erasure_receipt(link: &LinkId) -> Load<ErasureReceipt> {
    Load::at(key::erasure_receipt(link))
}

/// Saves an erased link with its receipt, and deletes its envelopes, those that wait for an amendment, and its place in the list.
pub(crate) fn save_erased(
    context: &mut Context,
    link: &Link,
    receipt: &ErasureReceipt,
    envelopes: EnvelopeKeys,
    _: MayErase,
) -> Result<(), Refusal> {
    envelope::delete_all(context, envelopes);
    amendment::delete_waiting(context, &link.id, receipt.destroyed.amendments.iter());
    link::save_closed(context, link)?;
    save(context, receipt)
}

pub(crate) fn save_confirmed(context: &mut Context, receipt: &ErasureReceipt, _: MayConfirm) -> Result<(), Refusal> {
    save(context, receipt)
}

fn save(context: &mut Context, receipt: &ErasureReceipt) -> Result<(), Refusal> {
    put(context, key::erasure_receipt(&receipt.link), receipt)
}
