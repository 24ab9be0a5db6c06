//! Writes that may be repeated, and writes that nobody waits for.
//!
//! - `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the first answer to a member's request on a route is kept for a
//!   day and given again. Kept is what may be kept: JSON, and no failure of this gateway or its ledger, so that those can be tried
//!   again. Without a key a request behaves as it does anyway: most contract functions may be repeated, because they go by ids.
//! - `Prefer: respond-async` (RFC 7240): the caller is told at once where the answer will be. Who has many such requests under way waits for
//!   the next one's answer: a preference may be ignored.
//!
//! A publication is repeatable by itself: its link's id is made of the key, and the commitment on the ledger tells whether the record is
//! the same, so that it holds even when the state is lost. An opening is never answered from memory: each is its own decision, and
//! nothing of a record is kept here.
//!
//! Both are kept in the state, so that gateways which share one do as one does, and a gateway that starts anew knows what it did.
//! Once begun, a request is carried through, whether or not its caller still listens.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use healthchain_rules::MemberId;
use tokio::time::{Instant, interval_at};
use tracing::Instrument as _;
use uuid::Uuid;

use super::input;
use super::problem::{IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED, INTERNAL, Problem};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::answers::{self, Answer, CLAIM, Claim, Claimed};
use crate::state::{State, StateError};
use crate::use_cases::now;

/// Longest answer that is kept, in bytes.
const KEPT_BYTES: usize = 1 << 20;
/// Headers of an answer that are kept with it.
const KEPT_HEADERS: [HeaderName; 5] =
    [header::CONTENT_TYPE, header::LOCATION, header::ETAG, header::CACHE_CONTROL, header::LINK];
/// Longest time that `wait` of a preference may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Requests of one member that may be under way without anybody who waits for them.
const JOBS: u64 = 16;
const JOB: &str = "job ";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a request asks for: repeated requests have the same.
pub(crate) struct Wish {
    /// Method and pattern of the route.
    pub(crate) route: String,
    /// All that the request says, as [`fingerprint`] has it.
    pub(crate) fingerprint: String,
}

/// Two requests with the same parts are one.
pub(crate) fn fingerprint<'a>(gateway: &Gateway, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    gateway.state.key().keyed_hash("request", &parts.into_iter().collect::<Vec<_>>())
}

/// Answers a member's write with `work`, or with what an earlier request of the same key was answered, or with the job that will
/// have the answer.
pub(crate) async fn answer(
    gateway: &Arc<Gateway>,
    member: &MemberId,
    headers: &HeaderMap,
    wish: Wish,
    work: impl Future<Output = Result<Response, Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let key = input::optional_idempotency_key(headers)?;
    let preference = match Preference::of(headers) {
        Some(_) if has_many_jobs(&gateway.state, member).await.map_err(Failure::from)? => None,
        preference => preference,
    };
    if key.is_none() && preference.is_none() {
        return work.await;
    }
    let state = gateway.state.clone();
    let key = match key {
        Some(key) => match claim_key(&state, member, key, &wish).await.map_err(Failure::from)? {
            Claimed::Now(claim) => Some(claim),
            Claimed::UnderWay => return Err(IDEMPOTENCY_KEY_IN_USE.into()),
            Claimed::OtherRequest => return Err(IDEMPOTENCY_KEY_REUSED.into()),
            Claimed::Before(answer) => return Ok(marked_replayed(restored(answer))),
        },
        None => None,
    };
    let id = Uuid::new_v4().to_string();
    let job = match preference {
        Some(_) => Some(begin_job(&state, member, &id).await.map_err(Failure::from)?),
        None => None,
    };
    let task = UnderWay { state, key, job }.carry_through(work).in_current_span();
    let mut task = gateway.under_way.spawn(task);
    let response = match preference {
        None => task.await,
        Some(Preference { wait: Duration::ZERO }) => return Ok(accepted(&id)),
        Some(Preference { wait }) => match tokio::time::timeout(wait, &mut task).await {
            Ok(response) => response,
            Err(_) => return Ok(accepted(&id)),
        },
    };
    response.map_err(|_| INTERNAL.into())
}

/// Under which id the state keeps a job.
pub(crate) fn job_id(job: &str) -> String {
    format!("{JOB}{job}")
}

/// An answer that was kept.
fn restored(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kept = answer.headers.into_iter();
    let kept = kept.filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?)));
    response.headers_mut().extend(kept);
    response
}

/// Says that an earlier request did what this one asks for.
pub(crate) fn marked_replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn accepted(job: &str) -> Response {
    let location = format!("/v1/jobs/{job}");
    let headers = [
        (header::LOCATION, location.as_str()),
        (HeaderName::from_static("preference-applied"), "respond-async"),
        (header::CACHE_CONTROL, "no-store"),
        (header::RETRY_AFTER, "1"),
    ];
    (StatusCode::ACCEPTED, headers).into_response()
}

