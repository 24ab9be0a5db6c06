//! The audit trail: who did what, when, under which provision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::consent::{self, Effect};
use crate::envelope::Holder;
use crate::identifier::{ConsentId, LinkId, MemberId, MspId, Reason, TransactionId};
use crate::member::{Caller, Member};
use crate::opening::{Decision, Denial, Opening, Provision};
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// One entry of the audit trail. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// The transaction that did it.
    pub transaction: TransactionId,
    /// When.
    pub time: LedgerTime,
    /// The organisation that did it.
    pub organisation: MspId,
    /// The member who did it; none when the organisation's gateway acted as key custodian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// The patient concerned, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<MemberId>,
    /// What was done.
    pub act: Act,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum Act {
    /// An organisation entered with its first administrator, who acted.
    OrganisationEntered,
    /// A member was registered.
    MemberRegistered {
        /// Which.
        registered: MemberId,
        /// As what.
        role: Role,
    },
    /// A member was suspended.
    MemberSuspended {
        /// Which.
        suspended: MemberId,
        /// Why.
        reason: Reason,
    },
    /// A suspended member was reinstated.
    MemberReinstated {
        /// Which.
        reinstated: MemberId,
    },
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
    },
    /// A link was opened.
    LinkOpened {
        /// Which.
        link: LinkId,
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
    /// An envelope was added, as an opening instructed.
    EnvelopeAdded {
        /// For which link.
        link: LinkId,
        /// As which opening instructed.
        opening: TransactionId,
        /// For whom.
        holder: Holder,
    },
    /// A consent was granted.
    ConsentGranted {
        /// Which.
        consent: ConsentId,
        /// Permission or denial.
        effect: Effect,
    },
    /// A consent was revoked.
    ConsentRevoked {
        /// Which.
        consent: ConsentId,
    },
}

/// Proof that the caller may read this trail.
#[derive(Debug, PartialEq, Eq)]
pub struct MayReadTrail(());

/// Whether the caller may read the trail of this patient's records: only the patient.
pub fn decide_reading_of_patient(caller: &Caller, patient: &MemberId) -> Result<MayReadTrail, Refusal> {
    consent::require_patient(caller, patient, Permission::ReadPatientAudit)?;
    Ok(MayReadTrail(()))
}

/// Whether the caller may read this member's trail: the member, and administrators and privacy officers of its organisation.
pub fn decide_reading_of_member(caller: &Caller, member: Option<&Member>) -> Result<MayReadTrail, Refusal> {
    let actor = caller.active_member()?;
    let member = member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))?;
    if actor.member.id != member.id {
        caller.permitted_member(Permission::ReadOrganisationAudit)?;
    }
    if member.organisation == actor.organisation.msp_id {
        Ok(MayReadTrail(()))
    } else {
        Err(Refusal::new(RefusalCode::OtherOrganisation, "another organisation's member: ask its privacy officer"))
    }
}

impl Act {
    /// What an opening leaves on the trail.
    pub fn of_opening(opening: &Opening) -> Self {
        let (link, purpose) = (opening.link.clone(), opening.purpose);
        match opening.decision.clone() {
            Decision::Permitted { category, provision, .. } => {
                Self::LinkOpened { link, version: opening.version, category, purpose, provision }
            }
            Decision::Denied { reason, provision } => Self::OpeningDenied { link, purpose, reason, provision },
        }
    }
}
