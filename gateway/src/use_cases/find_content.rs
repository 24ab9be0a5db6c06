//! Where an encrypted content may be had: of its publisher, and, when that one is down or has lost it, of the publisher's custodians.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use healthchain_interface::{LinksClient, OrganisationsClient};
use healthchain_rules::{LinkId, MspId, Opening, OrganisationState};
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use super::read_record::OutgoingRecord;
use super::serve_content::OPENING_AGE;
use super::store_record::RecordBytes;
use super::{distance, now};
use crate::content::parts::Place;
use crate::contents::{ContentRequest, Contents, ContentsError};
use crate::failure::Failure;
use crate::gateway::{Gateway, content_url};
use crate::records::{Records, RecordsError};
use crate::state::replicas;

/// How long an organisation that could not be reached is asked last.
const ABSENCE: Duration = Duration::from_secs(15);

/// A place where a content lies.
#[derive(Clone)]
pub(crate) enum Source {
    /// In this organisation's store, under this name.
    Own(Arc<dyn Records>, String),
    /// With another organisation's gateway.
    Other {
        /// The way there.
        contents: Arc<dyn Contents>,
        /// MSP id of that organisation.
        holder: MspId,
        /// Where it is served.
        url: Url,
        /// The opening that permits it; none between a publisher and its custodian.
        opening: Option<String>,
    },
}

/// Which organisations could not be reached a moment ago.
#[derive(Debug, Default)]
pub struct Absences(Mutex<BTreeMap<MspId, Instant>>);

/// Contents of the own store that somebody found missing, or other than they were published: they are to be looked at.
#[derive(Debug, Default)]
pub struct Suspects {
    noted: Mutex<BTreeSet<(LinkId, u32)>>,
    more: Notify,
}

/// The places where an opened content may be had, one after the other.
pub(crate) struct Places<'a> {
    gateway: &'a Gateway,
    opening: &'a Opening,
    publisher: Option<Source>,
    stage: Stage,
    failure: Option<Failure>,
}

enum Stage {
    First,
    Custodians(VecDeque<Source>),
    Last,
}

impl Source {
    /// Another organisation that serves a content, at the address that the ledger holds for it.
    pub(crate) async fn at(
        gateway: &Gateway,
        holder: &MspId,
        place: Place<'_>,
        opening: Option<&Opening>,
    ) -> Result<Self, Failure> {
        Ok(Self::Other {
            contents: Arc::clone(&gateway.contents),
            url: url_at(gateway, holder, place.link, place.version).await?,
            holder: holder.clone(),
            opening: opening.map(|opening| opening.transaction.to_string()),
        })
    }

    /// The content's bytes, or a range of them, as they come; `length` is the ledger's.
    pub(crate) async fn fetch(
        &self,
        length: u64,
        range: Option<Range<u64>>,
        patience: Duration,
    ) -> Result<RecordBytes, Failure> {
        match self {
            Self::Own(records, name) => Ok(records.fetch(name, range).await?.map_err(Failure::from).boxed()),
            Self::Other { contents, holder, url, opening } => {
                let request =
                    ContentRequest { holder: holder.as_str(), url, opening: opening.as_deref(), length, range };
                let fetched = tokio::time::timeout(patience, contents.fetch(request)).await;
                let late = |_| Failure::from(ContentsError::Unreachable(holder.to_string(), late()));
                Ok(fetched.map_err(late)?.map_err(of_holder)?.map_err(of_holder).boxed())
            }
        }
    }

    /// Whose it is, if not this organisation's.
    pub(crate) fn holder(&self) -> Option<&str> {
        match self {
            Self::Own(..) => None,
            Self::Other { holder, .. } => Some(holder.as_str()),
        }
    }
}

impl<'a> Places<'a> {
    /// First the publisher; custodians only when it fails, or could not be reached a moment ago.
    pub(crate) fn new(gateway: &'a Gateway, opening: &'a Opening, publisher: Source) -> Self {
        let is_absent = publisher.holder().is_some() && gateway.absences.is_absent(&opening.publisher);
        let stage = if is_absent { Stage::Last } else { Stage::First };
        Self { gateway, opening, publisher: Some(publisher), stage, failure: None }
    }

    /// The next place to ask. None when there is no other: then [`Places::failure`] says why.
    pub(crate) async fn next(&mut self) -> Option<Source> {
        loop {
            match &mut self.stage {
                Stage::First => {
                    self.stage = Stage::Last;
                    return self.publisher.take();
                }
                Stage::Last => match custodians(self.gateway, self.opening).await {
                    Ok(sources) => self.stage = Stage::Custodians(sources),
                    Err(failure) => {
                        tracing::warn!(%failure, "the publisher's custodians cannot be asked");
                        self.stage = Stage::Custodians(VecDeque::new());
                    }
                },
                Stage::Custodians(sources) => return sources.pop_front().or_else(|| self.publisher.take()),
            }
        }
    }

