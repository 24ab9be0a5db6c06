use fabric_contract::{Context, contract};
use healthchain_rules::notarization::{BillTo, Notarization, NotarizedKind, Verification};
use healthchain_rules::{MemberId, NotarizationId, NotarizedHash, Reason, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Notarizes something that the caller has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notarize {
    /// The notarization's id, chosen by the caller, so that a retry is recognised.
    pub notarization: NotarizationId,
    /// For which patient.
    pub patient: MemberId,
    /// What was seen.
    pub kind: NotarizedKind,
    /// Of a document its SHA-256. Of an immunization status a keyed commitment: HMAC-SHA-256 of vaccine (CVX code), date and lot, with
    /// a random key of 32 bytes that the caller hands to the patient.
    pub hash: NotarizedHash,
    /// Whom it is billed to.
    pub bill_to: BillTo,
}

/// Revokes a notarization of the caller's organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeNotarization {
    /// Which.
    pub notarization: NotarizationId,
    /// Why; stays on the ledger for ever, and whoever verifies reads it.
    pub reason: Reason,
}

/// Asks who notarized a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyQuery {
    /// The hash.
    pub hash: NotarizedHash,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Asks for a patient's notarizations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotarizationsQuery {
    /// Whose.
    pub patient: MemberId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Notarizations of documents and immunization statuses.
#[contract(name = "Notarizations")]
pub trait Notarizations {
    /// Notarizes something for a patient. For clinicians and pharmacists. Repeating it with the same facts is harmless. Several notaries
    /// may notarize one hash.
    #[submit]
    async fn notarize(&self, context: &mut Context, call: Notarize) -> Result<Notarization, Refusal>;

    /// Revokes a notarization, from the next transaction on; verification then says when and why. For whoever notarizes for the
    /// notary's organisation; to others it is unknown. Repeating it with the same reason is harmless. What it cost is not given back.
    #[submit]
    async fn revoke(&self, context: &mut Context, call: RevokeNotarization) -> Result<Notarization, Refusal>;

    /// Who notarized a hash, and whether it still stands, by id; does not tell for which patient. For everybody who can ask, also those
    /// whom the ledger does not know.
    #[evaluate]
    async fn verify(&self, context: &Context, query: VerifyQuery) -> Result<Page<Verification>, Refusal>;

    /// One notarization; for its patient, guardians who may read the patient's trail, and those who notarize or audit for the notary's
    /// organisation. For all others it is unknown.
    #[evaluate]
    async fn notarization(&self, context: &Context, notarization: NotarizationId) -> Result<Notarization, Refusal>;

    /// A patient's notarizations, newest first; for the patient, and guardians who may read the patient's trail.
    #[evaluate]
    async fn of_patient(&self, context: &Context, query: NotarizationsQuery) -> Result<Page<Notarization>, Refusal>;
}
