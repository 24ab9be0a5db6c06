//! Following what happens: pages and streams of the ledger's events.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use healthchain_gateway::events::place::Place;
use healthchain_gateway::http::streams::Streams;
use healthchain_gateway::ledger::LedgerFailure;
use reqwest::Response;
use serde_json::Value;

use super::ledger::When;
use super::world::{Organisation, World, answer, problem};

const SOON: Duration = Duration::from_secs(5);

/// One event as it arrives in a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    kind: String,
    id: String,
    data: String,
}

impl Message {
    fn link(&self) -> String {
        let told: Value = serde_json::from_str(&self.data).unwrap();
        assert_eq!((told["id"].as_str(), told["event"].as_str()), (Some(self.id.as_str()), Some("link-withdrawn")));
        told["entry"]["act"]["link"].as_str().unwrap().to_owned()
    }
}

/// A stream as a browser reads it.
struct Stream {
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Stream {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { bytes: response.bytes_stream().boxed(), text: String::new() }
    }

    /// The next event, passing over comments; none when the stream has ended well.
    async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((block, rest)) = self.text.clone().split_once("\n\n") {
                self.text = rest.to_owned();
                let mut message = Message::default();
                for (name, value) in block.lines().filter_map(|line| line.split_once(':')) {
                    let value = value.trim_start().to_owned();
                    match name {
                        "event" => message.kind = value,
                        "id" => message.id = value,
                        "data" => message.data = value,
                        _ => {}
                    }
                }
                if message != Message::default() {
                    return Some(message);
                }
            }
            let chunk = tokio::time::timeout(SOON, self.bytes.next()).await.expect("something arrives")?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }

    /// The link of the next event that is no place.
    async fn link(&mut self) -> (String, String) {
        loop {
            let message = self.next().await.expect("the stream goes on");
            if message.kind != "place" {
                return (message.id.clone(), message.link());
            }
        }
    }

    async fn ends(mut self) {
        let end = async { while self.next().await.is_some() {} };
        tokio::time::timeout(SOON, end).await.expect("the stream ends");
    }
}

async fn ask(organisation: &Organisation, query: &str, last: Option<&str>) -> Response {
    let request = organisation.member().get(organisation.at(&format!("/v1/events{query}")));
    let request = request.header("accept", "text/event-stream");
    last.into_iter().fold(request, |request, last| request.header("last-event-id", last)).send().await.unwrap()
}

async fn follow(organisation: &Organisation, query: &str, last: Option<&str>) -> Stream {
    Stream::of(ask(organisation, query, last).await)
}

async fn page(world: &World, query: &str) -> Value {
    let url = world.hospital.at(&format!("/v1/events{query}"));
    let response = world.hospital.member().get(url).send().await.unwrap();
    let link = response.headers()["link"].to_str().unwrap().to_owned();
    let (status, page) = answer(response).await;
    assert_eq!(status, 200, "{page}");
    assert!(link.starts_with(&format!("</v1/events?after={}&", page["next"].as_str().unwrap())), "{link}");
    page
}

