//! Access links: encrypted pointers to encrypted records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::consent::Wanted;
use crate::entitlement::{Entitlement, Grounds, entitlement};
use crate::envelope::{self, Envelope, Recipient};
use crate::identifier::{AmendmentId, Commitment, ContentHash, LinkId, Malformed, MediaType, MemberId, MspId, Reason};
use crate::limit;
use crate::member::{Actor, Caller, Member};
use crate::outcome::Outcome;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// An encrypted pointer to a record that is kept, encrypted, by its publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// Its id, chosen by the publisher.
    pub id: LinkId,
    /// Whose record it is.
    pub patient: MemberId,
    /// What kind of record.
    pub category: Category,
    /// The organisation that keeps the record.
    pub publisher: MspId,
    /// When it was published; its place in lists.
    pub published: LedgerTime,
    /// The version that an opening gives.
    pub current: Version,
    /// Whether it can be opened at all.
    pub state: LinkState,
}

/// One version of a link's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Counts from 1.
    pub number: u32,
    /// The encrypted content, as anybody may check it.
    pub content: Content,
    /// A keyed commitment to the plain content.
    pub commitment: Commitment,
    /// The member who published or proposed it.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
    /// The amendment that brought it; none for the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amendment: Option<AmendmentId>,
}

/// A version of a link, which stays visible when another one has taken its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionOfLink {
    /// The version.
    pub version: Version,
    /// Since when another one has its place; absent for the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded: Option<LedgerTime>,
}

/// What anybody may know of the encrypted content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// SHA-256 of the ciphertext.
    pub hash: ContentHash,
    /// Length of the ciphertext in bytes.
    pub length: u64,
    /// Media type of the plain content.
    pub media_type: MediaType,
}

/// Whether a link can be opened at all; whether it is open *to somebody* is decided when asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LinkState {
    /// Can be opened by those entitled.
    Active,
    /// Taken back by its publisher: opens to nobody.
    Withdrawn {
        /// The member who withdrew it.
        by: MemberId,
        /// When.
        at: LedgerTime,
        /// Why.
        reason: Reason,
        /// The link that replaces it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        superseded_by: Option<LinkId>,
    },
    /// Erased by its publisher: opens to nobody, and nothing more can be done to it.
    Erased {
        /// The privacy officer who erased it.
        by: MemberId,
        /// When.
        at: LedgerTime,
        /// Why.
        reason: Reason,
    },
}

/// What is done to links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum LinkAct {
    /// A link was published.
    LinkPublished {
        /// Which.
        link: LinkId,
        /// Its version.
        version: u32,
        /// What kind of record.
        category: Category,
    },
    /// A link was withdrawn.
    LinkWithdrawn {
        /// Which.
        link: LinkId,
        /// Why.
        reason: Reason,
        /// The link that replaces it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        superseded_by: Option<LinkId>,
    },
}

/// A link to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: LinkId,
    /// Whose record it is.
    pub patient: MemberId,
    /// What kind of record.
    pub category: Category,
    /// The encrypted content.
    pub content: Content,
    /// A keyed commitment to the plain content.
    pub commitment: Commitment,
}

/// Proof that the link may be published with its envelopes.
#[derive(Debug, PartialEq, Eq)]
pub struct MayPublish(());

/// Proof that the link may be withdrawn.
#[derive(Debug, PartialEq, Eq)]
pub struct MayWithdraw(());

/// Whether the caller may publish this link: a clinician of an active care organisation, about a patient, with envelopes for the
/// patient, for the own organisation, and for nobody who is not among `recipients`. `existing` is the link that has the id already,
/// with its first version.
pub fn decide_publication(
    caller: &Caller,
    patient: Option<&Member>,
    existing: Option<(&Link, &Version)>,
    recipients: &[Recipient],
    draft: Draft,
    envelopes: &[Envelope],
    at: LedgerTime,
) -> Result<Outcome<Link, MayPublish>, Refusal> {
    let actor = require_publisher(caller)?;
    let patient = require_patient(patient)?;
    draft.content.require_length()?;
    let link = Link {
        id: draft.id,
        patient: draft.patient,
        category: draft.category,
        publisher: actor.organisation.msp_id.clone(),
        published: at,
        current: Version {
            number: 1,
            content: draft.content,
            commitment: draft.commitment,
            by: actor.member.id.clone(),
            at,
            amendment: None,
        },
        state: LinkState::Active,
    };
    if let Some((existing, first)) = existing {
        return if matches!(existing.state, LinkState::Erased { .. }) {
            Err(erased())
        } else if link.is_published_as(existing, first) {
            Ok(Outcome::Repeated(existing.clone()))
        } else {
            Err(Refusal::new(RefusalCode::LinkExists, "the link's id is taken: choose another"))
        };
    }
    envelope::require_complete(envelopes, recipients, &patient.id, &link.publisher)?;
    Ok(Outcome::Decided(link, MayPublish(())))
}

