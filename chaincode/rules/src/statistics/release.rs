//! Differentially private releases: noise is added off the ledger; the ledger keeps what was released, and what of the privacy
//! budget is left.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Month;
use crate::identifier::{AtcClass, Malformed, MeasureId, MemberId, RegionCode, ReleaseId};
use crate::limit;
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

use super::contribution::ClosedPeriod;
use super::measure::{Measure, known};
use super::table::require_closed;

/// A release of noisy counts. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// Its id, chosen by the analyst among the measure's releases.
    pub id: ReleaseId,
    /// Of which measure.
    pub measure: MeasureId,
    /// What was released.
    pub terms: ReleaseTerms,
    /// The analyst.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
}

/// What a release says, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseTerms {
    /// Of which month.
    pub period: Month,
    /// What it spends of the measure's budget, in thousandths of ε, for all its cells together.
    pub epsilon: NonZeroU32,
    /// Where the noise is from.
    pub mechanism: Mechanism,
    /// The noisy counts.
    pub values: NoisyCounts,
}

/// Where noise is from (C. Canonne, G. Kamath, T. Steinke, "The discrete Gaussian for differential privacy", 2020).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The discrete Laplace distribution: ε-differential privacy.
    DiscreteLaplace,
    /// The discrete Gaussian distribution: (ε, δ)-differential privacy with a δ of at most one in a million.
    DiscreteGaussian,
}

/// 1 to 256 noisy cells, by class and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<NoisyCell>", into = "Vec<NoisyCell>")]
#[schemars(with = "Vec<NoisyCell>")]
pub struct NoisyCounts(Vec<NoisyCell>);

/// The noisy count of a class in a region: whole, and with noise perhaps below zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoisyCell {
    /// The drug class.
    pub class: AtcClass,
    /// The region.
    pub region: RegionCode,
    /// How many were counted, about.
    pub numerator: i64,
    /// Of how many, about.
    pub denominator: i64,
}

/// What a measure's releases have spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Thousandths of ε.
    pub epsilon: u32,
    /// How many releases there were.
    pub releases: u32,
}

/// A measure's privacy budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Of which measure.
    pub measure: MeasureId,
    /// All of it, in thousandths of ε.
    pub epsilon: u32,
    /// What is left of it, in thousandths of ε.
    pub left: u32,
    /// How many releases there were.
    pub releases: u32,
}

/// What the ledger holds of what a release names.
#[derive(Clone, Debug, Default)]
pub struct ReleaseState {
    /// The measure.
    pub measure: Option<Measure>,
    /// The month, if it is closed.
    pub closed: Option<ClosedPeriod>,
    /// The release with this id.
    pub existing: Option<Release>,
    /// What the measure's releases have spent.
    pub spent: Spent,
}

/// Proof that the release may be made, and that the budget bears it.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRelease(());

impl TryFrom<Vec<NoisyCell>> for NoisyCounts {
    type Error = Malformed;

    fn try_from(mut cells: Vec<NoisyCell>) -> Result<Self, Malformed> {
        let places: BTreeSet<_> = cells.iter().map(|cell| (&cell.class, &cell.region)).collect();
        if places.len() != cells.len() || !(1..=limit::COUNT_CELLS).contains(&cells.len()) {
            return Err(Malformed::new("the noisy counts", "1 to 256 cells, none of them twice"));
        }
        let is_bounded = |value: i64| value.unsigned_abs() <= limit::NOISY_COUNT;
        if !cells.iter().all(|cell| is_bounded(cell.numerator) && is_bounded(cell.denominator)) {
            return Err(Malformed::new("a noisy count", "at most 1000000000000 from zero"));
        }
        cells.sort_by(|one, other| (&one.class, &one.region).cmp(&(&other.class, &other.region)));
        Ok(Self(cells))
    }
}

impl From<NoisyCounts> for Vec<NoisyCell> {
    fn from(counts: NoisyCounts) -> Self {
        counts.0
    }
}

/// Whether the caller may make this release. Gives it with what has then been spent.
pub fn decide_release(
    caller: &Caller,
    state: ReleaseState,
    id: ReleaseId,
    terms: ReleaseTerms,
    at: LedgerTime,
) -> Result<Outcome<(Release, Spent), MayRelease>, Refusal> {
    let actor = caller.permitted_member(Permission::ReleaseStatistics)?;
    let measure = known(state.measure)?;
    if let Some(existing) = state.existing {
        return if existing.terms == terms {
            Ok(Outcome::Repeated((existing, state.spent)))
        } else {
            Err(Refusal::new(RefusalCode::ReleaseExists, "the release's id is taken: choose another"))
        };
    }
    require_closed(state.closed.as_ref())?;
    let is_of_measure = |cell: &NoisyCell| {
        measure.terms.classes().contains(&cell.class) && measure.terms.regions().contains(&cell.region)
    };
    if !terms.values.0.iter().all(is_of_measure) {
        return Err(Refusal::new(
            RefusalCode::CellNotOfMeasure,
            "a cell is of a class or region that the measure does not count",
        ));
    }
    let left = state.spent.left_of(&measure);
    let Some(_) = left.checked_sub(terms.epsilon.get()) else {
        return Err(Refusal::new(
            RefusalCode::BudgetSpent,
            format!("{left} thousandths of the measure's privacy budget are left: spend less"),
        ));
    };
    if actor.agent.as_ref().is_some_and(|agent| !agent.may_spend(terms.epsilon.get())) {
        return Err(Refusal::new(RefusalCode::BudgetSpent, "the agent's privacy budget of the day does not bear it"));
    }
    let spent =
        Spent { epsilon: state.spent.epsilon + terms.epsilon.get(), releases: state.spent.releases.saturating_add(1) };
    let release = Release { id, measure: measure.id, terms, by: actor.member.id.clone(), at };
    Ok(Outcome::Decided((release, spent), MayRelease(())))
}

/// A measure's privacy budget, for every active member: what was released is for all to read.
pub fn decide_budget(caller: &Caller, measure: Option<&Measure>, spent: Spent) -> Result<Budget, Refusal> {
    caller.active_member()?;
    let measure = known(measure)?;
    Ok(Budget {
        measure: measure.id.clone(),
        epsilon: measure.terms.epsilon_budget(),
        left: spent.left_of(measure),
        releases: spent.releases,
    })
}

impl Spent {
    fn left_of(self, measure: &Measure) -> u32 {
        measure.terms.epsilon_budget().saturating_sub(self.epsilon)
    }
}
