use std::collections::BTreeSet;

use fabric_contract::{Context, contract};
use healthchain_rules::{Consent, ConsentId, Effect, Grantee, LedgerTime, MemberId, Purpose, Refusal, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// A patient's permission or denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantConsent {
    /// The consent's id, chosen by the caller, so that a retry is recognised.
    pub consent: ConsentId,
    /// Whose records it is about.
    pub patient: MemberId,
    /// To whom.
    pub grantee: Grantee,
    /// About which records: at least one category, or 1 to 32 of the patient's links.
    pub scope: Scope,
    /// For what: at least one purpose.
    pub purposes: BTreeSet<Purpose>,
    /// From when; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LedgerTime>,
    /// Until when (that moment excluded); until revoked if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LedgerTime>,
    /// Permission or denial.
    pub effect: Effect,
}

/// Takes a consent back, from the next transaction on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeConsent {
    /// Which.
    pub consent: ConsentId,
    /// Whose.
    pub patient: MemberId,
}

/// One consent of a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentQuery {
    /// Whose.
    pub patient: MemberId,
    /// Which.
    pub consent: ConsentId,
}

/// All consents that a patient ever granted, by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientConsentsQuery {
    /// Whose.
    pub patient: MemberId,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Patients' consents: a matter of the patient, and of guardians with that power. A guardian grants and revokes only what is about
/// the delegation's categories, grants nothing beyond the delegation's end and nothing to oneself, and takes back no denial that the
/// patient gave in person.
#[contract(name = "Consents")]
pub trait Consents {
    /// Grants a consent over a patient's records, a permission or a denial. At most 256 stand at a time. Repeating it with the same
    /// terms is harmless while it stands; a revoked consent's id is not used again.
    #[submit]
    async fn grant(&self, context: &mut Context, call: GrantConsent) -> Result<Consent, Refusal>;

    /// Takes a consent back: it permits and denies nothing from the next transaction on. Harmless on a revoked one.
    #[submit]
    async fn revoke(&self, context: &mut Context, call: RevokeConsent) -> Result<Consent, Refusal>;

    /// The consents of a patient that stand now or will; by id.
    #[evaluate]
    async fn of_patient(&self, context: &Context, patient: MemberId) -> Result<Vec<Consent>, Refusal>;

    /// One consent of a patient, whether it stands or not.
    #[evaluate]
    async fn consent(&self, context: &Context, query: ConsentQuery) -> Result<Consent, Refusal>;

    /// All consents that a patient ever granted, the ended and revoked ones, too; by id.
    #[evaluate]
    async fn all_of_patient(&self, context: &Context, query: PatientConsentsQuery) -> Result<Page<Consent>, Refusal>;
}
