//! What the publisher's gateway gives to another organisation's gateway, and what it does not.

use healthchain_rules::{Decision, Denial, LedgerTime, Opening, TransactionId};

use super::ledger::{now, transaction};
use super::world::{World, problem};

const MINUTE: u64 = 60_000;

/// A world with one link, opened once by the payer.
async fn opened() -> (World, String, TransactionId) {
    let world = World::new().await;
    world.entitle_payer_at_publication();
    let link = world.published().await;
    assert_eq!(world.open(&world.payer, &link).await.status(), 200);
    (world, link, transaction(0))
}

async fn fetch(world: &World, link: &str, version: &str, opening: &str) -> reqwest::Response {
    let path = format!("/v1/contents/{link}/{version}?opening={opening}");
    let payer = world.hospital.client(Some(&world.payer.gateway_tls));
    payer.get(world.hospital.at(&path)).send().await.unwrap()
}

fn change(world: &World, opening: &TransactionId, change: impl FnOnce(&mut Opening)) {
    change(world.ledger.state.lock().unwrap().openings.get_mut(opening).unwrap());
}

#[tokio::test]
async fn a_committed_permitted_recent_opening_gives_the_ciphertext() {
    let (world, link, opening) = opened().await;
    let response = fetch(&world, &link, "1", opening.as_str()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/jose");
    assert_eq!(response.bytes().await.unwrap(), std::fs::read(world.hospital.record()).unwrap());
}

#[tokio::test]
async fn nothing_is_given_without_an_opening() {
    let (world, link, _) = opened().await;
    problem(fetch(&world, &link, "1", transaction(99).as_str()).await, 403, "opening-not-found").await;
}

#[tokio::test]
async fn an_opening_that_arrives_a_moment_later_is_waited_for() {
    let (world, link, opening) = opened().await;
    let late = world.ledger.state.lock().unwrap().openings.remove(&opening).unwrap();
    let arrive = async {
        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
        world.ledger.state.lock().unwrap().openings.insert(opening.clone(), late);
    };
    let (response, ()) = tokio::join!(fetch(&world, &link, "1", opening.as_str()), arrive);
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn nothing_is_given_for_a_denied_opening() {
    let (world, link, opening) = opened().await;
    change(&world, &opening, |opening| {
        opening.decision = Decision::Denied { reason: Denial::PatientDenied, exception: None, provision: None };
    });
    problem(fetch(&world, &link, "1", opening.as_str()).await, 403, "opening-denied").await;
}

#[tokio::test]
async fn nothing_is_given_for_an_opening_that_is_not_in_force_any_more() {
    let (world, link, opening) = opened().await;
    assert_eq!(fetch(&world, &link, "1", opening.as_str()).await.status(), 200);
    world.ledger.state.lock().unwrap().permitted.remove(&world.payer.msp_id);
    problem(fetch(&world, &link, "1", opening.as_str()).await, 403, "opening-not-in-force").await;
}

#[tokio::test]
async fn nothing_is_given_for_somebody_elses_opening() {
    let (world, link, opening) = opened().await;
    change(&world, &opening, |opening| opening.organisation = "ClinicMSP".parse().unwrap());
    problem(fetch(&world, &link, "1", opening.as_str()).await, 403, "opening-of-another-organisation").await;
}

#[tokio::test]
async fn nothing_is_given_for_an_opening_of_another_link() {
    let (world, _, opening) = opened().await;
    let second = world.publish("key-2", "another record").await.1["id"].as_str().unwrap().to_owned();
    problem(fetch(&world, &second, "1", opening.as_str()).await, 403, "opening-of-another-link").await;
}

#[tokio::test]
async fn nothing_is_given_for_an_opening_of_another_version() {
    let (world, link, opening) = opened().await;
    problem(fetch(&world, &link, "2", opening.as_str()).await, 403, "opening-of-another-version").await;
}

#[tokio::test]
async fn nothing_is_given_for_an_opening_older_than_five_minutes_or_far_in_the_future() {
    let (world, link, opening) = opened().await;
    let moment = now().milliseconds();
    for (time, given) in [
        (moment - 4 * MINUTE, true),
        (moment + 4 * MINUTE, true),
        (moment - 5 * MINUTE - 1, false),
        (moment - 24 * 60 * MINUTE, false),
        (moment + 6 * MINUTE, false),
    ] {
        change(&world, &opening, |opening| opening.time = LedgerTime::from_milliseconds(time));
        let response = fetch(&world, &link, "1", opening.as_str()).await;
        if given {
            assert_eq!(response.status(), 200);
        } else {
            problem(response, 403, "opening-too-old").await;
        }
    }
}

#[tokio::test]
async fn nothing_is_given_of_what_another_organisation_published() {
    let (world, link, opening) = opened().await;
    change(&world, &opening, |opening| opening.publisher = "ClinicMSP".parse().unwrap());
    problem(fetch(&world, &link, "1", opening.as_str()).await, 404, "not-the-publisher").await;
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    let (world, link, opening) = opened().await;
    problem(fetch(&world, &link, "first", opening.as_str()).await, 400, "malformed-path").await;
    problem(fetch(&world, &link, "1", "not-a-transaction").await, 400, "malformed-query").await;
}

#[tokio::test]
async fn a_lost_record_is_told() {
    let (world, link, opening) = opened().await;
    std::fs::remove_file(world.hospital.record()).unwrap();
    problem(fetch(&world, &link, "1", opening.as_str()).await, 502, "record-lost").await;
}
