use fabric_contract::{Context, contract};
use healthchain_rules::{
    Category, Commitment, Content, ContentHash, Envelope, ErasureReceipt, LedgerTime, Link, LinkId, MediaType,
    MemberId, MspId, Opening, Provision, Purpose, Reason, Recipient, Refusal, TransactionId, VersionOfLink,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Asks who an envelope may be sealed to for a patient's record of a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecipientsQuery {
    /// Whose record.
    pub patient: MemberId,
    /// What kind of record.
    pub category: Category,
}

/// Publishes the first version of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishLink {
    /// The link's id, chosen by the caller, so that a retry is recognised.
    pub link: LinkId,
    /// Whose record.
    pub patient: MemberId,
    /// What kind of record.
    pub category: Category,
    /// SHA-256 of the ciphertext.
    pub content_hash: ContentHash,
    /// Length of the ciphertext in bytes, 1 to 2³².
    pub content_length: u64,
    /// A keyed commitment to the plain content.
    pub commitment: Commitment,
    /// Media type of the plain content.
    pub media_type: MediaType,
    /// One for the patient and one for the caller's organisation, and any of the other recipients; at most 64.
    pub envelopes: Vec<Envelope>,
}

/// Asks for a patient's links that the caller may open for a purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PermittedQuery {
    /// Whose records.
    pub patient: MemberId,
    /// For what.
    pub purpose: Purpose,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// A link that the caller may open now. Listing is no opening: what it leads to stays sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PermittedLink {
    /// Which.
    pub link: LinkId,
    /// What kind of record.
    pub category: Category,
    /// Its current version.
    pub version: u32,
    /// Who keeps it.
    pub publisher: MspId,
    /// When the link was published.
    pub published: LedgerTime,
    /// Length of the ciphertext in bytes.
    pub content_length: u64,
    /// Media type of the plain content.
    pub media_type: MediaType,
    /// What an opening would rest on.
    pub provision: Provision,
}

/// Asks to open a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenLink {
    /// Which.
    pub link: LinkId,
    /// For what.
    pub purpose: Purpose,
    /// The emergency access that is claimed, declared with `Emergencies:declare`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<TransactionId>,
}

/// The opening as committed, permitted or denied, and the envelope for exactly its recipient, if it is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Opened {
    /// What was decided.
    pub opening: Opening,
    /// The envelope; absent when denied, and when the publisher's gateway has yet to seal it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
}

/// Adds the envelope that a permitted opening asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddEnvelope {
    /// The opening's transaction.
    pub opening: TransactionId,
    /// For the opening's recipient.
    pub envelope: Envelope,
}

/// Withdraws a link of the caller's organisation: from then on it opens to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawLink {
    /// Which.
    pub link: LinkId,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
    /// The link that replaces it, if one does: another active link of the same patient and publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<LinkId>,
}

/// Asks for the former versions of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionsQuery {
    /// Of which link.
    pub link: LinkId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Asks which envelopes the caller's links of a patient lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResealQuery {
    /// Whose records.
    pub patient: MemberId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Links looked at, at most 20 (more count as 20); each gives as many items as it lacks envelopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Erases a link of the caller's organisation, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseLink {
    /// Which.
    pub link: LinkId,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
}

/// An envelope that a link lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToReseal {
    /// Which link.
    pub link: LinkId,
    /// Its current version.
    pub version: u32,
    /// What kind of record.
    pub category: Category,
    /// To whom to seal.
    pub recipient: Recipient,
}

/// Adds an envelope for somebody to whom the link's current version is not sealed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reseal {
    /// For which link.
    pub link: LinkId,
    /// Sealed to a recipient's present key.
    pub envelope: Envelope,
}

/// Access links: publishing, finding, opening, withdrawing and erasing them.
#[contract(name = "Links")]
pub trait Links {
    /// Whom an envelope may be sealed to at publication: the patient, the caller's organisation, and every organisation and
    /// person entitled now. For clinicians and gateways of care organisations.
    #[evaluate]
    async fn recipients(&self, context: &Context, query: RecipientsQuery) -> Result<Vec<Recipient>, Refusal>;

    /// Publishes the first version of a link with its envelopes. For clinicians. Repeating it with the same facts is harmless
    /// (the envelopes of the first call stay).
    #[submit]
    async fn publish(&self, context: &mut Context, call: PublishLink) -> Result<Link, Refusal>;

    /// One link; for its patient, its publisher's members and gateway, and whoever may open it now. For all others it is unknown.
    #[evaluate]
    async fn link(&self, context: &Context, link: LinkId) -> Result<Link, Refusal>;

