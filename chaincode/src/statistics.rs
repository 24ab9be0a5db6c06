//! The contract `Statistics`.

use fabric_contract::Context;
use healthchain_interface::{
    ClosePeriod, ContributeCounts, DefineMeasure, EndMeasure, Page, ReleaseStatistics, ReleasesQuery, Statistics,
    TableQuery,
};
use healthchain_rules::statistics::StatisticsAct;
use healthchain_rules::statistics::contribution::{
    ClosedPeriod, Contribution, ContributionState, decide_closing, decide_contribution,
};
use healthchain_rules::statistics::measure::{Measure, MeasureTerms, decide_definition, decide_end, known};
use healthchain_rules::statistics::release::{
    Budget, Release, ReleaseState, ReleaseTerms, decide_budget, decide_release,
};
use healthchain_rules::statistics::table::{Table, decide_tabulation, tabulate};
use healthchain_rules::{MeasureId, Outcome, Refusal};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::page_token;
use crate::storage::statistics::{
    load_closed_period, load_contribution, load_contributions, load_measure, load_measures, load_release,
    load_releases, load_spent, save_closed, save_contribution, save_defined, save_ended, save_release,
};
use crate::transaction;

pub(crate) struct StatisticsContract;

impl Statistics for StatisticsContract {
    async fn define(&self, context: &mut Context, call: DefineMeasure) -> Result<Measure, Refusal> {
        let DefineMeasure { measure: id, title, denominator, per, classes, regions, from, epsilon_budget } = call;
        let terms = MeasureTerms::new((title, denominator, per), classes, regions, from, epsilon_budget)?;
        let caller = load_caller(context).await?;
        let all = load_measures(context).await?;

        match decide_definition(&caller, &all, id, terms, transaction::time(context)?)? {
            Outcome::Repeated(measure) => Ok(measure),
            Outcome::Decided(measure, proof) => {
                save_defined(context, &measure, proof)?;
                let act = StatisticsAct::MeasureDefined { measure: measure.id.clone() };
                Record::new(act).save(context, &caller)?;
                Ok(measure)
            }
        }
    }

    async fn end(&self, context: &mut Context, call: EndMeasure) -> Result<Measure, Refusal> {
        let (caller, measure, ()) = load_caller_with(context, load_measure(&call.measure), |_, _| ()).await?;

        match decide_end(&caller, measure, call.last, transaction::time(context)?)? {
            Outcome::Repeated(measure) => Ok(measure),
            Outcome::Decided(measure, proof) => {
                save_ended(context, &measure, proof)?;
                let act = StatisticsAct::MeasureEnded { measure: measure.id.clone(), last: call.last };
                Record::new(act).save(context, &caller)?;
                Ok(measure)
            }
        }
    }

    async fn contribute(&self, context: &mut Context, call: ContributeCounts) -> Result<Contribution, Refusal> {
        let ContributeCounts { measure: id, period, cells } = call;
        let organisation = transaction::signer(context)?.msp_id;
        let first = (load_measure(&id), load_closed_period(&id, period), load_contribution(&id, period, &organisation));
        let (caller, (measure, closed, existing), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let state = ContributionState { measure, closed, existing };
        match decide_contribution(&caller, state, period, cells, transaction::time(context)?)? {
            Outcome::Repeated(contribution) => Ok(contribution),
            Outcome::Decided(contribution, proof) => {
                save_contribution(context, &contribution, proof)?;
                Record::new(StatisticsAct::CountsContributed { measure: id, period }).save(context, &caller)?;
                Ok(contribution)
            }
        }
    }

    async fn close(&self, context: &mut Context, call: ClosePeriod) -> Result<ClosedPeriod, Refusal> {
        let ClosePeriod { measure: id, period } = call;
        let first = (load_measure(&id), load_closed_period(&id, period));
        let (caller, (measure, existing), ()) = load_caller_with(context, first, |_, _| ()).await?;

        match decide_closing(&caller, measure, existing, period, transaction::time(context)?)? {
            Outcome::Repeated(closed) => Ok(closed),
            Outcome::Decided(closed, proof) => {
                save_closed(context, &closed, proof)?;
                Record::new(StatisticsAct::PeriodClosed { measure: id, period }).save(context, &caller)?;
                Ok(closed)
            }
        }
    }

    async fn table(&self, context: &Context, query: TableQuery) -> Result<Table, Refusal> {
        let TableQuery { measure: id, period } = query;
        let first = (load_measure(&id), load_closed_period(&id, period));
        let (caller, (measure, closed), ()) = load_caller_with(context, first, |_, _| ()).await?;
        let proof = decide_tabulation(&caller, measure.as_ref(), closed.as_ref())?;
        let contributions = load_contributions(context, &id, period, proof).await?;
        tabulate(&known(measure)?, period, &contributions)
    }

    async fn release(&self, context: &mut Context, call: ReleaseStatistics) -> Result<Release, Refusal> {
        let ReleaseStatistics { release: id, measure, period, epsilon, mechanism, values } = call;
        let first = (
            load_measure(&measure),
            load_closed_period(&measure, period),
            load_release(&measure, &id),
            load_spent(&measure),
        );
        let (caller, (measure, closed, existing, spent), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let state = ReleaseState { measure, closed, existing, spent: spent.unwrap_or_default() };
        let terms = ReleaseTerms { period, epsilon, mechanism, values };
        match decide_release(&caller, state, id, terms, transaction::time(context)?)? {
            Outcome::Repeated((release, _)) => Ok(release),
            Outcome::Decided((release, spent), proof) => {
                save_release(context, &release, spent, proof)?;
                let epsilon = epsilon.get();
                let (measure, id) = (release.measure.clone(), release.id.clone());
                let act = StatisticsAct::StatisticsReleased { measure, release: id, epsilon };
                Record::new(act).spending(epsilon).save(context, &caller)?;
                Ok(release)
            }
        }
    }

    async fn releases(&self, context: &Context, query: ReleasesQuery) -> Result<Page<Release>, Refusal> {
        let ReleasesQuery { measure: id, page_token, limit } = query;
        let (caller, measure, ()) = load_caller_with(context, load_measure(&id), |_, _| ()).await?;
        caller.active_member()?;
        known(measure)?;
        let from = page_token::read(&id, page_token)?;
        let limit = limit.unwrap_or_default().into();
        let (items, next) = load_releases(context, &id, from.as_ref(), limit).await?;
        let next_page_token = page_token::write(&id, next)?;
        Ok(Page { items, next_page_token })
    }

    async fn budget(&self, context: &Context, measure: MeasureId) -> Result<Budget, Refusal> {
        let first = (load_measure(&measure), load_spent(&measure));
        let (caller, (measure, spent), ()) = load_caller_with(context, first, |_, _| ()).await?;
        decide_budget(&caller, measure.as_ref(), spent.unwrap_or_default())
    }

    async fn measures(&self, context: &Context) -> Result<Vec<Measure>, Refusal> {
        load_caller(context).await?.active_member()?;
        load_measures(context).await
    }
}
