//! Governance: organisations propose changes and vote on them; a change that most of them approve is carried out at once.
//!
//! It takes more than half of all organisations that have not left, also of those that were named and have not entered yet. Only the
//! votes of organisations that take part now count, each once, and only those given since the organisation entered. Nothing sweeps
//! proposals: whether one has expired is computed when it is asked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::change::{Affairs, Change, Execution, carry_out};
use crate::group::Group;
use crate::identifier::{MemberId, MspId, ProposalId, Reason};
use crate::member::{Actor, Caller};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::settings::Settings;
use crate::time::LedgerTime;

/// A proposed change, with the votes on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// What is proposed.
    pub change: Change,
    /// What it replaces, as it was when proposed: what became another meanwhile is not overwritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Who proposed it.
    pub by: MemberId,
    /// For which organisation.
    pub organisation: MspId,
    /// When.
    pub made: LedgerTime,
    /// From when on nobody votes on it any more.
    pub expires: LedgerTime,
    /// The organisations' votes; the proposer's is an approval.
    pub votes: BTreeMap<MspId, Vote>,
    /// How it stands.
    pub state: ProposalState,
}

/// What a change replaces, as the proposal found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The organisation whose gateway and keys are exchanged.
    Organisation(Organisation),
    /// The group whose privileges and members are replaced.
    Group(Group),
    /// The settings.
    Settings(Settings),
}

/// How a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProposalState {
    /// Waits for votes.
    Open,
    /// Approved by more than half of the organisations that have not left, and carried out.
    Carried {
        /// When.
        at: LedgerTime,
    },
    /// So many voted against it that it could not be carried any more.
    Rejected {
        /// When.
        at: LedgerTime,
    },
    /// Taken back by the organisation that made it.
    Withdrawn {
        /// By which member.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
    /// Not decided in time. Computed when asked, never stored.
    Expired,
}

/// An organisation's vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Vote {
    /// The member who cast it.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
    /// For or against.
    pub choice: Choice,
    /// Why; stays on the ledger for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// For or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// For.
    Approve,
    /// Against.
    Reject,
}

/// What is done to proposals. Whoever cast the vote that decided is who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum GovernanceAct {
    /// A change was proposed, and waits for votes.
    ProposalMade {
        /// The proposal.
        proposal: ProposalId,
        /// The change.
        change: Change,
    },
    /// An organisation voted, which decided nothing yet.
    VoteCast {
        /// The proposal.
        proposal: ProposalId,
        /// For or against.
        choice: Choice,
    },
    /// A vote, or the proposal itself, made the majority: the change was carried out in this transaction.
    ProposalCarried {
        /// The proposal.
        proposal: ProposalId,
        /// The change.
        change: Change,
    },
    /// A vote made a majority impossible.
    ProposalRejected {
        /// The proposal.
        proposal: ProposalId,
    },
    /// The organisation that made it took it back.
    ProposalWithdrawn {
        /// The proposal.
        proposal: ProposalId,
    },
}

/// A proposal as a call left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The proposal.
    pub proposal: Proposal,
    /// What carrying out its change writes, if this call carried it.
    pub execution: Option<Execution>,
}

/// Proof that the proposal may be saved so, and its change carried out.
#[derive(Debug, PartialEq, Eq)]
pub struct MayGovern(());

impl Proposal {
    /// How it stands at this time.
    pub fn as_of(self, at: LedgerTime) -> Self {
        if self.is_open() && self.expires <= at { Self { state: ProposalState::Expired, ..self } } else { self }
    }

    /// Whether it waits for votes; ask that of one that is [`as_of`](Self::as_of) a time.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, ProposalState::Open)
    }
}

impl GovernanceAct {
    /// What a call did that left the proposal so: `otherwise`, unless it decided the proposal.
    pub fn of(proposal: &Proposal, otherwise: Self) -> Self {
        let id = proposal.id.clone();
        match proposal.state {
            ProposalState::Carried { .. } => Self::ProposalCarried { proposal: id, change: proposal.change.clone() },
            ProposalState::Rejected { .. } => Self::ProposalRejected { proposal: id },
            ProposalState::Withdrawn { .. } => Self::ProposalWithdrawn { proposal: id },
            ProposalState::Open | ProposalState::Expired => otherwise,
        }
    }
}

/// Whether the caller may propose this change; `existing` is the proposal that has the id, `affairs` are what the change is about.
pub fn decide_proposal(
    caller: &Caller,
    existing: Option<Proposal>,
    id: ProposalId,
    change: Change,
    affairs: &Affairs,
    at: LedgerTime,
) -> Result<Outcome<Ruling, MayGovern>, Refusal> {
    let actor = caller.permitted_member(Permission::ProposeChange)?;
    let organisation = actor.organisation.msp_id.clone();
    if let Some(existing) = existing {
        return if existing.change == change && existing.organisation == organisation {
            Ok(repeated(existing.as_of(at)))
        } else {
            Err(Refusal::new(RefusalCode::ProposalExists, "the proposal's id is taken: choose another"))
        };
    }
    let proposal = Proposal {
        id,
        base: affairs.base(&change),
        change,
        by: actor.member.id.clone(),
        organisation,
        made: at,
        expires: at.plus_days(affairs.settings.proposal_days),
        votes: BTreeMap::new(),
        state: ProposalState::Open,
    };
    carry_out(&proposal, affairs, at)?;
    let ruling = settle(with_vote(proposal, actor, Choice::Approve, None, at), affairs, at)?;
    Ok(Outcome::Decided(ruling, MayGovern(())))
}

