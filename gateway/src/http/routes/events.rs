use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt as _;
use healthchain_interface::PageLimit;
use healthchain_rules::limit::EVENTS_AT_ONCE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use crate::events::names::Names;
use crate::events::place::{NoPlace, Place};
use crate::events::telling::Telling;
use crate::events::{Told, require_listener};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::{MemberCaller, Shown};
use crate::http::input::Query;
use crate::http::problem::{EVENT_ID_MALFORMED, EventsProblems, INTERNAL, Problem, UNKNOWN_EVENT};
use crate::http::streams::{OneStream, Stopping};
use crate::wallet::WalletMember;

/// After what time a browser comes again when a stream broke.
const RETRY: Duration = Duration::from_secs(2);
/// Pause before the ledger is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a page waits for an event.
const PAGE_WAIT: Duration = Duration::from_secs(1);
/// How long it waits for more when it has some.
const PAGE_WAIT_FOR_MORE: Duration = Duration::from_millis(50);
/// Events that a page looks at.
const PAGE_SCAN: usize = 1000;

/// Which events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    after: Option<String>,
    events: Option<String>,
    limit: Option<PageLimit>,
}

/// Some events, oldest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PageOfEvents {
    /// None when nothing happened in a while of which the caller may know.
    items: Vec<Told>,
    /// Where to go on, also behind the last event that there is: `after` of the next page, or `Last-Event-ID` of a stream.
    next: Place,
}

/// Follow what happens
///
/// What comes to stand on a trail that the caller may read, as it happens, and to auditors the openings of their organisation's records.
/// Each event comes at least once, in the ledger's order; what was told before a reconnection may be told again. With
/// `Accept: text/event-stream` the events are sent as they happen (WHATWG server-sent events); the stream begins behind
/// `Last-Event-ID`, which goes before `after`, or now. Events of the type `place` carry no data (`{}`), only the id to come again with.
/// Otherwise the answer is a page; at the end of the ledger it waits a second for an event.
#[utoipa::path(get, path = "/v1/events",
    operation_id = "events", tag = "events",
    params(
        ("after" = Option<String>, Query, description = "The id of the event before, or `0:0` for the ledger's beginning; now if absent"),
        ("events" = Option<String>, Query, description = "Names, separated by commas; all events if absent"),
        ("limit" = Option<u32>, Query, description = "Items of a page at most, 1 to 100; 20 if absent"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received"),
    ),
    responses(
        (status = 200, description = "A page, or a stream", headers(("Link" = String)),
            content((ref("#/components/schemas/PageOfEvents") = "application/json"), (String = "text/event-stream"))),
        EventsProblems,
    ))]
pub(crate) async fn events(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    shown: Shown,
    Extension(stopping): Extension<Stopping>,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    let names = names(query.events.as_deref())?;
    let after = place(&headers, query.after.as_deref())?;
    require_listener(&gateway, &member.id).await?;
    let from = match after {
        Some(place) => place,
        None => gateway.events.end().await.map_err(Failure::Ledger)?,
    };
    let one = if wants_stream(&headers) { Some(gateway.streams.begin(&member.id)?) } else { None };
    let telling = Telling::new(&gateway, &member.id, names, from);
    match one {
        Some(one) => Ok(stream(Follower::new(gateway, member, shown, stopping, telling, one))),
        None => page(telling, &query).await,
    }
}

/// As much as is there, up to the limit.
async fn page(mut telling: Telling, query: &EventsQuery) -> Result<Response, Problem> {
    let limit = u32::from(query.limit.unwrap_or_default()) as usize;
    let (mut items, mut next, mut looked_at) = (Vec::new(), telling.place(), 0);
    while items.len() < limit && looked_at < PAGE_SCAN {
        let wait = if items.is_empty() { PAGE_WAIT } else { PAGE_WAIT_FOR_MORE };
        let Ok(told) = tokio::time::timeout(wait, telling.next()).await else { break };
        let room = limit - items.len();
        let mut told = told?;
        next = telling.place();
        if told.len() > room {
            told.truncate(room);
            next = told.last().map_or(next, |(last, _)| last.id);
        }
        items.extend(told.into_iter().map(|(told, _)| told));
        looked_at += EVENTS_AT_ONCE;
    }
    let mut uri = format!("/v1/events?after={next}&limit={limit}");
    if let Some(names) = &query.events {
        uri += &format!("&events={names}");
    }
    let link = HeaderValue::try_from(format!("<{uri}>; rel=\"next\"")).map_err(|_| INTERNAL)?;
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), (header::LINK, link)];
    Ok((headers, Json(PageOfEvents { items, next })).into_response())
}

fn stream(follower: Follower) -> Response {
    let (sender, mut receiver) = mpsc::channel(1);
    let lifetime = follower.gateway.streams.lifetime;
    // By itself, so that it ends in time although the reader of the answer stalls.
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            _ = timeout(lifetime, follower.tell(&sender)) => {}
        }
    });
    let events = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
    let events = Sse::new(events.flat_map(futures::stream::iter).map(Ok::<_, Infallible>));
    // Proxies that keep an answer back until there is more of it are told not to.
    let headers = [(header::CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, events).into_response()
}

