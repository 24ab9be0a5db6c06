//! The prescription monitor: counts, for a month that is over, the visits in the organisation's own published bundles and at how many of
//! them drugs of a measure's classes were prescribed, and contributes the counts.
//!
//! It reads what the organisation published itself, through the organisation's own envelopes, one record after the other; only numbers leave
//! the gateway. A visit that is found in several records counts once. Restricted records are left out.

mod bundle;
mod codes;

use std::sync::Arc;

use futures::TryStreamExt as _;
use healthchain_interface::{ContributeCounts, LinksClient, StatisticsClient};
use healthchain_rules::statistics::contribution::{CountCell, Counts};
use healthchain_rules::statistics::measure::Measure;
use healthchain_rules::{AtcClass, Category, LedgerTime, Link, LinkId, LinkState, MemberId, Month, RefusalCode};

use self::bundle::{Found, read};
use self::codes::Codes;
pub use self::codes::CodesError;
use super::{Agent, Halt, Post};
use crate::configuration::PrescriptionMonitorConfiguration;
use crate::content::parts::Place;
use crate::failure::Failure;
use crate::keeper;
use crate::records::RecordsError;
use crate::state::prescriptions::{self, Pass, Visits};
use crate::state::{checkpoint, records};
use crate::use_cases::find_content::Source;
use crate::use_cases::read_record::Reader;
use crate::use_cases::{busy, now};

/// Records that are read before the ledger is asked again whether the agent may go on.
const AT_ONCE: u32 = 20;
/// Blocks that the keeper may be behind: some have no event, and others came just now.
const WITHOUT_EVENTS: u64 = 16;
const FHIR: &str = "application/fhir+json";

/// See the module.
pub struct PrescriptionMonitor {
    settings: PrescriptionMonitorConfiguration,
    codes: Arc<Codes>,
}

impl PrescriptionMonitor {
    /// A monitor with these settings; reads the site's own table of drugs, where there is one.
    pub fn new(settings: PrescriptionMonitorConfiguration) -> Result<Self, CodesError> {
        let codes = settings.rxnorm_map.as_deref().map_or_else(|| Ok(Codes::shipped()), Codes::with_file)?;
        Ok(Self { settings, codes: Arc::new(codes) })
    }
}

impl Agent for PrescriptionMonitor {
    const NAME: &'static str = "prescription_monitor";

    async fn round(&self, post: &Post) -> Result<(), Halt> {
        loop {
            let measures = StatisticsClient::new(post.contract().await?).measures().await?;
            let measure = measures.into_iter().find(|measure| measure.id == self.settings.measure);
            let Some(measure) = measure.filter(|measure| measure.terms.regions().contains(&self.settings.region))
            else {
                post.did("not-counted");
                break;
            };
            let months = self.due(post, &measure).await?;
            let Some(last) = months.last() else { break };
            if !knows_its_records(post).await? {
                post.did("records-not-known");
                break;
            }
            let state = &post.gateway.state;
            let pass = prescriptions::pass(state, &measure.id).await?;
            let pass = pass.unwrap_or(Pass { through: *last, link: None });
            let links = records::linked_after(state, pass.link.as_ref(), AT_ONCE).await?;
            let Some(link) = links.last().cloned() else {
                for month in months.into_iter().filter(|month| *month <= pass.through) {
                    self.contribute(post, &measure, month).await?;
                }
                prescriptions::end_pass(state, &measure.id).await?;
                continue;
            };
            for link in &links {
                self.count(post, &measure, &months, link).await?;
            }
            prescriptions::save_pass(state, &measure.id, &Pass { link: Some(link), ..pass }).await?;
        }
        post.wait(self.settings.check()).await;
        Ok(())
    }
}

impl PrescriptionMonitor {
    /// The months that are to be counted, oldest first.
    async fn due(&self, post: &Post, measure: &Measure) -> Result<Vec<Month>, Halt> {
        let before = now().minus_days(self.settings.wait_days);
        let closed = prescriptions::closed(&post.gateway.state, &measure.id).await?;
        Ok(over(measure, before).filter(|month| !closed.contains(month)).collect())
    }

    async fn count(&self, post: &Post, measure: &Measure, months: &[Month], link: &LinkId) -> Result<(), Halt> {
        let Some((patient, found)) = self.read(post, link).await? else { return Ok(()) };
        for visit in found.visits.iter().filter(|visit| months.contains(&visit.month)) {
            let holds = |class: &&AtcClass| visit.classes.iter().any(|prescribed| class.contains(prescribed));
            let classes = measure.terms.classes().iter().filter(holds);
            let [kind, whose, name] = visit.name.parts(link);
            let visit_of = [patient.as_str(), kind, whose, name];
            prescriptions::count(&post.gateway.state, (&measure.id, visit.month), &visit_of, classes).await?;
        }
        post.did("read");
        post.add("unmapped", found.unmapped);
        post.add("unattached", found.unattached);
        Ok(())
    }

