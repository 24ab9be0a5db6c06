//! Uploads that are taken up again (tus).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::state::State;
use healthchain_gateway::state::uploads::{self, Quota};
use healthchain_gateway::use_cases::upload::{UploadLimits, collect};
use healthchain_rules::LedgerTime;
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::ledger::now;
use super::s3;
use super::world::{MAX_RECORD_BYTES, World, answer, problem};

const PIECE: usize = 1 << 20;

/// A hospital whose member may publish, and its member's client.
struct Ward {
    world: World,
    member: Client,
    base: String,
}

impl Ward {
    async fn new() -> Self {
        Self::of(World::new().await)
    }

    fn of(world: World) -> Self {
        is_known_as(&world, "clinician");
        Self { member: world.hospital.member(), base: world.hospital.url.clone(), world }
    }

    /// A request of the protocol.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.member.request(method, format!("{}{path}", self.base)).header("tus-resumable", "1.0.0")
    }

    async fn begin(&self, length: usize) -> Response {
        let request = self.request(Method::POST, "/v1/uploads").header("upload-length", length);
        request.header("upload-metadata", metadata("text/plain")).send().await.unwrap()
    }

    async fn begun(&self, length: usize) -> String {
        let response = self.begin(length).await;
        assert_eq!(response.status(), 201);
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    fn patch(&self, upload: &str, offset: usize) -> RequestBuilder {
        let request = self.request(Method::PATCH, upload).header("upload-offset", offset);
        request.header("content-type", "application/offset+octet-stream")
    }

    async fn send(&self, upload: &str, offset: usize, bytes: &[u8]) -> Response {
        self.patch(upload, offset).body(bytes.to_vec()).send().await.unwrap()
    }

    async fn sent(&self, upload: &str, offset: usize, bytes: &[u8]) {
        let response = self.send(upload, offset, bytes).await;
        assert_eq!(response.status(), 204, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["upload-offset"], (offset + bytes.len()).to_string());
    }

    async fn offset(&self, upload: &str) -> usize {
        let response = self.request(Method::HEAD, upload).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.headers()["upload-offset"].to_str().unwrap().parse().unwrap()
    }

    async fn whole(&self, record: &[u8]) -> String {
        let upload = self.begun(record.len()).await;
        self.sent(&upload, 0, record).await;
        upload
    }

    fn publication(&self, upload: &str, key: &str) -> RequestBuilder {
        let id = upload.rsplit('/').next().unwrap();
        let request = self.request(Method::POST, &format!("/v1/links?patient=anna&category=imaging&upload={id}"));
        request.header("idempotency-key", key)
    }

    async fn publish(&self, upload: &str, key: &str) -> Response {
        self.publication(upload, key).send().await.unwrap()
    }

    async fn opened(&self, link: &Value) -> Vec<u8> {
        let response = self.world.open(&self.world.hospital, link["id"].as_str().unwrap()).await;
        response.bytes().await.unwrap().to_vec()
    }

    fn stored(&self) -> usize {
        std::fs::read_dir(self.world.hospital.records()).map_or(0, Iterator::count)
    }
}

pub(crate) fn is_known_as(world: &World, role: &str) {
    let key = json!({"public_key": String::from(world.ledger.state.lock().unwrap().recipients[0].key.public_key.clone()),
        "key_hash": "ab".repeat(32)});
    let member = json!({
        "id": "dr-grey", "organisation": "HospitalMSP", "role": role, "key_hash": "ab".repeat(32), "encryption_key": key,
        "attestation": {"by": "boss", "at": 0}, "standing": {"standing": "active"},
    });
    world.ledger.state.lock().unwrap().answers.insert("Members:member".into(), member);
}

pub(crate) fn metadata(media_type: &str) -> String {
    format!("filename {},filetype {}", STANDARD.encode("Anna Ström.txt"), STANDARD.encode(media_type))
}

fn record(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 % 251) as u8).collect()
}

fn later() -> LedgerTime {
    LedgerTime::from_milliseconds(now().milliseconds() + 1000)
}