fn links(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["entry"]["act"]["link"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens_to_whom_it_concerns_and_to_nobody_else() {
    let world = World::new().await;
    world.ledger.withdraw("dr-grey", "anna");
    let mut own = follow(&world.hospital, "", None).await;
    let mut other = follow(&world.payer, "", None).await;
    assert_eq!(own.next().await.unwrap().kind, "place");
    assert_eq!(other.next().await.unwrap().kind, "place");
    let second = world.ledger.withdraw("dr-grey", "anna");
    let third = world.ledger.withdraw("dr-yang", "officer-7");
    let fourth = world.ledger.withdraw("dr-grey", "officer-7");
    assert_eq!(own.link().await.1, second);
    assert_eq!(own.link().await.1, fourth);
    assert_eq!(other.link().await.1, third);
    assert_eq!(other.link().await.1, fourth);
}

#[tokio::test]
async fn whoever_comes_again_misses_nothing_wherever_the_place_is() {
    let world = World::new().await;
    let all: Vec<_> = (0..5).map(|_| world.ledger.withdraw("dr-grey", "anna")).collect();
    let mut stream = follow(&world.hospital, "?after=0:0", None).await;
    let mut places = Vec::new();
    for link in &all {
        let (place, told) = stream.link().await;
        assert_eq!(told, *link);
        places.push(place);
    }
    drop(stream);
    let sixth = world.ledger.withdraw("dr-grey", "anna");
    for (known, place) in places.iter().enumerate() {
        // The page asked for the beginning; the browser knows better.
        let mut stream = follow(&world.hospital, "?after=0:0", Some(place)).await;
        for link in all[known + 1..].iter().chain([&sixth]) {
            assert_eq!(stream.link().await.1, *link);
        }
    }
}

#[tokio::test]
async fn who_begins_now_and_comes_again_misses_nothing_that_happened_in_between() {
    let world = World::new().await;
    world.ledger.withdraw("dr-grey", "anna");
    let mut stream = follow(&world.hospital, "", None).await;
    let place = stream.next().await.unwrap();
    assert_eq!((place.kind.as_str(), place.data.as_str()), ("place", "{}"));
    drop(stream);
    let between = world.ledger.withdraw("dr-grey", "anna");
    let mut stream = follow(&world.hospital, "", Some(&place.id)).await;
    assert_eq!(stream.link().await.1, between);
}

#[tokio::test]
async fn behind_many_events_of_others_the_place_moves_on() {
    let world = World::new().await;
    let mut stream = follow(&world.hospital, "?after=0:0", None).await;
    assert_eq!(stream.next().await.unwrap().id, "0:0");
    for _ in 0..250 {
        world.ledger.withdraw("dr-yang", "officer-7");
    }
    let moved = stream.next().await.unwrap();
    assert_eq!(moved.kind, "place");
    let own = world.ledger.withdraw("dr-grey", "anna");
    drop(stream);
    let mut stream = follow(&world.hospital, "", Some(&moved.id)).await;
    assert_eq!(stream.link().await.1, own);
}

#[tokio::test]
async fn only_events_that_are_asked_for_come() {
    let world = World::new().await;
    world.published().await;
    let link = world.ledger.withdraw("dr-grey", "anna");
    assert_eq!(links(&page(&world, "?after=0:0&events=link-withdrawn,link-erased").await), [link]);
    assert!(links(&page(&world, "?after=0:0&events=consent-granted").await).is_empty());
    for (query, code) in [
        ("?events=link-withdrawed", "unknown-event"),
        ("?events=", "unknown-event"),
        ("?events=link-withdrawn,", "unknown-event"),
        ("?after=now", "event-id-malformed"),
        ("?limit=0", "malformed-query"),
        ("?since=1:1", "malformed-query"),
    ] {
        let url = world.hospital.at(&format!("/v1/events{query}"));
        problem(world.hospital.member().get(url).send().await.unwrap(), 400, code).await;
    }
    problem(ask(&world.hospital, "", Some("now")).await, 400, "event-id-malformed").await;
}

#[tokio::test]
async fn pages_lead_to_each_other_and_past_the_end() {
    let world = World::new().await;
    assert!(links(&page(&world, "").await).is_empty(), "from now on");
    let all: Vec<_> = (0..7).map(|_| world.ledger.withdraw("dr-grey", "anna")).collect();
    world.ledger.withdraw("dr-yang", "officer-7");
    let (mut told, mut after) = (Vec::new(), "0:0".to_owned());
    for expected in [3, 3, 1, 0] {
        let page = page(&world, &format!("?limit=3&after={after}")).await;
        assert_eq!(links(&page).len(), expected);
        told.extend(links(&page).into_iter().map(str::to_owned));
        after = page["next"].as_str().unwrap().to_owned();
    }
    assert_eq!(told, all);
    let next = world.ledger.withdraw("dr-grey", "anna");
    assert_eq!(links(&page(&world, &format!("?after={after}")).await), [next]);
}

#[tokio::test]
async fn a_suspended_members_stream_ends_and_there_is_no_other() {
    let world = World::new().await;
    let stream = follow(&world.hospital, "", None).await;
    world.ledger.state.lock().unwrap().suspended.insert("dr-grey".parse().unwrap());
    stream.ends().await;
    problem(ask(&world.hospital, "", None).await, 403, "member-suspended").await;
    let url = world.hospital.at("/v1/events");
    problem(world.hospital.member().get(url).send().await.unwrap(), 403, "member-suspended").await;
}

#[tokio::test]
async fn a_stream_ends_when_its_callers_certificate_is_revoked() {
    let world = World::new().await;
    let stream = follow(&world.hospital, "", None).await;
    let list = world.hospital.tls_root.revocation_list(&[world.hospital.member_tls.certificate()], 2).unwrap();
    std::fs::write(world.hospital.crl(), list).unwrap();
    stream.ends().await;
}

#[tokio::test]
async fn streams_do_not_hold_up_the_gateways_end() {
    let mut world = World::new().await;
    let streams = [follow(&world.hospital, "", None).await, follow(&world.hospital, "?after=0:0", None).await];
    let running = world.hospital.running.take().unwrap();
    tokio::time::timeout(SOON, running.stop()).await.expect("the gateway ends");
    for stream in streams {
        stream.ends().await;
    }
}

#[tokio::test]
async fn a_member_has_eight_streams_and_no_more() {
    let world = World::new().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(follow(&world.hospital, "", None).await);
    }
    problem(ask(&world.hospital, "", None).await, 429, "too-many-streams").await;
    page(&world, "").await;
    drop(streams);
    for _ in 0..50 {
        if ask(&world.hospital, "", None).await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there is no room again");
}

/// Its reader may have stalled, and the next beat never be asked for.
#[tokio::test]
async fn a_stream_ends_when_its_time_is_over_whatever_its_reader_does() {
    let world = World::new().await;
    let streams = Streams::with_beat(Duration::from_secs(3600)).lasting(Duration::from_secs(1));
    let twin = world.hospital.twin(|twin| twin.streams = Arc::new(streams)).await;
    let ask = async || {
        let request = world.hospital.member().get(twin.at("/v1/events"));
        request.header("accept", "text/event-stream").send().await.unwrap()
    };
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(ask().await);
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(ask().await.status(), 200, "there is room again");
    Stream::of(unread.remove(0)).ends().await;
}

/// On a connection that all calls share, what nobody reads would hold them all up.
#[tokio::test]
async fn a_follower_far_behind_keeps_no_stream_of_the_peers_open_that_it_does_not_read() {
    let world = World::new().await;
    for _ in 0..300 {
        world.ledger.withdraw("dr-grey", "anna");
    }
    let hub = &world.hospital.gateway.events;
    let mut late = hub.feed(Place::at(0));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let others = world.ledger.followers();
    let mut blocks = Vec::new();
    while blocks.len() < 300 {
        blocks.extend(late.next(70).await.unwrap().iter().map(|event| event.behind.block));
        assert_eq!(world.ledger.followers(), others);
    }
    assert!(blocks.into_iter().eq(0..300));
}

#[tokio::test]
async fn an_event_about_which_the_ledger_could_not_be_asked_is_told_once_it_can() {
    let world = World::new().await;
    let mut stream = follow(&world.hospital, "", None).await;
    stream.next().await.unwrap();
    world.ledger.fail_next("Audit:known", When::Before, LedgerFailure::Unreachable("down".into()));
    let link = world.ledger.withdraw("dr-grey", "anna");
    assert_eq!(stream.link().await.1, link);
}

#[tokio::test]
async fn strangers_and_other_gateways_follow_nothing() {
    let world = World::new().await;
    let url = world.hospital.at("/v1/events");
    let ask = |client: reqwest::Client| client.get(&url).header("accept", "text/event-stream").send();
    problem(ask(world.hospital.client(None)).await.unwrap(), 401, "client-certificate-missing").await;
    let gateway = world.hospital.client(Some(&world.payer.gateway_tls));
    problem(ask(gateway).await.unwrap(), 403, "not-a-member").await;
}
