//! What one caller may ask for, and what browsers ask for.

use std::time::Duration;

use healthchain_gateway::configuration::{CorsConfiguration, LimitsConfiguration};
use healthchain_gateway::http::browsers::Origins;
use healthchain_gateway::http::rates::Rates;
use reqwest::{Method, Response};
use serde_json::json;

use super::world::{Twin, World, problem};

/// The hospital's gateway once more, with a new request every two seconds and three at once.
async fn limited(world: &World) -> Twin {
    let limits = LimitsConfiguration {
        requests_per_second: 1.try_into().unwrap(),
        burst: 3.try_into().unwrap(),
        ..LimitsConfiguration::default()
    };
    world.hospital.twin(|gateway| gateway.rates = Rates::new(&limits).into()).await
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_ask_again_and_holds_up_nobody_else() {
    let world = World::new().await;
    let yang = world.colleague().await;
    let gateway = limited(&world).await;
    let member = world.hospital.member();
    let ask = || member.get(gateway.at("/v1/settings")).send();
    for left in ["2", "1", "0"] {
        let response = ask().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "ratelimit"), Some(&*format!("\"caller\";r={left}")));
        assert_eq!(header(&response, "ratelimit-policy"), Some("\"caller\";q=3;w=3"));
    }
    let refused = ask().await.unwrap();
    assert_eq!(
        (header(&refused, "retry-after"), header(&refused, "ratelimit")),
        (Some("1"), Some("\"caller\";r=0;t=1"))
    );
    problem(refused, 429, "too-many-requests").await;
    assert_eq!(world.ledger.called("Governance:settings"), 3);

    assert_eq!(yang.get(gateway.at("/v1/settings")).send().await.unwrap().status(), 200);
    let stranger = world.hospital.client(None);
    assert_eq!(stranger.get(gateway.at("/healthz")).send().await.unwrap().status(), 200);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ask().await.unwrap().status(), 200);
}

#[tokio::test]
async fn strangers_are_counted_by_their_address() {
    let world = World::new().await;
    let gateway = limited(&world).await;
    for _ in 0..3 {
        let stranger = world.hospital.client(None);
        problem(stranger.get(gateway.at("/v1/settings")).send().await.unwrap(), 401, "client-certificate-missing")
            .await;
    }
    let stranger = world.hospital.client(None).get(gateway.at("/v1/settings")).header("authorization", "Bearer a");
    problem(stranger.send().await.unwrap(), 429, "too-many-requests").await;
}

/// Found by review: any certificate, one's own make included, took its holder out of the count.
#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_a_strangers() {
    let world = World::new().await;
    let gateway = limited(&world).await;
    let forger = world.hospital.client(Some(&world.payer.member_tls));
    for _ in 0..3 {
        problem(forger.get(gateway.at("/v1/settings")).send().await.unwrap(), 401, "client-certificate-not-trusted")
            .await;
    }
    problem(forger.get(gateway.at("/v1/settings")).send().await.unwrap(), 429, "too-many-requests").await;
}