#[tokio::test]
async fn a_record_that_comes_bit_by_bit_is_published_whole_and_its_pieces_are_destroyed() {
    let ward = Ward::new().await;
    let record = record(2 * PIECE + 500_003);
    let upload = ward.begun(record.len()).await;
    let mut offset = 0;
    for end in [10, 700_000, PIECE, PIECE + 1, 2 * PIECE + 3, record.len()] {
        ward.sent(&upload, offset, &record[offset..end]).await;
        offset = end;
        assert_eq!(ward.offset(&upload).await, end);
    }
    assert_eq!(ward.stored(), 3, "a piece that grew is stored once");
    let (status, link) = answer(ward.publish(&upload, "scan").await).await;
    assert_eq!(status, 201, "{link}");
    assert_eq!(link["current"]["content"]["media_type"], "text/plain");
    assert!(ward.opened(&link).await == record);
    assert_eq!(ward.stored(), 1);
}

#[tokio::test]
async fn an_upload_says_how_far_it_is_and_until_when_it_waits() {
    let ward = Ward::new().await;
    let response = ward.begin(10).await;
    assert_eq!(response.headers()["tus-resumable"], "1.0.0");
    let upload = response.headers()["location"].to_str().unwrap().to_owned();
    ward.sent(&upload, 0, b"12345").await;
    let response = ward.request(Method::HEAD, &upload).send().await.unwrap();
    for (header, value) in [("upload-offset", "5"), ("upload-length", "10"), ("cache-control", "no-store")] {
        assert_eq!(response.headers()[header], value);
    }
    assert_eq!(response.headers()["upload-metadata"], metadata("text/plain"));
    assert!(response.headers()["upload-expires"].to_str().unwrap().ends_with(" GMT"));

    let asked = ward.member.request(Method::OPTIONS, format!("{}/v1/uploads", ward.base)).send().await.unwrap();
    assert!(asked.status().is_success());
    assert_eq!(asked.headers()["tus-version"], "1.0.0");
    assert_eq!(asked.headers()["tus-extension"], "creation,expiration,checksum,termination");
    assert_eq!(asked.headers()["tus-max-size"], MAX_RECORD_BYTES.to_string());
    assert_eq!(asked.headers()["tus-checksum-algorithm"], "sha1,sha256,sha512");
}

#[tokio::test]
async fn what_does_not_speak_the_protocol_is_told_what_is_missing() {
    let ward = Ward::new().await;
    let begin = || ward.member.post(format!("{}/v1/uploads", ward.base));
    let response = begin().header("upload-length", 5).header("upload-metadata", metadata("text/plain")).send();
    let response = response.await.unwrap();
    assert_eq!(response.headers()["tus-version"], "1.0.0");
    problem(response, 412, "tus-version").await;
    let begin = || begin().header("tus-resumable", "1.0.0");
    for length in ["", "-1", "five", "5.0", "99999999999999999999"] {
        let request = begin().header("upload-metadata", metadata("text/plain")).header("upload-length", length);
        let told = problem(request.send().await.unwrap(), 400, "tus-header").await;
        assert!(told["detail"].as_str().unwrap().contains("upload-length"), "{told}");
    }
    for said in ["", "filename YQ==", "filetype ?", &format!("{}{}", metadata("text/plain"), "a".repeat(1024))] {
        let request = begin().header("upload-length", 5).header("upload-metadata", said);
        problem(request.send().await.unwrap(), 400, "tus-header").await;
    }
    for media_type in ["multipart/form-data", "no type", ""] {
        let request = begin().header("upload-length", 5).header("upload-metadata", metadata(media_type));
        problem(request.send().await.unwrap(), 415, "media-type-not-a-record").await;
    }
    let upload = ward.begun(5).await;
    let patch = ward.request(Method::PATCH, &upload);
    problem(patch.header("upload-offset", 0).body("12345").send().await.unwrap(), 415, "tus-media-type").await;
    let patch = ward.request(Method::PATCH, &upload).header("content-type", "application/offset+octet-stream");
    problem(patch.body("12345").send().await.unwrap(), 400, "tus-header").await;
    for checksum in ["", "sha1", "md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha256 AAAA"] {
        let patch = ward.patch(&upload, 0).header("upload-checksum", checksum);
        problem(patch.body("12345").send().await.unwrap(), 400, "tus-header").await;
    }
    assert_eq!(ward.offset(&upload).await, 0);
}

