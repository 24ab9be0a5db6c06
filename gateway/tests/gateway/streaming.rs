//! Records that are longer than a part: what is stored, what is released, and what is not.

use std::time::Duration;

use healthchain_gateway::content::parts::PART_BYTES;
use healthchain_rules::LedgerTime;
use reqwest::header;

use super::ledger::now;
use super::world::{MAX_RECORD_BYTES, Organisation, World, answer, problem};

/// Two full parts and a third that is not.
const LENGTH: usize = 2 * PART_BYTES + 1000;

/// Bytes of which no part is like another.
fn scan(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 + index / PART_BYTES) as u8).collect()
}

/// A world with a record in parts, published at the hospital and sealed to the payer, too.
async fn shared(record: Vec<u8>) -> (World, String) {
    let world = World::new().await;
    world.entitle_payer_at_publication();
    let request = world.hospital.member().post(world.hospital.at("/v1/links?patient=anna&category=imaging"));
    let request = request.header("idempotency-key", "scan").header("content-type", "application/dicom");
    let (status, link) = answer(request.body(record).send().await.unwrap()).await;
    assert_eq!(status, 201, "{link}");
    (world, link["id"].as_str().unwrap().to_owned())
}

fn rewrite(organisation: &Organisation, change: impl Fn(&mut Vec<u8>)) {
    let mut stored = std::fs::read(organisation.record()).unwrap();
    change(&mut stored);
    std::fs::write(organisation.record(), stored).unwrap();
}

/// Opens the link and tells the content's place.
async fn opened(world: &World, organisation: &Organisation, link: &str) -> String {
    let response = world.open(organisation, link).await;
    assert_eq!(response.status(), 200);
    let place = response.headers()[header::CONTENT_LOCATION].to_str().unwrap().to_owned();
    response.bytes().await.unwrap();
    place
}

async fn get(organisation: &Organisation, place: &str, range: &str) -> reqwest::Response {
    organisation.member().get(organisation.at(place)).header(header::RANGE, range).send().await.unwrap()
}

#[tokio::test]
async fn a_record_in_parts_comes_back_in_either_organisation() {
    for length in [PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, LENGTH, MAX_RECORD_BYTES] {
        let (world, link) = shared(scan(length)).await;
        for organisation in [&world.hospital, &world.payer] {
            let response = world.open(organisation, &link).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.content_length(), Some(length as u64));
            assert!(response.bytes().await.unwrap() == scan(length), "{length}");
        }
    }
}

#[tokio::test]
async fn each_part_is_stored_as_a_jwe_of_its_own_and_the_ledger_holds_the_hash_of_all() {
    let (world, link) = shared(scan(LENGTH)).await;
    let stored = std::fs::read(world.hospital.record()).unwrap();
    let lines: Vec<&[u8]> = stored.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.starts_with(b"eyJ") && line.ends_with(b"\n")));
    assert_eq!(lines[0].len(), lines[1].len());
    let content = world.ledger.state.lock().unwrap().links[&link.parse().unwrap()].current.content.clone();
    assert_eq!(content.hash.as_str(), hex::encode(openssl::sha::sha256(&stored)));
    assert_eq!(content.length, stored.len() as u64);
}

#[tokio::test]
async fn a_content_whose_first_part_was_changed_is_refused_before_anything_is_released() {
    let (world, link) = shared(scan(LENGTH)).await;
    rewrite(&world.hospital, |stored| stored[5000] = if stored[5000] == b'A' { b'B' } else { b'A' });
    for organisation in [&world.hospital, &world.payer] {
        problem(world.open(organisation, &link).await, 502, "record-tampered").await;
    }
}

#[tokio::test]
async fn a_content_that_is_not_as_published_further_on_breaks_the_transfer_visibly() {
    let (world, link) = shared(scan(LENGTH)).await;
    let original = std::fs::read(world.hospital.record()).unwrap();
    let line = original.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    type Change<'a> = (&'a str, Box<dyn Fn(&mut Vec<u8>) + 'a>);
    let changes: Vec<Change<'_>> = vec![
        ("the second part changed", Box::new(|stored| stored[line + 5000] = b'!')),
        ("the second part is the first again", Box::new(|stored| stored.copy_within(..line, line))),
        ("the last part dropped", Box::new(|stored| stored.truncate(2 * line))),
        ("cut off within a part", Box::new(|stored| stored.truncate(line + 5000))),
        ("something behind the last part", Box::new(|stored| stored.push(b'A'))),
    ];
    for (what, change) in changes {
        rewrite(&world.hospital, change);
        for organisation in [&world.hospital, &world.payer] {
            let response = world.open(organisation, &link).await;
            assert_eq!(response.status(), 200, "{what}");
            assert!(response.bytes().await.is_err(), "{what}: the transfer ended as if it were whole");
        }
        std::fs::write(world.hospital.record(), &original).unwrap();
    }
    assert_eq!(opened(&world, &world.payer, &link).await.len(), "/v1/openings//content".len() + 64);
}

#[tokio::test]
async fn parts_that_open_but_are_not_those_that_were_committed_to_are_not_released_whole() {
    let (world, link) = shared(scan(LENGTH)).await;
    let other = healthchain_gateway::content::ContentKey::generate().unwrap().commitment(b"another record").unwrap();
    for change in ["commitment", "hash"] {
        let links = world.ledger.state.lock().unwrap().links.clone();
        world.ledger.state.lock().unwrap().links.values_mut().for_each(|link| match change {
            "commitment" => link.current.commitment = other.parse().unwrap(),
            _ => link.current.content.hash = other.parse().unwrap(),
        });
        for organisation in [&world.hospital, &world.payer] {
            assert!(world.open(organisation, &link).await.bytes().await.is_err(), "{change}");
        }
        world.ledger.state.lock().unwrap().links = links;
    }
}

