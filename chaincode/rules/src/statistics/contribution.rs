//! Contributions: what one organisation counted in one month. And the closing of months, after which nothing is contributed.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Month;
use crate::identifier::{AtcClass, Malformed, MeasureId, MemberId, MspId, RegionCode};
use crate::limit;
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

use super::measure::{Measure, known};
use super::table::Counted;

/// What an organisation counted in a month. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contribution {
    /// For which measure.
    pub measure: MeasureId,
    /// Of which month.
    pub period: Month,
    /// Which organisation.
    pub organisation: MspId,
    /// What it counted.
    pub counts: Counts,
    /// The maintainer who contributed; none when the organisation's gateway did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<MemberId>,
    /// When.
    pub at: LedgerTime,
}

/// 1 to 256 cells, by class and region. What none names was not counted: 0 of 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<CountCell>", into = "Vec<CountCell>")]
#[schemars(with = "Vec<CountCell>")]
pub struct Counts(Vec<CountCell>);

/// What was counted of a class in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountCell {
    /// The drug class.
    pub class: AtcClass,
    /// The region.
    pub region: RegionCode,
    /// How many had what the class names: at most the denominator.
    pub numerator: u64,
    /// Of how many, at most 1,000,000,000.
    pub denominator: u64,
}

/// A month of a measure to which nothing is contributed any more, so that its table may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClosedPeriod {
    /// Of which measure.
    pub measure: MeasureId,
    /// Which month.
    pub period: Month,
    /// The maintainer who closed it.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
}

/// What the ledger holds of what a contribution names.
#[derive(Clone, Debug, Default)]
pub struct ContributionState {
    /// The measure.
    pub measure: Option<Measure>,
    /// The month, if it is closed.
    pub closed: Option<ClosedPeriod>,
    /// What the caller's organisation contributed to it.
    pub existing: Option<Contribution>,
}

/// Proof that the counts may be contributed.
#[derive(Debug, PartialEq, Eq)]
pub struct MayContribute(());

/// Proof that the period may be closed.
#[derive(Debug, PartialEq, Eq)]
pub struct MayClose(());

impl Counts {
    /// What was counted of a class in a region.
    pub fn of(&self, class: &AtcClass, region: &RegionCode) -> Option<Counted> {
        let place = self.0.binary_search_by(|cell| (&cell.class, &cell.region).cmp(&(class, region))).ok()?;
        let CountCell { numerator, denominator, .. } = self.0[place];
        Some(Counted { numerator, denominator })
    }
}

impl TryFrom<Vec<CountCell>> for Counts {
    type Error = Malformed;

    fn try_from(mut cells: Vec<CountCell>) -> Result<Self, Malformed> {
        let places: BTreeSet<_> = cells.iter().map(|cell| (&cell.class, &cell.region)).collect();
        if places.len() != cells.len() || !(1..=limit::COUNT_CELLS).contains(&cells.len()) {
            return Err(Malformed::new("the counts", "1 to 256 cells, none of them twice"));
        }
        if cells.iter().any(|cell| cell.numerator > cell.denominator || cell.denominator > limit::COUNT) {
            return Err(Malformed::new(
                "a count",
                "a numerator of at most the denominator, and that at most 1000000000",
            ));
        }
        cells.sort_by(|one, other| (&one.class, &one.region).cmp(&(&other.class, &other.region)));
        Ok(Self(cells))
    }
}

impl From<Counts> for Vec<CountCell> {
    fn from(counts: Counts) -> Self {
        counts.0
    }
}

/// Whether the caller may contribute its organisation's counts of a month: maintainers and gateways of organisations that care
/// for patients, once.
pub fn decide_contribution(
    caller: &Caller,
    state: ContributionState,
    period: Month,
    counts: Counts,
    at: LedgerTime,
) -> Result<Outcome<Contribution, MayContribute>, Refusal> {
    let (organisation, by) = match caller {
        Caller::Custodian(_) => (caller.custodian()?, None),
        Caller::Member(_) => {
            let actor = caller.permitted_member(Permission::ContributeCounts)?;
            (&actor.organisation, Some(actor.member.id.clone()))
        }
    };
    if !organisation.kind.is_care() {
        return Err(Refusal::new(
            RefusalCode::NotPermitted,
            "only organisations that care for patients contribute counts",
        ));
    }
    let measure = known(state.measure)?;
    if let Some(existing) = state.existing {
        return if existing.counts == counts {
            Ok(Outcome::Repeated(existing))
        } else {
            Err(Refusal::new(
                RefusalCode::ContributionExists,
                "the organisation contributed other counts of this month, and they stand",
            ))
        };
    }
    measure.require_countable(period, at)?;
    if state.closed.is_some() {
        return Err(Refusal::new(RefusalCode::PeriodClosed, "the month is closed: nothing is contributed any more"));
    }
    let is_of_measure = |cell: &CountCell| {
        measure.terms.classes().contains(&cell.class) && measure.terms.regions().contains(&cell.region)
    };
    if !counts.0.iter().all(is_of_measure) {
        return Err(Refusal::new(
            RefusalCode::CellNotOfMeasure,
            "a cell is of a class or region that the measure does not count",
        ));
    }
    let organisation = organisation.msp_id.clone();
    let contribution = Contribution { measure: measure.id, period, organisation, counts, by, at };
    Ok(Outcome::Decided(contribution, MayContribute(())))
}

/// Whether the caller may close a month of a measure, which cannot be undone: from 30 days after its end on, so that nobody is shut out.
pub fn decide_closing(
    caller: &Caller,
    measure: Option<Measure>,
    existing: Option<ClosedPeriod>,
    period: Month,
    at: LedgerTime,
) -> Result<Outcome<ClosedPeriod, MayClose>, Refusal> {
    let actor = caller.permitted_member(Permission::DefineMeasure)?;
    let measure = known(measure)?;
    if let Some(existing) = existing {
        return Ok(Outcome::Repeated(existing));
    }
    measure.require_countable(period, at)?;
    let earliest = period.end().plus_days(limit::CLOSING_DAYS);
    if at < earliest {
        return Err(Refusal::new(
            RefusalCode::PeriodOpen,
            format!(
                "organisations have time to contribute to the month: close it from {earliest} (milliseconds since 1970) on"
            ),
        ));
    }
    let closed = ClosedPeriod { measure: measure.id, period, by: actor.member.id.clone(), at };
    Ok(Outcome::Decided(closed, MayClose(())))
}