/// The key is the member's own, and another on each route.
async fn claim_key(state: &State, member: &MemberId, key: &str, wish: &Wish) -> Result<Claimed, StateError> {
    let whose: [&[u8]; 3] = [member.as_str().as_bytes(), wish.route.as_bytes(), key.as_bytes()];
    let id = state.key().keyed_hash("idempotency key", &whose);
    answers::claim(state, &id, member, &wish.fingerprint, now()).await
}

async fn has_many_jobs(state: &State, member: &MemberId) -> Result<bool, StateError> {
    Ok(answers::under_way(state, JOB, member, now()).await? >= JOBS)
}

async fn begin_job(state: &State, member: &MemberId, id: &str) -> Result<Claim, StateError> {
    match answers::claim(state, &job_id(id), member, "", now()).await? {
        Claimed::Now(claim) => Ok(claim),
        _ => Err(StateError::Damaged),
    }
}

/// A request that is being carried out.
struct UnderWay {
    state: State,
    key: Option<Claim>,
    job: Option<Claim>,
}

impl UnderWay {
    async fn carry_through(self, work: impl Future<Output = Result<Response, Problem>>) -> Response {
        let mut work = std::pin::pin!(work);
        let mut renewal = interval_at(Instant::now() + CLAIM / 3, CLAIM / 3);
        let response = loop {
            tokio::select! {
                response = &mut work => break response.unwrap_or_else(Problem::into_response),
                _ = renewal.tick() => self.renew().await,
            }
        };
        let (response, kept) = copied(response).await;
        if let Err(error) = self.put_down(response.status(), kept).await {
            tracing::warn!(%error, "an answer could not be put down; a repeated request is carried out anew");
        }
        response
    }

    async fn renew(&self) {
        for claim in self.key.iter().chain(&self.job) {
            if let Err(error) = answers::renew(&self.state, claim, now()).await {
                tracing::warn!(%error, "a request under way could not be held on to");
            }
        }
    }

    async fn put_down(&self, status: StatusCode, answer: Option<Answer>) -> Result<(), StateError> {
        if let Some(job) = &self.job {
            match &answer {
                Some(answer) => answers::complete(&self.state, job, answer).await?,
                None => answers::release(&self.state, job).await?,
            }
        }
        match (&self.key, &answer) {
            (Some(key), Some(answer)) if !status.is_server_error() => answers::complete(&self.state, key, answer).await,
            (Some(key), _) => answers::release(&self.state, key).await,
            (None, _) => Ok(()),
        }
    }
}

/// The response with a copy of it, if it is one that may be kept: JSON, and marked by nobody as one that no cache may store because
/// of a secret in it.
async fn copied(response: Response) -> (Response, Option<Answer>) {
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = matches!(kind, "application/json" | super::problem::MEDIA_TYPE);
    if !is_json && !kind.is_empty() {
        return (Response::from_parts(parts, body), None);
    }
    let Ok(bytes) = to_bytes(body, KEPT_BYTES).await else {
        return (Problem::new(INTERNAL).because("the answer is too long").into_response(), None);
    };
    let headers = KEPT_HEADERS.iter().filter_map(|name| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    });
    let body = String::from_utf8(bytes.to_vec()).ok();
    let answer = body.map(|body| Answer { status: parts.status.as_u16(), headers: headers.collect(), body });
    (Response::from_parts(parts, Body::from(bytes)), answer)
}

/// `respond-async` of RFC 7240.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Preference {
    /// How long the caller waits all the same.
    wait: Duration,
}

impl Preference {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let lists = headers.get_all("prefer").into_iter().filter_map(|list| list.to_str().ok());
        let preferences = lists.flat_map(|list| list.split(',')).map(|one| one.split(';').next().unwrap_or_default());
        let (mut asked, mut wait) = (false, Duration::ZERO);
        for preference in preferences {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => asked = true,
                "wait" => wait = value.trim().trim_matches('"').parse().map_or(Duration::ZERO, Duration::from_secs),
                _ => {}
            }
        }
        asked.then_some(Self { wait: wait.min(LONGEST_WAIT) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_in_any_list_and_spelling_and_never_waited_for_long() {
        let of = |lists: &[&str]| {
            let lists = lists.iter().map(|list| (HeaderName::from_static("prefer"), list.parse().unwrap()));
            Preference::of(&lists.collect()).map(|preference| preference.wait.as_secs())
        };
        assert_eq!(of(&["respond-async"]), Some(0));
        assert_eq!(of(&["return=minimal, Respond-Async ; why=\"slow\"", "wait = 10"]), Some(10));
        assert_eq!(of(&["respond-async, wait=100000"]), Some(30));
        assert_eq!(of(&["respond-async, wait=soon"]), Some(0));
        assert_eq!(of(&["wait=10"]), None);
        assert_eq!(of(&["respond-asynchronously"]), None);
        assert_eq!(of(&[]), None);
    }
}