    /// Takes note that a place failed; gives the failure back when it would be the same elsewhere.
    pub(crate) fn failed(&mut self, source: &Source, failure: Failure) -> Result<(), Failure> {
        let is_publisher = source.holder().is_none_or(|holder| holder == self.opening.publisher.as_str());
        if let Source::Other { holder, .. } = source
            && matches!(failure, Failure::Contents(ContentsError::Unreachable(..)))
        {
            self.gateway.absences.note(holder);
        }
        if matches!(source, Source::Own(..)) && is_of_the_store(&failure) {
            self.gateway.suspects.note(self.place());
        }
        let is_local = match &failure {
            Failure::Contents(ContentsError::Refused(..)) => !is_publisher,
            Failure::Contents(_) => true,
            failure => is_of_the_store(failure),
        };
        if !is_local {
            return Err(failure);
        }
        tracing::warn!(link = %self.opening.link, %failure, "a content is looked for elsewhere");
        // What the publisher says counts most: a custodian may never have had it.
        if is_publisher || self.failure.is_none() {
            self.failure = Some(failure);
        }
        Ok(())
    }

    /// A record on its way out. What turns out then to be spoilt in the own store is to be looked at.
    pub(crate) fn watched(&self, source: &Source, record: OutgoingRecord) -> OutgoingRecord {
        let Source::Own(..) = source else { return record };
        let (suspects, link, version) =
            (Arc::clone(&self.gateway.suspects), self.opening.link.clone(), self.opening.version);
        let bytes = record.bytes.inspect_err(move |failure| {
            if is_of_the_store(failure) {
                suspects.note(Place { link: &link, version });
            }
        });
        OutgoingRecord { bytes: bytes.boxed(), ..record }
    }

    fn place(&self) -> Place<'a> {
        Place { link: &self.opening.link, version: self.opening.version }
    }

    /// Why the content cannot be had.
    pub(crate) fn failure(self) -> Failure {
        let nobody = || ContentsError::Unreachable(self.opening.publisher.to_string(), "nobody was asked".to_owned());
        self.failure.unwrap_or_else(|| nobody().into())
    }
}

impl Suspects {
    /// Has a content looked at, once, however many find it so.
    pub fn note(&self, place: Place<'_>) {
        let content = (place.link.clone(), place.version);
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(content);
        self.more.notify_one();
    }

    /// The next content that is to be looked at, as soon as there is one: link and version.
    pub(crate) async fn next(&self) -> (LinkId, u32) {
        loop {
            if let Some(content) = self.noted.lock().unwrap_or_else(PoisonError::into_inner).pop_first() {
                return content;
            }
            self.more.notified().await;
        }
    }
}

impl Absences {
    fn is_absent(&self, organisation: &MspId) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, since| since.elapsed() < ABSENCE);
        noted.contains_key(organisation)
    }

    fn note(&self, organisation: &MspId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(organisation.clone(), Instant::now());
    }
}

/// The content's place at the address that the ledger holds for an organisation. What host an envelope names does not count:
/// whoever sealed it could make this gateway call any address.
pub(crate) async fn url_at(
    gateway: &Gateway,
    organisation: &MspId,
    link: &LinkId,
    version: u32,
) -> Result<Url, Failure> {
    let unreachable = |reason: &str| ContentsError::Unreachable(organisation.to_string(), reason.to_owned());
    let found = OrganisationsClient::new(gateway.own_contract()).organisation(organisation).await?;
    let OrganisationState::Active { gateway_url, .. } = found.state else {
        return Err(unreachable("it has not entered the consortium").into());
    };
    let url = Url::parse(gateway_url.as_str()).map_err(|_| unreachable("its address on the ledger is no URL"))?;
    Ok(content_url(url, link, version))
}

/// Whether a failure speaks of what lies in a store, or lies there no more.
fn is_of_the_store(failure: &Failure) -> bool {
    matches!(failure, Failure::Tampered(_) | Failure::Records(RecordsError::Lost))
}

pub(crate) fn late() -> String {
    "the content did not arrive in time".to_owned()
}

/// The publisher's custodians, those last that could not be reached a moment ago; the own organisation first, if it keeps a copy, under
/// the same lock as it would for others.
async fn custodians(gateway: &Gateway, opening: &Opening) -> Result<VecDeque<Source>, Failure> {
    let place = Place { link: &opening.link, version: opening.version };
    let own = &gateway.organisation.msp_id;
    let mut named = OrganisationsClient::new(gateway.own_contract()).custodians(&opening.publisher).await?.custodians;
    let mut sources = VecDeque::new();
    if named.remove(own)
        && distance(opening.time, now()) <= OPENING_AGE
        && let Some(copy) = replicas::kept(&gateway.state, place).await?
    {
        LinksClient::new(gateway.own_contract()).in_force(&opening.transaction).await?;
        sources.push_back(Source::Own(Arc::clone(&gateway.records), copy.name));
    }
    let (absent, present): (Vec<_>, Vec<_>) = named.iter().partition(|custodian| gateway.absences.is_absent(custodian));
    for custodian in present.into_iter().chain(absent) {
        match Source::at(gateway, custodian, place, Some(opening)).await {
            Ok(source) => sources.push_back(source),
            Err(failure) => tracing::warn!(%custodian, %failure, "a custodian cannot be asked"),
        }
    }
    Ok(sources)
}

fn of_holder(error: ContentsError) -> Failure {
    match error {
        ContentsError::TooLong(_) => Failure::Tampered("length"),
        error => error.into(),
    }
}
