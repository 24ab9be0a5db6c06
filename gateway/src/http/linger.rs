//! Lets a client finish sending what is refused, so that it reads why.
//!
//! A server that answers early and closes while the client still sends makes most clients report a broken connection instead of
//! the answer (RFC 9112 section 9.6). What nobody reads of a body is therefore taken and dropped, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, StreamExt as _};

const AT_MOST_BYTES: usize = 256 << 20;
const AT_MOST: Duration = Duration::from_secs(20);

/// Middleware. A client that waits to be told to go on (`Expect: 100-continue`) has sent nothing yet, and is not told so.
pub(crate) async fn linger(request: Request, next: Next) -> Response {
    if request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let request = request.map(|body| Body::from_stream(Lingering { unread: Some(body.into_data_stream()) }));
    next.run(request).await
}

/// A body whose rest is read when it is dropped.
struct Lingering {
    unread: Option<BodyDataStream>,
}

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.unread else { return Poll::Ready(None) };
        let polled = body.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.unread = None;
        }
        polled
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let (Some(body), Ok(runtime)) = (self.unread.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(tokio::time::timeout(AT_MOST, discard(body)));
    }
}

async fn discard(mut body: BodyDataStream) {
    let mut bytes = 0;
    while let Some(Ok(chunk)) = body.next().await {
        bytes += chunk.len();
        if bytes > AT_MOST_BYTES {
            return;
        }
    }
}
