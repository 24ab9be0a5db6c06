//! Re-sealing: when somebody's key was rotated, or somebody became entitled, the publisher's gateway seals to the present key what was
//! sealed to another, or not at all. What consents name link by link is sealed when it is first opened.

use crate::entitlement::Grounds;
use crate::envelope::{self, Envelope, recipients};
use crate::link::{Link, require_patient, unknown_link};
use crate::member::{Caller, Member};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// What the ledger holds, now, of what a re-sealing names.
#[derive(Clone, Copy, Debug)]
pub struct ResealingState<'a> {
    /// The link.
    pub link: Option<&'a Link>,
    /// Its patient.
    pub patient: Option<&'a Member>,
    /// The envelope's holder, if it is an organisation, else the holder's organisation.
    pub organisation: Option<&'a Organisation>,
    /// The envelope's holder, if it is a person.
    pub member: Option<&'a Member>,
    /// What the patient's decisions rest on.
    pub grounds: &'a Grounds,
    /// The envelope for the same key that is there already.
    pub existing: Option<&'a Envelope>,
}

/// Proof that the envelope may be added.
#[derive(Debug, PartialEq, Eq)]
pub struct MayReseal(());

/// Whether the caller may ask which envelopes its organisation's links lack: the gateway of a care organisation, which is given, or an
/// agent of somebody who publishes its links. No person does this: nobody but the organisation's programs holds the key to it.
pub fn decide_asking(caller: &Caller) -> Result<&Organisation, Refusal> {
    let publisher = match caller {
        Caller::Member(actor) if actor.agent.is_some() => {
            &caller.permitted_member(Permission::PublishLink)?.organisation
        }
        Caller::Member(_) | Caller::Custodian(_) => caller.custodian()?,
    };
    envelope::require_care_organisation(publisher)?;
    Ok(publisher)
}

/// Whether the caller, the gateway of the link's publisher or an agent as above, may add this envelope: for somebody to whom the link would be sealed if it
/// were published now, with the present key, of which there is none yet. To others the link is unknown.
pub fn decide_resealing(
    caller: &Caller,
    state: ResealingState<'_>,
    envelope: Envelope,
    at: LedgerTime,
) -> Result<Outcome<Envelope, MayReseal>, Refusal> {
    let publisher = decide_asking(caller)?;
    let link = state.link.filter(|link| link.publisher == publisher.msp_id).ok_or_else(unknown_link)?;
    link.require_active()?;
    match state.existing {
        Some(existing) if *existing == envelope => return Ok(Outcome::Repeated(envelope)),
        Some(_) => {
            return Err(Refusal::new(RefusalCode::EnvelopeExists, "there is an envelope for this key: use that one"));
        }
        None => {}
    }
    let (organisations, members) = (state.organisation.cloned(), state.member.cloned());
    let patient = require_patient(state.patient)?;
    let present = recipients(publisher, patient, organisations.as_slice(), members.as_slice(), link, state.grounds, at);
    if present.iter().any(|recipient| recipient.is_of(&envelope)) {
        Ok(Outcome::Decided(envelope, MayReseal(())))
    } else {
        Err(Refusal::new(
            RefusalCode::EnvelopeNotWanted,
            "seal only to the recipients that Links:toReseal names, with their present keys",
        ))
    }
}
