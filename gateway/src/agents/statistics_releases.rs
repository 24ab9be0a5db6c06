//! Statistics releases: adds noise to the table of a closed month and has the ledger record what is released, once a month.
//!
//! The unit that is protected is one visit. It lies in one region, and changes each of the region's cells by one in the numerator and one in
//! the denominator at most, so that the L1 sensitivity is twice the number of classes. The noise is the discrete Laplace distribution's
//! (C. Canonne, G. Kamath, T. Steinke, "The discrete Gaussian for differential privacy", 2020), drawn by the library OpenDP, whose
//! privacy map must say that the release spends no more than the ledger is told.
//!
//! Noise is drawn once for a release and remembered with its ε: a release that is tried again shows nobody a second draw, and spends what
//! the first one would have.

use std::num::NonZeroU32;

use healthchain_interface::{ReleaseStatistics, ReleasesQuery, StatisticsClient, TableQuery};
use healthchain_rules::statistics::measure::Measure;
use healthchain_rules::statistics::release::{Mechanism, NoisyCell, NoisyCounts};
use healthchain_rules::statistics::table::Table;
use healthchain_rules::{Month, RefusalCode, ReleaseId};
use opendp::core::Measurement;
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::error::Fallible;
use opendp::measurements::make_laplace;
use opendp::measures::MaxDivergence;
use opendp::metrics::L1Distance;

use super::prescription_monitor::over;
use super::{Agent, Halt, Post};
use crate::configuration::StatisticsReleasesConfiguration;
use crate::failure::Failure;
use crate::ledger::Contract;
use crate::state::prescriptions::{self, Draw};
use crate::use_cases::now;

/// See the module.
pub struct StatisticsReleases {
    settings: StatisticsReleasesConfiguration,
}

impl StatisticsReleases {
    /// Releases by these settings.
    pub const fn new(settings: StatisticsReleasesConfiguration) -> Self {
        Self { settings }
    }
}

impl Agent for StatisticsReleases {
    const NAME: &'static str = "statistics_releases";

    async fn round(&self, post: &Post) -> Result<(), Halt> {
        let statistics = StatisticsClient::new(post.contract().await?);
        let measures = statistics.measures().await?;
        if let Some(measure) = measures.iter().find(|measure| measure.id == self.settings.measure) {
            let mut released = released(&statistics, measure).await?;
            released.sort();
            for month in over(measure, now()) {
                if released.binary_search(&month).is_ok() {
                    continue;
                }
                let left = statistics.budget(&measure.id).await?.left;
                if left < self.settings.epsilon.get() {
                    post.did("budget-spent");
                    break;
                }
                self.release(post, &statistics, measure, month).await?;
            }
        }
        post.wait(self.settings.check()).await;
        Ok(())
    }
}

impl StatisticsReleases {
    async fn release(
        &self,
        post: &Post,
        statistics: &StatisticsClient<Contract>,
        measure: &Measure,
        period: Month,
    ) -> Result<(), Halt> {
        let table = statistics.table(&TableQuery { measure: measure.id.clone(), period }).await;
        let table = match table.map_err(Halt::from) {
            // It is not closed yet, or too few contributed.
            Err(Halt::Failed(Failure::Refused(refusal))) if is_not_ready(refusal.code()) => return Ok(()),
            table => table?,
        };
        let epsilon = self.settings.epsilon;
        let drawn = noisy(&table, measure.terms.classes().len(), epsilon)
            .map_err(|error| Failure::Internal(error.to_string()))?;
        if drawn.is_empty() {
            return Ok(());
        }
        let release: ReleaseId = period.to_string().parse().expect("a month is digits and a hyphen");
        let values = serde_json::to_string(&drawn).expect("cells always serialise");
        // What was drawn before spends what it was drawn with, whatever the configuration says by now.
        let draw = prescriptions::draw(&post.gateway.state, &measure.id, &release, &Draw { epsilon, values }).await?;
        let epsilon = draw.epsilon;
        let values: NoisyCounts = serde_json::from_str(&draw.values).map_err(|_| crate::state::StateError::Damaged)?;
        let mechanism = Mechanism::DiscreteLaplace;
        let call = ReleaseStatistics { release, measure: measure.id.clone(), period, epsilon, mechanism, values };
        match statistics.release(&call).await.map_err(Halt::from) {
            Ok(_) => post.did("released"),
            Err(Halt::Failed(Failure::Refused(refusal))) if refusal.code() == RefusalCode::ReleaseExists => {
                post.did("released-before");
            }
            // The day's budget; another day has another.
            Err(Halt::Failed(Failure::Refused(refusal))) if refusal.code() == RefusalCode::BudgetSpent => {
                post.did("budget-spent");
            }
            Err(halt) => return Err(halt),
        }
        Ok(())
    }
}

