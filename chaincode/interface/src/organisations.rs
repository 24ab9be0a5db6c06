use std::collections::BTreeSet;

use fabric_contract::{Context, contract};
use healthchain_rules::{
    Custodians, GatewayUrl, KeyHash, MemberId, MspId, Organisation, OrganisationKind, PublicKey, Refusal,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The consortium's first organisations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Founders {
    /// 1 to 64 different organisations.
    pub organisations: Vec<Founder>,
}

/// One of the consortium's first organisations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Founder {
    /// Its membership service provider.
    pub msp_id: MspId,
    /// What it is for.
    pub kind: OrganisationKind,
}

/// What an organisation brings when it enters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnterOrganisation {
    /// The organisation's key, held by its gateways.
    pub encryption_key: PublicKey,
    /// Where its gateway is reached.
    pub gateway_url: GatewayUrl,
    /// The hash of its gateway's signing key.
    pub gateway_key_hash: KeyHash,
    /// The pseudonym of its first administrator, who is the caller.
    pub administrator: MemberId,
    /// The first administrator's encryption key.
    pub administrator_encryption_key: PublicKey,
}

/// Names who keeps copies of what the caller's organisation publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameCustodians {
    /// The caller's organisation.
    pub organisation: MspId,
    /// All of its custodians from now on: at most 8 other organisations that take part.
    pub custodians: BTreeSet<MspId>,
}

/// The consortium's organisations.
#[contract(name = "Organisations")]
pub trait Organisations {
    /// Names the consortium's organisations, once. The caller is one of their administrators by certificate (OU `admin`).
    /// Repeating it with the same list is harmless.
    #[submit]
    async fn bootstrap(&self, context: &mut Context, founders: Founders) -> Result<Vec<Organisation>, Refusal>;

    /// Fills in the caller's organisation and makes the caller, an administrator by certificate (OU `admin`), its first
    /// administrator. Repeating it with the same facts is harmless.
    #[submit]
    async fn enter(&self, context: &mut Context, call: EnterOrganisation) -> Result<Organisation, Refusal>;

    /// Names the custodians of the caller's organisation, in place of the former ones. For administrators. Their gateways copy what is
    /// published, if their operators agree, and give it out as the publisher's would. Repeating it with the same list is harmless.
    #[submit]
    async fn name_custodians(&self, context: &mut Context, call: NameCustodians) -> Result<Custodians, Refusal>;

    /// Says that the caller's organisation, which was struck off, has destroyed all copies that it kept for this publisher; for its
    /// gateway. Receipts of erasure that await its word have it so. Repeating it is harmless.
    #[submit]
    async fn confirm_copies_destroyed(&self, context: &mut Context, publisher: MspId) -> Result<Custodians, Refusal>;

    /// The custodians of an organisation, as far as they take part, and those that were struck off; for everybody on the channel.
    #[evaluate]
    async fn custodians(&self, context: &Context, organisation: MspId) -> Result<Custodians, Refusal>;

    /// One organisation; for everybody on the channel.
    #[evaluate]
    async fn organisation(&self, context: &Context, msp_id: MspId) -> Result<Organisation, Refusal>;

    /// All organisations, by MSP id; for everybody on the channel.
    #[evaluate]
    async fn organisations(&self, context: &Context) -> Result<Vec<Organisation>, Refusal>;
}
