//! Bounds the time that a request's body may take.

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
/// Longest time for a whole body.
const WHOLE: Duration = Duration::from_secs(10 * 60);

/// Middleware.
pub(crate) async fn bound_body_time(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::from_stream(Timed::new(body, SILENCE, WHOLE)))).await
}

/// A body that ends with an error when it takes too long.
struct Timed {
    body: BodyDataStream,
    silence: Duration,
    until_silent: Pin<Box<Sleep>>,
    until_whole: Pin<Box<Sleep>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct TooSlow;

impl Timed {
    fn new(body: Body, silence: Duration, whole: Duration) -> Self {
        let (until_silent, until_whole) = (Box::pin(sleep(silence)), Box::pin(sleep(whole)));
        Self { body: body.into_data_stream(), silence, until_silent, until_whole }
    }
}

impl Stream for Timed {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.until_whole.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        if let Poll::Ready(chunk) = self.body.poll_next_unpin(context) {
            let next = Instant::now() + self.silence;
            self.until_silent.as_mut().reset(next);
            return Poll::Ready(chunk);
        }
        self.until_silent.as_mut().poll(context).map(|()| Some(Err(axum::Error::new(TooSlow))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a body that sends a byte every 20 milliseconds, a second long.
    async fn take(silence: u64, whole: u64) -> Result<Bytes, axum::Error> {
        let drip = futures::stream::iter(0..50).then(|_| async {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, axum::Error>(Bytes::from_static(b"."))
        });
        let (silence, whole) = (Duration::from_millis(silence), Duration::from_millis(whole));
        axum::body::to_bytes(Body::from_stream(Timed::new(Body::from_stream(drip), silence, whole)), 1000).await
    }

    #[tokio::test]
    async fn a_body_that_falls_silent_or_never_ends_is_given_up() {
        assert_eq!(take(10_000, 10_000).await.unwrap().len(), 50);
        for (silence, whole) in [(2, 10_000), (10_000, 200)] {
            assert!(take(silence, whole).await.is_err(), "{silence} {whole}");
        }
    }
}
