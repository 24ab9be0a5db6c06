//! Amendments: the next version of a link, which other care organisations approve or reject before it takes effect.
//! What one is, and who may know of it; what is decided about it is in [`crate::amending`].

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entitlement::Grounds;
use crate::envelope;
use crate::identifier::{AmendmentId, LinkId, MemberId, MspId, Reason};
use crate::link::{self, Link, Version};
use crate::member::{Actor, Caller};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// A version that is proposed for a link. Does not say what kind of record: those who are asked need not know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amendment {
    /// Its id, chosen by the proposer.
    pub id: AmendmentId,
    /// The link.
    pub link: LinkId,
    /// Whose record it is.
    pub patient: MemberId,
    /// The organisation that keeps the record, and proposes.
    pub publisher: MspId,
    /// The version that is to follow the link's.
    pub version: Version,
    /// Why.
    pub reason: Reason,
    /// Until when it can be approved (that moment excluded).
    pub until: LedgerTime,
    /// How many organisations must approve.
    pub quorum: u32,
    /// The organisations that are asked, with what each has said.
    pub voices: BTreeMap<MspId, Option<Voice>>,
    /// What became of it.
    pub state: AmendmentState,
}

/// What an organisation says to an amendment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Voice {
    /// The member who spoke for it.
    pub by: MemberId,
    /// The agent's owner, where it was an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<MemberId>,
    /// When.
    pub at: LedgerTime,
    /// What it says.
    #[serde(flatten)]
    pub opinion: Opinion,
}

/// For or against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "opinion", rename_all = "kebab-case")]
pub enum Opinion {
    /// For.
    Approves,
    /// Against.
    Rejects {
        /// Why.
        reason: Reason,
    },
}

/// What became of an amendment by somebody's doing; what time and other amendments make of it is [`AmendmentStanding`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum AmendmentState {
    /// Neither approved nor rejected.
    Open,
    /// Took effect: the link has this version, or a later one.
    Activated {
        /// When.
        at: LedgerTime,
    },
    /// So many organisations rejected it that the quorum could not be reached any more.
    Rejected {
        /// When.
        at: LedgerTime,
    },
    /// Taken back by the organisation that proposed it.
    Withdrawn {
        /// The member who withdrew it.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
}

/// How an amendment stands when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AmendmentStanding {
    /// Can be approved and rejected.
    Open,
    /// Took effect.
    Activated,
    /// Was rejected.
    Rejected,
    /// Was taken back.
    Withdrawn,
    /// Another amendment of the same version reached its quorum first.
    Superseded,
    /// Nobody decided in time.
    Expired,
    /// Its link is withdrawn or erased.
    LinkClosed,
}

/// An amendment, and how it stands when asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AmendmentView {
    /// The amendment.
    pub amendment: Amendment,
    /// How it stands.
    pub standing: AmendmentStanding,
}

/// What is done with amendments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum AmendmentAct {
    /// A link's next version was proposed.
    AmendmentProposed {
        /// The amendment.
        amendment: AmendmentId,
        /// The link.
        link: LinkId,
        /// The version.
        version: u32,
    },
    /// An organisation approved, and more must.
    AmendmentApproved {
        /// The amendment.
        amendment: AmendmentId,
        /// The link.
        link: LinkId,
        /// The version.
        version: u32,
        /// Whether an agent did.
        by_agent: bool,
    },
    /// The last approval that was missing was given, or none was asked for: the link has its next version.
    AmendmentActivated {
        /// The amendment.
        amendment: AmendmentId,
        /// The link.
        link: LinkId,
        /// The version.
        version: u32,
        /// Whether an agent did.
        by_agent: bool,
    },
    /// An organisation rejected.
    AmendmentRejected {
        /// The amendment.
        amendment: AmendmentId,
        /// The link.
        link: LinkId,
        /// The version.
        version: u32,
        /// Why.
        reason: Reason,
        /// Whether an agent did.
        by_agent: bool,
        /// Whether the quorum cannot be reached any more, so that the amendment is rejected for good.
        closed: bool,
    },
    /// The organisation that proposed it took it back.
    AmendmentWithdrawn {
        /// The amendment.
        amendment: AmendmentId,
        /// The link.
        link: LinkId,
        /// The version.
        version: u32,
    },
}

