//! The contract `Recoveries`.

use fabric_contract::Context;
use healthchain_interface::{BeginRecovery, NamedRecovery, PlanRecovery, Recoveries, RecoveryStatus};
use healthchain_rules::recovery::{
    BeginningState, CompletionState, MayGoOn, NewRecovery, Recovery, RecoveryAct, RecoveryPlan, Trustee, Trustees,
    decide_approval, decide_beginning, decide_completion, decide_objection, decide_plan, decide_reading,
};
use healthchain_rules::rotation::NewKeys;
use healthchain_rules::{Caller, Member, MemberId, Outcome, Refusal};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::encryption_key::encryption_key;
use crate::storage::member::{load_key_holder, load_member};
use crate::storage::organisation::load_organisation;
use crate::storage::recovery::{load_recovery, load_recovery_plan, save_completed, save_recovery, save_recovery_plan};
use crate::storage::settings::load_settings;
use crate::transaction;

pub(crate) struct RecoveryContract;

impl Recoveries for RecoveryContract {
    async fn plan(&self, context: &mut Context, call: PlanRecovery) -> Result<RecoveryPlan, Refusal> {
        let trustees = Trustees::new(call.trustees, call.threshold)?;
        let members = trustees.named().iter().filter_map(Trustee::member).map(load_member).collect::<Vec<_>>();
        let organisations =
            trustees.named().iter().filter_map(Trustee::organisation).map(load_organisation).collect::<Vec<_>>();
        let first = (load_recovery_plan(&call.patient), members, organisations);
        let (caller, (existing, members, organisations), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let at = transaction::time(context)?;
        match decide_plan(&caller, existing, (&members, &organisations), &call.patient, trustees, at)? {
            Outcome::Repeated(plan) => Ok(plan),
            Outcome::Decided(plan, proof) => {
                save_recovery_plan(context, &plan, proof)?;
                let act = RecoveryAct::of_plan(&plan);
                Record::new(act).about(&plan.patient).save(context, &caller)?;
                Ok(plan)
            }
        }
    }

    async fn begin(&self, context: &mut Context, call: BeginRecovery) -> Result<Recovery, Refusal> {
        let keys = NewKeys { key_hash: call.key_hash, encryption_key: encryption_key(call.encryption_key)? };
        let patient = (load_member(&call.patient), load_recovery_plan(&call.patient), load_recovery(&call.patient));
        let second = |(_, (patient, ..)): &(_, (Option<Member>, _, _)), _: Option<&MemberId>| {
            patient.as_ref().map(|patient| load_key_holder(&patient.organisation, &keys.key_hash))
        };
        let (caller, (settings, (patient, plan, latest)), taken) =
            load_caller_with(context, (load_settings(), patient), second).await?;

        let taken = taken.flatten();
        let state = BeginningState {
            patient: patient.as_ref(),
            plan: plan.as_ref(),
            latest: latest.as_ref(),
            taken: taken.as_ref(),
        };
        let new = NewRecovery { id: call.recovery, keys, reason: call.reason };
        let hours = settings.unwrap_or_default().recovery_hours;
        let outcome = decide_beginning(&caller, state, new, hours, transaction::time(context)?)?;
        save(context, &caller, outcome, RecoveryAct::of_beginning)
    }

    async fn approve(&self, context: &mut Context, call: NamedRecovery) -> Result<Recovery, Refusal> {
        let first = (load_settings(), load_member(&call.patient), load_recovery(&call.patient));
        let (caller, (settings, patient, latest), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let hours = settings.unwrap_or_default().recovery_hours;
        let at = transaction::time(context)?;
        let outcome = decide_approval(&caller, latest, &call.recovery, patient.as_ref(), hours, at)?;
        save(context, &caller, outcome, |recovery| RecoveryAct::RecoveryApproved {
            recovery: recovery.id.clone(),
            waits_until: recovery.waits_until(),
        })
    }

    async fn object(&self, context: &mut Context, call: NamedRecovery) -> Result<Recovery, Refusal> {
        let (caller, latest, ()) = load_caller_with(context, load_recovery(&call.patient), |_, _| ()).await?;

        let outcome = decide_objection(&caller, latest, &call.recovery, transaction::time(context)?)?;
        save(context, &caller, outcome, |recovery| RecoveryAct::RecoveryObjected { recovery: recovery.id.clone() })
    }

    async fn complete(&self, context: &mut Context, call: NamedRecovery) -> Result<Recovery, Refusal> {
        let first = (load_member(&call.patient), load_recovery(&call.patient));
        let second = |(patient, latest): &(Option<Member>, Option<Recovery>), _: Option<&MemberId>| {
            let holders = patient.as_ref().zip(latest.as_ref()).map(|(patient, recovery)| {
                let of = |key_hash| load_key_holder(&patient.organisation, key_hash);
                (of(&patient.key_hash), of(&recovery.key_hash))
            });
            let approvals = || latest.iter().flat_map(|recovery| &recovery.approvals);
            let approvers = approvals().map(|approval| load_member(&approval.by)).collect::<Vec<_>>();
            let organisations = approvals().map(|one| load_organisation(&one.organisation)).collect::<Vec<_>>();
            (holders, approvers, organisations)
        };
        let (caller, (patient, latest), (holders, approvers, organisations)) =
            load_caller_with(context, first, second).await?;
        let (present, taken) = holders.unwrap_or_default();

        let state = CompletionState {
            patient: patient.as_ref(),
            present: present.as_ref(),
            taken: taken.as_ref(),
            approvers: &approvers,
            organisations: &organisations,
        };
        match decide_completion(&caller, latest, &call.recovery, state, transaction::time(context)?)? {
            Outcome::Repeated((recovery, _)) => Ok(recovery),
            Outcome::Decided((recovery, rotation), proof) => {
                save_completed(context, &recovery, &rotation, proof)?;
                let (from, to) = (rotation.former, rotation.member.key_hash);
                let act = RecoveryAct::RecoveryCompleted { recovery: recovery.id.clone(), from, to };
                Record::new(act).about(&recovery.patient).upon(&recovery.patient).save(context, &caller)?;
                Ok(recovery)
            }
        }
    }

    async fn recovery(&self, context: &Context, patient: MemberId) -> Result<RecoveryStatus, Refusal> {
        let first = (load_member(&patient), load_recovery_plan(&patient), load_recovery(&patient));
        let (caller, (patient, plan, latest), ()) = load_caller_with(context, first, |_, _| ()).await?;
        decide_reading(&caller, patient.as_ref(), plan.as_ref(), latest.as_ref())?;
        Ok(RecoveryStatus { plan, latest })
    }
}

/// Saves a recovery that goes on, or has ended, and what was done to it.
fn save(
    context: &mut Context,
    caller: &Caller,
    outcome: Outcome<Recovery, MayGoOn>,
    act: impl FnOnce(&Recovery) -> RecoveryAct,
) -> Result<Recovery, Refusal> {
    match outcome {
        Outcome::Repeated(recovery) => Ok(recovery),
        Outcome::Decided(recovery, proof) => {
            save_recovery(context, &recovery, proof)?;
            Record::new(act(&recovery)).about(&recovery.patient).upon(&recovery.patient).save(context, caller)?;
            Ok(recovery)
        }
    }
}
