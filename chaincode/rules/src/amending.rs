//! Amending a link: proposing, approving, rejecting and withdrawing an amendment.
//!
//! Who is asked, how many must approve and until when is fixed at the proposal: what changes in the consortium meanwhile changes
//! nothing about an amendment under way.

use std::collections::{BTreeMap, BTreeSet};

use crate::amendment::{
    Amendment, AmendmentAct, AmendmentState, OpenAmendment, OpenAmendments, Opinion, Voice, require_approver,
    unknown_amendment,
};
use crate::envelope::{self, Envelope, Recipient};
use crate::identifier::{AmendmentId, Commitment, MemberId, MspId, Reason};
use crate::limit;
use crate::link::{self, Content, Link, Version, VersionOfLink};
use crate::member::{Actor, Caller};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::settings::Settings;
use crate::time::LedgerTime;

/// What to propose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmendmentDraft {
    /// Its id.
    pub id: AmendmentId,
    /// The version that it is to follow.
    pub base_version: u32,
    /// The encrypted content.
    pub content: Content,
    /// A keyed commitment to the plain content.
    pub commitment: Commitment,
    /// Why.
    pub reason: Reason,
}

/// What a proposal asks of the ledger.
#[derive(Clone, Debug)]
pub struct ProposalState<'a> {
    /// What has the id already.
    pub existing: Option<Amendment>,
    /// The link's open amendments.
    pub open: OpenAmendments,
    /// All organisations.
    pub organisations: &'a [Organisation],
    /// Whom an envelope may be sealed to.
    pub recipients: &'a [Recipient],
    /// The channel's settings.
    pub settings: &'a Settings,
}

/// An amendment with what a decision on it asks of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The amendment.
    pub amendment: Amendment,
    /// Its link.
    pub link: Link,
    /// The link's open amendments.
    pub open: OpenAmendments,
}

/// What follows from a decision on an amendment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// What the trail says.
    pub act: AmendmentAct,
    /// The link's amendments that are open from now on.
    pub open: OpenAmendments,
    /// Those that are not any more: the envelopes that wait for them are of no use.
    pub closed: BTreeSet<AmendmentId>,
    /// The link with its new version, and its former one, if the amendment takes effect.
    pub activated: Option<(Link, VersionOfLink)>,
}

/// Proof that the amendment may be saved, and what follows.
#[derive(Debug, PartialEq, Eq)]
pub struct MayAmend(Effects);

/// The link, if the caller may propose its next version: a clinician of its publisher, which takes part.
pub fn decide_proposing(caller: &Caller, link: Option<Link>) -> Result<Link, Refusal> {
    let (actor, link) = link::require_own(caller, link, Permission::AmendLink)?;
    envelope::require_care_organisation(&actor.organisation)?;
    Ok(link)
}

/// Whether the caller may propose this version: the one after the link's current version, with envelopes for the patient, for the
/// own organisation, and for nobody who is not among the recipients. Takes effect at once when nobody is to be asked.
pub fn decide_proposal(
    caller: &Caller,
    link: Link,
    state: ProposalState<'_>,
    draft: AmendmentDraft,
    envelopes: &[Envelope],
    at: LedgerTime,
) -> Result<Outcome<Amendment, MayAmend>, Refusal> {
    let link = decide_proposing(caller, Some(link))?;
    let ProposalState { existing, mut open, organisations, recipients, settings } = state;
    if let Some(existing) = existing {
        return if draft.is_of(&existing) && existing.link == link.id {
            Ok(Outcome::Repeated(existing))
        } else {
            Err(Refusal::new(RefusalCode::AmendmentExists, "the amendment's id is taken: choose another"))
        };
    }
    link.require_active()?;
    draft.content.require_length()?;
    let number = link.current.number;
    if draft.base_version != number {
        return Err(Refusal::new(
            RefusalCode::AmendmentConflict,
            format!("the link is at version {number}: amend that one"),
        ));
    }
    if number >= limit::VERSIONS {
        return Err(Refusal::new(RefusalCode::TooManyVersions, "the link has as many versions as there may be"));
    }
    let closed = open.take_closed(number, at);
    if open.0.len() >= limit::OPEN_AMENDMENTS {
        return Err(Refusal::new(
            RefusalCode::TooManyAmendments,
            "the link has as many open amendments as there may be: withdraw one",
        ));
    }
    envelope::require_complete(envelopes, recipients, &link.patient, &link.publisher)?;

    let actor = caller.active_member()?;
    let asked = asked(organisations, &link.publisher);
    let amendment = Amendment {
        link: link.id.clone(),
        patient: link.patient.clone(),
        publisher: link.publisher.clone(),
        version: Version {
            number: number + 1,
            content: draft.content,
            commitment: draft.commitment,
            by: actor.member.id.clone(),
            at,
            amendment: Some(draft.id.clone()),
        },
        reason: draft.reason,
        until: at.plus_days(settings.amendment_days),
        quorum: quorum(asked.len(), settings.amendment_quorum.get(&link.category).copied()),
        voices: asked,
        state: AmendmentState::Open,
        id: draft.id,
    };
    open.0.insert(amendment.id.clone(), OpenAmendment { version: number + 1, until: amendment.until });
    let by_agent = owner_of(actor).is_some();
    Ok(amendment.conclude(link, open, closed, at, |amendment| match amendment.state {
        AmendmentState::Activated { .. } => amendment.activated_act(by_agent),
        _ => AmendmentAct::AmendmentProposed {
            amendment: amendment.id.clone(),
            link: amendment.link.clone(),
            version: amendment.version.number,
        },
    }))
}

