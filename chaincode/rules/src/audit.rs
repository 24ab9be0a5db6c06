//! The audit trail: who did what, when, under which provision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::consent::Effect;
use crate::identifier::{ConsentId, LinkId, MemberId, MspId, Reason, TransactionId};
use crate::link::Holder;
use crate::opening::{Denial, Provision};
use crate::purpose::Purpose;
use crate::role::Role;
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
    /// Opening a link was denied.
    OpeningDenied {
        /// Which.
        link: LinkId,
        /// What kind of record.
        category: Category,
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
