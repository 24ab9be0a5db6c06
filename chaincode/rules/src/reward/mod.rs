//! Rewards: programs that organisations sponsor, the consent to take part, attestations without values, and points.

mod points;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{CalendarPeriod, PeriodLength, year_of};
use crate::delegation::Delegation;
use crate::identifier::{Code, Malformed, MemberId, MspId, ProgramId, RedemptionId};
use crate::limit;
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

pub use points::{decide_account, decide_enrolment, decide_leaving, decide_redemption, decide_target_attestation};

/// A reward program. What it promises never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// Its id, chosen by the sponsor.
    pub id: ProgramId,
    /// The organisation that gives the rewards.
    pub sponsor: MspId,
    /// What it promises.
    pub terms: ProgramTerms,
    /// Who defined it.
    pub by: MemberId,
    /// When.
    pub defined: LedgerTime,
    /// When the sponsor ended it before its time, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<LedgerTime>,
}

/// What a reward program promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramTerms {
    /// What is looked at, such as `blood-pressure`.
    pub metric: Code,
    /// What is to be met, as a question of yes or no, such as `below-140-90`.
    pub target: Code,
    /// What else earns the points, for whom the target is too hard or not advisable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative_standard: Option<Code>,
    /// What kind of program it is.
    pub kind: ProgramKind,
    /// How often the target can be met.
    pub period: PeriodLength,
    /// Points for each period in which it is met.
    pub points: u32,
    /// Points that a participant earns in a calendar year at most.
    pub points_a_year: u32,
    /// What a point is worth, in minor units of the currency.
    pub point_value: u32,
    /// What a participant's coverage costs in a year, in minor units of the currency: it bounds the rewards.
    pub coverage_cost: u64,
    /// When it begins.
    pub from: LedgerTime,
    /// When it is over (that moment excluded).
    pub until: LedgerTime,
}

/// The kinds of wellness programs that 45 CFR 146.121(f)(1) tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramKind {
    /// Rewards taking part, whatever comes of it.
    Participatory,
    /// Rewards an activity, such as walking, whatever comes of it.
    ActivityOnly,
    /// Rewards an outcome, such as a blood pressure.
    Outcome,
}

/// A patient's part in a program: whether the patient takes part, what was attested, what was redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Participation {
    /// In which program.
    pub program: ProgramId,
    /// Whose.
    pub patient: MemberId,
    /// Whether the patient takes part now.
    pub enrolment: Enrolment,
    /// In how many periods of a calendar year a standard was met.
    #[serde(default)]
    pub met: BTreeMap<u16, u32>,
    /// Points redeemed.
    pub redeemed: u64,
}

/// Whether a patient takes part in a program: the consent to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "enrolment", rename_all = "kebab-case")]
pub enum Enrolment {
    /// Takes part: clinicians may attest, and the sponsor sees the points.
    Enrolled {
        /// Since when.
        at: LedgerTime,
        /// The patient, or a guardian.
        by: MemberId,
    },
    /// Takes part no more: nobody attests, and the sponsor sees nothing. The points stay the patient's.
    Left {
        /// Since when.
        at: LedgerTime,
    },
}

/// What an account shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointsAccount {
    /// In which program.
    pub program: ProgramId,
    /// Whose.
    pub patient: MemberId,
    /// Whether the patient takes part now.
    pub is_enrolled: bool,
    /// Points earned, by calendar year: never above the year's cap.
    pub earned: BTreeMap<u16, u64>,
    /// Points redeemed.
    pub redeemed: u64,
    /// Points that can be redeemed.
    pub available: u64,
}

/// That a standard was met in a period; not by what value. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetAttestation {
    /// Of which program.
    pub program: ProgramId,
    /// By which patient.
    pub patient: MemberId,
    /// In which period.
    pub period: CalendarPeriod,
    /// What was met.
    pub standard: Standard,
    /// The clinician.
    pub by: MemberId,
    /// When it was attested.
    pub at: LedgerTime,
}

/// What was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standard {
    /// The program's target.
    Target,
    /// Its alternative.
    Alternative,
}

/// Points that were redeemed. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redemption {
    /// Its id, chosen by the patient.
    pub id: RedemptionId,
    /// Of which program.
    pub program: ProgramId,
    /// Whose.
    pub patient: MemberId,
    /// How many points.
    pub points: u32,
    /// What they are worth, in minor units of the currency.
    pub value: u64,
    /// The patient, or a guardian.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
}

