//! Every route that is served by hand, one line each. Those that pass a call on to the ledger are lines of `resources.rs`.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::trace::{DefaultOnFailure, DefaultOnResponse, TraceLayer};
use tracing::Level;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::body_time::bound_body_time;
use super::condition::tell_codings_apart;
use super::development;
use super::linger::linger;
use super::observe::observe;
use super::problem::{INTERNAL, METHOD_NOT_ALLOWED, Problem, ROUTE_NOT_FOUND};
use super::rates::limit;
use super::resources;
use super::routes::operations::LatestReadiness;
use super::routes::{
    amendments, audit, clients, contents, events, jobs, links, openings, operations, patient_index, sessions,
    transactions, uploads, webhooks,
};
use super::tus::introduce;
use super::{browsers, openapi};
use crate::gateway::Gateway;
use crate::telemetry::{SPANS, continue_trace};

/// Largest body of a route that takes JSON, in bytes.
const JSON_BYTES: usize = 64 << 10;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn all() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::with_openapi(openapi::outline())
        .routes(routes!(links::publish))
        .routes(routes!(amendments::propose))
        .routes(routes!(uploads::begin))
        .routes(routes!(uploads::progress, uploads::proceed, uploads::abandon))
        .routes(routes!(openings::open))
        .routes(routes!(openings::content))
        .routes(routes!(audit::of_patient))
        .routes(routes!(audit::of_member))
        .routes(routes!(audit::of_organisation))
        .routes(routes!(audit::accounting))
        .routes(routes!(transactions::sign_proposal))
        .routes(routes!(transactions::sign_transaction))
        .routes(routes!(contents::content))
        .routes(routes!(jobs::job))
        .routes(routes!(events::events))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::read, webhooks::remove))
        .routes(routes!(webhooks::dead_letters))
        .routes(routes!(webhooks::redeliver))
        .routes(routes!(patient_index::enter))
        .routes(routes!(patient_index::search))
        .routes(routes!(patient_index::remove))
        .routes(routes!(sessions::challenge))
        .routes(routes!(sessions::open))
        .routes(routes!(sessions::close))
        .routes(routes!(clients::configuration))
        .routes(routes!(clients::token))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
}

/// The whole service. It expects [`super::listener::Peer`] as the connection's information.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let (routes, document) = all().split_for_parts();
    let notice = gateway.development.clone();
    let document = development::noted(openapi::document(&document), notice.as_deref());
    let swagger = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let router = routes
        .merge(resources::routes())
        .with_state(Arc::clone(&gateway))
        .route("/openapi.json", get(move || std::future::ready(Json(document))))
        .merge(swagger)
        .fallback(|| std::future::ready(Problem::new(ROUTE_NOT_FOUND)))
        .method_not_allowed_fallback(|| std::future::ready(Problem::new(METHOD_NOT_ALLOWED)))
        .layer(DefaultBodyLimit::max(JSON_BYTES))
        .layer(axum::middleware::from_fn(linger))
        .layer(axum::middleware::from_fn(bound_body_time))
        .layer(Extension(Arc::new(LatestReadiness::default())))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&gateway), limit))
        .layer(gateway.origins.layer())
        .layer(axum::middleware::from_fn_with_state(gateway.max_record_bytes, introduce))
        .layer(browsers::compression())
        .layer(axum::middleware::map_response(tell_codings_apart))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(axum::middleware::from_fn(observe))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_response(DefaultOnResponse::new().level(Level::INFO))
                .on_failure(DefaultOnFailure::new().level(Level::DEBUG)),
        )
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(axum::middleware::map_request(drop_strange_request_id));
    development::marked(router, notice.as_deref())
}

/// What a caller calls its request goes to the log and back: it is an id, or another is made.
async fn drop_strange_request_id(mut request: Request) -> Request {
    if request.headers().get(REQUEST_ID).is_some_and(|id| !browsers::is_request_id(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// The document that `/openapi.json` serves.
pub fn openapi_document() -> Value {
    openapi::document(&all().split_for_parts().1)
}

/// The route's pattern is logged, not the path: ids of patients and members stay out of the log.
fn span(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).unwrap_or("none");
    let method = request.method();
    let span = tracing::info_span!(
        target: SPANS, "request",
        otel.name = %format_args!("{method} {route}"), otel.kind = "server", %method, route, id, status = tracing::field::Empty
    );
    continue_trace(&span, request.headers());
    span
}

fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request panicked");
    Problem::new(INTERNAL).into_response()
}