/// Whether the caller may cast its organisation's vote, and what follows from it. A vote that comes again is counted anew: of the
/// others that voted, some may have left. An organisation that left and came back votes anew.
pub fn decide_vote(
    caller: &Caller,
    proposal: Option<Proposal>,
    choice: Choice,
    reason: Option<Reason>,
    affairs: &Affairs,
    at: LedgerTime,
) -> Result<Outcome<Ruling, MayGovern>, Refusal> {
    let actor = caller.permitted_member(Permission::ProposeChange)?;
    let proposal = known(proposal)?.as_of(at);
    let is_present = |vote: &&Vote| actor.organisation.entered().is_some_and(|since| since <= vote.at);
    let cast = proposal.votes.get(&actor.organisation.msp_id).filter(is_present);
    let is_repeated = cast.is_some();
    if cast.is_some_and(|vote| vote.choice != choice || vote.reason != reason) {
        return Err(Refusal::new(RefusalCode::AlreadyVoted, "the organisation voted otherwise, or for another reason"));
    }
    if is_repeated && !proposal.is_open() {
        return Ok(repeated(proposal));
    }
    require_open(&proposal)?;
    let proposal = if is_repeated { proposal } else { with_vote(proposal, actor, choice, reason, at) };
    let ruling = settle(proposal, affairs, at)?;
    if is_repeated && ruling.proposal.is_open() {
        return Ok(repeated(ruling.proposal));
    }
    Ok(Outcome::Decided(ruling, MayGovern(())))
}

/// Whether the caller may take the proposal back.
pub fn decide_withdrawal(
    caller: &Caller,
    proposal: Option<Proposal>,
    at: LedgerTime,
) -> Result<Outcome<Ruling, MayGovern>, Refusal> {
    let actor = caller.permitted_member(Permission::ProposeChange)?;
    let proposal = known(proposal)?.as_of(at);
    if proposal.organisation != actor.organisation.msp_id {
        return Err(Refusal::new(
            RefusalCode::OtherOrganisation,
            "another organisation's proposal: vote against it, or ask an administrator there",
        ));
    }
    if matches!(proposal.state, ProposalState::Withdrawn { .. }) {
        return Ok(repeated(proposal));
    }
    require_open(&proposal)?;
    let state = ProposalState::Withdrawn { by: actor.member.id.clone(), at };
    let ruling = Ruling { proposal: Proposal { state, ..proposal }, execution: None };
    Ok(Outcome::Decided(ruling, MayGovern(())))
}

/// The proposal, as it stands, for any member or gateway that may act.
pub fn decide_reading(caller: &Caller, proposal: Option<Proposal>, at: LedgerTime) -> Result<Proposal, Refusal> {
    caller.require_active()?;
    Ok(known(proposal)?.as_of(at))
}

fn repeated(proposal: Proposal) -> Outcome<Ruling, MayGovern> {
    Outcome::Repeated(Ruling { proposal, execution: None })
}

fn known(proposal: Option<Proposal>) -> Result<Proposal, Refusal> {
    proposal.ok_or_else(|| Refusal::new(RefusalCode::UnknownProposal, "no such proposal"))
}

fn require_open(proposal: &Proposal) -> Result<(), Refusal> {
    match proposal.state {
        ProposalState::Open => Ok(()),
        ProposalState::Expired => {
            Err(Refusal::new(RefusalCode::ProposalExpired, "the proposal was not decided in time: propose it again"))
        }
        ProposalState::Carried { .. } | ProposalState::Rejected { .. } | ProposalState::Withdrawn { .. } => {
            Err(Refusal::new(RefusalCode::ProposalClosed, "the proposal was carried, rejected or withdrawn"))
        }
    }
}

fn with_vote(
    mut proposal: Proposal,
    actor: &Actor,
    choice: Choice,
    reason: Option<Reason>,
    at: LedgerTime,
) -> Proposal {
    let vote = Vote { by: actor.member.id.clone(), at, choice, reason };
    proposal.votes.insert(actor.organisation.msp_id.clone(), vote);
    proposal
}

/// Counts the votes that organisations that are active now gave since they entered. More than half of all that have not left carry the
/// proposal; when those who have not voted against it are no more than half, it is rejected.
fn settle(proposal: Proposal, affairs: &Affairs, at: LedgerTime) -> Result<Ruling, Refusal> {
    let counts = |voter, vote: &Vote| affairs.entered(voter).is_some_and(|since| since <= vote.at);
    let count =
        |choice| proposal.votes.iter().filter(|(voter, vote)| counts(voter, vote) && vote.choice == choice).count();
    let all = affairs.electorate();
    let is_majority = |organisations: usize| organisations * 2 > all;
    if is_majority(count(Choice::Approve)) {
        if proposal.base.is_some() && proposal.base != affairs.base(&proposal.change) {
            return Err(outdated("what it replaces has changed since it was proposed: propose it again"));
        }
        let execution = carry_out(&proposal, affairs, at).map_err(|refusal| outdated(refusal.detail()))?;
        let proposal = Proposal { state: ProposalState::Carried { at }, ..proposal };
        return Ok(Ruling { proposal, execution: Some(execution) });
    }
    let state = if is_majority(all.saturating_sub(count(Choice::Reject))) {
        ProposalState::Open
    } else {
        ProposalState::Rejected { at }
    };
    Ok(Ruling { proposal: Proposal { state, ..proposal }, execution: None })
}

fn outdated(why: &str) -> Refusal {
    let detail = format!("this vote would carry it, but it cannot be carried out any more: {why}");
    Refusal::new(RefusalCode::ProposalOutdated, detail)
}