/// Whether the caller may approve: a member of another care organisation that was asked, with one voice for the organisation. The
/// approval that reaches the quorum activates the version.
pub fn decide_approval(
    caller: &Caller,
    pending: Option<Pending>,
    at: LedgerTime,
) -> Result<Outcome<Amendment, MayAmend>, Refusal> {
    decide_voice(caller, pending, Opinion::Approves, at)
}

/// Whether the caller may reject: as for approving. The rejection after which the quorum cannot be reached closes the amendment.
pub fn decide_rejection(
    caller: &Caller,
    pending: Option<Pending>,
    reason: Reason,
    at: LedgerTime,
) -> Result<Outcome<Amendment, MayAmend>, Refusal> {
    decide_voice(caller, pending, Opinion::Rejects { reason }, at)
}

/// Whether the caller may take the amendment back while it is open: a clinician of the organisation that proposed it.
pub fn decide_withdrawal(
    caller: &Caller,
    pending: Option<Pending>,
    at: LedgerTime,
) -> Result<Outcome<Amendment, MayAmend>, Refusal> {
    let actor = caller.permitted_member(Permission::AmendLink)?;
    let Pending { mut amendment, link, open } = pending
        .filter(|pending| pending.amendment.publisher == actor.organisation.msp_id)
        .ok_or_else(unknown_amendment)?;
    if matches!(amendment.state, AmendmentState::Withdrawn { .. }) {
        return Ok(Outcome::Repeated(amendment));
    }
    amendment.require_open(&link, at)?;
    amendment.state = AmendmentState::Withdrawn { by: actor.member.id.clone(), at };
    Ok(amendment.conclude(link, open, BTreeSet::new(), at, |amendment| AmendmentAct::AmendmentWithdrawn {
        amendment: amendment.id.clone(),
        link: amendment.link.clone(),
        version: amendment.version.number,
    }))
}

impl AmendmentDraft {
    /// Whether both are one proposal: the same facts, whoever of the publisher's members sent them and when.
    fn is_of(&self, amendment: &Amendment) -> bool {
        self.base_version.checked_add(1) == Some(amendment.version.number)
            && self.content == amendment.version.content
            && self.commitment == amendment.version.commitment
            && self.reason == amendment.reason
    }
}

impl MayAmend {
    /// What follows from the decision.
    pub const fn effects(&self) -> &Effects {
        &self.0
    }
}