#[tokio::test]
async fn ranges_of_an_openings_content_are_given_as_they_are_wanted() {
    let record = scan(LENGTH);
    let (world, link) = shared(record.clone()).await;
    for organisation in [&world.hospital, &world.payer] {
        let place = opened(&world, organisation, &link).await;
        for (range, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=10-19", 10..20),
            ("bytes=1048570-1048585", PART_BYTES - 6..PART_BYTES + 10),
            ("bytes=1048576-", PART_BYTES..LENGTH),
            ("bytes=-5", LENGTH - 5..LENGTH),
            ("bytes=0-99999999", 0..LENGTH),
        ] {
            let response = get(organisation, &place, range).await;
            assert_eq!(response.status(), 206, "{range}");
            let headers = response.headers();
            let content_range = format!("bytes {}-{}/{LENGTH}", expected.start, expected.end - 1);
            assert_eq!(headers[header::CONTENT_RANGE], content_range.as_str());
            assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
            assert_eq!(headers[header::CONTENT_TYPE], "application/dicom");
            assert!(response.bytes().await.unwrap() == record[expected], "{range}");
        }
        problem(get(organisation, &place, "bytes=2098152-").await, 416, "range-not-satisfiable").await;
        let whole = get(organisation, &place, "bytes=0-1,5-6").await;
        assert_eq!((whole.status().as_u16(), whole.content_length()), (200, Some(LENGTH as u64)));
    }
}

#[tokio::test]
async fn a_range_of_a_record_that_is_one_jwe_is_given_as_well() {
    let world = World::new().await;
    world.entitle_payer_at_publication();
    let link = world.published().await;
    let place = opened(&world, &world.payer, &link).await;
    let response = get(&world.payer, &place, "bytes=2-13").await;
    assert_eq!(response.status(), 206);
    assert_eq!(response.bytes().await.unwrap(), super::world::RECORD[2..14]);
}

#[tokio::test]
async fn a_range_of_another_state_gives_the_whole() {
    let (world, link) = shared(scan(LENGTH)).await;
    let place = opened(&world, &world.payer, &link).await;
    let first = get(&world.payer, &place, "bytes=0-9").await;
    let etag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
    for (etag, status) in [(etag.as_str(), 206), ("\"another\"", 200)] {
        let request = world.payer.member().get(world.payer.at(&place)).header(header::RANGE, "bytes=0-9");
        let response = request.header(header::IF_RANGE, etag).send().await.unwrap();
        assert_eq!(response.status(), status, "{etag}");
    }
}

#[tokio::test]
async fn a_changed_part_is_noticed_in_a_range_and_the_others_are_still_given() {
    let (world, link) = shared(scan(LENGTH)).await;
    let place = opened(&world, &world.payer, &link).await;
    rewrite(&world.hospital, |stored| stored[5000] = if stored[5000] == b'A' { b'B' } else { b'A' });
    problem(get(&world.payer, &place, "bytes=0-9").await, 502, "record-tampered").await;
    assert_eq!(get(&world.payer, &place, "bytes=1048576-1048577").await.status(), 206);
}

#[tokio::test]
async fn nobody_but_the_opener_has_an_openings_content() {
    let (world, link) = shared(scan(LENGTH)).await;
    let place = opened(&world, &world.payer, &link).await;
    // The ledger gives the envelope to the opener alone.
    problem(get(&world.hospital, &place, "bytes=0-9").await, 404, "unknown-opening").await;
    let colleague = world.payer.add_member(&world.ledger, "officer-8");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let colleague = world.payer.client(Some(&colleague));
    problem(colleague.get(world.payer.at(&place)).send().await.unwrap(), 404, "unknown-opening").await;
}

#[tokio::test]
async fn an_openings_content_is_given_for_minutes_and_while_it_is_in_force() {
    let (world, link) = shared(scan(LENGTH)).await;
    let place = opened(&world, &world.payer, &link).await;
    world.ledger.state.lock().unwrap().permitted.remove(&world.payer.msp_id);
    problem(get(&world.payer, &place, "bytes=0-9").await, 403, "opening-not-in-force").await;

    world.ledger.state.lock().unwrap().permitted.insert(world.payer.msp_id.clone());
    let old = LedgerTime::from_milliseconds(now().milliseconds() - 5 * 60_000 - 1);
    world.ledger.state.lock().unwrap().openings.values_mut().for_each(|opening| opening.time = old);
    problem(get(&world.payer, &place, "bytes=0-9").await, 403, "opening-too-old").await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_in_the_store_and_no_link() {
    let world = World::new().await;
    let chunks = futures::stream::iter([Ok(vec![7; 2 * PART_BYTES]), Err("the line is cut")]);
    let request = world.hospital.member().post(world.hospital.at("/v1/links?patient=anna&category=imaging"));
    let request = request.header("idempotency-key", "scan").header("content-type", "application/dicom");
    assert!(request.body(reqwest::Body::wrap_stream(chunks)).send().await.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(std::fs::read_dir(world.hospital.records()).unwrap().count(), 0);
    assert_eq!(world.ledger.called("Links:publish"), 0);
}

#[tokio::test]
async fn a_record_of_unknown_length_that_turns_out_too_long_is_refused() {
    let world = World::new().await;
    let chunks = futures::stream::iter((0..9).map(|_| Ok::<_, String>(vec![7; PART_BYTES / 2 + 1])));
    let request = world.hospital.member().post(world.hospital.at("/v1/links?patient=anna&category=imaging"));
    let request = request.header("idempotency-key", "scan").header("content-type", "application/dicom");
    let response = request.body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    problem(response, 413, "record-too-large").await;
    assert_eq!(world.ledger.called("Links:publish"), 0);
}
