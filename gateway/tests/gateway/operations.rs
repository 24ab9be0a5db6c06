use std::time::Duration;

use healthchain_gateway::ledger::LedgerFailure;
use serde_json::Value;

use super::ledger::When;
use super::world::{NOTICE, World};

/// Readiness is asked for anew after a second.
const FRESH: Duration = Duration::from_millis(1100);

async fn readiness(world: &World) -> (u16, Value) {
    let response = world.hospital.client(None).get(world.hospital.at("/readyz")).send().await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn the_process_is_alive_whatever_it_depends_on() {
    let world = World::new().await;
    world.ledger.fail_next("height", When::Before, LedgerFailure::Unreachable("down".into()));
    let response = world.hospital.client(None).get(world.hospital.at("/healthz")).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn readiness_tells_the_channels_height() {
    let world = World::new().await;
    world.ledger.state.lock().unwrap().height = 7;
    let (status, report) = readiness(&world).await;
    assert_eq!((status, &report["ready"], &report["height"]), (200, &Value::Bool(true), &Value::from(7)));
}

#[tokio::test]
async fn readiness_tells_which_dependency_fails() {
    let world = World::new().await;
    world.ledger.fail_next("height", When::Before, LedgerFailure::Unreachable("down at 127.0.0.1".into()));
    let (status, report) = readiness(&world).await;
    assert_eq!((status, report["records"].as_str()), (503, Some("ok")));
    let peer = report["peer"].as_str().unwrap();
    assert!(peer.starts_with("unavailable") && !peer.contains("127.0.0.1"), "{peer}");

    tokio::time::sleep(FRESH).await;
    std::fs::remove_dir(world.hospital.records()).unwrap();
    std::fs::write(world.hospital.records(), "a file where the folder was").unwrap();
    let (status, report) = readiness(&world).await;
    assert_eq!((status, report["peer"].as_str()), (503, Some("ok")));
    assert!(report["records"].as_str().unwrap().starts_with("unavailable"));
}

#[tokio::test]
async fn however_many_ask_for_readiness_the_peer_is_asked_once_a_second() {
    let world = World::new().await;
    for (status, _) in futures::future::join_all((0..20).map(|_| readiness(&world))).await {
        assert_eq!(status, 200);
    }
    assert_eq!(world.ledger.called("height"), 1);
    tokio::time::sleep(FRESH).await;
    readiness(&world).await;
    assert_eq!(world.ledger.called("height"), 2);
}

#[tokio::test]
async fn the_documentation_is_served_to_everybody() {
    let world = World::new().await;
    let client = world.hospital.client(None);
    let response = client.get(world.hospital.at("/openapi.json")).send().await.unwrap();
    let document: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(document, healthchain_gateway::http::router::openapi_document());

    let page = client.get(world.hospital.at("/docs/")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("swagger-ui"));
    let script = client.get(world.hospital.at("/docs/swagger-initializer.js")).send().await.unwrap();
    assert!(script.text().await.unwrap().contains("/openapi.json"));
}

#[tokio::test]
async fn every_answer_of_a_gateway_on_a_development_ledger_says_so() {
    let world = World::new().await;
    for path in ["/docs/", "/docs/swagger-ui.css", "/openapi.json", "/healthz", "/readyz", "/v1/me", "/nowhere"] {
        let response = world.payer.client(None).get(world.payer.at(path)).send().await.unwrap();
        assert_eq!(response.headers()["healthchain-ledger"], "development", "{path}");
        let response = world.hospital.client(None).get(world.hospital.at(path)).send().await.unwrap();
        assert!(!response.headers().contains_key("healthchain-ledger"), "{path}");
    }
    let unknown_method = world.payer.client(None).delete(world.payer.at("/v1/me")).send().await.unwrap();
    assert_eq!(unknown_method.status(), 405);
    assert_eq!(unknown_method.headers()["healthchain-ledger"], "development");
}

#[tokio::test]
async fn the_description_health_and_readiness_of_a_gateway_on_a_development_ledger_say_so() {
    let world = World::new().await;
    let payer = async |path: &str| -> Value {
        let response = world.payer.client(None).get(world.payer.at(path)).send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    };
    let described = payer("/openapi.json").await;
    assert!(described["info"]["description"].as_str().unwrap().contains(NOTICE));
    assert!(described["info"]["title"].as_str().unwrap().contains("development"));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(payer(path).await["development"], NOTICE, "{path}");
        let response = world.hospital.client(None).get(world.hospital.at(path)).send().await.unwrap();
        let report: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert!(report.get("development").is_none(), "{path}");
    }
}