#[tokio::test]
async fn only_pages_of_the_sites_that_the_configuration_names_write_with_their_visitors_certificate() {
    let world = World::new().await;
    let portal = "https://portal.example";
    let cors = CorsConfiguration { origins: vec![portal.to_owned().try_into().unwrap()] };
    let gateway = world.hospital.twin(|gateway| gateway.origins = Origins::new(&cors)).await;
    let from = |method: Method, origin: &str| {
        let request = world.hospital.member().request(method, gateway.at("/v1/links/l1/withdrawal"));
        request.header("origin", origin).header("sec-fetch-site", "cross-site")
    };
    let body = json!({"reason": "wrong"});
    let own = from(Method::POST, portal).json(&body).send().await.unwrap();
    assert_eq!((own.status().as_u16(), header(&own, "access-control-allow-origin")), (200, Some(portal)));
    assert_eq!(header(&own, "access-control-allow-credentials"), Some("true"));
    assert!(header(&own, "access-control-expose-headers").unwrap().contains("ratelimit"));
    for origin in ["https://evil.example", "https://portal.example.evil.example", "null", "http://portal.example"] {
        let other = from(Method::POST, origin).json(&body).send().await.unwrap();
        assert_eq!(header(&other, "access-control-allow-origin"), None);
        problem(other, 403, "cross-site-request").await;
    }
    assert_eq!(world.ledger.called("Links:withdraw"), 1);

    let preflight = |origin| from(Method::OPTIONS, origin).header("access-control-request-method", "POST").send();
    let allowed = preflight(portal).await.unwrap();
    assert_eq!((allowed.status().as_u16(), header(&allowed, "access-control-allow-origin")), (200, Some(portal)));
    assert!(header(&allowed, "access-control-allow-headers").unwrap().contains("idempotency-key"));
    assert_eq!(header(&preflight("https://evil.example").await.unwrap(), "access-control-allow-origin"), None);
    let unnamed = world.hospital.member().get(world.hospital.at("/v1/settings")).header("origin", portal);
    assert_eq!(header(&unnamed.send().await.unwrap(), "access-control-allow-origin"), None, "no site is named there");
}

#[tokio::test]
async fn long_json_is_compressed_and_records_and_answers_that_nobody_may_store_are_not() {
    let world = World::new().await;
    let member = world.hospital.member();
    let get = async |path: &str, encoding: &str| {
        member.get(world.hospital.at(path)).header("accept-encoding", encoding).send().await.unwrap()
    };
    let long: Vec<_> = (0..200).map(|number| json!({"id": number})).collect();
    world.ledger.state.lock().unwrap().answers.insert("Governance:settings".into(), json!(long));
    for encoding in ["gzip", "br"] {
        assert_eq!(header(&get("/v1/settings", encoding).await, "content-encoding"), Some(encoding));
    }
    assert_eq!(header(&get("/v1/settings", "identity").await, "content-encoding"), None);
    assert_eq!(header(&get("/healthz", "gzip").await, "content-encoding"), None, "short");

    let record: &'static str = Box::leak(" ".repeat(4000).into_boxed_str());
    let (_, link) = world.publish("key-1", record).await;
    let opening = member.post(world.hospital.at(&format!("/v1/links/{}/openings", link["id"].as_str().unwrap())));
    let opening = opening.header("accept-encoding", "gzip, br").json(&json!({"purpose": "treatment"}));
    let opening = opening.send().await.unwrap();
    assert_eq!((opening.status().as_u16(), header(&opening, "content-encoding")), (200, None));
    assert_eq!(opening.bytes().await.unwrap(), record);

    let begun = member.post(world.hospital.at("/v1/links/l1/withdrawal")).header("prefer", "respond-async");
    world.ledger.state.lock().unwrap().answers.insert("Links:withdraw".into(), json!(long));
    let begun = begun.json(&json!({"reason": "wrong"})).send().await.unwrap();
    let path = header(&begun, "location").unwrap().to_owned();
    let job = get(&path, "gzip").await;
    assert_eq!((header(&job, "cache-control"), header(&job, "content-encoding")), (Some("no-store"), None));
}

#[tokio::test]
async fn a_request_keeps_its_id_if_it_is_one_and_gets_another_if_it_is_not() {
    let world = World::new().await;
    let id = async |id: &str| {
        let request = world.hospital.client(None).get(world.hospital.at("/healthz")).header("x-request-id", id);
        header(&request.send().await.unwrap(), "x-request-id").unwrap().to_owned()
    };
    assert_eq!(id("0af7651916cd43dd-1.a_b").await, "0af7651916cd43dd-1.a_b");
    for strange in ["", "Anna Miller, 1 May 1980", "a=b", "\"", &"a".repeat(65)] {
        let made = id(strange).await;
        assert!(made != strange && made.len() == 36, "{made}");
    }
}
