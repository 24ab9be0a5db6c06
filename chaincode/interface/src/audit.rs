use fabric_contract::{Context, contract};
use healthchain_rules::MemberId;
use healthchain_rules::Refusal;
use healthchain_rules::audit::AuditEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Asks for a patient's audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientAuditQuery {
    /// Whose.
    pub patient: MemberId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Asks for a member's audit trail: what the member did, and what was done to its standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberAuditQuery {
    /// Whose.
    pub member: MemberId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// The audit trail.
#[contract(name = "Audit")]
pub trait Audit {
    /// What was done with a patient's records and consents, newest first. For the patient.
    #[evaluate]
    async fn of_patient(&self, context: &Context, query: PatientAuditQuery) -> Result<Page<AuditEntry>, Refusal>;

    /// What a member did, newest first. For the member, and for administrators and privacy officers of its organisation.
    #[evaluate]
    async fn of_member(&self, context: &Context, query: MemberAuditQuery) -> Result<Page<AuditEntry>, Refusal>;
}