/// What is done to reward programs and points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum RewardAct {
    /// A program was defined.
    ProgramDefined {
        /// Which.
        program: ProgramId,
    },
    /// A program was ended by its sponsor.
    ProgramEnded {
        /// Which.
        program: ProgramId,
    },
    /// A patient consented to take part: the sponsor learns the points.
    ProgramJoined {
        /// In which.
        program: ProgramId,
        /// Who learns it.
        sponsor: MspId,
    },
    /// A patient takes part no more.
    ProgramLeft {
        /// In which.
        program: ProgramId,
    },
    /// A standard was met.
    TargetAttested {
        /// Of which program.
        program: ProgramId,
        /// In which period.
        period: CalendarPeriod,
    },
    /// Points were redeemed.
    PointsRedeemed {
        /// Of which program.
        program: ProgramId,
        /// By which redemption.
        redemption: RedemptionId,
    },
}

/// Proof that the program may be defined so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayDefineProgram(());

/// Proof that the program may end.
#[derive(Debug, PartialEq, Eq)]
pub struct MayEndProgram(());

/// Proof that the patient's part in the program may change so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayParticipate(());

/// Proof that the standard may be attested, with the patient's part in the program after that.
#[derive(Debug, PartialEq, Eq)]
pub struct MayAttestTarget(Participation);

/// Proof that the points may be redeemed, with the patient's part in the program after that.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRedeem(Participation);

/// What the ledger holds of what a call names.
#[derive(Clone, Debug, Default)]
pub struct RewardState {
    /// The program.
    pub program: Option<Program>,
    /// The patient's part in it.
    pub participation: Option<Participation>,
    /// What the patient lets the caller do, if the caller is a guardian.
    pub delegation: Option<Delegation>,
}

impl MayAttestTarget {
    /// The patient's part in the program after the attestation.
    pub const fn participation(&self) -> &Participation {
        &self.0
    }
}

impl MayRedeem {
    /// The patient's part in the program after the redemption.
    pub const fn participation(&self) -> &Participation {
        &self.0
    }
}

impl ProgramTerms {
    /// The terms, if they are within their limits. A program that asks for more than taking part has an alternative standard (45 CFR
    /// 146.121(f)(3)(iv) and (f)(4)(iv)).
    pub fn checked(self) -> Result<Self, Malformed> {
        if self.until <= self.from {
            return Err(Malformed::new("a program's end", "later than its beginning"));
        }
        if self.points == 0 || self.points > self.points_a_year || self.points_a_year > limit::POINTS_A_YEAR {
            return Err(Malformed::new("a program's points", "1 to the points a year, and those 1000000 at most"));
        }
        if self.kind.is_health_contingent() && self.alternative_standard.is_none() {
            return Err(Malformed::new(
                "a program for an activity or outcome",
                "with an alternative standard (45 CFR 146.121(f))",
            ));
        }
        Ok(self)
    }

    fn reward_a_year(&self) -> u64 {
        u64::from(self.points_a_year) * u64::from(self.point_value)
    }
}

impl ProgramKind {
    /// Whether more is asked than taking part: 45 CFR 146.121(f)(1)(iii).
    const fn is_health_contingent(self) -> bool {
        matches!(self, Self::ActivityOnly | Self::Outcome)
    }
}

impl Program {
    fn until(&self) -> LedgerTime {
        self.ended.map_or(self.terms.until, |ended| ended.min(self.terms.until))
    }

    /// The calendar years of which it rewards periods.
    fn years(&self) -> RangeInclusive<u64> {
        let last = LedgerTime::from_milliseconds(self.until().milliseconds().saturating_sub(1));
        year_of(self.terms.from)..=year_of(last)
    }