/// A link's amendments that may still be open; bounded, because a proposal forgets those that time or another one has closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenAmendments(pub(crate) BTreeMap<AmendmentId, OpenAmendment>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenAmendment {
    pub(crate) version: u32,
    pub(crate) until: LedgerTime,
}

/// The amendment and how it stands, if the caller may know of it: whoever may know of the link, and, while it is open, those who
/// approve amendments in the organisations that are asked. For all others it is unknown.
pub fn decide_reading(
    caller: &Caller,
    amendment: Option<(Amendment, Link)>,
    grounds: &Grounds,
    at: LedgerTime,
) -> Result<AmendmentView, Refusal> {
    caller.require_active()?;
    let (amendment, link) = amendment.ok_or_else(unknown_amendment)?;
    let standing = amendment.standing(&link, at);
    let is_asked = amendment.voices.contains_key(&caller.organisation().msp_id) && require_approver(caller).is_ok();
    if !(is_asked && standing == AmendmentStanding::Open) {
        link::decide_reading(caller, Some(link), grounds, at).map_err(|refusal| match refusal.code() {
            RefusalCode::UnknownLink => unknown_amendment(),
            _ => refusal,
        })?;
    }
    Ok(AmendmentView { amendment, standing })
}

/// The refusal of an amendment that does not exist, or that the caller may not know of.
pub fn unknown_amendment() -> Refusal {
    Refusal::new(RefusalCode::UnknownAmendment, "no such amendment")
}

impl Amendment {
    /// How it stands, given its link as it is now.
    pub fn standing(&self, link: &Link, at: LedgerTime) -> AmendmentStanding {
        match self.state {
            AmendmentState::Activated { .. } => AmendmentStanding::Activated,
            AmendmentState::Rejected { .. } => AmendmentStanding::Rejected,
            AmendmentState::Withdrawn { .. } => AmendmentStanding::Withdrawn,
            AmendmentState::Open if link.require_active().is_err() => AmendmentStanding::LinkClosed,
            AmendmentState::Open if link.current.number >= self.version.number => AmendmentStanding::Superseded,
            AmendmentState::Open if self.until <= at => AmendmentStanding::Expired,
            AmendmentState::Open => AmendmentStanding::Open,
        }
    }

    pub(crate) fn require_open(&self, link: &Link, at: LedgerTime) -> Result<(), Refusal> {
        let closed = |why| Err(Refusal::new(RefusalCode::AmendmentClosed, why));
        match self.standing(link, at) {
            AmendmentStanding::Open => Ok(()),
            AmendmentStanding::Activated => closed("the amendment took effect already"),
            AmendmentStanding::Rejected => closed("the amendment is rejected: propose another one"),
            AmendmentStanding::Withdrawn => closed("the amendment was withdrawn"),
            AmendmentStanding::Expired => closed("the amendment was not decided in time: propose it again"),
            AmendmentStanding::LinkClosed => link.require_active(),
            AmendmentStanding::Superseded => Err(Refusal::new(
                RefusalCode::AmendmentConflict,
                "another amendment of the same version reached its quorum first: propose it on the present version",
            )),
        }
    }
}

impl OpenAmendments {
    /// Those that may still be open.
    pub fn ids(&self) -> BTreeSet<AmendmentId> {
        self.0.keys().cloned().collect()
    }

    /// Refuses an amendment that a later proposal has forgotten, and its envelopes with it: transactions' times need not grow.
    pub(crate) fn require_listed(&self, id: &AmendmentId) -> Result<(), Refusal> {
        if self.0.contains_key(id) {
            return Ok(());
        }
        let detail = "the amendment was not decided in time: propose it again";
        Err(Refusal::new(RefusalCode::AmendmentClosed, detail))
    }

    /// Takes out those that cannot be approved any more, given the link's version.
    pub(crate) fn take_closed(&mut self, current: u32, at: LedgerTime) -> BTreeSet<AmendmentId> {
        let (closed, open) =
            std::mem::take(&mut self.0).into_iter().partition(|(_, one)| one.version <= current || one.until <= at);
        self.0 = open;
        let closed: BTreeMap<AmendmentId, OpenAmendment> = closed;
        closed.into_keys().collect()
    }
}

pub(crate) fn require_approver(caller: &Caller) -> Result<&Actor, Refusal> {
    let actor = caller.permitted_member(Permission::ApproveAmendment)?;
    envelope::require_care_organisation(&actor.organisation)?;
    Ok(actor)
}
