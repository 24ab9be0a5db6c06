//! Counts requests and measures how long their answers take, by route.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// Labels are the route's pattern, one of the known methods and the class of the status: never a path, which holds ids.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method(request.method());
    let begun = Instant::now();
    let _under_way = UnderWay::begin(method, &route);
    let response = next.run(request).await;
    let status = response.status();
    tracing::Span::current().record("status", status.as_u16());
    if status == StatusCode::TOO_MANY_REQUESTS {
        metrics::counter!("healthchain_http_rate_limited_total").increment(1);
    }
    let labels = [("method", method.to_owned()), ("route", route), ("status", class(status).to_owned())];
    metrics::histogram!("healthchain_http_request_seconds", &labels).record(begun.elapsed());
    response
}

/// A request that is not answered yet. Its caller may give up, which drops it.
struct UnderWay(metrics::Gauge);

impl UnderWay {
    fn begin(method: &'static str, route: &str) -> Self {
        let gauge =
            metrics::gauge!("healthchain_http_requests_in_flight", "method" => method, "route" => route.to_owned());
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A caller can send any word for a method.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
