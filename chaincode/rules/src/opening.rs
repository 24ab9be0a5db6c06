//! Openings: whether somebody may open a link now, and the fact that it was asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::consent::Subject;
use crate::custody::{Custodians, is_among};
use crate::entitlement::{Entitlement, Grounds, KeyOf, entitlement};
use crate::envelope::{Holder, Recipient};
use crate::identifier::{Commitment, ConsentId, DelegationId, LinkId, MemberId, MspId, TransactionId};
use crate::link::{Content, Link, LinkState};
use crate::member::{Actor, Caller};
use crate::organisation::EncryptionKey;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// The fact that somebody asked to open a link, and what was decided. Named by its transaction; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Opening {
    /// The transaction, which names the opening.
    pub transaction: TransactionId,
    /// When.
    pub time: LedgerTime,
    /// Which link.
    pub link: LinkId,
    /// Its version at the time.
    pub version: u32,
    /// Whose record.
    pub patient: MemberId,
    /// The organisation that keeps the record.
    pub publisher: MspId,
    /// Who asked.
    pub opener: MemberId,
    /// Who answers for the opener, when it is an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<MemberId>,
    /// The opener's organisation.
    pub organisation: MspId,
    /// For what.
    pub purpose: Purpose,
    /// The emergency that was claimed, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<TransactionId>,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// The opener may have this content.
    Permitted {
        /// What kind of record. A denial does not say: that a record is restricted is not for everybody to know.
        category: Category,
        /// By which provision.
        provision: Provision,
        /// Whose key the envelope for this opening is sealed to. When there is no such envelope yet, the publisher's gateway seals
        /// one to this key.
        recipient: Recipient,
        /// What the opener must receive.
        content: Content,
        /// Commitment to the plain content: two keys may open one ciphertext to two plain texts, only one of which fits this.
        commitment: Commitment,
    },
    /// The opener may not.
    Denied {
        /// Why.
        reason: Denial,
        /// The exception of the information blocking rules that is claimed; the first release claimed none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exception: Option<Exception>,
        /// The provision that denies, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provision: Option<Provision>,
    },
}

/// What an opening rests on. JSON: `{"rule": "…"}`, `{"consent": "…"}`, `{"delegation": "…"}` or `{"emergency": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provision {
    /// A rule of the network.
    Rule(Rule),
    /// A consent of the patient.
    Consent(ConsentId),
    /// What the patient lets a guardian do.
    Delegation(DelegationId),
    /// An emergency that a clinician declared.
    Emergency(TransactionId),
}

/// The network's rules under which a link opens without a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Patients open their own records (45 CFR 164.524).
    OwnAccess,
    /// Clinicians of care organisations open records for treatment (45 CFR 164.506), but no restricted ones (42 CFR Part 2).
    DirectTreatment,
    /// Pharmacists open medication and allergy records for treatment.
    PharmacyTreatment,
}

/// Why a link does not open. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// The opener is suspended.
    MemberSuspended,
    /// The opener is retired.
    MemberRetired,
    /// The opener's organisation does not take part.
    OrganisationNotActive,
    /// The publisher withdrew the link.
    LinkWithdrawn,
    /// The publisher erased the record.
    LinkErased,
    /// The opener's role never opens records for this purpose.
    PurposeNotPermitted,
    /// The patient denies it.
    PatientDenied,
    /// Needs a consent, and none in force covers it. Does not say whether the record is restricted.
    ConsentRequired,
    /// The patient permits it, but the patient's subscription has lapsed.
    SubscriptionLapsed,
    /// The agent's charter does not allow it.
    AgentNotPermitted,
    /// The emergency is over, somebody else's, or rests until overdue reviews are done.
    EmergencyNotInForce,
}

/// The exceptions under which not giving out records is no information blocking (45 CFR 171).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Exception {
    /// Preventing harm, 45 CFR 171.201: the data are known to be wrong.
    PreventingHarm,
    /// Privacy, 45 CFR 171.202: a precondition is not satisfied, or the individual asked not to share.
    Privacy,
    /// Security, 45 CFR 171.203.
    Security,
    /// Infeasibility, 45 CFR 171.204.
    Infeasibility,
    /// Fees, 45 CFR 171.302.
    Fees,
}

