use fabric_contract::Context;
use healthchain_interface::{Page, Reseal, ResealQuery, ToReseal};
use healthchain_rules::envelope::{EnvelopeAct, Sealing, recipients};
use healthchain_rules::link::require_patient;
use healthchain_rules::resealing::{ResealingState, decide_asking, decide_resealing};
use healthchain_rules::{Envelope, Holder, Link, MemberId, Outcome, Refusal, limit};

use super::filling::Filling;
use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::grounds::load_grounds;
use crate::page_token;
use crate::storage::envelope::{load_envelope, save_resealed};
use crate::storage::link::{ListedLink, load_link};
use crate::storage::member::load_member;
use crate::storage::organisation::{load_organisation, load_organisations};
use crate::storage::{Each, fetch};
use crate::transaction;

/// Goes through the patient's active links, category by category, and looks up the envelopes of the publisher's own ones in one batch.
pub(super) async fn to_reseal(context: &Context, query: ResealQuery) -> Result<Page<ToReseal>, Refusal> {
    let ResealQuery { patient, page_token, limit } = query;
    let first = (load_member(&patient), load_grounds(&patient, None));
    let (caller, (member, grounds), ()) = load_caller_with(context, first, |_, _| ()).await?;
    let publisher = decide_asking(&caller)?;
    let member = require_patient(member.as_ref())?;
    let start = page_token::read(&patient, page_token)?.unwrap_or_default();
    let limit = u32::from(limit.unwrap_or_default()).min(limit::RESEALED_LINKS);
    let mut own = Filling::new(limit);
    let keep_own = |listed: ListedLink| (listed.publisher == publisher.msp_id).then_some(listed);
    let next = own.fill(context, &patient, start, |_| true, keep_own).await?;

    let at = transaction::time(context)?;
    let named: Vec<_> = grounds.book.permitted_members(at).into_iter().map(load_member).collect();
    let members = fetch(context, named).await?;
    let organisations = load_organisations(context).await?;
    let mut wanted = Vec::new();
    for ListedLink { link, category, version, .. } in own.items {
        let record = Sealing::of_link(&link, category);
        let present = recipients(publisher, member, &organisations, &members, record, &grounds, at);
        let to_reseal = |recipient| ToReseal { link: link.clone(), version, category, recipient };
        wanted.extend(present.into_iter().map(to_reseal));
    }
    let envelope_for = |one: &ToReseal| load_envelope(&one.link, one.version, &one.recipient.key.key_hash);
    let found = fetch(context, Each(wanted.iter().map(envelope_for).collect())).await?;
    let items = wanted.into_iter().zip(found).filter(|(_, found)| found.is_none()).map(|(wanted, _)| wanted).collect();
    let next_page_token = page_token::write(&patient, next)?;
    Ok(Page { items, next_page_token })
}

pub(super) async fn reseal(context: &mut Context, call: Reseal) -> Result<Envelope, Refusal> {
    let Reseal { link, envelope } = call;
    let second = |link: &Option<Link>, _: Option<&MemberId>| {
        let (organisation, member) = match &envelope.holder {
            Holder::Organisation(msp_id) => (Some(load_organisation(msp_id)), None),
            Holder::Member(id) => (None, Some(load_member(id))),
        };
        let of_link = link.as_ref().map(|link| {
            let existing = load_envelope(&link.id, link.current.number, &envelope.recipient_key_hash);
            (load_member(&link.patient), load_grounds(&link.patient, None), existing)
        });
        (organisation, member, of_link)
    };
    let (caller, link, (organisation, member, of_link)) = load_caller_with(context, load_link(&link), second).await?;
    let (patient, grounds, existing) = of_link.unwrap_or_default();
    let member = member.flatten();
    let of_member = member.as_ref().map(|member| load_organisation(&member.organisation));
    let organisation = organisation.or(fetch(context, of_member).await?).flatten();

    let state = ResealingState {
        link: link.as_ref(),
        patient: patient.as_ref(),
        organisation: organisation.as_ref(),
        member: member.as_ref(),
        grounds: &grounds,
        existing: existing.as_ref(),
    };
    match decide_resealing(&caller, state, envelope, transaction::time(context)?)? {
        Outcome::Repeated(envelope) => Ok(envelope),
        Outcome::Decided(envelope, proof) => {
            let link = link.expect("what is decided about a link has one");
            save_resealed(context, &link.id, link.current.number, &envelope, proof)?;
            let (version, holder) = (link.current.number, envelope.holder.clone());
            let act = EnvelopeAct::EnvelopeResealed { link: link.id, version, holder };
            Record::new(act).about(&link.patient).save(context, &caller)?;
            Ok(envelope)
        }
    }
}
