//! The contracts as callers see them: one trait per contract, and what its functions take and give.
//!
//! Every argument is one JSON text and every result is JSON. The types of `healthchain_rules` that a caller needs are
//! re-exported here.

#[allow(unused_imports)]
mod audit;
#[allow(unused_imports)]
mod consents;
#[allow(unused_imports)]
mod links;
#[allow(unused_imports)]
mod members;
#[allow(unused_imports)]
mod organisations;
mod page;

pub use healthchain_rules as rules;

pub use audit::{MemberAuditQuery, PatientAuditQuery};
pub use consents::{GrantConsent, RevokeConsent};
pub use links::{
    AddEnvelope, OpenLink, Opened, PermittedLink, PermittedQuery, PublishLink, RecipientsQuery, WithdrawLink,
};
pub use members::{Me, NewMember, SuspendMember};
pub use organisations::{EnterOrganisation, Founder, Founders};
pub use page::{Page, PageLimit, PageToken};
