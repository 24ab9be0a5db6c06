//! The contract `Amendments`.

use fabric_contract::Context;
use healthchain_interface::{
    Amendments, AmendmentsQuery, ApproveAmendment, Page, ProposeAmendment, RejectAmendment, WithdrawAmendment,
};
use healthchain_rules::amending::{
    AmendmentDraft, MayAmend, Pending, ProposalState, decide_approval, decide_proposal, decide_proposing,
    decide_rejection, decide_withdrawal,
};
use healthchain_rules::amendment::decide_reading;
use healthchain_rules::link;
use healthchain_rules::{
    Amendment, AmendmentId, AmendmentView, Caller, Content, Envelope, Link, Outcome, Refusal, RefusalCode,
};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::grounds::load_grounds;
use crate::links::load_recipients;
use crate::page_token;
use crate::storage::amendment::{
    load_amendment, load_amendments_of_link, load_open_amendments, load_waiting_envelopes, save_decided, save_proposed,
};
use crate::storage::link::load_link;
use crate::storage::member::load_member;
use crate::storage::organisation::load_organisations;
use crate::transaction;

pub(crate) struct AmendmentContract;

impl Amendments for AmendmentContract {
    async fn propose(&self, context: &mut Context, call: ProposeAmendment) -> Result<Amendment, Refusal> {
        let first = (load_link(&call.link), load_amendment(&call.amendment), load_open_amendments(&call.link));
        let (caller, (link, existing, open), rest) =
            load_caller_with(context, first, |(link, _, _): &(Option<Link>, _, _), _| {
                link.as_ref().map(|link| (load_member(&link.patient), load_grounds(&link.patient, None)))
            })
            .await?;
        let link = decide_proposing(&caller, link)?;
        let (patient, grounds) = rest.unwrap_or_default();
        let organisations = load_organisations(context).await?;
        let (publisher, patient) = (caller.organisation(), patient.as_ref());
        let recipients = load_recipients(context, publisher, &organisations, patient, &grounds, &link).await?;

        let state = ProposalState {
            existing,
            open: open.unwrap_or_default(),
            organisations: &organisations,
            recipients: &recipients,
            settings: &grounds.settings,
        };
        let draft = AmendmentDraft {
            id: call.amendment,
            base_version: call.base_version,
            content: Content { hash: call.content_hash, length: call.content_length, media_type: call.media_type },
            commitment: call.commitment,
            reason: call.reason,
        };
        match decide_proposal(&caller, link, state, draft, &call.envelopes, transaction::time(context)?)? {
            Outcome::Repeated(amendment) => Ok(amendment),
            Outcome::Decided(amendment, proof) => {
                let act = proof.effects().act.clone();
                save_proposed(context, &amendment, &call.envelopes, proof)?;
                Record::new(act).about(&amendment.patient).save(context, &caller)?;
                Ok(amendment)
            }
        }
    }

    async fn approve(&self, context: &mut Context, call: ApproveAmendment) -> Result<Amendment, Refusal> {
        let (caller, pending, envelopes) = load_pending(context, &call.amendment).await?;
        let outcome = decide_approval(&caller, pending, transaction::time(context)?)?;
        save(context, &caller, outcome, &envelopes)
    }

    async fn reject(&self, context: &mut Context, call: RejectAmendment) -> Result<Amendment, Refusal> {
        let (caller, pending, envelopes) = load_pending(context, &call.amendment).await?;
        let outcome = decide_rejection(&caller, pending, call.reason, transaction::time(context)?)?;
        save(context, &caller, outcome, &envelopes)
    }

    async fn withdraw(&self, context: &mut Context, call: WithdrawAmendment) -> Result<Amendment, Refusal> {
        let (caller, pending, envelopes) = load_pending(context, &call.amendment).await?;
        let outcome = decide_withdrawal(&caller, pending, transaction::time(context)?)?;
        save(context, &caller, outcome, &envelopes)
    }

    async fn amendment(&self, context: &Context, id: AmendmentId) -> Result<AmendmentView, Refusal> {
        let (caller, amendment, rest) =
            load_caller_with(context, load_amendment(&id), |amendment: &Option<Amendment>, who| {
                amendment.as_ref().map(|one| (load_link(&one.link), load_grounds(&one.patient, who)))
            })
            .await?;
        let (link, grounds) = rest.unwrap_or_default();
        decide_reading(&caller, amendment.zip(link), &grounds, transaction::time(context)?)
    }

    async fn of_link(&self, context: &Context, query: AmendmentsQuery) -> Result<Page<AmendmentView>, Refusal> {
        let (caller, link, grounds) = load_caller_with(context, load_link(&query.link), |link: &Option<Link>, who| {
            link.as_ref().map(|link| load_grounds(&link.patient, who))
        })
        .await?;
        let at = transaction::time(context)?;
        let link = link::decide_reading(&caller, link, &grounds.unwrap_or_default(), at)?;

        let from = page_token::read(&link.id, query.page_token)?;
        let limit = query.limit.unwrap_or_default().into();
        let (amendments, next) = load_amendments_of_link(context, &link.id, from.as_ref(), limit).await?;
        let view = |amendment: Amendment| {
            let standing = amendment.standing(&link, at);
            AmendmentView { amendment, standing }
        };
        let next_page_token = page_token::write(&link.id, next)?;
        Ok(Page { items: amendments.into_iter().map(view).collect(), next_page_token })
    }
}

/// The caller, the amendment with what a decision on it asks, and the envelopes that wait for its activation.
async fn load_pending(
    context: &Context,
    id: &AmendmentId,
) -> Result<(Caller, Option<Pending>, Vec<Envelope>), Refusal> {
    let first = (load_amendment(id), load_waiting_envelopes(id));
    let (caller, (amendment, envelopes), rest) =
        load_caller_with(context, first, |(amendment, _): &(Option<Amendment>, _), _| {
            amendment.as_ref().map(|one| (load_link(&one.link), load_open_amendments(&one.link)))
        })
        .await?;
    let (link, open) = rest.unwrap_or_default();
    let with_link = |(amendment, link)| Pending { amendment, link, open: open.unwrap_or_default() };
    let pending = amendment.zip(link).map(with_link);
    Ok((caller, pending, envelopes.unwrap_or_default()))
}

fn save(
    context: &mut Context,
    caller: &Caller,
    outcome: Outcome<Amendment, MayAmend>,
    envelopes: &[Envelope],
) -> Result<Amendment, Refusal> {
    match outcome {
        Outcome::Repeated(amendment) => Ok(amendment),
        Outcome::Decided(amendment, proof) => {
            if proof.effects().activated.is_some() && envelopes.is_empty() {
                let detail = "the version's envelopes are gone: propose it again";
                return Err(Refusal::new(RefusalCode::AmendmentClosed, detail));
            }
            let act = proof.effects().act.clone();
            save_decided(context, &amendment, envelopes, proof)?;
            Record::new(act).about(&amendment.patient).save(context, caller)?;
            Ok(amendment)
        }
    }
}
