//! Telling: which of the ledger's events a member may know of. An organisation's gateway reads all events and asks for its own
//! members before it passes any on, in its own name, so that members whose keys are elsewhere are told, too.
//!
//! Whoever may read a trail may know of what comes to stand on it; so may the auditors of the organisation whose record was opened,
//! who may read the opening, and, of a subscription's end, whoever reads the statements of the organisation that pays for it. What a hold hides from the patient is not told either, and is not told later: when the hold
//! ends, it is found in the trail.

use std::collections::BTreeMap;

use crate::accounting::HoldBook;
use crate::agent::AgentAtWork;
use crate::audit::Act;
use crate::delegation::Delegation;
use crate::event::LedgerEvent;
use crate::identifier::{Malformed, MemberId, TransactionId};
use crate::limit;
use crate::member::{Actor, Caller, Member};
use crate::opening::OpeningAct;
use crate::reading::{Trail, TrailState, require_reader};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::subscription::{Payer, SubscriptionAct};
use crate::time::LedgerTime;

/// Who is to be told, as the ledger knows it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The member.
    pub member: Member,
    /// What bounds it, when it is an agent: its charter names `Audit:read` if it may be told.
    pub agent: Option<AgentAtWork>,
}

/// What the ledger holds of those whom the events concern.
#[derive(Clone, Debug, Default)]
pub struct Concerned {
    /// Members who were acted upon.
    pub members: Vec<Member>,
    /// What patients let the listener do.
    pub delegations: Vec<Delegation>,
    /// What is held back from patients.
    pub holds: BTreeMap<MemberId, HoldBook>,
}

/// The transactions of those events of which the member may know, in their order. For the gateway of the member's organisation; whether
/// the events happened, the gateway knows from its peer.
pub fn decide_telling(
    caller: &Caller,
    listener: Option<Listener>,
    concerned: &Concerned,
    events: &[LedgerEvent],
    at: LedgerTime,
) -> Result<Vec<TransactionId>, Refusal> {
    let organisation = caller.custodian()?.clone();
    let Listener { member, agent } = listener
        .filter(|listener| listener.member.organisation == organisation.msp_id)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "the organisation has no such member"))?;
    let listener = Caller::Member(Box::new(Actor { member, organisation, agent }));
    listener.active_member()?;
    if events.len() > limit::EVENTS_AT_ONCE {
        return Err(Malformed::new("the events", "at most 100").into());
    }
    let known = events.iter().filter(|event| may_know(&listener, concerned, event, at));
    Ok(known.map(|event| event.entry.transaction.clone()).collect())
}

fn may_know(listener: &Caller, concerned: &Concerned, event: &LedgerEvent, at: LedgerTime) -> bool {
    let may_read = |trail: Trail| {
        let patient = trail.patient();
        let holds = patient.and_then(|patient| concerned.holds.get(patient));
        let is_held = holds.is_some_and(|holds| holds.hides(&event.entry, at));
        !is_held && require_reader(listener, &concerned.trail_state(listener, &trail), &trail, at).is_ok()
    };
    event.trails().any(may_read) || is_auditor_of_publisher(listener, event) || is_of_payer(listener, event)
}

/// Whoever reads the statements of an organisation that pays is told that what it pays for ends.
fn is_of_payer(listener: &Caller, event: &LedgerEvent) -> bool {
    let Act::Subscription(SubscriptionAct::SubscriptionEnding { payer: Payer::Organisation(payer), .. }) =
        &event.entry.act
    else {
        return false;
    };
    listener.permitted_member(Permission::ReadStatement).is_ok_and(|reader| reader.organisation.msp_id == *payer)
}

fn is_auditor_of_publisher(listener: &Caller, event: &LedgerEvent) -> bool {
    let Act::Opening(OpeningAct::LinkOpened { publisher: Some(publisher), .. }) = &event.entry.act else {
        return false;
    };
    let auditor = listener.permitted_member(Permission::ReadOrganisationAudit);
    auditor.is_ok_and(|auditor| auditor.organisation.msp_id == *publisher)
}

impl Concerned {
    fn trail_state(&self, listener: &Caller, trail: &Trail) -> TrailState {
        let own = listener.member().ok().map(|actor| &actor.member);
        let member = trail.member().and_then(|id| own.into_iter().chain(&self.members).find(|member| member.id == *id));
        let patient = trail.patient();
        let delegation = self.delegations.iter().find(|delegation| Some(&delegation.patient) == patient);
        TrailState { member: member.cloned(), delegation: delegation.cloned() }
    }
}
