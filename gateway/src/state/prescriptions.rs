//! What the prescription monitor has counted and not contributed yet, and the noise that was drawn for releases.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use healthchain_rules::{AtcClass, LinkId, MeasureId, Month, ReleaseId};
use sqlx::Row as _;

use super::{State, StateError};

/// A pass through the organisation's links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The last month that it counts.
    pub through: Month,
    /// The last link that it has read; none at its beginning.
    pub link: Option<LinkId>,
}

/// What was counted of a month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visits {
    /// How many visits there were.
    pub all: u64,
    /// At how many of them a drug of a class was prescribed.
    pub by_class: BTreeMap<AtcClass, u64>,
}

/// Noisy values, and what they were drawn with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// What releasing them spends, in thousandths of ε.
    pub epsilon: NonZeroU32,
    /// The values, as JSON.
    pub values: String,
}

/// The pass under way.
pub async fn pass(state: &State, measure: &MeasureId) -> Result<Option<Pass>, StateError> {
    let query = sqlx::query("SELECT through, link FROM counting_passes WHERE measure = $1").bind(measure.as_str());
    let Some(row) = query.fetch_optional(state.pool()).await? else { return Ok(None) };
    let (through, link): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let through = through.parse().map_err(|_| StateError::Damaged)?;
    let link = (!link.is_empty()).then(|| link.parse().map_err(|_| StateError::Damaged)).transpose()?;
    Ok(Some(Pass { through, link }))
}

/// Remembers how far a pass is.
pub async fn save_pass(state: &State, measure: &MeasureId, pass: &Pass) -> Result<(), StateError> {
    let save = sqlx::query(
        "INSERT INTO counting_passes (measure, through, link) VALUES ($1, $2, $3) \
         ON CONFLICT (measure) DO UPDATE SET through = excluded.through, link = excluded.link",
    );
    let link = pass.link.as_ref().map_or("", LinkId::as_str);
    save.bind(measure.as_str()).bind(pass.through.to_string()).bind(link).execute(state.pool()).await?;
    Ok(())
}

/// Forgets the pass, which is over.
pub async fn end_pass(state: &State, measure: &MeasureId) -> Result<(), StateError> {
    sqlx::query("DELETE FROM counting_passes WHERE measure = $1").bind(measure.as_str()).execute(state.pool()).await?;
    Ok(())
}

/// Counts a visit of a month, by what tells it from all others, with the classes of what was prescribed at it. The same one counts once, however often it is found.
pub async fn count(
    state: &State,
    (measure, period): (&MeasureId, Month),
    visit: &[&str],
    classes: impl IntoIterator<Item = &AtcClass>,
) -> Result<(), StateError> {
    let parts: Vec<_> = visit.iter().map(|part| part.as_bytes()).collect();
    let visit = state.key().keyed_hash("visit", &parts);
    for class in std::iter::once("").chain(classes.into_iter().map(AtcClass::as_str)) {
        let count = sqlx::query(
            "INSERT INTO counted_visits (measure, period, visit, class) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (measure, period, visit, class) DO NOTHING",
        );
        let count = count.bind(measure.as_str()).bind(period.to_string()).bind(&visit).bind(class);
        count.execute(state.pool()).await?;
    }
    Ok(())
}

/// What was counted of a month.
pub async fn visits(state: &State, measure: &MeasureId, period: Month) -> Result<Visits, StateError> {
    let query =
        sqlx::query("SELECT class, COUNT(*) FROM counted_visits WHERE measure = $1 AND period = $2 GROUP BY class");
    let rows = query.bind(measure.as_str()).bind(period.to_string()).fetch_all(state.pool()).await?;
    let mut visits = Visits::default();
    for row in rows {
        let (class, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if class.is_empty() {
            visits.all = count.unsigned_abs();
        } else {
            visits.by_class.insert(class.parse().map_err(|_| StateError::Damaged)?, count.unsigned_abs());
        }
    }
    Ok(visits)
}

/// Remembers that a month needs no counting any more, and forgets what was counted of it.
pub async fn close(state: &State, measure: &MeasureId, period: Month) -> Result<(), StateError> {
    let mut transaction = state.begin().await?;
    let delete = sqlx::query("DELETE FROM counted_visits WHERE measure = $1 AND period = $2");
    delete.bind(measure.as_str()).bind(period.to_string()).execute(&mut *transaction).await?;
    let insert = sqlx::query(
        "INSERT INTO counted_periods (measure, period) VALUES ($1, $2) ON CONFLICT (measure, period) DO NOTHING",
    );
    insert.bind(measure.as_str()).bind(period.to_string()).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// The months that need no counting any more.
pub async fn closed(state: &State, measure: &MeasureId) -> Result<BTreeSet<Month>, StateError> {
    let query = sqlx::query("SELECT period FROM counted_periods WHERE measure = $1").bind(measure.as_str());
    let rows = query.fetch_all(state.pool()).await?;
    rows.iter().map(|row| row.try_get::<String, _>(0)?.parse().map_err(|_| StateError::Damaged)).collect()
}

/// The draw for a release: the one that was made before, if there is one, else this.
pub async fn draw(state: &State, measure: &MeasureId, release: &ReleaseId, draw: &Draw) -> Result<Draw, StateError> {
    let insert = sqlx::query(
        "INSERT INTO drawn_releases (measure, release_id, epsilon, drawn) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (measure, release_id) DO NOTHING",
    );
    let insert = insert.bind(measure.as_str()).bind(release.as_str()).bind(i64::from(draw.epsilon.get()));
    insert.bind(&draw.values).execute(state.pool()).await?;
    let query = sqlx::query("SELECT epsilon, drawn FROM drawn_releases WHERE measure = $1 AND release_id = $2");
    let row = query.bind(measure.as_str()).bind(release.as_str()).fetch_one(state.pool()).await?;
    let epsilon = u32::try_from(row.try_get::<i64, _>(0)?).ok().and_then(NonZeroU32::new);
    Ok(Draw { epsilon: epsilon.ok_or(StateError::Damaged)?, values: row.try_get(1)? })
}