/// What openings leave on the trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum OpeningAct {
    /// A link was opened.
    LinkOpened {
        /// Which.
        link: LinkId,
        /// Who keeps it; unknown in entries of the first release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        publisher: Option<MspId>,
        /// Its version.
        version: u32,
        /// What kind of record.
        category: Category,
        /// For what.
        purpose: Purpose,
        /// Under which provision.
        provision: Provision,
    },
    /// Opening a link was denied. Does not say what kind of record: the one denied reads this, too.
    OpeningDenied {
        /// Which.
        link: LinkId,
        /// For what.
        purpose: Purpose,
        /// Why.
        reason: Denial,
        /// The provision that denied, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provision: Option<Provision>,
    },
}

impl OpeningAct {
    /// What an opening leaves on the trail.
    pub fn of(opening: &Opening) -> Self {
        let (link, purpose) = (opening.link.clone(), opening.purpose);
        match opening.decision.clone() {
            Decision::Permitted { category, provision, .. } => Self::LinkOpened {
                link,
                publisher: Some(opening.publisher.clone()),
                version: opening.version,
                category,
                purpose,
                provision,
            },
            Decision::Denied { reason, provision, .. } => Self::OpeningDenied { link, purpose, reason, provision },
        }
    }
}

impl Denial {
    /// Every denial.
    pub const ALL: [Self; 11] = [
        Self::MemberSuspended,
        Self::MemberRetired,
        Self::OrganisationNotActive,
        Self::LinkWithdrawn,
        Self::LinkErased,
        Self::PurposeNotPermitted,
        Self::PatientDenied,
        Self::ConsentRequired,
        Self::SubscriptionLapsed,
        Self::AgentNotPermitted,
        Self::EmergencyNotInForce,
    ];

    /// The stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemberSuspended => "member-suspended",
            Self::MemberRetired => "member-retired",
            Self::OrganisationNotActive => "organisation-not-active",
            Self::LinkWithdrawn => "link-withdrawn",
            Self::LinkErased => "link-erased",
            Self::PurposeNotPermitted => "purpose-not-permitted",
            Self::PatientDenied => "patient-denied",
            Self::ConsentRequired => "consent-required",
            Self::SubscriptionLapsed => "subscription-lapsed",
            Self::AgentNotPermitted => "agent-not-permitted",
            Self::EmergencyNotInForce => "emergency-not-in-force",
        }
    }

    /// The exception that this denial claims: what was withdrawn is known to be wrong (171.201(c)(2)); a precondition of law or policy is
    /// not satisfied (171.202(b)), or the individual asked not to share (171.202(e)); who is barred, or over the bounds of a charter, is kept
    /// out for security (171.203); what is erased is there no more (171.204); third parties pay for access (171.302), patients never.
    pub const fn exception(self) -> Exception {
        match self {
            Self::LinkWithdrawn => Exception::PreventingHarm,
            Self::PurposeNotPermitted | Self::PatientDenied | Self::ConsentRequired | Self::EmergencyNotInForce => {
                Exception::Privacy
            }
            Self::MemberSuspended | Self::MemberRetired | Self::OrganisationNotActive | Self::AgentNotPermitted => {
                Exception::Security
            }
            Self::LinkErased => Exception::Infeasibility,
            Self::SubscriptionLapsed => Exception::Fees,
        }
    }
}

/// Proof that an opening was decided by the rules.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided(());

/// Whether the caller may open the link for the purpose, as the ledger stands at this time. A denial is a decision, too, and is
/// committed; gateways open nothing and are refused.
pub fn decide_opening(
    caller: &Caller,
    link: &Link,
    grounds: &Grounds,
    purpose: Purpose,
    transaction: TransactionId,
    at: LedgerTime,
) -> Result<(Opening, Decided), Refusal> {
    let actor = caller.member()?;
    let opening = Opening {
        transaction,
        time: at,
        link: link.id.clone(),
        version: link.current.number,
        patient: link.patient.clone(),
        publisher: link.publisher.clone(),
        opener: actor.member.id.clone(),
        owner: actor.agent.as_ref().map(|work| work.owner.id.clone()),
        organisation: actor.organisation.msp_id.clone(),
        purpose,
        emergency: grounds.emergency.as_ref().map(|emergency| emergency.id.clone()),
        decision: decide_for(actor, link, grounds, purpose, at),
    };
    Ok((opening, Decided(())))
}

/// Whether a committed opening still holds: it was permitted, and the same opener would be permitted the same version for the same
/// purpose now. Gives its recipient.
pub fn require_in_force<'a>(
    opening: &'a Opening,
    opener: &Actor,
    link: &Link,
    grounds: &Grounds,
    at: LedgerTime,
) -> Result<&'a Recipient, Refusal> {
    let not_in_force = || {
        Refusal::new(RefusalCode::OpeningNotInForce, "the opening is not, or no longer, permitted: open the link again")
    };
    let Decision::Permitted { recipient, .. } = &opening.decision else { return Err(not_in_force()) };
    let is_same =
        opener.member.id == opening.opener && link.id == opening.link && link.current.number == opening.version;
    match decide_for(opener, link, grounds, opening.purpose, at) {
        Decision::Permitted { recipient: now, .. } if is_same && now == *recipient => Ok(recipient),
        Decision::Permitted { .. } | Decision::Denied { .. } => Err(not_in_force()),
    }
}