    /// A version of a link, the current or a former one; for those who may know of the link.
    #[evaluate]
    async fn version(&self, context: &Context, link: LinkId, number: u32) -> Result<VersionOfLink, Refusal>;

    /// A link's former versions, the latest first; for those who may know of the link.
    #[evaluate]
    async fn versions(&self, context: &Context, query: VersionsQuery) -> Result<Page<VersionOfLink>, Refusal>;

    /// A patient's links that the caller may open now for a purpose, by category and newest first.
    #[evaluate]
    async fn permitted(&self, context: &Context, query: PermittedQuery) -> Result<Page<PermittedLink>, Refusal>;

    /// Opens a link for a purpose. The decision, permitted or denied, is committed with the provision that it rests on; a denial is
    /// no refusal. Only an unknown caller and an unknown link are refused.
    #[submit]
    async fn open(&self, context: &mut Context, call: OpenLink) -> Result<Opened, Refusal>;

    /// An opening, for the opener's and the publisher's organisations (their gateways and active members), and for the gateways of the
    /// publisher's custodians. For all others it is unknown.
    #[evaluate]
    async fn opening(&self, context: &Context, opening: TransactionId) -> Result<Opening, Refusal>;

    /// The envelope of a permitted opening that is still in force, if it has been added: for the opener and the gateway of
    /// its organisation.
    #[evaluate]
    async fn envelope(&self, context: &Context, opening: TransactionId) -> Result<Option<Envelope>, Refusal>;

    /// A permitted opening that is still in force, for the gateways of the publisher and of its custodians, which ask before they give
    /// out a content or seal an envelope. One that is denied, or would be by now, is refused.
    #[evaluate]
    async fn in_force(&self, context: &Context, opening: TransactionId) -> Result<Opening, Refusal>;

    /// The content of an active link's version, if it may go between the caller's organisation and another one without an opening, as
    /// the one is the link's publisher and the other its custodian. For the gateways of both.
    #[evaluate]
    async fn replicable(&self, context: &Context, link: LinkId, version: u32, other: MspId)
    -> Result<Content, Refusal>;

    /// The publisher's own envelope of a version, for the publisher's gateway, which seals others from it.
    #[evaluate]
    async fn custodian_envelope(&self, context: &Context, link: LinkId, version: u32) -> Result<Envelope, Refusal>;

    /// Adds the envelope that a permitted opening, still in force, asks for. For the publisher's gateway. Repeating it with the same
    /// envelope is harmless; another one for the same key is refused.
    #[submit]
    async fn add_envelope(&self, context: &mut Context, call: AddEnvelope) -> Result<Envelope, Refusal>;

    /// Withdraws a link of the caller's organisation: from the next transaction on it opens to nobody. For clinicians. Repeating it
    /// with the same reason is harmless.
    #[submit]
    async fn withdraw(&self, context: &mut Context, call: WithdrawLink) -> Result<Link, Refusal>;

    /// Erases a link of the caller's organisation: no envelope of any version stays in the ledger's state, and nothing more can be
    /// done to the link. For privacy officers. Gives the receipt; repeating it with the same reason is harmless.
    #[submit]
    async fn erase(&self, context: &mut Context, call: EraseLink) -> Result<ErasureReceipt, Refusal>;

    /// Says on an erased link's receipt that its content is gone from the store of the caller's organisation. For the gateways of the
    /// publisher and of the others that the receipt names, once they have removed it. Repeating it is harmless.
    #[submit]
    async fn confirm_destruction(&self, context: &mut Context, link: LinkId) -> Result<ErasureReceipt, Refusal>;

    /// The receipt of a link's erasure; for the patient, the publisher's members and gateway, and the gateways of the custodians that it
    /// names.
    #[evaluate]
    async fn erasure_receipt(&self, context: &Context, link: LinkId) -> Result<ErasureReceipt, Refusal>;

    /// The envelopes that active links of the caller's organisation lack, for those to whom they would be sealed if they were published
    /// now: after a key was rotated, or a consent granted. For the publisher's gateway, and for agents of those who publish its links.
    #[evaluate]
    async fn to_reseal(&self, context: &Context, query: ResealQuery) -> Result<Page<ToReseal>, Refusal>;

    /// Adds an envelope that `to_reseal` names. For the publisher's gateway, and for agents of those who publish its links. Repeating it with
    /// the same envelope is harmless; another one for the same key is refused.
    #[submit]
    async fn reseal(&self, context: &mut Context, call: Reseal) -> Result<Envelope, Refusal>;
}
