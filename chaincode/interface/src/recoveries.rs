use std::collections::BTreeSet;

use fabric_contract::{Context, contract};
use healthchain_rules::recovery::{Recovery, RecoveryPlan, Trustee};
use healthchain_rules::{KeyHash, MemberId, PublicKey, Reason, RecoveryId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names those who may replace the patient's key if it is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRecovery {
    /// Whose key.
    pub patient: MemberId,
    /// 1 to 16 persons, and organisations (any of whose administrators acts for it).
    pub trustees: BTreeSet<Trustee>,
    /// How many of them it takes: at least 1 and at most all.
    pub threshold: u32,
}

/// Begins to replace a patient's lost key; counts as the caller's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRecovery {
    /// The recovery's id, chosen by the caller, so that a retry is recognised.
    pub recovery: RecoveryId,
    /// Whose key.
    pub patient: MemberId,
    /// The hash of the new certificate's public key.
    pub key_hash: KeyHash,
    /// The new encryption key.
    pub encryption_key: PublicKey,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
}

/// Names a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedRecovery {
    /// Which.
    pub recovery: RecoveryId,
    /// Whose key.
    pub patient: MemberId,
}

/// What a patient planned for a lost key, and the latest recovery, if there are any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryStatus {
    /// The plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<RecoveryPlan>,
    /// The latest recovery, open or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Recovery>,
}

/// How a patient who lost the key gets another: by t of n trustees named in advance, after a waiting time.
#[contract(name = "Recoveries")]
pub trait Recoveries {
    /// Names the trustees and how many of them it takes. For the patient; a later plan replaces the former, but not for a recovery that
    /// is open. Repeating it with the same content is harmless.
    #[submit]
    async fn plan(&self, context: &mut Context, call: PlanRecovery) -> Result<RecoveryPlan, Refusal>;

    /// Begins a recovery, one at a time for a patient: it replaces another trustee's that too few have approved yet, unless that one
    /// replaced a recovery which the caller had approved. For trustees; the patient's own organisation has no voice while the patient,
    /// being suspended, cannot object. Repeating it with the same content is harmless; an id with other
    /// content is refused.
    #[submit]
    async fn begin(&self, context: &mut Context, call: BeginRecovery) -> Result<Recovery, Refusal>;

    /// Approves an open recovery, as each of the trustees that the caller is or acts for. When enough have approved it, the waiting time
    /// begins. Harmless when the caller has approved it already. The patient's own organisation has no voice while the patient is
    /// suspended, here and when approvals are counted again at completion.
    #[submit]
    async fn approve(&self, context: &mut Context, call: NamedRecovery) -> Result<Recovery, Refusal>;

    /// Ends an open recovery. For the patient, who signs with the old key, and for whoever began it. Repeating it is harmless.
    #[submit]
    async fn object(&self, context: &mut Context, call: NamedRecovery) -> Result<Recovery, Refusal>;

    /// Gives the patient the new keys: after the waiting time, while enough of those who approved it may still act. For trustees.
    /// Repeating it is harmless.
    #[submit]
    async fn complete(&self, context: &mut Context, call: NamedRecovery) -> Result<Recovery, Refusal>;

    /// A patient's plan and latest recovery. For the patient, the trustees, and administrators of the patient's organisation.
    #[evaluate]
    async fn recovery(&self, context: &Context, patient: MemberId) -> Result<RecoveryStatus, Refusal>;
}