/// Somebody who follows in a stream.
struct Follower {
    gateway: Arc<Gateway>,
    member: Arc<WalletMember>,
    shown: Shown,
    stopping: Stopping,
    telling: Telling,
    /// The place that the follower was told last; none at the beginning.
    said: Option<Place>,
    beat: Interval,
    _one: OneStream,
}

impl Follower {
    fn new(
        gateway: Arc<Gateway>,
        member: Arc<WalletMember>,
        shown: Shown,
        stopping: Stopping,
        telling: Telling,
        one: OneStream,
    ) -> Self {
        let beat = gateway.streams.beat;
        let mut beat = interval_at(Instant::now() + beat, beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { gateway, member, shown, stopping, telling, said: None, beat, _one: one }
    }

    /// Tells until the stream ends.
    async fn tell(mut self, sender: &Sender<Vec<Event>>) {
        while let Some(events) = self.next().await {
            if sender.send(events).await.is_err() {
                return;
            }
        }
    }

    /// What is sent next; nothing more when the stream ends.
    async fn next(&mut self) -> Option<Vec<Event>> {
        if self.said.is_none() {
            // So that who follows from now on comes again to this place, and not to a later one.
            return Some(vec![self.place().retry(RETRY)]);
        }
        loop {
            tokio::select! {
                () = self.stopping.wait() => return None,
                _ = self.beat.tick() => {
                    let lasts = is_listener(&self.gateway, &self.member, &self.shown).await;
                    return lasts.then(|| vec![self.sign_of_life()]);
                }
                told = self.telling.next() => match told {
                    Ok(told) if told.is_empty() => {}
                    Ok(told) => {
                        self.said = Some(self.telling.place());
                        return Some(told.iter().map(|(told, _)| message(told)).collect());
                    }
                    Err(Failure::Refused(_)) => return None,
                    // The place is kept; the next beat asks whether the caller still counts.
                    Err(failure) => {
                        tracing::debug!(%failure, "events cannot be told; it is tried again");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// A comment, or the place, if it has moved on behind events of others.
    fn sign_of_life(&mut self) -> Event {
        if self.said == Some(self.telling.place()) { Event::default().comment("") } else { self.place() }
    }

    fn place(&mut self) -> Event {
        let place = self.telling.place();
        self.said = Some(place);
        // Without data it would not be an event, and the place not be kept.
        Event::default().event("place").id(place.to_string()).data("{}")
    }
}

/// Whether the caller still counts and the ledger lets the member be told.
async fn is_listener(gateway: &Gateway, member: &WalletMember, shown: &Shown) -> bool {
    shown.still_names(member, gateway).await
        && !matches!(require_listener(gateway, &member.id).await, Err(Failure::Refused(_)))
}

fn message(told: &Told) -> Event {
    let data = serde_json::to_string(told).expect("an entry always serialises");
    Event::default().id(told.id.to_string()).data(data)
}

fn names(list: Option<&str>) -> Result<Names, Problem> {
    let names = list.into_iter().flat_map(|list| list.split(','));
    Names::new(names).map_err(|error| Problem::new(UNKNOWN_EVENT).because(error))
}

/// Where to go on. A browser that comes again says so in the header, whatever its page asked for at first.
fn place(headers: &HeaderMap, after: Option<&str>) -> Result<Option<Place>, Problem> {
    if let Some(last) = headers.get("last-event-id").filter(|last| !last.is_empty()) {
        let last = last.to_str().ok().and_then(|last| last.parse().ok());
        return last.map(Some).ok_or_else(|| EVENT_ID_MALFORMED.into());
    }
    after.map(str::parse).transpose().map_err(|_: NoPlace| EVENT_ID_MALFORMED.into())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|accepted| accepted.to_str().ok());
    let mut kinds = accepted.flat_map(|list| list.split(','));
    kinds.any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_stream_is_for_whoever_names_its_media_type() {
        for accept in ["text/event-stream", "application/json, Text/Event-Stream;q=0.5"] {
            assert!(wants_stream(&headers("accept", accept)), "{accept}");
        }
        for accept in ["application/json", "*/*", "text/*", "text/event-streams"] {
            assert!(!wants_stream(&headers("accept", accept)), "{accept}");
        }
        assert!(!wants_stream(&HeaderMap::new()));
    }

    #[test]
    fn the_header_goes_before_the_query_and_neither_is_guessed() {
        let place = |header: &str, after| place(&headers("last-event-id", header), after);
        assert_eq!(place("7:1", Some("3:2")).unwrap().unwrap().to_string(), "7:1");
        assert_eq!(place("", Some("3:2")).unwrap().unwrap().to_string(), "3:2");
        assert_eq!(place("", None).unwrap(), None);
        assert_eq!(place("latest", Some("3:2")).unwrap_err().code, "event-id-malformed");
        assert_eq!(place("", Some("latest")).unwrap_err().code, "event-id-malformed");
    }
}
