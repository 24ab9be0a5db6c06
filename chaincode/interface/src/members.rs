use fabric_contract::{Context, contract};
use healthchain_rules::attestation::{IdentityAttestation, ProofingMethod};
use healthchain_rules::{KeyHash, Member, MemberId, MspId, Organisation, PublicKey, Reason, Refusal, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// A member to register in the caller's organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Its pseudonym; never a name or a record number.
    pub id: MemberId,
    /// What it is; the organisation's kind bounds it.
    pub role: Role,
    /// The hash of its certificate's public key.
    pub key_hash: KeyHash,
    /// The key that what is meant for this person alone is sealed to.
    pub encryption_key: PublicKey,
}

/// Suspends a member of the caller's organisation, at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendMember {
    /// Which.
    pub member: MemberId,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
}

/// Retires a member of the caller's organisation, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireMember {
    /// Which.
    pub member: MemberId,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
}

/// Attests that a member of any organisation is who it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestIdentity {
    /// Which.
    pub member: MemberId,
    /// How that was found.
    pub method: ProofingMethod,
}

/// Gives a member another signing key, another encryption key, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// Whose.
    pub member: MemberId,
    /// The hash of the next certificate's public key; the present one if only the encryption key changes.
    pub key_hash: KeyHash,
    /// The encryption key; the present one if only the signing key changes.
    pub encryption_key: PublicKey,
}

/// Asks who attested a member's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestationsQuery {
    /// Whose identity.
    pub member: MemberId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Asks for an organisation's members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationMembersQuery {
    /// Whose: the caller's own.
    pub organisation: MspId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Signing keys looked at, at most, 1 to 100, 20 if absent: those of gateways and former ones give no item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Who the caller is to the ledger. JSON: `{"member": {…}}` or `{"custodian": {…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Me {
    /// A member.
    Member(Box<Member>),
    /// An organisation's gateway, as custodian of the organisation's key.
    Custodian(Organisation),
}

/// The organisations' members.
#[contract(name = "Members")]
pub trait Members {
    /// Registers a member of the caller's organisation, vouched for by the caller, an administrator. Repeating it with the same
    /// facts is harmless.
    #[submit]
    async fn register(&self, context: &mut Context, call: NewMember) -> Result<Member, Refusal>;

    /// Suspends a member of the caller's organisation: from the next transaction on it may do nothing, and its openings are
    /// denied. For administrators. Repeating it with the same reason is harmless.
    #[submit]
    async fn suspend(&self, context: &mut Context, call: SuspendMember) -> Result<Member, Refusal>;

    /// Lets a suspended member of the caller's organisation act again. For administrators. Harmless on an active member.
    #[submit]
    async fn reinstate(&self, context: &mut Context, member: MemberId) -> Result<Member, Refusal>;

    /// Retires a member of the caller's organisation: it never acts again, and nobody else gets its key. For administrators, not for
    /// themselves. Repeating it with the same reason is harmless.
    #[submit]
    async fn retire(&self, context: &mut Context, call: RetireMember) -> Result<Member, Refusal>;

    /// Attests that a member of any organisation is who it says. For administrators, clinicians and payer officers, not for
    /// themselves. Repeating it with the same method is harmless; another method of the same attester is refused.
    #[submit]
    async fn attest(&self, context: &mut Context, call: AttestIdentity) -> Result<IdentityAttestation, Refusal>;

    /// Gives a member other keys; its former signing key is unknown from the next transaction on, and stays taken. For the member
    /// itself, an agent's owner, and administrators of the organisation, unless the member is a patient (see `Recoveries`) or a
    /// guardian. Harmless when the member has these keys already.
    #[submit]
    async fn rotate_key(&self, context: &mut Context, call: RotateKey) -> Result<Member, Refusal>;

    /// Who the caller is to the ledger; also for suspended members.
    #[evaluate]
    async fn me(&self, context: &Context) -> Result<Me, Refusal>;

    /// One member; for every active member and gateway, so that a consent can name it and an envelope be sealed to it.
    #[evaluate]
    async fn member(&self, context: &Context, member: MemberId) -> Result<Member, Refusal>;

    /// Who else attested a member's identity, by attester. For every active member and gateway.
    #[evaluate]
    async fn attestations(
        &self,
        context: &Context,
        query: AttestationsQuery,
    ) -> Result<Page<IdentityAttestation>, Refusal>;

    /// The members of the caller's organisation, in no order that means anything. For its administrators and privacy officers.
    #[evaluate]
    async fn of_organisation(
        &self,
        context: &Context,
        query: OrganisationMembersQuery,
    ) -> Result<Page<Member>, Refusal>;
}
