//! Who may do what with an access link: pure decisions on plain values.
//!
//! Nothing here reads a ledger, a clock or a random number: the caller, the time and the state are arguments, so that every
//! peer computes the same answer and any decision of the past can be computed again. A contract function loads, asks one
//! `decide_…` function of this crate, and saves; the decision hands out a proof that the save asks for.
//!
//! Values are parsed once, at the edge: a [`LinkId`] that exists is well formed.

pub mod accounting;
pub mod agent;
pub mod amending;
pub mod amendment;
pub mod attestation;
pub mod audit;
pub mod calendar;
pub mod category;
pub mod change;
pub mod charge;
pub mod consent;
pub mod custody;
pub mod delegation;
pub mod emergency;
pub mod entitlement;
pub mod envelope;
pub mod erasure;
pub mod event;
pub mod governance;
pub mod group;
pub mod identifier;
pub mod limit;
pub mod link;
pub mod member;
pub mod notarization;
pub mod opening;
pub mod organisation;
pub mod outcome;
pub mod purpose;
pub mod reading;
pub mod recovery;
pub mod refusal;
pub mod registration;
pub mod replay;
pub mod request;
pub mod resealing;
pub mod reward;
pub mod role;
pub mod rotation;
pub mod settings;
pub mod standing;
pub mod standing_rule;
pub mod statistics;
pub mod subscription;
pub mod telling;
pub mod time;

pub use accounting::{Disclosure, Hold};
pub use agent::{AgentAtWork, Charter, CharterState, DayUse};
pub use amendment::{Amendment, AmendmentStanding, AmendmentState, AmendmentView, OpenAmendments, Opinion, Voice};
pub use calendar::{CalendarPeriod, Month, PeriodLength};
pub use category::Category;
pub use change::{Affairs, Change, Execution};
pub use consent::{Consent, ConsentBook, ConsentState, Decider, Effect, Grantee, Scope, Terms};
pub use custody::{Clearance, Custodians};
pub use delegation::{Delegation, DelegationState, Power};
pub use emergency::{Docket, Emergency, EmergencyState, Finding};
pub use entitlement::Grounds;
pub use envelope::{Envelope, Holder, Recipient};
pub use erasure::{Destroyed, DestroyedVersion, Destruction, ErasureReceipt, Remains};
pub use event::LedgerEvent;
pub use governance::{Choice, Proposal, ProposalState, Vote};
pub use group::{Authority, Basis, Explanation, Group, GroupState, Groups, Privileges};
pub use identifier::{
    AmendmentId, AtcClass, Code, Commitment, ConsentId, ContentHash, Currency, DelegationId, FunctionName, GatewayUrl,
    GroupId, HoldId, KeyHash, LinkId, Malformed, MeasureId, MediaType, MemberId, MspId, NotarizationId, NotarizedHash,
    OrderId, PlanId, ProgramId, ProposalId, PublicKey, Reason, RecoveryId, RedemptionId, RegionCode, ReleaseId,
    RequestId, Sealed, StandingRuleId, TransactionId, ValueHash,
};
pub use link::{Content, Link, LinkState, Version, VersionOfLink};
pub use member::{Actor, Attestation, Caller, KeyHolder, Member, Signer, Standing};
pub use opening::{Decision, Denial, Exception, Opening, Provision, Rule};
pub use organisation::{EncryptionKey, Organisation, OrganisationKind, OrganisationState};
pub use outcome::Outcome;
pub use purpose::Purpose;
pub use reading::{Reading, Trail};
pub use refusal::{Refusal, RefusalCode};
pub use replay::{Evidence, Replay};
pub use request::{AccessRequest, RequestState};
pub use role::{Permission, Role};
pub use settings::Settings;
pub use standing_rule::{StandingRule, StandingRules};
pub use subscription::{Features, Payer, Subscription};
pub use time::LedgerTime;
