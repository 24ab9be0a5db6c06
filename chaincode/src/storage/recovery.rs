use fabric_contract::Context;
use healthchain_rules::recovery::{MayComplete, MayGoOn, MayPlan, Recovery, RecoveryPlan};
use healthchain_rules::rotation::Rotation;
use healthchain_rules::{MemberId, Refusal};

use super::{Load, key, member, put};

pub(crate) fn load_recovery_plan(patient: &MemberId) -> Load<RecoveryPlan> {
    Load::at(key::recovery_plan(patient))
}

/// A patient's latest recovery.
pub(crate) fn load_recovery(patient: &MemberId) -> Load<Recovery> {
    Load::at(key::recovery(patient))
}

pub(crate) fn save_recovery_plan(context: &mut Context, plan: &RecoveryPlan, _: MayPlan) -> Result<(), Refusal> {
    put(context, key::recovery_plan(&plan.patient), plan)
}

pub(crate) fn save_recovery(context: &mut Context, recovery: &Recovery, _: MayGoOn) -> Result<(), Refusal> {
    put(context, key::recovery(&recovery.patient), recovery)
}

/// Saves the recovery with the patient's new keys.
pub(crate) fn save_completed(
    context: &mut Context,
    recovery: &Recovery,
    rotation: &Rotation,
    _: MayComplete,
) -> Result<(), Refusal> {
    put(context, key::recovery(&recovery.patient), recovery)?;
    member::save_keys(context, rotation)
}