    /// Whether in one of its calendar years the rewards exceed the cap, with those of the sponsor's others of that year. As many as can
    /// be are together in a year in which one of them begins.
    fn exceeds_cap(&self, others: &[Self]) -> bool {
        let is_beside = |other: &&Self| other.sponsor == self.sponsor && other.terms.kind.is_health_contingent();
        let all: Vec<_> =
            others.iter().filter(is_beside).chain([self]).map(|program| (program.years(), &program.terms)).collect();
        let first_years: BTreeSet<u64> = all.iter().map(|(years, _)| *years.start()).collect();
        first_years.into_iter().filter(|year| self.years().contains(year)).any(|year| {
            let together = || all.iter().filter(|(years, _)| years.contains(&year)).map(|(_, terms)| *terms);
            let reward: u64 = together().map(ProgramTerms::reward_a_year).sum();
            let cost = together().map(|terms| terms.coverage_cost).min().unwrap_or_default();
            u128::from(reward) * 100 > u128::from(cost) * limit::REWARD_PERCENT
        })
    }
}

impl Participation {
    fn require_enrolled(&self) -> Result<LedgerTime, Refusal> {
        match self.enrolment {
            Enrolment::Enrolled { at, .. } => Ok(at),
            Enrolment::Left { .. } => Err(not_enrolled()),
        }
    }

    /// What the account shows.
    pub fn account(&self, program: &Program) -> PointsAccount {
        let ProgramTerms { points, points_a_year, .. } = program.terms;
        let capped = |met: u32| (u64::from(met) * u64::from(points)).min(points_a_year.into());
        let earned: BTreeMap<u16, u64> = self.met.iter().map(|(year, met)| (*year, capped(*met))).collect();
        PointsAccount {
            program: self.program.clone(),
            patient: self.patient.clone(),
            is_enrolled: matches!(self.enrolment, Enrolment::Enrolled { .. }),
            available: earned.values().sum::<u64>().saturating_sub(self.redeemed),
            earned,
            redeemed: self.redeemed,
        }
    }
}

/// Whether the caller may define this program; `all` are those there are. The rewards of all of a sponsor's programs that ask for more
/// than taking part are in no calendar year more than 30 percent of what coverage costs (45 CFR 146.121(f)(3)(ii), (f)(4)(ii) and (f)(5)).
pub fn decide_program(
    caller: &Caller,
    all: &[Program],
    id: ProgramId,
    terms: ProgramTerms,
    at: LedgerTime,
) -> Result<Outcome<Program, MayDefineProgram>, Refusal> {
    let actor = caller.permitted_member(Permission::SponsorProgram)?;
    let sponsor = &actor.organisation.msp_id;
    if let Some(existing) = all.iter().find(|existing| existing.id == id) {
        return if existing.terms == terms && existing.sponsor == *sponsor {
            Ok(Outcome::Repeated(existing.clone()))
        } else {
            Err(Refusal::new(RefusalCode::ProgramExists, "the program's id is taken: choose another"))
        };
    }
    if all.len() >= limit::PROGRAMS {
        return Err(Refusal::new(RefusalCode::TooManyPrograms, "there are as many programs as there may be"));
    }
    let sponsor = sponsor.clone();
    let program = Program { id, sponsor, terms, by: actor.member.id.clone(), defined: at, ended: None };
    if program.terms.kind.is_health_contingent() && program.exceeds_cap(all) {
        return Err(Refusal::new(
            RefusalCode::RewardTooLarge,
            "the sponsor's rewards of a calendar year, of all such programs together, ended ones included, exceed 30 percent of what \
             coverage costs",
        ));
    }
    Ok(Outcome::Decided(program, MayDefineProgram(())))
}

/// Whether the caller may end this program, from now on. What was earned stays the participants'.
pub fn decide_program_end(
    caller: &Caller,
    program: Option<Program>,
    at: LedgerTime,
) -> Result<Outcome<Program, MayEndProgram>, Refusal> {
    let actor = caller.permitted_member(Permission::SponsorProgram)?;
    let program = known(program)?;
    if program.sponsor != actor.organisation.msp_id {
        return Err(Refusal::new(RefusalCode::OtherOrganisation, "another organisation sponsors this program"));
    }
    match program.ended {
        Some(_) => Ok(Outcome::Repeated(program)),
        None => Ok(Outcome::Decided(Program { ended: Some(at), ..program }, MayEndProgram(()))),
    }
}

fn known(program: Option<Program>) -> Result<Program, Refusal> {
    program.ok_or_else(|| Refusal::new(RefusalCode::UnknownProgram, "there is no such program"))
}

fn not_enrolled() -> Refusal {
    Refusal::new(RefusalCode::NotEnrolled, "the patient does not take part in this program, or did not in that period")
}
