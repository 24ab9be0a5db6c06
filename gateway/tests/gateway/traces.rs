//! Traces of requests, as a collector receives them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use healthchain_gateway::configuration::TelemetryConfiguration;
use healthchain_gateway::telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::world::World;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What a collector was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn listen(&self) -> SocketAddr {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let service = TraceServiceServer::new(self.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        address
    }

    /// The spans of a trace: each with the names of those around it, from the outermost.
    fn paths(&self, trace: &str) -> Vec<Vec<String>> {
        let spans = self.0.lock().unwrap().clone();
        let spans = spans.into_iter().filter(|span| hex::encode(&span.trace_id) == trace);
        let spans: HashMap<_, _> = spans.map(|span| (span.span_id.clone(), span)).collect();
        let path = |span: &Span| {
            let around = std::iter::successors(Some(span), |span| spans.get(&span.parent_span_id));
            let mut path: Vec<_> = around.map(|span| span.name.clone()).collect();
            path.reverse();
            path
        };
        let mut paths: Vec<_> = spans.values().map(path).collect();
        paths.sort();
        paths
    }

    fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

/// One test, because a process has one subscriber.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_tells_a_requests_way_through_both_gateways_and_nothing_personal() {
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.listen().await).parse().unwrap();
    let configuration = TelemetryConfiguration { otlp_endpoint: Some(endpoint), sample_ratio: 1.0 };
    let provider = telemetry::provider(&configuration, "HospitalMSP").unwrap().unwrap();
    tracing_subscriber::registry().with(telemetry::traces(&provider)).init();

    let world = World::new().await;
    world.entitle_payer_at_publication();
    let link = world.published().await;
    let url = world.payer.at(&format!("/v1/links/{link}/openings"));
    let opening = world.payer.member().post(url).header("content-type", "application/json");
    let opening = opening.header("traceparent", format!("00-{TRACE}-{CALLER}-01")).body(r#"{"purpose":"treatment"}"#);
    assert_eq!(opening.send().await.unwrap().status(), 200);
    let flushed = provider.clone();
    tokio::task::spawn_blocking(move || flushed.force_flush()).await.unwrap().unwrap();

    let paths = collector.paths(TRACE);
    let open = ["POST /v1/links/{link}/openings", "open_link"];
    let fetch = [open.as_slice(), &["contents fetch"]].concat();
    let serve = [&fetch, ["GET /v1/contents/{link}/{version}", "serve_content"].as_slice()].concat();
    let read = [&serve, ["records fetch"].as_slice()].concat();
    for expected in [&open[..1], &open, &fetch, &serve, &read] {
        assert!(paths.iter().any(|path| path == expected), "no {expected:?} in {paths:#?}");
    }
    let outermost = collector.0.lock().unwrap().iter().any(|span| hex::encode(&span.parent_span_id) == CALLER);
    assert!(outermost, "the caller's own span is not the parent");

    let told = collector.text();
    for personal in ["dr-grey", "officer-7", "anna", link.as_str()] {
        assert!(!told.contains(personal), "{personal} is in a span");
    }
}

#[tokio::test]
async fn a_collector_is_spoken_to_in_plain_http_only_and_none_is_needed() {
    let none = TelemetryConfiguration { otlp_endpoint: None, sample_ratio: 1.0 };
    assert!(telemetry::provider(&none, "HospitalMSP").unwrap().is_none());
    let encrypted = TelemetryConfiguration { otlp_endpoint: Some("https://collector:4317".parse().unwrap()), ..none };
    let error = telemetry::provider(&encrypted, "HospitalMSP").unwrap_err().to_string();
    assert!(error.contains("otlp_endpoint") && error.contains("http://"), "{error}");
}