#[tokio::test]
async fn an_upload_is_begun_by_those_who_publish_and_of_a_length_that_is_taken() {
    let ward = Ward::new().await;
    problem(ward.begin(0).await, 400, "record-empty").await;
    problem(ward.begin(MAX_RECORD_BYTES + 1).await, 413, "record-too-large").await;
    is_known_as(&ward.world, "patient");
    problem(ward.begin(5).await, 403, "not-permitted").await;
}

#[tokio::test]
async fn it_goes_on_where_it_is_and_nowhere_else() {
    let ward = Ward::new().await;
    let upload = ward.begun(20).await;
    ward.sent(&upload, 0, b"0123456789").await;
    for offset in [0, 5, 9, 11, 20, 1000] {
        let told = problem(ward.send(&upload, offset, b"x").await, 409, "upload-elsewhere").await;
        assert!(told["detail"].as_str().unwrap().contains("10 bytes"), "{told}");
    }
    assert_eq!(ward.offset(&upload).await, 10);
}

#[tokio::test]
async fn more_than_was_announced_is_not_taken() {
    let ward = Ward::new().await;
    let upload = ward.begun(20).await;
    ward.sent(&upload, 0, b"0123456789").await;
    problem(ward.send(&upload, 10, b"0123456789+").await, 413, "upload-beyond-length").await;
    // Of unknown length.
    let chunks = [Ok::<_, std::io::Error>(Bytes::from_static(b"01234")), Ok(Bytes::from_static(b"56789+"))];
    let body = Body::wrap_stream(futures::stream::iter(chunks));
    let response = ward.patch(&upload, 10).body(body).send().await.unwrap();
    problem(response, 413, "upload-beyond-length").await;
    assert_eq!(ward.offset(&upload).await, 10);
    ward.sent(&upload, 10, b"0123456789").await;
    problem(ward.send(&upload, 20, b"+").await, 413, "upload-beyond-length").await;
    ward.sent(&upload, 20, b"").await;
}

#[tokio::test]
async fn what_its_checksum_is_not_of_leaves_nothing() {
    let ward = Ward::new().await;
    let record = record(PIECE + 7);
    let upload = ward.begun(record.len()).await;
    let wrong = ["sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=".to_owned(), sum(&record[1..])];
    for checksum in wrong {
        let patch = ward.patch(&upload, 0).header("upload-checksum", checksum);
        problem(patch.body(record.clone()).send().await.unwrap(), 460, "checksum-mismatch").await;
        assert_eq!((ward.offset(&upload).await, ward.stored()), (0, 0));
    }
    let patch = ward.patch(&upload, 0).header("upload-checksum", sum(&record));
    assert_eq!(patch.body(record.clone()).send().await.unwrap().status(), 204);
    assert_eq!(ward.offset(&upload).await, record.len());
}

fn sum(bytes: &[u8]) -> String {
    format!("sha256 {}", STANDARD.encode(openssl::sha::sha256(bytes)))
}

/// A body that breaks off behind these bytes.
fn breaking(bytes: &[u8]) -> Body {
    let bytes = Bytes::copy_from_slice(bytes);
    let broken = std::io::Error::other("the line broke");
    let pause = futures::stream::once(async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Err(broken)
    });
    Body::wrap_stream(futures::StreamExt::chain(futures::stream::iter([Ok(bytes)]), pause))
}

