//! What a transaction tells those who listen: one event a transaction, and nothing personal in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::envelope::{Holder, Recipient};
use crate::identifier::{ConsentId, LinkId, MemberId, MspId, TransactionId};
use crate::role::Role;

/// A chaincode event: its name is [`LedgerEvent::name`], its payload this value in JSON. Believe it only when its transaction is
/// valid (official clients deliver no others).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LedgerEvent {
    /// The consortium's organisations were named.
    OrganisationsFounded {
        /// Which.
        organisations: Vec<MspId>,
    },
    /// An organisation takes part from now on.
    OrganisationEntered {
        /// Which.
        organisation: MspId,
    },
    /// A member was registered.
    MemberRegistered {
        /// Which.
        member: MemberId,
        /// Of which organisation.
        organisation: MspId,
        /// As what.
        role: Role,
    },
    /// A member was suspended: may do nothing from now on.
    MemberSuspended {
        /// Which.
        member: MemberId,
        /// Of which organisation.
        organisation: MspId,
    },
    /// A member may act again.
    MemberReinstated {
        /// Which.
        member: MemberId,
        /// Of which organisation.
        organisation: MspId,
    },
    /// A link was published.
    LinkPublished {
        /// Which.
        link: LinkId,
        /// Its version.
        version: u32,
        /// What kind of record.
        category: Category,
        /// Whose record.
        patient: MemberId,
        /// Who keeps it.
        publisher: MspId,
    },
    /// A link was withdrawn.
    LinkWithdrawn {
        /// Which.
        link: LinkId,
        /// Who kept it.
        publisher: MspId,
    },
    /// A link was opened, and this opening is permitted. The publisher's gateway seals an envelope when one is wanted.
    LinkOpened {
        /// The opening.
        opening: TransactionId,
        /// Which link.
        link: LinkId,
        /// Its version.
        version: u32,
        /// What kind of record.
        category: Category,
        /// Who keeps it.
        publisher: MspId,
        /// Whose record.
        patient: MemberId,
        /// Who opened it.
        opener: MemberId,
        /// The opener's organisation.
        organisation: MspId,
        /// Whom the publisher's gateway is to seal an envelope for; none when the envelope is there already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wanted: Option<Recipient>,
    },
    /// Opening a link was denied.
    OpeningDenied {
        /// The opening.
        opening: TransactionId,
        /// Which link.
        link: LinkId,
        /// Whose record.
        patient: MemberId,
        /// Who asked.
        opener: MemberId,
        /// The opener's organisation.
        organisation: MspId,
    },
    /// An envelope was added: the opener's gateway can fetch it now.
    EnvelopeAdded {
        /// As which opening instructed.
        opening: TransactionId,
        /// For which link.
        link: LinkId,
        /// For whom.
        holder: Holder,
    },
    /// A consent was granted.
    ConsentGranted {
        /// Which.
        consent: ConsentId,
        /// Whose.
        patient: MemberId,
    },
    /// A consent was revoked.
    ConsentRevoked {
        /// Which.
        consent: ConsentId,
        /// Whose.
        patient: MemberId,
    },
}

impl LedgerEvent {
    /// The event's name on the ledger, equal to its tag `type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrganisationsFounded { .. } => "organisations-founded",
            Self::OrganisationEntered { .. } => "organisation-entered",
            Self::MemberRegistered { .. } => "member-registered",
            Self::MemberSuspended { .. } => "member-suspended",
            Self::MemberReinstated { .. } => "member-reinstated",
            Self::LinkPublished { .. } => "link-published",
            Self::LinkWithdrawn { .. } => "link-withdrawn",
            Self::LinkOpened { .. } => "link-opened",
            Self::OpeningDenied { .. } => "opening-denied",
            Self::EnvelopeAdded { .. } => "envelope-added",
            Self::ConsentGranted { .. } => "consent-granted",
            Self::ConsentRevoked { .. } => "consent-revoked",
        }
    }
}