/// The months that have releases.
async fn released(statistics: &StatisticsClient<Contract>, measure: &Measure) -> Result<Vec<Month>, Halt> {
    let (mut months, mut page_token) = (Vec::new(), None);
    loop {
        let query = ReleasesQuery { measure: measure.id.clone(), page_token, limit: None };
        let page = statistics.releases(&query).await?;
        months.extend(page.items.into_iter().map(|release| release.terms.period));
        page_token = page.next_page_token;
        if page_token.is_none() {
            return Ok(months);
        }
    }
}

/// The cells of a table that are shown, without totals, with noise.
fn noisy(table: &Table, classes: usize, epsilon: NonZeroU32) -> Fallible<Vec<NoisyCell>> {
    let cells = table.cells.iter().filter_map(|cell| {
        let (region, class, counted) = (cell.region.clone()?, cell.class.clone()?, cell.counted?);
        Some((region, class, [counted.numerator, counted.denominator].map(u64::cast_signed)))
    });
    let cells: Vec<_> = cells.collect();
    let counts: Vec<i64> = cells.iter().flat_map(|(.., counts)| *counts).collect();
    let noisy = mechanism(sensitivity(classes), epsilon)?.invoke(&counts)?;
    let noisy = cells.into_iter().zip(noisy.chunks_exact(2));
    let cell = |((region, class, _), counts): ((_, _, _), &[i64])| NoisyCell {
        class,
        region,
        numerator: counts[0],
        denominator: counts[1],
    };
    Ok(noisy.map(cell).collect())
}

/// By how much one visit changes all counts together.
fn sensitivity(classes: usize) -> i64 {
    2 * i64::try_from(classes).unwrap_or(i64::MAX / 2)
}

type Noise = Measurement<VectorDomain<AtomDomain<i64>>, L1Distance<i64>, MaxDivergence, Vec<i64>>;

/// Noise for counts of this sensitivity that spends this much, in thousandths of ε.
fn mechanism(sensitivity: i64, epsilon: NonZeroU32) -> Fallible<Noise> {
    let epsilon = f64::from(epsilon.get()) / 1000.0;
    let domain = VectorDomain::new(AtomDomain::<i64>::default());
    let mut scale = sensitivity as f64 / epsilon;
    loop {
        let noise = make_laplace(domain.clone(), L1Distance::default(), scale, None)?;
        // The division may have rounded down, which would spend more than the ledger is told.
        if noise.map(&sensitivity)? <= epsilon {
            return Ok(noise);
        }
        scale = scale.next_up();
    }
}

fn is_not_ready(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::PeriodOpen | RefusalCode::TooFewContributors)
}

#[cfg(test)]
mod tests {
    use opendp::accuracy::accuracy_to_discrete_laplacian_scale;
    use serde_json::json;

    use super::*;

    fn thousandths(epsilon: u32) -> NonZeroU32 {
        NonZeroU32::new(epsilon).unwrap()
    }

    #[test]
    fn the_noise_spends_what_the_ledger_is_told_and_not_more() {
        for (classes, epsilon) in [(1, 1000), (2, 500), (2, 333), (7, 1), (256, 20_000)] {
            let sensitivity = sensitivity(classes);
            let spent = mechanism(sensitivity, thousandths(epsilon)).unwrap().map(&sensitivity).unwrap();
            let told = f64::from(epsilon) / 1000.0;
            assert!(spent <= told && spent > told * 0.999_999, "{classes} classes: {spent}, not {told}");
            // Twice as many visits, twice the loss: the map is of the discrete Laplace distribution.
            let twice = mechanism(sensitivity, thousandths(epsilon)).unwrap().map(&(2 * sensitivity)).unwrap();
            assert!((twice - 2.0 * spent).abs() < 1e-9 * told);
        }
    }

    #[test]
    fn one_visit_changes_numerator_and_denominator_of_each_class_of_its_region() {
        assert_eq!([1, 2, 256].map(sensitivity), [2, 4, 512]);
    }

    /// Counts are within this of the truth in 19 of 20 cases.
    #[test]
    fn two_classes_at_one_epsilon_are_accurate_to_a_dozen() {
        let scale = sensitivity(2) as f64;
        let at_95 = |accuracy: f64| accuracy_to_discrete_laplacian_scale(accuracy, 0.05).unwrap();
        assert!(at_95(12.0) < scale && scale < at_95(14.0));
    }

    #[test]
    fn suppressed_cells_and_totals_are_not_released() {
        let counted = json!({ "numerator": 100, "denominator": 1000 });
        let table: Table = serde_json::from_value(json!({
            "measure": "antibiotics", "period": "2026-01", "contributors": 3,
            "cells": [
                { "region": "US-MA", "class": "J01", "counted": counted },
                { "region": "US-NY", "class": "J01" },
                { "region": "US-MA", "counted": counted },
                { "class": "J01", "counted": counted },
                { "counted": counted },
            ],
        }))
        .unwrap();
        let released = noisy(&table, 1, thousandths(1000)).unwrap();
        let [cell] = released.as_slice() else { panic!("{released:?}") };
        assert_eq!((cell.region.as_str(), cell.class.as_str()), ("US-MA", "J01"));
    }
}
