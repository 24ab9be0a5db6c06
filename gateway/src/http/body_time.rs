//! Bounds the time that a request's body may take: it may last as long as it gets on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep};

/// Longest silence in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest time for as many bytes of it, and for what is shorter.
const PROGRESS: (Duration, usize) = (Duration::from_secs(10 * 60), 1 << 20);

/// Middleware.
pub(crate) async fn bound_body_time(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::from_stream(Timed::new(body, SILENCE, PROGRESS)))).await
}

/// A body that ends with an error when it takes too long.
struct Timed {
    body: BodyDataStream,
    silence: Duration,
    progress: (Duration, usize),
    until_silent: Pin<Box<Sleep>>,
    until_further: Pin<Box<Sleep>>,
    /// Bytes since it got on last.
    since: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct TooSlow;

impl Timed {
    fn new(body: Body, silence: Duration, progress: (Duration, usize)) -> Self {
        let (until_silent, until_further) = (Box::pin(sleep(silence)), Box::pin(sleep(progress.0)));
        Self { body: body.into_data_stream(), silence, progress, until_silent, until_further, since: 0 }
    }
}

impl Stream for Timed {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.until_further.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        if let Poll::Ready(chunk) = self.body.poll_next_unpin(context) {
            let (now, (time, bytes)) = (Instant::now(), self.progress);
            let silent = now + self.silence;
            self.until_silent.as_mut().reset(silent);
            self.since += chunk.as_ref().map_or(0, |chunk| chunk.as_ref().map_or(0, Bytes::len));
            if self.since >= bytes {
                self.since = 0;
                self.until_further.as_mut().reset(now + time);
            }
            return Poll::Ready(chunk);
        }
        self.until_silent.as_mut().poll(context).map(|()| Some(Err(axum::Error::new(TooSlow))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a body that sends a byte every 20 milliseconds, a second long.
    async fn take(silence: u64, time: u64, bytes: usize) -> Result<Bytes, axum::Error> {
        let drip = futures::stream::iter(0..50).then(|_| async {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, axum::Error>(Bytes::from_static(b"."))
        });
        let (silence, time) = (Duration::from_millis(silence), Duration::from_millis(time));
        let timed = Timed::new(Body::from_stream(drip), silence, (time, bytes));
        axum::body::to_bytes(Body::from_stream(timed), 1000).await
    }

    #[tokio::test]
    async fn a_body_that_falls_silent_or_does_not_get_on_is_given_up() {
        for (silence, time, bytes) in [(2, 10_000, 1), (10_000, 200, 50), (10_000, 200, 100)] {
            assert!(take(silence, time, bytes).await.is_err(), "{silence} {time} {bytes}");
        }
    }

    #[tokio::test]
    async fn a_body_that_gets_on_may_last() {
        assert_eq!(take(10_000, 10_000, 1000).await.unwrap().len(), 50);
        assert_eq!(take(10_000, 500, 5).await.unwrap().len(), 50);
    }
}
