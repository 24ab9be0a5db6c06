use std::collections::BTreeSet;
use std::num::NonZeroU32;

use fabric_contract::{Context, contract};
use healthchain_rules::statistics::contribution::{ClosedPeriod, Contribution, Counts};
use healthchain_rules::statistics::measure::Measure;
use healthchain_rules::statistics::release::{Budget, Mechanism, NoisyCounts, Release};
use healthchain_rules::statistics::table::Table;
use healthchain_rules::{AtcClass, Code, MeasureId, Month, Refusal, RegionCode, ReleaseId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Defines a measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineMeasure {
    /// The measure's id, chosen by the caller, so that a retry is recognised.
    pub measure: MeasureId,
    /// What it is called.
    pub title: Code,
    /// What is counted in the denominator, such as `visits`.
    pub denominator: Code,
    /// Rates are given per so many of the denominator, such as 1,000.
    pub per: u32,
    /// The drug classes counted, none within another.
    pub classes: BTreeSet<AtcClass>,
    /// The regions counted; classes times regions are 256 at most.
    pub regions: BTreeSet<RegionCode>,
    /// The first month counted.
    pub from: Month,
    /// What all differentially private releases together may spend, in thousandths of ε, at most 20,000.
    pub epsilon_budget: u32,
}

/// Ends a measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndMeasure {
    /// Which.
    pub measure: MeasureId,
    /// The last month counted: one that is not over.
    pub last: Month,
}

/// What the caller's organisation counted in a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContributeCounts {
    /// For which measure.
    pub measure: MeasureId,
    /// Of which month, which is over.
    pub period: Month,
    /// 1 to 256 cells; what none names counts as 0 of 0.
    pub cells: Counts,
}

/// Closes a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosePeriod {
    /// Of which measure.
    pub measure: MeasureId,
    /// Which month, which is over.
    pub period: Month,
}

/// Asks for the table of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableQuery {
    /// Of which measure.
    pub measure: MeasureId,
    /// Of which month, which is closed.
    pub period: Month,
}

/// Releases counts of a closed month with noise, which the caller added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseStatistics {
    /// The release's id, chosen by the caller among the measure's releases, so that a retry is recognised.
    pub release: ReleaseId,
    /// Of which measure.
    pub measure: MeasureId,
    /// Of which month, which is closed.
    pub period: Month,
    /// What it spends of the measure's budget, in thousandths of ε, for all its cells together.
    pub epsilon: NonZeroU32,
    /// Where the noise is from.
    pub mechanism: Mechanism,
    /// 1 to 256 noisy cells.
    pub values: NoisyCounts,
}

/// Asks for a measure's releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleasesQuery {
    /// Of which measure.
    pub measure: MeasureId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Population statistics.
#[contract(name = "Statistics")]
pub trait Statistics {
    /// Defines a measure, which then never changes. For maintainers. No two measures count one drug class at the same time.
    /// Repeating it with the same content is harmless.
    #[submit]
    async fn define(&self, context: &mut Context, call: DefineMeasure) -> Result<Measure, Refusal>;

    /// Ends a measure with a month that is not over, for good; another may count its classes after that. For maintainers.
    /// Repeating it is harmless.
    #[submit]
    async fn end(&self, context: &mut Context, call: EndMeasure) -> Result<Measure, Refusal>;

    /// Contributes what the caller's organisation, which cares for patients, counted in a month. For its maintainers and its
    /// gateway, once: repeating it with the same counts is harmless, others are refused.
    #[submit]
    async fn contribute(&self, context: &mut Context, call: ContributeCounts) -> Result<Contribution, Refusal>;

    /// Closes a month: nothing is contributed to it any more, and its table is shown. For maintainers. Repeating it is harmless.
    #[submit]
    async fn close(&self, context: &mut Context, call: ClosePeriod) -> Result<ClosedPeriod, Refusal>;

    /// The table of a closed month to which at least three organisations contributed: sums by region and class, with totals. Small
    /// cells, and those from which small ones could be derived, are suppressed. For analysts.
    #[evaluate]
    async fn table(&self, context: &Context, query: TableQuery) -> Result<Table, Refusal>;

    /// Records a differentially private release, and takes what it spends from the measure's budget. For analysts. Repeating it
    /// with the same content is harmless, and spends nothing.
    #[submit]
    async fn release(&self, context: &mut Context, call: ReleaseStatistics) -> Result<Release, Refusal>;

    /// A measure's releases, by id. For every active member.
    #[evaluate]
    async fn releases(&self, context: &Context, query: ReleasesQuery) -> Result<Page<Release>, Refusal>;

    /// A measure's privacy budget. For every active member.
    #[evaluate]
    async fn budget(&self, context: &Context, measure: MeasureId) -> Result<Budget, Refusal>;

    /// All measures, by id. For every active member.
    #[evaluate]
    async fn measures(&self, context: &Context) -> Result<Vec<Measure>, Refusal>;
}
