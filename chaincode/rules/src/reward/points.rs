//! Taking part in a program, what is attested of it, and the points.

use std::collections::BTreeMap;

use crate::calendar::CalendarPeriod;
use crate::delegation::{Power, require_acting_for};
use crate::identifier::{Malformed, MemberId, MspId, RedemptionId};
use crate::limit;
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

use super::{
    Enrolment, MayAttestTarget, MayParticipate, MayRedeem, Participation, PointsAccount, Redemption, RewardState,
    Standard, TargetAttestation, known, not_enrolled,
};

/// Whether the caller may consent, for this patient, to take part: that the named sponsor learns the points and nothing else.
pub fn decide_enrolment(
    caller: &Caller,
    patient: &MemberId,
    sponsor: &MspId,
    state: RewardState,
    at: LedgerTime,
) -> Result<Outcome<Participation, MayParticipate>, Refusal> {
    let actor = require_collector(caller, patient, &state, at)?;
    let program = known(state.program)?;
    if program.sponsor != *sponsor {
        return Err(Refusal::new(
            RefusalCode::OtherSponsor,
            format!("{} sponsors this program, not {sponsor}: consent to that, or not", program.sponsor),
        ));
    }
    if let Some(existing) = &state.participation
        && let Enrolment::Enrolled { .. } = existing.enrolment
    {
        return Ok(Outcome::Repeated(existing.clone()));
    }
    if program.until() <= at {
        return Err(Refusal::new(RefusalCode::ProgramOver, "the program is over"));
    }
    let enrolment = Enrolment::Enrolled { at, by: actor };
    let participation = match state.participation {
        Some(former) => Participation { enrolment, ..former },
        None => Participation {
            program: program.id,
            patient: patient.clone(),
            enrolment,
            met: BTreeMap::new(),
            redeemed: 0,
        },
    };
    Ok(Outcome::Decided(participation, MayParticipate(())))
}

/// Whether the caller may take this patient's consent to take part back.
pub fn decide_leaving(
    caller: &Caller,
    patient: &MemberId,
    state: RewardState,
    at: LedgerTime,
) -> Result<Outcome<Participation, MayParticipate>, Refusal> {
    require_collector(caller, patient, &state, at)?;
    known(state.program)?;
    let participation = state.participation.ok_or_else(not_enrolled)?;
    match participation.enrolment {
        Enrolment::Left { .. } => Ok(Outcome::Repeated(participation)),
        Enrolment::Enrolled { .. } => {
            let left = Participation { enrolment: Enrolment::Left { at }, ..participation };
            Ok(Outcome::Decided(left, MayParticipate(())))
        }
    }
}

/// Whether the caller may attest that the patient met a standard in a period: clinicians, once a period, after it began and until 90
/// days after it ended. A period counts that shares a moment with the program and with the enrolment.
pub fn decide_target_attestation(
    caller: &Caller,
    patient: &MemberId,
    state: RewardState,
    existing: Option<TargetAttestation>,
    (period, standard): (CalendarPeriod, Standard),
    at: LedgerTime,
) -> Result<Outcome<TargetAttestation, MayAttestTarget>, Refusal> {
    let actor = caller.permitted_member(Permission::AttestTarget)?;
    if !actor.organisation.kind.is_care() {
        return Err(Refusal::new(
            RefusalCode::NotPermitted,
            "only organisations that care for patients attest targets",
        ));
    }
    let program = known(state.program)?;
    if let Some(existing) = existing {
        return if existing.standard == standard {
            Ok(Outcome::Repeated(existing))
        } else {
            Err(Refusal::new(RefusalCode::TargetAttested, "the other standard was attested for this period"))
        };
    }
    let mut participation = state.participation.ok_or_else(not_enrolled)?;
    let enrolled = participation.require_enrolled()?;
    if period.end() <= enrolled {
        return Err(not_enrolled());
    }
    if standard == Standard::Alternative && program.terms.alternative_standard.is_none() {
        return Err(Refusal::new(RefusalCode::NoAlternativeStandard, "the program has no alternative standard"));
    }
    if period.length() != program.terms.period {
        return Err(Refusal::new(RefusalCode::PeriodNotRewarded, "the program's periods are of another length"));
    }
    if at < program.terms.from || period.end() <= program.terms.from || program.until() <= period.start() {
        return Err(Refusal::new(RefusalCode::PeriodNotRewarded, "the period does not lie in the program's time"));
    }
    if at < period.start() || period.end().plus_days(limit::TARGET_ATTESTATION_DAYS) <= at {
        return Err(Refusal::new(
            RefusalCode::PeriodNotRewarded,
            "attest a period from its first day until 90 days after its last",
        ));
    }
    *participation.met.entry(period.year()).or_default() += 1;
    let attestation = TargetAttestation {
        program: program.id,
        patient: patient.clone(),
        period,
        standard,
        by: actor.member.id.clone(),
        at,
    };
    Ok(Outcome::Decided(attestation, MayAttestTarget(participation)))
}

