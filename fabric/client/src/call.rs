//! One call to the gateway service: its deadline, and whether it may be repeated.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Request, Response, Status};
use tracing::Instrument as _;

use crate::Stage;

/// The first pause before a call is repeated; it doubles up to the longest.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The peer's own "timeout expired", which says where, may arrive this much later.
const GRACE: Duration = Duration::from_millis(250);

/// When a call that got no answer may be made again. Only calls that change nothing may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Never,
    /// Once, so that the first call after the peer's restart does not fail over the old connection.
    Once,
    /// Until the deadline, while the peer is away.
    UntilDeadline,
}

/// Target of the spans of calls, one a stage, for whoever makes traces of them.
pub const SPANS: &str = "fabric_client::span";

/// Calls within `limit`, attempts and pauses together. The call is a span, and how long it took a metric, by stage and outcome.
pub(crate) async fn call<Q, A, F>(
    stage: Stage,
    limit: Duration,
    repeat: Repeat,
    request: Q,
    attempt: impl FnMut(Request<Q>) -> F,
) -> Result<A, Status>
where
    Q: Clone,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let name = stage.name();
    let span = tracing::info_span!(
        target: SPANS, "fabric", otel.name = %format_args!("fabric {name}"), stage = name, outcome = tracing::field::Empty
    );
    let begun = Instant::now();
    let result = attempts(limit, repeat, request, attempt).instrument(span.clone()).await;
    let outcome = result.as_ref().map_or_else(|status| outcome(status.code()), |_| "ok");
    span.record("outcome", outcome);
    metrics::histogram!("fabric_client_stage_seconds", "stage" => name, "outcome" => outcome).record(begun.elapsed());
    result
}

/// The few kinds of failure that one looks at apart.
fn outcome(code: Code) -> &'static str {
    match code {
        Code::Unavailable => "unavailable",
        Code::DeadlineExceeded => "deadline-exceeded",
        Code::Aborted => "aborted",
        _ => "failed",
    }
}

async fn attempts<Q, A, F>(
    limit: Duration,
    repeat: Repeat,
    request: Q,
    mut attempt: impl FnMut(Request<Q>) -> F,
) -> Result<A, Status>
where
    Q: Clone,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut sent = Request::new(request.clone());
        sent.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let failure = match timeout_at(deadline + GRACE, attempt(sent)).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(failure)) => failure,
            Err(_) => return Err(Status::deadline_exceeded(format!("no answer within {limit:?}"))),
        };
        let lost = std::error::Error::source(&failure).is_some();
        let again = is_overload(&failure)
            || match repeat {
                Repeat::Never => false,
                Repeat::Once => lost && pause == FIRST_PAUSE,
                Repeat::UntilDeadline => lost || failure.code() == Code::Unavailable,
            };
        if !again || Instant::now() + pause >= deadline {
            return Err(failure);
        }
        tracing::debug!(code = ?failure.code(), message = failure.message(), "asking the peer again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The peer turned the call away unread because too many are open; any call may be made again.
pub(crate) fn is_overload(failure: &Status) -> bool {
    failure.code() == Code::Unknown && failure.message().starts_with("too many requests for ")
}
