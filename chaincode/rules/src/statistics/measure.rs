//! Measures: what is counted, by which classes and regions.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Month;
use crate::identifier::{AtcClass, Code, Malformed, MeasureId, MemberId, MspId, RegionCode};
use crate::limit;
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// A measure of population statistics, such as prescriptions of opioids per 1,000 visits. What it counts never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Measure {
    /// Its id, chosen by the maintainer.
    pub id: MeasureId,
    /// What it counts.
    pub terms: MeasureTerms,
    /// The maintainer who defined it.
    pub by: MemberId,
    /// The maintainer's organisation, which alone ends it; none in measures defined before it was kept, which any maintainer ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<MspId>,
    /// When.
    pub defined: LedgerTime,
    /// The last month that it counts, once it has been ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Month>,
}

/// What a measure counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureTerms {
    /// What it is called.
    title: Code,
    /// What is counted in the denominator, such as `visits`: the numerator is how many of these had what the class names.
    denominator: Code,
    /// Rates are given per so many of the denominator, such as 1,000.
    per: u32,
    /// The drug classes counted: the table's columns.
    classes: BTreeSet<AtcClass>,
    /// The regions counted: the table's rows.
    regions: BTreeSet<RegionCode>,
    /// The first month counted.
    from: Month,
    /// What all differentially private releases together may spend, in thousandths of ε.
    epsilon_budget: u32,
}

/// Proof that the measure may be defined so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayDefineMeasure(());

/// Proof that the measure may end so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayEndMeasure(());

impl MeasureTerms {
    /// The terms of a measure: 1 to 256 cells of classes and regions, no class within another, so that nothing is counted twice.
    pub fn new(
        (title, denominator, per): (Code, Code, u32),
        classes: BTreeSet<AtcClass>,
        regions: BTreeSet<RegionCode>,
        from: Month,
        epsilon_budget: u32,
    ) -> Result<Self, Malformed> {
        if !(1..=limit::COUNT_CELLS).contains(&classes.len().saturating_mul(regions.len())) {
            return Err(Malformed::new("a measure", "of 1 to 256 cells of a class in a region"));
        }
        if classes.iter().any(|one| classes.iter().any(|other| one != other && one.contains(other))) {
            return Err(Malformed::new("a measure's classes", "apart: none within another"));
        }
        if per == 0 {
            return Err(Malformed::new("what rates are given per", "at least 1"));
        }
        if epsilon_budget > limit::EPSILON_BUDGET {
            return Err(Malformed::new("a measure's privacy budget", "at most 20000 thousandths"));
        }
        Ok(Self { title, denominator, per, classes, regions, from, epsilon_budget })
    }

    /// The drug classes counted.
    pub const fn classes(&self) -> &BTreeSet<AtcClass> {
        &self.classes
    }

    /// The regions counted.
    pub const fn regions(&self) -> &BTreeSet<RegionCode> {
        &self.regions
    }

    /// The first month counted.
    pub const fn from(&self) -> Month {
        self.from
    }

    /// What all differentially private releases together may spend, in thousandths of ε.
    pub const fn epsilon_budget(&self) -> u32 {
        self.epsilon_budget
    }

    /// Whether a class of each lies within a class of the other.
    fn overlaps(&self, other: &Self) -> bool {
        self.classes.iter().any(|one| other.classes.iter().any(|two| one.contains(two) || two.contains(one)))
    }
}

impl Measure {
    /// Refuses months that it does not count, and such that are not over: their counts are not whole.
    pub(super) fn require_countable(&self, period: Month, at: LedgerTime) -> Result<(), Refusal> {
        if period < self.terms.from || self.last.is_some_and(|last| last < period) {
            return Err(Refusal::new(RefusalCode::PeriodNotCounted, "the measure does not count this month"));
        }
        if at < period.end() {
            return Err(Refusal::new(RefusalCode::PeriodNotOver, "the month is not over: its counts are not whole"));
        }
        Ok(())
    }
}

/// Whether the caller may define this measure; `all` are those there are. While one counts a class, no other may: the two tables
/// together would give away what each suppresses.
pub fn decide_definition(
    caller: &Caller,
    all: &[Measure],
    id: MeasureId,
    terms: MeasureTerms,
    at: LedgerTime,
) -> Result<Outcome<Measure, MayDefineMeasure>, Refusal> {
    let actor = caller.permitted_member(Permission::DefineMeasure)?;
    if let Some(existing) = all.iter().find(|existing| existing.id == id) {
        return if existing.terms == terms {
            Ok(Outcome::Repeated(existing.clone()))
        } else {
            Err(Refusal::new(RefusalCode::MeasureExists, "the measure's id is taken: choose another"))
        };
    }
    if all.len() >= limit::MEASURES {
        return Err(Refusal::new(RefusalCode::TooManyMeasures, "there are as many measures as there may be"));
    }
    let counts_still = |other: &&Measure| other.last.is_none_or(|last| last >= terms.from);
    if let Some(other) = all.iter().filter(counts_still).find(|other| other.terms.overlaps(&terms)) {
        return Err(Refusal::new(
            RefusalCode::MeasureOverlaps,
            format!("the measure {} counts one of these classes: end it, and begin later", other.id),
        ));
    }
    let organisation = Some(actor.organisation.msp_id.clone());
    let measure = Measure { id, terms, by: actor.member.id.clone(), organisation, defined: at, last: None };
    Ok(Outcome::Decided(measure, MayDefineMeasure(())))
}

/// Whether the caller's organisation, which defined this measure, may end it with a month: one that is not over, so that nothing counted is lost.
pub fn decide_end(
    caller: &Caller,
    measure: Option<Measure>,
    last: Month,
    at: LedgerTime,
) -> Result<Outcome<Measure, MayEndMeasure>, Refusal> {
    let actor = caller.permitted_member(Permission::DefineMeasure)?;
    let measure = known(measure)?;
    if let Some(owner) = measure.organisation.as_ref().filter(|owner| **owner != actor.organisation.msp_id) {
        return Err(Refusal::new(
            RefusalCode::OtherOrganisation,
            format!("{owner} defined the measure: only its maintainers end it"),
        ));
    }
    match measure.last {
        Some(ended) if ended == last => Ok(Outcome::Repeated(measure)),
        Some(ended) => Err(Refusal::new(RefusalCode::MeasureEnded, format!("the measure ends with {ended}, for good"))),
        None if last.end() <= at => Err(Refusal::new(
            RefusalCode::PeriodOver,
            "the month is over, and it or a later one may have counts: end with a month that is not over",
        )),
        None => Ok(Outcome::Decided(Measure { last: Some(last), ..measure }, MayEndMeasure(()))),
    }
}

/// The measure, if there is one.
pub fn known<M>(measure: Option<M>) -> Result<M, Refusal> {
    measure.ok_or_else(|| Refusal::new(RefusalCode::UnknownMeasure, "there is no such measure"))
}
