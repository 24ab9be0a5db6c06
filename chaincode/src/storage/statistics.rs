use fabric_contract::{Context, split_composite_key};
use healthchain_rules::statistics::contribution::{ClosedPeriod, Contribution, MayClose, MayContribute};
use healthchain_rules::statistics::measure::{MayDefineMeasure, MayEndMeasure, Measure};
use healthchain_rules::statistics::release::{MayRelease, Release, Spent};
use healthchain_rules::statistics::table::MayTabulate;
use healthchain_rules::{MeasureId, Month, MspId, Refusal, RefusalCode, ReleaseId};

use super::{Load, decode, key, ledger, put};

pub(crate) fn load_measure(id: &MeasureId) -> Load<Measure> {
    Load::at(key::measure(id))
}

/// All measures, by id: at most as many as there may be. They are seldom written.
pub(crate) async fn load_measures(context: &Context) -> Result<Vec<Measure>, Refusal> {
    let found = context.partial_composite(key::MEASURE, &[]).collect().await.map_err(ledger)?;
    found.iter().map(|(_, value)| decode(value)).collect()
}

pub(crate) fn load_contribution(measure: &MeasureId, period: Month, organisation: &MspId) -> Load<Contribution> {
    Load::at(key::contribution(measure, period, organisation))
}

/// All contributions to a closed month, by organisation.
pub(crate) async fn load_contributions(
    context: &Context,
    measure: &MeasureId,
    period: Month,
    _: MayTabulate,
) -> Result<Vec<Contribution>, Refusal> {
    let attributes = [measure.as_str(), &period.to_string()];
    let found = context.partial_composite(key::CONTRIBUTION, &attributes).collect().await.map_err(ledger)?;
    found.iter().map(|(_, value)| decode(value)).collect()
}

pub(crate) fn load_closed_period(measure: &MeasureId, period: Month) -> Load<ClosedPeriod> {
    Load::at(key::closed_period(measure, period))
}

pub(crate) fn load_release(measure: &MeasureId, id: &ReleaseId) -> Load<Release> {
    Load::at(key::release(measure, id))
}

/// What a measure's releases have spent; none is as good as nothing.
pub(crate) fn load_spent(measure: &MeasureId) -> Load<Spent> {
    Load::at(key::epsilon_spent(measure))
}

/// Some of a measure's releases, by id, and where they go on. For queries only.
pub(crate) async fn load_releases(
    context: &Context,
    measure: &MeasureId,
    from: Option<&ReleaseId>,
    limit: u32,
) -> Result<(Vec<Release>, Option<ReleaseId>), Refusal> {
    let from = from.map(|from| key::release(measure, from));
    let page =
        context.composite_page(key::RELEASE, &[measure.as_str()], limit, from.as_deref()).await.map_err(ledger)?;
    let releases = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((releases, next))
}

pub(crate) fn save_defined(context: &mut Context, measure: &Measure, _: MayDefineMeasure) -> Result<(), Refusal> {
    put(context, key::measure(&measure.id), measure)
}

pub(crate) fn save_ended(context: &mut Context, measure: &Measure, _: MayEndMeasure) -> Result<(), Refusal> {
    put(context, key::measure(&measure.id), measure)
}

pub(crate) fn save_contribution(
    context: &mut Context,
    contribution: &Contribution,
    _: MayContribute,
) -> Result<(), Refusal> {
    let Contribution { measure, period, organisation, .. } = contribution;
    put(context, key::contribution(measure, *period, organisation), contribution)
}

pub(crate) fn save_closed(context: &mut Context, closed: &ClosedPeriod, _: MayClose) -> Result<(), Refusal> {
    put(context, key::closed_period(&closed.measure, closed.period), closed)
}

/// Saves a release, and what the measure's releases have then spent.
pub(crate) fn save_release(
    context: &mut Context,
    release: &Release,
    spent: Spent,
    _: MayRelease,
) -> Result<(), Refusal> {
    put(context, key::epsilon_spent(&release.measure), &spent)?;
    put(context, key::release(&release.measure, &release.id), release)
}

fn position(bookmark: &str) -> Result<ReleaseId, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of releases: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, id] = attributes.as_slice() else { return Err(unreadable()) };
    Ok(id.parse()?)
}