    /// What a link's record tells, and of whom; none where it is not for the monitor, or tells nothing that it understands.
    async fn read(&self, post: &Post, link: &LinkId) -> Result<Option<(MemberId, Found)>, Halt> {
        match self.record(post, link).await {
            Ok(None) => Ok(None),
            Ok(Some((patient, record))) => {
                let codes = Arc::clone(&self.codes);
                match busy(move || Ok(read(&record, &codes))).await? {
                    Some(found) => Ok(Some((patient, found))),
                    None => Ok(skipped(post, "malformed")),
                }
            }
            // What is away comes back, and its visits count then; what is lost does not.
            Err(failure) if failure.is_passing() && !matches!(failure, Failure::Records(RecordsError::Lost)) => {
                Err(failure.into())
            }
            Err(failure) => {
                tracing::warn!(link = link.as_str(), %failure, "a record could not be read for counting");
                Ok(skipped(post, "unreadable"))
            }
        }
    }

    async fn record(&self, post: &Post, id: &LinkId) -> Result<Option<(MemberId, Vec<u8>)>, Failure> {
        let gateway = &post.gateway;
        let link = LinksClient::new(gateway.own_contract()).link(id).await?;
        if link.publisher != gateway.organisation.msp_id || !is_countable(&link) {
            return Ok(None);
        }
        if link.current.content.length > self.settings.max_bytes {
            post.did("too-large");
            return Ok(None);
        }
        let payload = gateway.own_payload(id, link.current.number, link.category).await?;
        let name = payload.record.clone().ok_or(Failure::EnvelopeDoesNotOpen)?;
        let reader = Reader {
            source: Source::Own(Arc::clone(&gateway.records), name),
            key: payload.key.clone(),
            content: link.current.content,
            commitment: link.current.commitment,
            patience: gateway.patience.transfer,
            wholes: gateway.wholes.clone(),
        };
        let record = reader.read(Place { link: id, version: link.current.number }, None).await?;
        let mut bytes = Vec::new();
        let mut parts = record.bytes;
        while let Some(part) = parts.try_next().await? {
            bytes.extend_from_slice(&part);
        }
        Ok(Some((link.patient, bytes)))
    }

    async fn contribute(&self, post: &Post, measure: &Measure, period: Month) -> Result<(), Halt> {
        let state = &post.gateway.state;
        let visits = prescriptions::visits(state, &measure.id, period).await?;
        if visits.all == 0 {
            post.did("nothing-counted");
            return Ok(prescriptions::close(state, &measure.id, period).await?);
        }
        let cells = Counts::try_from(self.cells(measure, &visits))
            .map_err(|malformed| Failure::Internal(malformed.to_string()))?;
        let call = ContributeCounts { measure: measure.id.clone(), period, cells };
        match StatisticsClient::new(post.contract().await?).contribute(&call).await.map_err(Halt::from) {
            Ok(_) => post.did("contributed"),
            // The organisation's other counts stand, or came too late.
            Err(Halt::Failed(Failure::Refused(refusal))) if is_over(refusal.code()) => post.did("not-taken"),
            Err(halt) => return Err(halt),
        }
        Ok(prescriptions::close(state, &measure.id, period).await?)
    }

    fn cells(&self, measure: &Measure, visits: &Visits) -> Vec<CountCell> {
        let cell = |class: &AtcClass| CountCell {
            class: class.clone(),
            region: self.settings.region.clone(),
            numerator: visits.by_class.get(class).copied().unwrap_or_default(),
            denominator: visits.all,
        };
        measure.terms.classes().iter().map(cell).collect()
    }
}

/// Whether the gateway knows of all that it published. After a loss of the state the keeper reads it from the ledger again, and a count
/// before it is done would miss some, for good.
async fn knows_its_records(post: &Post) -> Result<bool, Halt> {
    let Some(read) = checkpoint::load(&post.gateway.state, keeper::READER).await? else { return Ok(false) };
    let height = post.gateway.ledger.height(&post.gateway.organisation.signer.current()).await?;
    Ok(read.block + WITHOUT_EVENTS >= height)
}

/// Months that a measure counts and that were over before this time, oldest first.
pub(super) fn over(measure: &Measure, before: LedgerTime) -> impl Iterator<Item = Month> {
    let last = measure.last;
    let months = std::iter::successors(Some(measure.terms.from()), |month| Some(month.next()));
    months.take_while(move |month| month.end() <= before && last.is_none_or(|last| *month <= last))
}

fn is_countable(link: &Link) -> bool {
    let media_type = link.current.content.media_type.as_str().split(';').next();
    link.state == LinkState::Active && link.category != Category::Restricted && media_type == Some(FHIR)
}

fn skipped<T>(post: &Post, outcome: &'static str) -> Option<T> {
    post.did(outcome);
    None
}

fn is_over(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::ContributionExists | RefusalCode::PeriodClosed | RefusalCode::PeriodNotCounted)
}
