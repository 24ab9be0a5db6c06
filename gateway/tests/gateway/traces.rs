//! Traces of requests, as a collector receives them.

use healthchain_gateway::configuration::TelemetryConfiguration;
use healthchain_gateway::telemetry;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::collector::Collector;
use super::world::World;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// One test, because a process has one subscriber.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_tells_a_requests_way_through_both_gateways_and_nothing_personal() {
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.listen()).parse().unwrap();
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
    assert!(collector.has_child_of(CALLER), "the caller's own span is not the parent");

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