/// Whether the caller may redeem this patient's points, also after leaving the program and after its end.
pub fn decide_redemption(
    caller: &Caller,
    patient: &MemberId,
    state: RewardState,
    existing: Option<Redemption>,
    (id, points): (RedemptionId, u32),
    at: LedgerTime,
) -> Result<Outcome<Redemption, MayRedeem>, Refusal> {
    let by = require_collector(caller, patient, &state, at)?;
    let program = known(state.program)?;
    if let Some(existing) = existing {
        return if existing.points == points {
            Ok(Outcome::Repeated(existing))
        } else {
            Err(Refusal::new(RefusalCode::RedemptionExists, "the redemption's id is taken: choose another"))
        };
    }
    let participation = state.participation.ok_or_else(not_enrolled)?;
    if points == 0 {
        return Err(Malformed::new("the points", "at least 1").into());
    }
    let available = participation.account(&program).available;
    if available < points.into() {
        return Err(Refusal::new(RefusalCode::PointsInsufficient, format!("{available} points can be redeemed")));
    }
    let value = u64::from(points) * u64::from(program.terms.point_value);
    let participation = Participation { redeemed: participation.redeemed + u64::from(points), ..participation };
    let redemption = Redemption { id, program: program.id, patient: patient.clone(), points, value, by, at };
    Ok(Outcome::Decided(redemption, MayRedeem(participation)))
}

/// A patient's account, for the patient and a guardian, and for the sponsor while the patient takes part. To the sponsor, who never
/// took part and who left look alike.
pub fn decide_account(
    caller: &Caller,
    patient: &MemberId,
    state: RewardState,
    at: LedgerTime,
) -> Result<PointsAccount, Refusal> {
    let unknown = || Refusal::new(RefusalCode::UnknownParticipation, "the patient does not take part in this program");
    let is_for_patient = require_collector(caller, patient, &state, at);
    let sponsor = caller.permitted_member(Permission::SponsorProgram);
    let (is_for_patient, sponsor) = match (is_for_patient, sponsor) {
        (Ok(_), _) => (true, None),
        (Err(_), Ok(actor)) => (false, Some(&actor.organisation.msp_id)),
        (Err(refusal), Err(_)) => return Err(refusal),
    };
    let program = known(state.program)?;
    if sponsor.is_some_and(|sponsor| program.sponsor != *sponsor) {
        return Err(Refusal::new(RefusalCode::OtherOrganisation, "another organisation sponsors this program"));
    }
    let account = state.participation.ok_or_else(unknown)?.account(&program);
    if is_for_patient || account.is_enrolled { Ok(account) } else { Err(unknown()) }
}

fn require_collector(
    caller: &Caller,
    patient: &MemberId,
    state: &RewardState,
    at: LedgerTime,
) -> Result<MemberId, Refusal> {
    let delegation = state.delegation.as_ref();
    let (permission, power) = (Permission::CollectRewards, Power::CollectRewards);
    let actor = require_acting_for(caller, patient, permission, power, delegation, at)?;
    Ok(actor.member.id.clone())
}
