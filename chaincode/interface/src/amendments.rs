use fabric_contract::{Context, contract};
use healthchain_rules::{
    Amendment, AmendmentId, AmendmentView, Commitment, ContentHash, Envelope, LinkId, MediaType, Reason, Refusal,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Proposes the next version of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeAmendment {
    /// The amendment's id, chosen by the caller, so that a retry is recognised.
    pub amendment: AmendmentId,
    /// Which link.
    pub link: LinkId,
    /// The version that is to be followed: the link's current one.
    pub base_version: u32,
    /// SHA-256 of the ciphertext.
    pub content_hash: ContentHash,
    /// Length of the ciphertext in bytes, 1 to 2³².
    pub content_length: u64,
    /// A keyed commitment to the plain content.
    pub commitment: Commitment,
    /// Media type of the plain content.
    pub media_type: MediaType,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
    /// For the version that follows the base: one for the patient and one for the caller's organisation, and any of the other
    /// recipients; at most 64.
    pub envelopes: Vec<Envelope>,
}

/// Approves an amendment for the caller's organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveAmendment {
    /// Which.
    pub amendment: AmendmentId,
}

/// Rejects an amendment for the caller's organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectAmendment {
    /// Which.
    pub amendment: AmendmentId,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
}

/// Takes an open amendment back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawAmendment {
    /// Which.
    pub amendment: AmendmentId,
}

/// Asks for a link's amendments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AmendmentsQuery {
    /// Of which link.
    pub link: LinkId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Amendments: the next version of a link takes effect when enough of the other care organisations approve it.
#[contract(name = "Amendments")]
pub trait Amendments {
    /// Proposes the next version of a link of the caller's organisation, with its envelopes, which wait for its activation. For
    /// clinicians. Takes effect at once when no other care organisation is to be asked. Repeating it with the same facts is harmless
    /// (the envelopes of the first call stay).
    #[submit]
    async fn propose(&self, context: &mut Context, call: ProposeAmendment) -> Result<Amendment, Refusal>;

    /// Approves an amendment for the caller's organisation, which has one voice; repeating it is harmless, and saying otherwise
    /// later is refused. For clinicians of the other care organisations that took part at the proposal, and their agents. The approval
    /// that reaches the quorum activates the version.
    #[submit]
    async fn approve(&self, context: &mut Context, call: ApproveAmendment) -> Result<Amendment, Refusal>;

    /// Rejects an amendment for the caller's organisation; as for approving. The rejection after which the quorum cannot be reached
    /// closes the amendment.
    #[submit]
    async fn reject(&self, context: &mut Context, call: RejectAmendment) -> Result<Amendment, Refusal>;

    /// Takes an open amendment of the caller's organisation back. For clinicians. Repeating it is harmless.
    #[submit]
    async fn withdraw(&self, context: &mut Context, call: WithdrawAmendment) -> Result<Amendment, Refusal>;

    /// An amendment and how it stands; for those who may know of its link, and, while it is open, for clinicians of the organisations that are
    /// asked. For all others it is unknown.
    #[evaluate]
    async fn amendment(&self, context: &Context, amendment: AmendmentId) -> Result<AmendmentView, Refusal>;

    /// A link's amendments and how they stand, newest first; for those who may know of the link.
    #[evaluate]
    async fn of_link(&self, context: &Context, query: AmendmentsQuery) -> Result<Page<AmendmentView>, Refusal>;
}
