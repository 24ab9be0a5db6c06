//! The key custodian's agent: when a patient's keys were replaced, seals to the present key what was sealed to a former one, as the
//! ledger's work list says.
//!
//! The organisation's key stays the gateway's (decision 0003), which seals by itself what an opening asks for ([`crate::custodian`]). Going
//! through a patient's records is the work of an agent, with a budget and a kill switch: the ledger takes its envelopes for those
//! only whom it names, with their present keys.

use healthchain_interface::{LinksClient, Reseal, ResealQuery, ToReseal};
use healthchain_rules::audit::Act;
use healthchain_rules::member::MemberAct;
use healthchain_rules::recovery::RecoveryAct;
use healthchain_rules::{LedgerEvent, MemberId, RefusalCode};

use super::{Halt, Listener, Post};
use crate::failure::Failure;
use crate::use_cases::seal_for;

/// See the module.
pub struct KeyCustodian;

impl Listener for KeyCustodian {
    const NAME: &'static str = "key_custodian";

    async fn deal_with(&self, post: &Post, event: &LedgerEvent) -> Result<(), Halt> {
        match rotated(event) {
            Some(patient) => work_off(post, patient).await,
            None => Ok(()),
        }
    }
}

/// Whose keys were replaced.
fn rotated(event: &LedgerEvent) -> Option<&MemberId> {
    match &event.entry.act {
        Act::Member(MemberAct::KeyRotated { rotated, .. }) => Some(rotated),
        Act::Recovery(RecoveryAct::RecoveryCompleted { .. }) => event.entry.patient.as_ref(),
        _ => None,
    }
}

/// Goes through the list page by page: what is sealed is not on it any more.
async fn work_off(post: &Post, patient: &MemberId) -> Result<(), Halt> {
    let mut page_token = None;
    loop {
        let links = LinksClient::new(post.contract().await?);
        let query = ResealQuery { patient: patient.clone(), page_token, limit: None };
        let page = match links.to_reseal(&query).await.map_err(Halt::from) {
            // Somebody else's keys were replaced: to members other than patients, links are sealed at their next opening.
            Err(Halt::Failed(Failure::Refused(refusal))) if refusal.code() == RefusalCode::UnknownPatient => {
                return Ok(());
            }
            page => page?,
        };
        for item in page.items {
            match reseal(post, &links, item).await {
                Ok(()) => post.did("resealed"),
                Err(Halt::Failed(Failure::Refused(refusal))) if is_over(refusal.code()) => post.did("not-wanted"),
                Err(Halt::Failed(failure @ (Failure::EnvelopeDoesNotOpen | Failure::RecipientKeyUnusable(_)))) => {
                    post.did("unsealable");
                    tracing::error!(%failure, "an envelope could not be sealed anew");
                }
                Err(halt) => return Err(halt),
            }
        }
        page_token = page.next_page_token;
        if page_token.is_none() {
            return Ok(());
        }
    }
}

async fn reseal(post: &Post, links: &LinksClient<crate::ledger::Contract>, item: ToReseal) -> Result<(), Halt> {
    let ToReseal { link, version, category, recipient } = item;
    let payload = post.gateway.own_payload(&link, version, category).await?;
    let envelope = seal_for(recipient, &payload.for_others(), &link, version, category)?;
    links.reseal(&Reseal { link, envelope }).await?;
    Ok(())
}

/// Refusals after which an envelope is not needed any more, or cannot be made.
fn is_over(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::EnvelopeExists
            | RefusalCode::EnvelopeNotWanted
            | RefusalCode::LinkErased
            | RefusalCode::LinkWithdrawn
            | RefusalCode::UnknownEnvelope
            | RefusalCode::UnknownLink
    )
}