impl Amendment {
    /// Counts the voices and gives what follows: the version takes effect with enough approvals; with too many rejections, or once
    /// withdrawn, the amendment is over.
    fn conclude(
        mut self,
        link: Link,
        mut open: OpenAmendments,
        mut closed: BTreeSet<AmendmentId>,
        at: LedgerTime,
        act: impl FnOnce(&Self) -> AmendmentAct,
    ) -> Outcome<Self, MayAmend> {
        let mut activated = None;
        if self.state == AmendmentState::Open {
            let said = |wanted: fn(&Opinion) -> bool| {
                self.voices.values().flatten().filter(|voice| wanted(&voice.opinion)).count()
            };
            let approvals = said(|opinion| *opinion == Opinion::Approves);
            let rejections = said(|opinion| matches!(opinion, Opinion::Rejects { .. }));
            let quorum = self.quorum as usize;
            if approvals >= quorum {
                self.state = AmendmentState::Activated { at };
                let former = VersionOfLink { version: link.current, superseded: Some(at) };
                activated = Some((Link { current: self.version.clone(), ..link }, former));
                closed.append(&mut open.take_closed(self.version.number, at));
            } else if self.voices.len() - rejections < quorum {
                self.state = AmendmentState::Rejected { at };
            }
        }
        if self.state != AmendmentState::Open {
            open.0.remove(&self.id);
            closed.insert(self.id.clone());
        }
        let act = act(&self);
        Outcome::Decided(self, MayAmend(Effects { act, open, closed, activated }))
    }

    fn activated_act(&self, by_agent: bool) -> AmendmentAct {
        AmendmentAct::AmendmentActivated {
            amendment: self.id.clone(),
            link: self.link.clone(),
            version: self.version.number,
            by_agent,
        }
    }
}

fn decide_voice(
    caller: &Caller,
    pending: Option<Pending>,
    opinion: Opinion,
    at: LedgerTime,
) -> Result<Outcome<Amendment, MayAmend>, Refusal> {
    let actor = require_approver(caller)?;
    let Pending { mut amendment, link, open } = pending.ok_or_else(unknown_amendment)?;
    let refused = |why| Refusal::new(RefusalCode::NotPermitted, why);
    if actor.organisation.msp_id == amendment.publisher {
        return Err(refused("other organisations approve and reject an amendment, not the one that proposed it"));
    }
    let Some(said) = amendment.voices.get(&actor.organisation.msp_id) else {
        return Err(refused("only organisations that took part when the amendment was proposed approve and reject it"));
    };
    match said {
        Some(said) if said.opinion == opinion => return Ok(Outcome::Repeated(amendment)),
        Some(_) => {
            let detail = "the organisation has one voice, and has said otherwise already";
            return Err(Refusal::new(RefusalCode::VoiceGiven, detail));
        }
        None => {
            amendment.require_open(&link, at)?;
            open.require_listed(&amendment.id)?;
        }
    }
    let owner = owner_of(actor);
    let by_agent = owner.is_some();
    let voice = Voice { by: actor.member.id.clone(), owner, at, opinion: opinion.clone() };
    amendment.voices.insert(actor.organisation.msp_id.clone(), Some(voice));
    Ok(amendment.conclude(link, open, BTreeSet::new(), at, |amendment| {
        let is_open = amendment.state == AmendmentState::Open;
        let (id, link, version) = (amendment.id.clone(), amendment.link.clone(), amendment.version.number);
        match opinion {
            Opinion::Approves if is_open => AmendmentAct::AmendmentApproved { amendment: id, link, version, by_agent },
            Opinion::Approves => amendment.activated_act(by_agent),
            Opinion::Rejects { reason } => {
                AmendmentAct::AmendmentRejected { amendment: id, link, version, reason, by_agent, closed: !is_open }
            }
        }
    }))
}

/// The organisations to ask: the other active care organisations.
fn asked(organisations: &[Organisation], publisher: &MspId) -> BTreeMap<MspId, Option<Voice>> {
    organisations
        .iter()
        .filter(|one| one.msp_id != *publisher && envelope::require_care_organisation(one).is_ok())
        .map(|one| (one.msp_id.clone(), None))
        .collect()
}

/// How many of those asked must approve: as many as governance says for the category, and all at most; else the majority.
fn quorum(asked: usize, named: Option<u32>) -> u32 {
    let asked = u32::try_from(asked).unwrap_or(u32::MAX);
    match named {
        Some(named) => named.min(asked),
        None if asked == 0 => 0,
        None => asked / 2 + 1,
    }
}

/// The owner of an agent that acts.
fn owner_of(actor: &Actor) -> Option<MemberId> {
    actor.agent.as_ref().map(|agent| agent.owner.id.clone())
}