/// Whether the caller may know of this opening: its opener, the gateways, administrators and privacy officers of the opener's and the
/// publisher's organisations, and the gateways of the publisher's custodians. For all others it is unknown.
pub fn decide_reading(
    caller: &Caller,
    opening: Option<Opening>,
    custodians: Option<&Custodians>,
) -> Result<Opening, Refusal> {
    caller.require_active()?;
    let may_know = |opening: &Opening| {
        let organisation = &caller.organisation().msp_id;
        let is_party = *organisation == opening.publisher || *organisation == opening.organisation;
        match caller {
            Caller::Custodian(_) => is_party || is_among(custodians, &opening.publisher, organisation),
            Caller::Member(actor) => {
                actor.member.id == opening.opener
                    || is_party && actor.authority(Permission::ReadOrganisationAudit).is_granted()
            }
        }
    };
    opening.filter(may_know).ok_or_else(unknown_opening)
}

/// Whether the caller may have this opening's envelope: its opener, and the gateway of the opener's organisation.
pub fn decide_reading_envelope(caller: &Caller, opening: Option<Opening>) -> Result<Opening, Refusal> {
    let opening = decide_reading(caller, opening, None)?;
    let is_gateway = matches!(caller, Caller::Custodian(organisation) if organisation.msp_id == opening.organisation);
    if caller.is(&opening.opener) || is_gateway {
        Ok(opening)
    } else {
        Err(Refusal::new(
            RefusalCode::NotPermitted,
            "the envelope is for the opener and the gateway of its organisation",
        ))
    }
}

pub(crate) fn unknown_opening() -> Refusal {
    Refusal::new(RefusalCode::UnknownOpening, "no such opening")
}

impl Opening {
    /// Whose key the opening's envelope is sealed to; none when it was denied.
    pub const fn recipient(&self) -> Option<&Recipient> {
        match &self.decision {
            Decision::Permitted { recipient, .. } => Some(recipient),
            Decision::Denied { .. } => None,
        }
    }
}

impl Decision {
    /// Whether it permits.
    pub const fn is_permitted(&self) -> bool {
        matches!(self, Self::Permitted { .. })
    }
}

fn decide_for(opener: &Actor, link: &Link, grounds: &Grounds, purpose: Purpose, at: LedgerTime) -> Decision {
    let denied =
        |reason: Denial, provision| Decision::Denied { reason, exception: Some(reason.exception()), provision };
    if let Some(hindrance) = opener.hindrance() {
        return denied(hindrance, None);
    }
    match link.state {
        LinkState::Active => {}
        LinkState::Withdrawn { .. } => return denied(Denial::LinkWithdrawn, None),
        LinkState::Erased { .. } => return denied(Denial::LinkErased, None),
    }
    match entitlement(opener.subject(), link.wanted(), grounds, purpose, at) {
        Entitlement::Entitled { provision, through } => match opener.recipient(through) {
            Some(recipient) => Decision::Permitted {
                category: link.category,
                provision,
                recipient,
                content: link.current.content.clone(),
                commitment: link.current.commitment.clone(),
            },
            None => denied(Denial::OrganisationNotActive, None),
        },
        Entitlement::NotEntitled { reason, provision } => denied(reason, provision),
    }
}

impl Actor {
    /// This member, as consents can name it.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            member: Some(&self.member.id),
            organisation: &self.organisation.msp_id,
            role: self.role(),
            groups: self.groups(),
            charter: self.agent.as_ref().map(|work| &work.charter),
            owner: self.agent.as_ref().map(|work| &work.owner.id),
        }
    }

    pub(crate) fn recipient(&self, through: KeyOf) -> Option<Recipient> {
        let with = |holder, key: &EncryptionKey| Recipient { holder, key: key.clone() };
        match through {
            KeyOf::Member => Some(with(Holder::Member(self.member.id.clone()), &self.member.encryption_key)),
            KeyOf::Organisation => {
                let key = self.organisation.encryption_key()?;
                Some(with(Holder::Organisation(self.organisation.msp_id.clone()), key))
            }
        }
    }
}
