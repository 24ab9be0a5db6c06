//! The table of a closed period: sums over organisations, with the cells suppressed that must be.

use std::iter::Sum;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Month;
use crate::identifier::{AtcClass, MeasureId, RegionCode};
use crate::limit;
use crate::member::Caller;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;

use super::contribution::{ClosedPeriod, Contribution};
use super::measure::{Measure, known};
use super::suppression::{Place, Totalled};

/// How many were counted, of how many. A rate is the two numbers, never their quotient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// How many were counted: at most the denominator.
    pub numerator: u64,
    /// Of how many.
    pub denominator: u64,
}

/// A period's counts, summed over organisations, by region and class, with totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Of which measure.
    pub measure: MeasureId,
    /// Of which month.
    pub period: Month,
    /// How many organisations contributed.
    pub contributors: usize,
    /// Every region and their total, each with every class and their total.
    pub cells: Vec<TableCell>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableCell {
    /// Of which region; absent in the total of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionCode>,
    /// Of which class; absent in the total of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<AtcClass>,
    /// What was counted; absent where it is suppressed, because it is small, or too few organisations counted any, or others could
    /// be derived from it: which of these is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
}

/// Proof that the period's contributions may be read to make its table.
#[derive(Debug, PartialEq, Eq)]
pub struct MayTabulate(());

/// Whether the caller may have the table of a period: analysts, once it is closed. Before that, two tables with one contribution
/// between them would give that one away.
pub fn decide_tabulation(
    caller: &Caller,
    measure: Option<&Measure>,
    closed: Option<&ClosedPeriod>,
) -> Result<MayTabulate, Refusal> {
    caller.permitted_member(Permission::ReleaseStatistics)?;
    known(measure)?;
    require_closed(closed)?;
    Ok(MayTabulate(()))
}

/// The table of a period from all its contributions. Too few of them make none, and no cell shows what too few of them counted: of two
/// contributors, each would learn the other's counts by taking its own away (Federal Committee on Statistical Methodology, Statistical
/// Policy Working Paper 22, 2005).
pub fn tabulate(measure: &Measure, period: Month, contributions: &[Contribution]) -> Result<Table, Refusal> {
    if contributions.len() < limit::CONTRIBUTORS {
        return Err(Refusal::new(
            RefusalCode::TooFewContributors,
            format!(
                "fewer than {} organisations contributed to this period: nothing of it is shown",
                limit::CONTRIBUTORS
            ),
        ));
    }
    let (regions, classes) = (measure.terms.regions(), measure.terms.classes());
    let cells = |contributions: &[Contribution]| {
        let sum = |region: &RegionCode, class: &AtcClass| {
            contributions.iter().filter_map(|one| one.counts.of(class, region)).sum::<Counted>()
        };
        Totalled::new(regions.iter().map(|region| classes.iter().map(|class| sum(region, class)).collect()).collect())
    };
    let table = cells(contributions);
    let single: Vec<Totalled> = contributions.chunks(1).map(cells).collect();
    let of_few =
        |place: &Place| single.iter().filter(|one| one.at(*place).denominator > 0).count() < limit::CONTRIBUTORS;
    let suppressed = table.suppressed(table.places().filter(of_few));
    let regions: Vec<_> = regions.iter().collect();
    let classes: Vec<_> = classes.iter().collect();
    let cells = table.places().map(|place| TableCell {
        region: regions.get(place.0).map(|region| (*region).clone()),
        class: classes.get(place.1).map(|class| (*class).clone()),
        counted: (!suppressed.contains(&place)).then(|| table.at(place)),
    });
    Ok(Table { measure: measure.id.clone(), period, contributors: contributions.len(), cells: cells.collect() })
}

pub(super) fn require_closed(closed: Option<&ClosedPeriod>) -> Result<&ClosedPeriod, Refusal> {
    closed.ok_or_else(|| {
        Refusal::new(RefusalCode::PeriodOpen, "the period takes contributions still: wait until a maintainer closes it")
    })
}

impl Counted {
    /// How many were not counted.
    pub const fn complement(&self) -> u64 {
        self.denominator.saturating_sub(self.numerator)
    }
}

impl Sum for Counted {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, one| Self {
            numerator: sum.numerator + one.numerator,
            denominator: sum.denominator + one.denominator,
        })
    }
}
