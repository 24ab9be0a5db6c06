use fabric_contract::Context;
use healthchain_interface::{PublishLink, RecipientsQuery, WithdrawLink};
use healthchain_rules::envelope::{Sealing, decide_asking, recipients as recipients_of};
use healthchain_rules::link::{Draft, LinkAct, decide_publication, decide_withdrawal, require_patient};
use healthchain_rules::{Content, Grounds, Link, Member, MemberId, Organisation, Outcome, Recipient, Refusal, limit};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::grounds::load_grounds;
use crate::storage::fetch;
use crate::storage::link::{load_former_version, load_link, save_published, save_withdrawn};
use crate::storage::member::load_member;
use crate::storage::organisation::load_organisations;
use crate::transaction;

pub(super) async fn recipients(context: &Context, query: RecipientsQuery) -> Result<Vec<Recipient>, Refusal> {
    let first = (load_member(&query.patient), load_grounds(&query.patient, None));
    let (caller, (patient, grounds), ()) = load_caller_with(context, first, |_, _| ()).await?;
    let publisher = decide_asking(&caller)?;
    let organisations = load_organisations(context).await?;
    let mut recipients =
        load_recipients(context, publisher, &organisations, patient.as_ref(), &grounds, query.category).await?;
    recipients.truncate(limit::ENVELOPES);
    Ok(recipients)
}

pub(super) async fn publish(context: &mut Context, call: PublishLink) -> Result<Link, Refusal> {
    let first = (
        load_member(&call.patient),
        load_grounds(&call.patient, None),
        load_link(&call.link),
        load_former_version(&call.link, 1),
    );
    let (caller, (patient, grounds, existing, amended), ()) = load_caller_with(context, first, |_, _| ()).await?;
    let publisher = decide_asking(&caller)?;
    let organisations = load_organisations(context).await?;
    let recipients =
        load_recipients(context, publisher, &organisations, patient.as_ref(), &grounds, call.category).await?;

    let draft = Draft {
        id: call.link,
        patient: call.patient,
        category: call.category,
        content: Content { hash: call.content_hash, length: call.content_length, media_type: call.media_type },
        commitment: call.commitment,
    };
    let existing =
        existing.as_ref().map(|link| (link, amended.as_ref().map_or(&link.current, |former| &former.version)));
    let at = transaction::time(context)?;
    match decide_publication(&caller, patient.as_ref(), existing, &recipients, draft, &call.envelopes, at)? {
        Outcome::Repeated(link) => Ok(link),
        Outcome::Decided(link, proof) => {
            save_published(context, &link, &call.envelopes, proof)?;
            let version = link.current.number;
            let act = LinkAct::LinkPublished { link: link.id.clone(), version, category: link.category };
            Record::new(act).about(&link.patient).save(context, &caller)?;
            Ok(link)
        }
    }
}

pub(super) async fn withdraw(context: &mut Context, call: WithdrawLink) -> Result<Link, Refusal> {
    let first = (load_link(&call.link), call.superseded_by.as_ref().map(load_link));
    let (caller, (link, superseding), ()) = load_caller_with(context, first, |_, _| ()).await?;

    let (superseded_by, superseding) = (call.superseded_by.clone(), superseding.flatten());
    let at = transaction::time(context)?;
    match decide_withdrawal(&caller, link, superseded_by, superseding.as_ref(), call.reason.clone(), at)? {
        Outcome::Repeated(link) => Ok(link),
        Outcome::Decided(link, proof) => {
            save_withdrawn(context, &link, proof)?;
            let act = LinkAct::LinkWithdrawn {
                link: link.id.clone(),
                reason: call.reason,
                superseded_by: call.superseded_by,
            };
            Record::new(act).about(&link.patient).save(context, &caller)?;
            Ok(link)
        }
    }
}

/// Whom the publisher may seal to, of all organisations. The patient exists, or this is refused.
pub(crate) async fn load_recipients<'a>(
    context: &Context,
    publisher: &Organisation,
    organisations: &[Organisation],
    patient: Option<&Member>,
    grounds: &Grounds,
    record: impl Into<Sealing<'a>>,
) -> Result<Vec<Recipient>, Refusal> {
    let patient = require_patient(patient)?;
    let at = transaction::time(context)?;
    let named: Vec<&MemberId> = grounds.book.permitted_members(at).into_iter().collect();
    let members = fetch(context, named.into_iter().map(load_member).collect::<Vec<_>>()).await?;
    Ok(recipients_of(publisher, patient, organisations, &members, record, grounds, at))
}