#[tokio::test]
async fn when_the_line_breaks_what_came_is_kept_unless_a_checksum_speaks_of_more() {
    let ward = Ward::new().await;
    let record = record(PIECE + 1000);
    let upload = ward.begun(record.len()).await;
    assert!(ward.patch(&upload, 0).body(breaking(&record[..PIECE + 10])).send().await.is_err());
    for _ in 0..50 {
        if ward.offset(&upload).await == PIECE + 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ward.offset(&upload).await, PIECE + 10);
    let patch = ward.patch(&upload, PIECE + 10).header("upload-checksum", sum(&record[PIECE + 10..]));
    assert!(patch.body(breaking(&record[PIECE + 10..PIECE + 20])).send().await.is_err());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ward.offset(&upload).await, PIECE + 10);
    ward.sent(&upload, PIECE + 10, &record[PIECE + 10..]).await;
    let (_, link) = answer(ward.publish(&upload, "scan").await).await;
    assert!(ward.opened(&link).await == record);
}

#[tokio::test]
async fn of_two_who_go_on_at_once_the_later_one_does() {
    let ward = Ward::new().await;
    let (one, other) = (vec![1; 3 * PIECE], vec![2; 3 * PIECE]);
    let upload = ward.begun(one.len()).await;
    let (go_on, waits) = tokio::sync::oneshot::channel::<()>();
    let (half, rest) = (Bytes::copy_from_slice(&one[..100]), Bytes::copy_from_slice(&one[100..]));
    let rest = futures::stream::once(async move {
        waits.await.unwrap();
        Ok::<_, std::io::Error>(rest)
    });
    let body = Body::wrap_stream(futures::StreamExt::chain(futures::stream::iter([Ok(half)]), rest));
    let slow = tokio::spawn(ward.patch(&upload, 0).body(body).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    ward.sent(&upload, 0, &other).await;
    go_on.send(()).unwrap();
    problem(slow.await.unwrap().unwrap(), 409, "upload-elsewhere").await;
    let (_, link) = answer(ward.publish(&upload, "scan").await).await;
    assert!(ward.opened(&link).await == other);
    assert_eq!(ward.stored(), 1, "what the other had stored is gone");
}

#[tokio::test]
async fn an_upload_is_its_members_alone() {
    let ward = Ward::new().await;
    let upload = ward.whole(b"a record").await;
    let colleague = ward.world.colleague().await;
    let stranger = Ward { member: colleague, base: ward.base.clone(), world: ward.world };
    assert_eq!(stranger.request(Method::HEAD, &upload).send().await.unwrap().status(), 404);
    problem(stranger.send(&upload, 8, b"").await, 404, "upload-unknown").await;
    problem(stranger.publish(&upload, "mine").await, 404, "upload-unknown").await;
    problem(stranger.request(Method::DELETE, &upload).send().await.unwrap(), 404, "upload-unknown").await;
    let ward = Ward { member: stranger.world.hospital.member(), ..stranger };
    assert_eq!(ward.offset(&upload).await, 8);
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_gone_with_its_pieces() {
    let ward = Ward::new().await;
    let upload = ward.whole(&record(PIECE + 1)).await;
    assert_eq!(ward.request(Method::DELETE, &upload).send().await.unwrap().status(), 204);
    assert_eq!(ward.stored(), 0);
    problem(ward.request(Method::DELETE, &upload).send().await.unwrap(), 404, "upload-unknown").await;
    problem(ward.publish(&upload, "scan").await, 404, "upload-unknown").await;
}

/// A gateway of the hospital with limits of its own.
async fn limited(ward: &Ward, limits: UploadLimits) -> (super::world::Twin, Arc<Gateway>) {
    let mut kept = None;
    let twin = ward.world.hospital.twin(|gateway| {
        gateway.uploads = limits;
        kept = Some(Arc::new(gateway.clone()));
    });
    (twin.await, kept.unwrap())
}

#[tokio::test]
async fn an_upload_past_its_time_is_unknown_and_collected() {
    let mut ward = Ward::new().await;
    let quota = Quota { count: 8, bytes: 1 << 30 };
    let (twin, gateway) = limited(&ward, UploadLimits { quota, patience: Duration::from_millis(1500) }).await;
    ward.base = twin.at("");
    let upload = ward.whole(&record(PIECE + 1)).await;
    collect(&gateway, later()).await.unwrap();
    assert_eq!((ward.stored(), ward.offset(&upload).await), (2, PIECE + 1), "what is under way stays");
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert_eq!(ward.request(Method::HEAD, &upload).send().await.unwrap().status(), 404);
    problem(ward.send(&upload, PIECE + 1, b"").await, 404, "upload-unknown").await;
    problem(ward.publish(&upload, "scan").await, 404, "upload-unknown").await;
    collect(&gateway, LedgerTime::from_milliseconds(0)).await.unwrap();
    assert_eq!(ward.stored(), 0);
}

#[tokio::test]
async fn one_member_has_so_many_uploads_and_bytes_under_way_and_not_more() {
    let mut ward = Ward::new().await;
    let limits = UploadLimits { quota: Quota { count: 2, bytes: 100 }, patience: Duration::from_secs(60) };
    let (twin, _) = limited(&ward, limits).await;
    ward.base = twin.at("");
    let first = ward.whole(b"the first record").await;
    problem(ward.begin(85).await, 409, "uploads-too-many").await;
    let second = ward.begun(84).await;
    problem(ward.begin(1).await, 409, "uploads-too-many").await;
    assert_eq!(ward.request(Method::DELETE, &second).send().await.unwrap().status(), 204);
    ward.begun(84).await;
    problem(ward.begin(1).await, 409, "uploads-too-many").await;
    assert_eq!(ward.publish(&first, "scan").await.status(), 201);
    ward.begun(16).await;
}

/// Bytes with a checksum lie in the store before they count: whoever sends them again and again has no more of them there than once.
#[tokio::test]
async fn bytes_that_wait_for_their_checksum_take_no_room_beyond_the_quota() {
    let mut ward = Ward::new().await;
    let record = record(2 * PIECE + 7);
    let quota = Quota { count: 1, bytes: record.len() as u64 };
    let (twin, _) = limited(&ward, UploadLimits { quota, patience: Duration::from_secs(60) }).await;
    ward.base = twin.at("");
    let upload = ward.begun(record.len()).await;
    problem(ward.begin(1).await, 409, "uploads-too-many").await;

    // Each stays open behind its first pieces, and the next one takes over.
    let mut under_way = Vec::new();
    for _ in 0..4 {
        let (go_on, waits) = tokio::sync::oneshot::channel::<()>();
        let first = Bytes::copy_from_slice(&record[..2 * PIECE]);
        let rest = Bytes::copy_from_slice(&record[2 * PIECE..]);
        let rest = futures::stream::once(async move {
            waits.await.unwrap();
            Ok::<_, std::io::Error>(rest)
        });
        let body = Body::wrap_stream(futures::StreamExt::chain(futures::stream::iter([Ok(first)]), rest));
        let patch = ward.patch(&upload, 0).header("upload-checksum", sum(&record)).body(body);
        under_way.push((go_on, tokio::spawn(patch.send())));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(ward.stored(), 2, "of those who were overtaken nothing is left, though they still wait");
    let (go_on, request) = under_way.pop().unwrap();
    for (go_on, request) in under_way {
        go_on.send(()).unwrap();
        problem(request.await.unwrap().unwrap(), 409, "upload-elsewhere").await;
    }
    assert_eq!((ward.offset(&upload).await, ward.stored()), (0, 2), "nothing counts yet");
    go_on.send(()).unwrap();
    assert_eq!(request.await.unwrap().unwrap().status(), 204);
    assert_eq!((ward.offset(&upload).await, ward.stored()), (record.len(), 3));
    problem(ward.begin(1).await, 409, "uploads-too-many").await;

    // Beyond what was announced nothing is stored, whatever the checksum says.
    let beyond = [&record[..], b"+"].concat();
    let patch = ward.patch(&upload, record.len()).header("upload-checksum", sum(&beyond)).body(beyond);
    problem(patch.send().await.unwrap(), 413, "upload-beyond-length").await;
    assert_eq!(ward.stored(), 3);
}

#[tokio::test]
async fn publishing_an_upload_again_is_harmless_and_as_something_else_is_refused() {
    let ward = Ward::new().await;
    let upload = ward.whole(b"a record").await;
    let (status, link) = answer(ward.publish(&upload, "scan").await).await;
    assert_eq!(status, 201);
    let again = ward.publish(&upload, "scan").await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(answer(again).await, (200, link));
    problem(ward.publish(&upload, "another").await, 409, "upload-used").await;
    problem(ward.send(&upload, 8, b"").await, 409, "upload-used").await;
    let path = format!("/v1/links?patient=berta&category=imaging&upload={}", upload.rsplit('/').next().unwrap());
    let other = ward.request(Method::POST, &path).header("idempotency-key", "scan").send().await.unwrap();
    problem(other, 422, "idempotency-key-reused").await;
    assert_eq!(ward.world.ledger.called("Links:publish"), 1);
}

/// The publication is committed, but the answer is lost: the pieces are still there, and are compared.
#[tokio::test]
async fn an_answer_lost_after_the_commit_is_found_by_the_same_publication_of_the_upload() {
    let ward = Ward::new().await;
    let upload = ward.whole(&record(PIECE + 9)).await;
    let lost =
        healthchain_gateway::ledger::LedgerFailure::OutcomeUnknown { transaction: "ab".into(), reason: "lost".into() };
    ward.world.ledger.fail_next("Links:publish", super::ledger::When::After, lost);
    problem(ward.publish(&upload, "scan").await, 504, "commit-outcome-unknown").await;
    assert_eq!(ward.stored(), 3);
    assert_eq!(ward.publish(&upload, "scan").await.status(), 200);
    assert_eq!(ward.stored(), 1);
}

#[tokio::test]
async fn what_is_not_whole_or_not_what_it_should_be_is_not_published() {
    let ward = Ward::new().await;
    let upload = ward.begun(8).await;
    ward.sent(&upload, 0, b"a rec").await;
    let told = problem(ward.publish(&upload, "scan").await, 409, "upload-incomplete").await;
    assert!(told["detail"].as_str().unwrap().contains("5 of 8"), "{told}");
    ward.sent(&upload, 5, b"ord").await;
    let digest = |bytes| format!("sha-256=:{}:", STANDARD.encode(openssl::sha::sha256(bytes)));
    let publication = ward.publication(&upload, "scan").header("repr-digest", digest(b"another"));
    problem(publication.send().await.unwrap(), 400, "record-digest-mismatch").await;
    let publication = ward.publication(&upload, "scan").body("a body besides");
    problem(publication.send().await.unwrap(), 400, "upload-and-body").await;
    problem(ward.publish("/v1/uploads/NONE", "scan").await, 400, "malformed-query").await;
    problem(ward.publish("/v1/uploads/none", "scan").await, 404, "upload-unknown").await;
    assert_eq!(ward.world.ledger.called("Links:publish"), 0);
    let publication = ward.publication(&upload, "scan").header("repr-digest", digest(b"a record"));
    assert_eq!(publication.send().await.unwrap().status(), 201);
    // The same for a record in the body.
    let direct = ward.request(Method::POST, "/v1/links?patient=anna&category=imaging").header("idempotency-key", "2");
    let direct = direct.header("content-type", "text/plain").header("repr-digest", digest(b"a record"));
    problem(direct.body("a recorD").send().await.unwrap(), 400, "record-digest-mismatch").await;
}

#[tokio::test]
async fn what_lies_in_store_and_state_cannot_be_read() {
    let ward = Ward::new().await;
    let text = "Anna Ström, born 1984-02-29: carcinoma. ".repeat(40_000);
    let upload = ward.whole(text.as_bytes()).await;
    for entry in std::fs::read_dir(ward.world.hospital.records()).unwrap() {
        let stored = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!stored.windows(9).any(|window| window == b"carcinoma") && stored.starts_with(b"eyJ"));
    }
    let (id, member) = (upload.rsplit('/').next().unwrap().parse().unwrap(), "dr-grey".parse().unwrap());
    let state = &ward.world.hospital.gateway.state;
    let known = uploads::load(state, &id, &member, now()).await.unwrap().unwrap();
    let metadata = metadata("text/plain");
    assert!(!known.sealed.windows(8).any(|window| metadata.as_bytes().windows(8).any(|secret| secret == window)));
    // A piece in another's place does not open.
    let pieces = uploads::pieces(state, &id).await.unwrap();
    let file = |number: usize| ward.world.hospital.records().join(&pieces[number].name);
    std::fs::copy(file(1), file(0)).unwrap();
    problem(ward.publish(&upload, "scan").await, 502, "record-tampered").await;
}

#[tokio::test]
async fn gateways_of_one_state_go_on_with_each_others_uploads() {
    let mut ward = Ward::new().await;
    let other = ward.world.hospital.twin(|_| ()).await;
    let here = ward.base.clone();
    let record = record(PIECE + 100);
    let upload = ward.begun(record.len()).await;
    for (number, offset) in (0..record.len()).step_by(300_000).enumerate() {
        ward.base = if number % 2 == 0 { other.at("") } else { here.clone() };
        ward.sent(&upload, offset, &record[offset..(offset + 300_000).min(record.len())]).await;
    }
    let (_, link) = answer(ward.publish(&upload, "scan").await).await;
    assert!(ward.opened(&link).await == record);
}

#[tokio::test]
async fn uploads_lie_in_s3_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new().await;
    let gateway = Gateway::clone(&world.hospital.gateway);
    let server = s3::Server::start(folder.path()).await;
    let records = Arc::new(server.store(s3::SECRET));
    world.hospital.gateway = Arc::new(Gateway { records, ..gateway });
    world.restart_hospital().await;
    let ward = Ward::of(world);
    let record = record(PIECE + 11);
    let upload = ward.begun(record.len()).await;
    ward.sent(&upload, 0, &record[..PIECE + 1]).await;
    ward.sent(&upload, PIECE + 1, &record[PIECE + 1..]).await;
    let (_, link) = answer(ward.publish(&upload, "scan").await).await;
    assert!(ward.opened(&link).await == record);
    assert_eq!(std::fs::read_dir(folder.path().join("records/hospital")).unwrap().count(), 1);
}

#[tokio::test]
async fn the_next_version_may_be_an_upload() {
    let ward = Ward::new().await;
    let link = ward.world.published().await;
    let upload = ward.whole(b"the second version").await;
    let id = upload.rsplit('/').next().unwrap();
    let propose = |key: &str| {
        let path = format!("/v1/links/{link}/amendments?base_version=1&reason=better&upload={id}");
        ward.request(Method::POST, &path).header("idempotency-key", key).send()
    };
    let (status, amendment) = answer(propose("a-1").await.unwrap()).await;
    assert_eq!((status, ward.stored()), (201, 2), "{amendment}");
    assert_eq!(answer(propose("a-1").await.unwrap()).await, (200, amendment.clone()));
    problem(propose("a-2").await.unwrap(), 409, "upload-used").await;
    ward.world.ledger.approve(amendment["id"].as_str().unwrap());
    assert_eq!(ward.opened(&json!({"id": link})).await, b"the second version");
}

#[tokio::test]
async fn uploads_of_a_state_that_was_lost_are_unknown() {
    let mut ward = Ward::new().await;
    let upload = ward.whole(b"a record").await;
    let state = State::in_memory().await.unwrap();
    let twin = ward.world.hospital.twin(|gateway| gateway.state = state).await;
    ward.base = twin.at("");
    problem(ward.publish(&upload, "scan").await, 404, "upload-unknown").await;
}
