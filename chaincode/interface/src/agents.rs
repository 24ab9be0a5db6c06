use std::collections::BTreeSet;

use fabric_contract::{Context, contract};
use healthchain_rules::{
    Category, Charter, DayUse, FunctionName, KeyHash, LedgerTime, MemberId, PublicKey, Purpose, Reason, Refusal,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Deploys an agent for a member of the caller's organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployAgent {
    /// Its pseudonym, as a member.
    pub agent: MemberId,
    /// The member who answers for it; it may do nothing that this member may not.
    pub owner: MemberId,
    /// The hash of its certificate's public key.
    pub key_hash: KeyHash,
    /// Its encryption key.
    pub encryption_key: PublicKey,
    /// The contract functions that it may call, `Contract:function`, 1 to 32.
    pub functions: BTreeSet<FunctionName>,
    /// The purposes for which it may open records.
    pub purposes: BTreeSet<Purpose>,
    /// The categories of records that it may open.
    pub categories: BTreeSet<Category>,
    /// Transactions in a day (UTC) at most, 1 to 100,000.
    pub calls_a_day: u32,
    /// Privacy budget in a day, in thousandths of ε.
    #[serde(default)]
    pub epsilon_a_day: u32,
    /// Until when (that moment excluded), at most 366 days ahead.
    pub until: LedgerTime,
}

/// Stops an agent for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopAgent {
    /// Which.
    pub agent: MemberId,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
}

/// An agent's charter, and what it used up today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// What it may do.
    pub charter: Charter,
    /// What it used up on the day (UTC) of the query.
    pub used: DayUse,
}

/// Programs that act for an owner, within a charter: the functions it names, of what the owner may; so many calls a day; until its
/// end, or until somebody stops it.
#[contract(name = "Agents")]
pub trait Agents {
    /// Deploys an agent in the caller's organisation. For administrators. Repeating it with the same facts is harmless; to change a
    /// charter, stop the agent and deploy another.
    #[submit]
    async fn deploy(&self, context: &mut Context, call: DeployAgent) -> Result<Charter, Refusal>;

    /// Stops an agent for good, from the next transaction on. For its owner, and for administrators and privacy officers of its
    /// organisation. Repeating it with the same reason is harmless.
    #[submit]
    async fn stop(&self, context: &mut Context, call: StopAgent) -> Result<Charter, Refusal>;

    /// An agent's charter, and what it used up today: for itself, its owner, and administrators and privacy officers of its
    /// organisation. For all others it is unknown.
    #[evaluate]
    async fn agent(&self, context: &Context, agent: MemberId) -> Result<Agent, Refusal>;
}
