//! What `/metrics` tells, and what it must not.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use healthchain_gateway::operations;
use healthchain_gateway::state::checkpoint;
use healthchain_gateway::{custodian, ledger::Position};
use tokio::task::JoinHandle;

use super::world::World;

pub(crate) struct Operations {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Operations {
    pub(crate) async fn of(world: &World) -> Self {
        let certificate = world.hospital.folder.path().join("tls.pem");
        std::fs::write(&certificate, world.hospital.gateway_tls.certificate_pem()).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let gateway = Arc::clone(&world.hospital.gateway);
        let (address, serve) = operations::listen(any, gateway, vec![("tls", certificate)]).await.unwrap();
        Self { address, task: tokio::spawn(serve) }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        text
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The value of the one sample that begins so.
pub(crate) fn sample(metrics: &str, begins: &str) -> f64 {
    let mut samples = metrics.lines().filter(|line| line.starts_with(begins));
    let sample = samples.next().unwrap_or_else(|| panic!("no {begins} in\n{metrics}"));
    assert!(samples.next().is_none(), "several {begins}");
    sample.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn routes_ports_and_what_the_gateway_depends_on_are_measured() {
    let world = World::new().await;
    let operations = Operations::of(&world).await;
    world.entitle_payer_at_publication();
    let link = world.published().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 200);
    world.ledger.state.lock().unwrap().height = 9;
    let read = Position { block: 6, transaction: "ab".into() };
    checkpoint::save(&world.hospital.gateway.state, custodian::READER, &read).await.unwrap();

    let metrics = operations.metrics().await;
    let published = r#"healthchain_http_request_seconds_count{method="POST",route="/v1/links",status="2xx"}"#;
    assert!(sample(&metrics, published) >= 1.0);
    assert!(metrics.contains(r#"healthchain_port_seconds_bucket{port="records",operation="finish",outcome="ok",le="#));
    assert!(metrics.contains(r#"healthchain_port_seconds_count{port="contents",operation="fetch",outcome="ok"}"#));
    assert_eq!(sample(&metrics, "healthchain_custodian_lag_blocks "), 2.0);
    assert_eq!(sample(&metrics, "healthchain_ledger_height "), 9.0);
    assert_eq!(sample(&metrics, r#"healthchain_ready{dependency="peer"}"#), 1.0);
    assert!(sample(&metrics, r#"healthchain_certificate_days_left{certificate="tls"}"#) > 1.0);
    assert!(sample(&metrics, "healthchain_records_room_bytes ") > 0.0);
    assert!(sample(&metrics, r#"healthchain_port_seconds_count{port="state",operation="check",outcome="ok"}"#) >= 1.0);
    for told in ["healthchain_event_streams ", "healthchain_webhook_dead_letters_total "] {
        assert!(sample(&metrics, told) >= 0.0);
    }
    for copies in [r#"healthchain_replicas{state="kept"}"#, r#"healthchain_replicas{state="pending"}"#] {
        assert_eq!(sample(&metrics, copies), 0.0);
    }
    assert_eq!(sample(&metrics, "healthchain_replicas_bytes "), 0.0);
    // A connection goes back to the pool by and by.
    let connections = ["idle", "used"].map(|state| format!("healthchain_state_connections{{state=\"{state}\"}}"));
    assert_eq!(connections.iter().map(|name| sample(&metrics, name)).sum::<f64>(), 1.0);
    for personal in ["dr-grey", "officer-7", "anna", link.as_str()] {
        assert!(!metrics.contains(personal), "{personal} is in the metrics");
    }
}

/// Time series by name and labels, those of routes that only this test asks for.
async fn series(operations: &Operations) -> BTreeSet<String> {
    let metrics = operations.metrics().await;
    let series =
        metrics.lines().filter(|line| line.contains("/v1/members/{member}") || line.contains(r#"route="none""#));
    series.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test]
async fn ids_paths_and_methods_that_callers_think_of_make_no_time_series() {
    let world = World::new().await;
    let operations = Operations::of(&world).await;
    let ask = async |number: u32| {
        let method = reqwest::Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
        for path in [format!("/v1/members/m-{number}"), format!("/nowhere/{number}")] {
            for method in [reqwest::Method::GET, method.clone()] {
                let request = world.hospital.client(None).request(method, world.hospital.at(&path));
                assert!(request.send().await.unwrap().status().as_u16() >= 400);
            }
        }
    };
    ask(0).await;
    let before = series(&operations).await;
    assert!(!before.is_empty());
    for number in 1..10 {
        ask(number).await;
    }
    assert_eq!(series(&operations).await, before);
}

#[tokio::test]
async fn operators_are_answered_without_a_certificate_and_only_about_operations() {
    let world = World::new().await;
    let operations = Operations::of(&world).await;
    assert_eq!(operations.get("/healthz").await.0, 200);
    assert_eq!(operations.get("/readyz").await.0, 200);
    for path in ["/v1/me", "/v1/organisations", "/openapi.json", "/"] {
        assert_eq!(operations.get(path).await.0, 404, "{path}");
    }
}