/// Whether the caller may withdraw this link: a clinician of its publisher. To those who have nothing to do with it, it is unknown.
/// `superseding` is the link that `superseded_by` names: another active one of the same patient and publisher.
pub fn decide_withdrawal(
    caller: &Caller,
    link: Option<Link>,
    superseded_by: Option<LinkId>,
    superseding: Option<&Link>,
    reason: Reason,
    at: LedgerTime,
) -> Result<Outcome<Link, MayWithdraw>, Refusal> {
    let (actor, link) = require_own(caller, link, Permission::WithdrawLink)?;
    match &link.state {
        LinkState::Active => {
            if let Some(wanted) = &superseded_by {
                require_superseding(&link, superseding.filter(|found| found.id == *wanted))?;
            }
            let state = LinkState::Withdrawn { by: actor.member.id.clone(), at, reason, superseded_by };
            Ok(Outcome::Decided(Link { state, ..link }, MayWithdraw(())))
        }
        LinkState::Withdrawn { reason: standing, superseded_by: named, .. }
            if *standing == reason && *named == superseded_by =>
        {
            Ok(Outcome::Repeated(link))
        }
        LinkState::Withdrawn { .. } => {
            Err(Refusal::new(RefusalCode::LinkWithdrawn, "the link is withdrawn already, for another reason"))
        }
        LinkState::Erased { .. } => Err(erased()),
    }
}

/// The version of a link that has this number: the current one, or the former one that was found.
pub fn version(link: Link, number: u32, former: Option<VersionOfLink>) -> Result<VersionOfLink, Refusal> {
    if link.current.number == number {
        return Ok(VersionOfLink { version: link.current, superseded: None });
    }
    former
        .filter(|former| former.version.number == number)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownVersion, "the link has no such version"))
}

/// Whether the caller may know of this link: its patient, its publisher's members and gateway, and whoever may open it now for
/// some purpose. For all others it is unknown.
pub fn decide_reading(caller: &Caller, link: Option<Link>, grounds: &Grounds, at: LedgerTime) -> Result<Link, Refusal> {
    caller.require_active()?;
    let may_know = |link: &Link| {
        let is_own = caller.organisation().msp_id == link.publisher || caller.is(&link.patient);
        is_own || matches!(caller, Caller::Member(actor) if link.opens_to(actor, grounds, at))
    };
    link.filter(may_know).ok_or_else(unknown_link)
}

/// The member that a link's records are about: it must be a patient.
pub fn require_patient(patient: Option<&Member>) -> Result<&Member, Refusal> {
    patient
        .filter(|member| member.role == Role::Patient)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownPatient, "no such patient"))
}

/// The refusal of a link that does not exist, or that the caller may not know of.
pub fn unknown_link() -> Refusal {
    Refusal::new(RefusalCode::UnknownLink, "no such link")
}

impl Link {
    /// This link, as a record that somebody wants.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            link: Some(&self.id),
            category: self.category,
            patient: &self.patient,
            publisher: Some(&self.publisher),
        }
    }

    /// Refuses a link that is withdrawn or erased.
    pub fn require_active(&self) -> Result<(), Refusal> {
        match self.state {
            LinkState::Active => Ok(()),
            LinkState::Withdrawn { .. } => Err(Refusal::new(RefusalCode::LinkWithdrawn, "the link is withdrawn")),
            LinkState::Erased { .. } => Err(erased()),
        }
    }

    /// Whether both are one publication: the same facts, whoever of the publisher's members sent them and when, and whatever
    /// amendments followed the other's first version.
    fn is_published_as(&self, other: &Self, first: &Version) -> bool {
        self.patient == other.patient
            && self.category == other.category
            && self.publisher == other.publisher
            && self.current.content == first.content
            && self.current.commitment == first.commitment
    }

    fn opens_to(&self, actor: &Actor, grounds: &Grounds, at: LedgerTime) -> bool {
        let wanted = self.wanted();
        self.state == LinkState::Active
            && Purpose::ALL.into_iter().any(|purpose| {
                let found = entitlement(actor.subject(), wanted, grounds, purpose, at);
                matches!(found, Entitlement::Entitled { .. })
            })
    }
}

impl Content {
    pub(crate) fn require_length(&self) -> Result<(), Malformed> {
        if (1..=limit::CONTENT_BYTES).contains(&self.length) {
            Ok(())
        } else {
            Err(Malformed::new("a content's length", "1 to 4294967296 bytes"))
        }
    }
}

/// The caller and the link, if it is one of the caller's organisation and the caller has the permission. To those who have nothing
/// to do with it, it is unknown.
pub(crate) fn require_own(
    caller: &Caller,
    link: Option<Link>,
    permission: Permission,
) -> Result<(&Actor, Link), Refusal> {
    let actor = caller.active_member()?;
    let link = link.ok_or_else(unknown_link)?;
    if link.publisher != actor.organisation.msp_id {
        return Err(if link.patient == actor.member.id {
            let detail = "only the publisher changes a link: deny access by a consent instead";
            Refusal::new(RefusalCode::OtherOrganisation, detail)
        } else {
            unknown_link()
        });
    }
    Ok((caller.permitted_member(permission)?, link))
}

fn erased() -> Refusal {
    Refusal::new(RefusalCode::LinkErased, "the link is erased")
}

fn require_superseding(link: &Link, superseding: Option<&Link>) -> Result<(), Refusal> {
    let is_fit = |found: &&Link| {
        found.id != link.id
            && found.patient == link.patient
            && found.publisher == link.publisher
            && found.state == LinkState::Active
    };
    superseding.filter(is_fit).map(|_| ()).ok_or_else(|| {
        Refusal::new(
            RefusalCode::SupersedingLink,
            "a link is superseded by another active link of the same patient and publisher: publish that one first",
        )
    })
}

fn require_publisher(caller: &Caller) -> Result<&Actor, Refusal> {
    let actor = caller.permitted_member(Permission::PublishLink)?;
    envelope::require_care_organisation(&actor.organisation)?;
    Ok(actor)
}
