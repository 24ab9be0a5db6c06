use fabric_contract::{Context, contract};
use healthchain_rules::{KeyHash, Member, MemberId, Organisation, PublicKey, Reason, Refusal, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

    /// Who the caller is to the ledger; also for suspended members.
    #[evaluate]
    async fn me(&self, context: &Context) -> Result<Me, Refusal>;

    /// One member; for every active member and gateway, so that a consent can name it and an envelope be sealed to it.
    #[evaluate]
    async fn member(&self, context: &Context, member: MemberId) -> Result<Member, Refusal>;
}
