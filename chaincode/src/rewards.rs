//! The contract `Rewards`.

use fabric_contract::Context;
use healthchain_interface::{
    AccountQuery, AttestTarget, DefineProgram, Enrol, LeaveProgram, Page, ProgramsQuery, RedeemPoints, Rewards,
};
use healthchain_rules::reward::{
    Participation, PointsAccount, Program, Redemption, RewardAct, RewardState, TargetAttestation, decide_account,
    decide_enrolment, decide_leaving, decide_program, decide_program_end, decide_redemption, decide_target_attestation,
};
use healthchain_rules::{Caller, MemberId, Outcome, ProgramId, Refusal};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::page_token;
use crate::storage::Loads;
use crate::storage::delegation::load_delegation;
use crate::storage::reward::{
    load_all_programs, load_participation, load_program, load_programs, load_redemption, load_target_attestation,
    save_attestation, save_defined, save_ended, save_enrolment, save_redemption,
};
use crate::transaction;

pub(crate) struct RewardContract;

impl Rewards for RewardContract {
    async fn define(&self, context: &mut Context, call: DefineProgram) -> Result<Program, Refusal> {
        let terms = call.terms.checked()?;
        let caller = load_caller(context).await?;
        let all = load_all_programs(context).await?;

        match decide_program(&caller, &all, call.program, terms, transaction::time(context)?)? {
            Outcome::Repeated(program) => Ok(program),
            Outcome::Decided(program, proof) => {
                save_defined(context, &program, proof)?;
                Record::new(RewardAct::ProgramDefined { program: program.id.clone() }).save(context, &caller)?;
                Ok(program)
            }
        }
    }

    async fn end(&self, context: &mut Context, program: ProgramId) -> Result<Program, Refusal> {
        let (caller, program, ()) = load_caller_with(context, load_program(&program), |_, _| ()).await?;

        match decide_program_end(&caller, program, transaction::time(context)?)? {
            Outcome::Repeated(program) => Ok(program),
            Outcome::Decided(program, proof) => {
                save_ended(context, &program, proof)?;
                Record::new(RewardAct::ProgramEnded { program: program.id.clone() }).save(context, &caller)?;
                Ok(program)
            }
        }
    }

    async fn enrol(&self, context: &mut Context, call: Enrol) -> Result<Participation, Refusal> {
        let Enrol { program, patient, sponsor } = call;
        let (caller, state, ()) = load_state(context, &program, &patient, ()).await?;

        match decide_enrolment(&caller, &patient, &sponsor, state, transaction::time(context)?)? {
            Outcome::Repeated(participation) => Ok(participation),
            Outcome::Decided(participation, proof) => {
                save_enrolment(context, &participation, proof)?;
                Record::new(RewardAct::ProgramJoined { program, sponsor }).about(&patient).save(context, &caller)?;
                Ok(participation)
            }
        }
    }

    async fn leave(&self, context: &mut Context, call: LeaveProgram) -> Result<Participation, Refusal> {
        let LeaveProgram { program, patient } = call;
        let (caller, state, ()) = load_state(context, &program, &patient, ()).await?;

        match decide_leaving(&caller, &patient, state, transaction::time(context)?)? {
            Outcome::Repeated(participation) => Ok(participation),
            Outcome::Decided(participation, proof) => {
                save_enrolment(context, &participation, proof)?;
                Record::new(RewardAct::ProgramLeft { program }).about(&patient).save(context, &caller)?;
                Ok(participation)
            }
        }
    }

    async fn attest(&self, context: &mut Context, call: AttestTarget) -> Result<TargetAttestation, Refusal> {
        let AttestTarget { program, patient, period, standard } = call;
        let existing = load_target_attestation(&program, &patient, period);
        let (caller, state, existing) = load_state(context, &program, &patient, existing).await?;

        let at = transaction::time(context)?;
        match decide_target_attestation(&caller, &patient, state, existing, (period, standard), at)? {
            Outcome::Repeated(attestation) => Ok(attestation),
            Outcome::Decided(attestation, proof) => {
                save_attestation(context, &attestation, &proof)?;
                let act = RewardAct::TargetAttested { program, period };
                Record::new(act).about(&patient).save(context, &caller)?;
                Ok(attestation)
            }
        }
    }

    async fn redeem(&self, context: &mut Context, call: RedeemPoints) -> Result<Redemption, Refusal> {
        let RedeemPoints { redemption, program, patient, points } = call;
        let existing = load_redemption(&program, &patient, &redemption);
        let (caller, state, existing) = load_state(context, &program, &patient, existing).await?;

        let at = transaction::time(context)?;
        match decide_redemption(&caller, &patient, state, existing, (redemption.clone(), points), at)? {
            Outcome::Repeated(redemption) => Ok(redemption),
            Outcome::Decided(redeemed, proof) => {
                save_redemption(context, &redeemed, &proof)?;
                let act = RewardAct::PointsRedeemed { program, redemption };
                Record::new(act).about(&patient).save(context, &caller)?;
                Ok(redeemed)
            }
        }
    }

    async fn account(&self, context: &Context, query: AccountQuery) -> Result<PointsAccount, Refusal> {
        let (caller, state, ()) = load_state(context, &query.program, &query.patient, ()).await?;
        decide_account(&caller, &query.patient, state, transaction::time(context)?)
    }

    async fn programs(&self, context: &Context, query: ProgramsQuery) -> Result<Page<Program>, Refusal> {
        load_caller(context).await?.active_member()?;
        let from = page_token::read(&PROGRAMS.to_owned(), query.page_token)?;
        let (items, next) = load_programs(context, from.as_ref(), query.limit.unwrap_or_default().into()).await?;
        let next_page_token = page_token::write(&PROGRAMS, next)?;
        Ok(Page { items, next_page_token })
    }
}

/// What the tokens of the list of programs belong to.
const PROGRAMS: &str = "programs";

/// Loads the caller with the program, the patient's part in it, what the patient lets the caller do, and what else is asked for.
async fn load_state<L: Loads>(
    context: &Context,
    program: &ProgramId,
    patient: &MemberId,
    more: L,
) -> Result<(Caller, RewardState, L::Loaded), Refusal> {
    let first = (load_program(program), load_participation(program, patient), more);
    let delegation = |_: &_, who: Option<&MemberId>| who.map(|who| load_delegation(patient, who));
    let (caller, (program, participation, more), delegation) = load_caller_with(context, first, delegation).await?;
    Ok((caller, RewardState { program, participation, delegation: delegation.flatten() }, more))
}
