//! The audit trail: who did what, when, under which provision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounting::HoldAct;
use crate::agent::AgentAct;
use crate::amendment::AmendmentAct;
use crate::consent::ConsentAct;
use crate::delegation::DelegationAct;
use crate::emergency::EmergencyAct;
use crate::envelope::EnvelopeAct;
use crate::erasure::ErasureAct;
use crate::governance::GovernanceAct;
use crate::identifier::{MemberId, MspId, TransactionId};
use crate::link::LinkAct;
use crate::member::MemberAct;
use crate::notarization::NotarizationAct;
use crate::opening::OpeningAct;
use crate::organisation::OrganisationAct;
use crate::reading::ReadingAct;
use crate::recovery::RecoveryAct;
use crate::request::RequestAct;
use crate::reward::RewardAct;
use crate::statistics::StatisticsAct;
use crate::subscription::SubscriptionAct;
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
    /// Who answers for the member, when it is an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<MemberId>,
    /// The patient concerned, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<MemberId>,
    /// What was done.
    pub act: Act,
}

macro_rules! acts {
    ($($thing:ident($act:ty))+) => {
        /// What was done, by the thing that it was done to; its JSON is that of the thing's act, `{"act":"…",…}`. The tag is also the
        /// name of the chaincode event.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(untagged)]
        pub enum Act {
            $(#[doc = concat!("See [`", stringify!($act), "`].")] $thing($act),)+
        }

        $(impl From<$act> for Act {
            fn from(act: $act) -> Self {
                Self::$thing(act)
            }
        })+
    };
}

acts! {
    Agent(AgentAct)
    Organisation(OrganisationAct)
    Governance(GovernanceAct)
    Member(MemberAct)
    Delegation(DelegationAct)
    Recovery(RecoveryAct)
    Link(LinkAct)
    Amendment(AmendmentAct)
    Erasure(ErasureAct)
    Opening(OpeningAct)
    Envelope(EnvelopeAct)
    Consent(ConsentAct)
    Subscription(SubscriptionAct)
    Notarization(NotarizationAct)
    Request(RequestAct)
    Emergency(EmergencyAct)
    Reading(ReadingAct)
    Statistics(StatisticsAct)
    Reward(RewardAct)
    Hold(HoldAct)
}
