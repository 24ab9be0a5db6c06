use fabric_contract::Context;
use healthchain_interface::EraseLink;
use healthchain_rules::erasure::{
    ErasureAct, ErasureState, decide_confirmation, decide_erasing, decide_erasure, decide_reading,
};
use healthchain_rules::{ErasureReceipt, Link, LinkId, Outcome, Refusal, Version};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::storage::amendment::load_open_amendments;
use crate::storage::custody::load_custodians;
use crate::storage::envelope::load_envelope_keys;
use crate::storage::erasure::{load_erasure_receipt, save_confirmed, save_erased};
use crate::storage::link::{load_all_former_versions, load_link};
use crate::transaction;

pub(super) async fn erase(context: &mut Context, call: EraseLink) -> Result<ErasureReceipt, Refusal> {
    let first = (load_link(&call.link), load_erasure_receipt(&call.link), load_open_amendments(&call.link));
    let (caller, (link, existing, open), custodians) =
        load_caller_with(context, first, |(link, ..): &(Option<Link>, _, _), _| {
            link.as_ref().map(|link| load_custodians(&link.publisher))
        })
        .await?;
    let custodians = custodians.flatten();
    let link = decide_erasing(&caller, link)?;
    let envelopes = load_envelope_keys(context, &link.id).await?;
    let former = load_all_former_versions(context, &link.id).await?;
    let former: Vec<Version> = former.into_iter().map(|former| former.version).collect();

    let amendments = open.unwrap_or_default().ids();
    let state = ErasureState { existing, former: &former, envelopes: envelopes.count(), amendments, custodians };
    match decide_erasure(&caller, link, state, call.reason.clone(), transaction::time(context)?)? {
        Outcome::Repeated((_, receipt)) => Ok(receipt),
        Outcome::Decided((link, receipt), proof) => {
            save_erased(context, &link, &receipt, envelopes, proof)?;
            let act = ErasureAct::LinkErased { link: link.id, reason: call.reason };
            Record::new(act).about(&receipt.patient).save(context, &caller)?;
            Ok(receipt)
        }
    }
}

pub(super) async fn confirm_destruction(context: &mut Context, link: LinkId) -> Result<ErasureReceipt, Refusal> {
    let first = (load_link(&link), load_erasure_receipt(&link));
    let (caller, (link, receipt), ()) = load_caller_with(context, first, |_, _| ()).await?;

    match decide_confirmation(&caller, link, receipt, transaction::time(context)?)? {
        Outcome::Repeated(receipt) => Ok(receipt),
        Outcome::Decided(receipt, proof) => {
            save_confirmed(context, &receipt, proof)?;
            let act = ErasureAct::DestructionConfirmed { link: receipt.link.clone() };
            Record::new(act).about(&receipt.patient).save(context, &caller)?;
            Ok(receipt)
        }
    }
}

pub(super) async fn receipt(context: &Context, link: LinkId) -> Result<ErasureReceipt, Refusal> {
    let first = (load_link(&link), load_erasure_receipt(&link));
    let (caller, (link, receipt), custodians) =
        load_caller_with(context, first, |(link, _): &(Option<Link>, Option<ErasureReceipt>), _| {
            link.as_ref().map(|link| load_custodians(&link.publisher))
        })
        .await?;
    decide_reading(&caller, link.as_ref(), receipt, custodians.flatten().as_ref())
}
