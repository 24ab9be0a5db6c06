//! Members who keep their keys: the gateway says what to sign, and never sees a key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use healthchain_gateway::content::Payload;
use healthchain_gateway::sealing::{DecryptionKey as _, EnvelopeContext};
use healthchain_rules::{EncryptionKey, Holder, KeyHash, Recipient};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::world::{OwnKey, RECORD, World, answer, problem};

const NOTARIZATIONS: &str = "/v1/notarizations";

fn notarization(id: &str) -> Value {
    json!({"notarization": id, "patient": "anna", "kind": "document", "hash": "ab".repeat(32), "bill_to": "organisation"})
}

fn request(world: &World, method: Method, path: &str) -> RequestBuilder {
    let request = world.hospital.member().request(method, world.hospital.at(path));
    request.header("healthchain-signing", "detached")
}

async fn prepared(world: &World, method: Method, path: &str, body: Option<Value>) -> Value {
    let mut request = request(world, method, path);
    if let Some(body) = body {
        request = request.json(&body);
    }
    to_sign(request.send().await.unwrap(), "proposal").await
}

/// What is to be signed, after a look at whether it is what it says.
async fn to_sign(response: Response, signs: &str) -> Value {
    let (status, awaited) = answer(response).await;
    assert_eq!((status, awaited["signs"].as_str()), (202, Some(signs)), "{awaited}");
    let bytes = URL_SAFE_NO_PAD.decode(awaited["bytes"].as_str().unwrap()).unwrap();
    let digest = URL_SAFE_NO_PAD.decode(awaited["digest"].as_str().unwrap()).unwrap();
    assert_eq!(digest, openssl::sha::sha256(&bytes));
    awaited
}

async fn give(world: &World, awaited: &Value, signature: &[u8]) -> Response {
    let request = world.hospital.member().post(world.hospital.at(awaited["signature_to"].as_str().unwrap()));
    request.json(&json!({"signature": URL_SAFE_NO_PAD.encode(signature)})).send().await.unwrap()
}

async fn sign(world: &World, awaited: &Value, key: &OwnKey) -> Response {
    let bytes = URL_SAFE_NO_PAD.decode(awaited["bytes"].as_str().unwrap()).unwrap();
    give(world, awaited, &key.signer.sign(&bytes).unwrap()).await
}

/// Another member of the hospital, as soon as the wallet is read again.
async fn colleague(world: &World) -> reqwest::Client {
    let certificate = world.hospital.add_member(&world.ledger, "dr-yang");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    world.hospital.client(Some(&certificate))
}

/// Both signatures.
async fn sign_both(world: &World, awaited: &Value, key: &OwnKey) -> Response {
    let transaction = to_sign(sign(world, awaited, key).await, "transaction").await;
    sign(world, &transaction, key).await
}

#[tokio::test]
async fn the_gateway_signs_for_nobody_whose_key_it_does_not_have() {
    let world = World::new().await;
    world.hospital.hand_over_key("dr-grey");
    let member = world.hospital.member();
    let get = member.get(world.hospital.at("/v1/me")).send().await.unwrap();
    problem(get, 409, "sign-yourself").await;
    let post = member.post(world.hospital.at(NOTARIZATIONS)).json(&notarization("n1")).send().await.unwrap();
    problem(post, 409, "sign-yourself").await;
    problem(world.open(&world.hospital, "l1").await, 409, "sign-yourself").await;
    assert_eq!(world.publish("key-1", RECORD).await.1["code"], "sign-yourself");
    assert!(world.ledger.state.lock().unwrap().calls.is_empty());
}

#[tokio::test]
async fn a_read_takes_one_signature_and_is_answered_as_its_route_answers() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let awaited = prepared(&world, Method::GET, "/v1/proposals?open=true&limit=3", None).await;
    assert!(world.ledger.state.lock().unwrap().calls.is_empty(), "nothing is asked without a signature");
    for _ in 0..2 {
        let response = sign(&world, &awaited, &key).await;
        assert!(response.headers().contains_key("etag"));
        assert_eq!(answer(response).await, (200, json!([{"limit": 3, "open": true}])));
    }
}

#[tokio::test]
async fn a_write_takes_two_signatures_and_is_answered_as_its_route_answers() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let awaited = prepared(&world, Method::POST, NOTARIZATIONS, Some(notarization("n1"))).await;
    let transaction = to_sign(sign(&world, &awaited, &key).await, "transaction").await;
    assert_eq!(transaction["transaction"], awaited["transaction"]);
    assert_ne!(transaction["bytes"], awaited["bytes"]);
    assert_eq!(transaction["result"], "so");
    assert_eq!(world.ledger.called("Notarizations:notarize"), 0);

    let response = sign(&world, &transaction, &key).await;
    assert_eq!(response.headers()["location"], "/v1/notarizations/n1");
    assert_eq!(answer(response).await, (201, json!([notarization("n1")])));
    assert_eq!(world.ledger.called("Notarizations:notarize"), 1);
}

#[tokio::test]
async fn a_signature_that_is_sent_again_does_nothing_twice() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let awaited = prepared(&world, Method::POST, NOTARIZATIONS, Some(notarization("n1"))).await;
    let transaction = to_sign(sign(&world, &awaited, &key).await, "transaction").await;
    let again = to_sign(sign(&world, &awaited, &key).await, "transaction").await;
    assert_eq!(again["bytes"], transaction["bytes"]);
    for _ in 0..3 {
        assert_eq!(sign(&world, &transaction, &key).await.status(), 201);
    }
    assert_eq!(world.ledger.called("Notarizations:notarize"), 1);
}

#[tokio::test]
async fn signatures_in_the_form_of_browsers_are_taken_too() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let awaited = prepared(&world, Method::GET, "/v1/proposals", None).await;
    let bytes = URL_SAFE_NO_PAD.decode(awaited["bytes"].as_str().unwrap()).unwrap();
    let der = openssl::ecdsa::EcdsaSig::from_der(&key.signer.sign(&bytes).unwrap()).unwrap();
    let p1363 = [der.r().to_vec_padded(32).unwrap(), der.s().to_vec_padded(32).unwrap()].concat();
    assert_eq!(give(&world, &awaited, &p1363).await.status(), 200);
}

#[tokio::test]
async fn a_signature_that_is_not_the_members_over_these_bytes_changes_nothing() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let stranger = world.payer.hand_over_key("officer-7");
    let awaited = prepared(&world, Method::POST, NOTARIZATIONS, Some(notarization("n1"))).await;
    problem(sign(&world, &awaited, &stranger).await, 422, "signature-refused").await;
    problem(give(&world, &awaited, b"no signature").await, 422, "signature-refused").await;
    problem(give(&world, &awaited, &key.signer.sign(b"other bytes").unwrap()).await, 422, "signature-refused").await;

    let transaction = to_sign(sign(&world, &awaited, &key).await, "transaction").await;
    let bytes = URL_SAFE_NO_PAD.decode(awaited["bytes"].as_str().unwrap()).unwrap();
    let of_the_proposal = key.signer.sign(&bytes).unwrap();
    problem(give(&world, &transaction, &of_the_proposal).await, 422, "signature-refused").await;
    problem(sign(&world, &transaction, &stranger).await, 422, "signature-refused").await;
    assert_eq!(world.ledger.called("Notarizations:notarize"), 0);
    assert_eq!(sign(&world, &transaction, &key).await.status(), 201);
}

#[tokio::test]
async fn what_waits_is_the_members_alone_in_its_order_and_for_minutes() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let awaited = prepared(&world, Method::POST, NOTARIZATIONS, Some(notarization("n1"))).await;
    let (path, signature) = (awaited["signature_to"].as_str().unwrap(), json!({"signature": "AAAA"}));

    let too_early = path.replace("proposal-", "transaction-");
    let response = world.hospital.member().post(world.hospital.at(&too_early)).json(&signature).send().await.unwrap();
    problem(response, 409, "signature-not-awaited").await;

    let colleague = colleague(&world).await;
    let response = colleague.post(world.hospital.at(path)).json(&signature).send().await.unwrap();
    problem(response, 404, "nothing-to-sign").await;
    let nowhere = world.hospital.at(&format!("/v1/transactions/{}/proposal-signature", "0".repeat(64)));
    let response = world.hospital.member().post(nowhere).json(&signature).send().await.unwrap();
    problem(response, 404, "nothing-to-sign").await;
    for body in [json!({}), json!({"signature": "?"}), json!({"signature": "AAAA", "key": "mine"})] {
        let response = world.hospital.member().post(world.hospital.at(path)).json(&body).send().await.unwrap();
        problem(response, 400, "malformed-body").await;
    }

    let pool = world.hospital.gateway.state.pool();
    sqlx::query("UPDATE awaited_signatures SET expires_at = 1").execute(pool).await.unwrap();
    problem(sign(&world, &awaited, &key).await, 404, "nothing-to-sign").await;
}

#[tokio::test]
async fn another_way_of_signing_a_condition_and_an_unusable_key_are_refused_before_anything_is_prepared() {
    let world = World::new().await;
    let me = || world.hospital.member().get(world.hospital.at("/v1/me"));
    let response = me().header("healthchain-signing", "elsewhere").send().await.unwrap();
    problem(response, 400, "signing-unknown").await;
    let post = request(&world, Method::POST, "/v1/links/l1/withdrawal").header("if-match", "*");
    problem(post.json(&json!({"reason": "duplicate"})).send().await.unwrap(), 412, "precondition-failed").await;
    let post = request(&world, Method::POST, "/v1/links/l1/withdrawal").header("idempotency-key", "two words");
    problem(post.json(&json!({"reason": "duplicate"})).send().await.unwrap(), 400, "idempotency-key-missing").await;
    let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM awaited_signatures")
        .fetch_one(world.hospital.gateway.state.pool())
        .await
        .unwrap();
    assert_eq!(waiting, 0);
}

fn is_known_as(world: &World, key: &OwnKey, role: &str, standing: Value) {
    let key = json!({"public_key": STANDARD.encode(key.encryption.public_key()), "key_hash": "ab".repeat(32)});
    let member = json!({
        "id": "dr-grey", "organisation": "HospitalMSP", "role": role, "key_hash": "ab".repeat(32), "encryption_key": key,
        "attestation": {"by": "boss", "at": 0}, "standing": standing,
    });
    world.ledger.state.lock().unwrap().answers.insert("Members:member".into(), member);
}

/// Found by review: whoever asked to publish, with the key elsewhere, learned to whom the record would be sealed, and filled the store.
#[tokio::test]
async fn who_does_not_publish_learns_no_recipients_and_stores_nothing() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let suspended = json!({"standing": "suspended", "by": "boss", "at": 0, "reason": "left"});
    for (role, standing) in [("patient", json!({"standing": "active"})), ("clinician", suspended)] {
        is_known_as(&world, &key, role, standing);
        let request = request(&world, Method::POST, "/v1/links?patient=anna&category=summary");
        let request = request.header("idempotency-key", "key-1").header("content-type", "application/fhir+json");
        problem(request.body(RECORD).send().await.unwrap(), 403, "not-permitted").await;
    }
    assert_eq!(world.ledger.called("Links:recipients"), 0);
    assert_eq!(std::fs::read_dir(world.hospital.records()).unwrap().count(), 0);
}

async fn publish(world: &World, key: &OwnKey) -> Value {
    is_known_as(world, key, "clinician", json!({"standing": "active"}));
    let request = request(world, Method::POST, "/v1/links?patient=anna&category=summary");
    let request = request.header("idempotency-key", "key-1").header("content-type", "application/fhir+json");
    let awaited = to_sign(request.body(RECORD).send().await.unwrap(), "proposal").await;
    let response = sign_both(world, &awaited, key).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, link) = answer(response).await;
    assert_eq!((status, location), (201, format!("/v1/links/{}", link["id"].as_str().unwrap())));
    link
}

async fn open(world: &World, link: &Value, key: &OwnKey) -> Response {
    let path = format!("/v1/links/{}/openings", link["id"].as_str().unwrap());
    let awaited = prepared(world, Method::POST, &path, Some(json!({"purpose": "treatment"}))).await;
    sign_both(world, &awaited, key).await
}

#[tokio::test]
async fn publishing_and_opening_for_the_organisation_take_two_signatures_each_and_end_as_ever() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let link = publish(&world, &key).await;
    let opened = open(&world, &link, &key).await;
    assert_eq!(opened.headers()["content-type"], "application/fhir+json");
    assert!(opened.headers().contains_key("repr-digest"));
    assert_eq!(opened.text().await.unwrap(), RECORD);
}

#[tokio::test]
async fn an_upload_is_published_by_two_signatures_and_is_done_with_then() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    is_known_as(&world, &key, "clinician", json!({"standing": "active"}));
    let tus = |method, path: &str| request(&world, method, path).header("tus-resumable", "1.0.0");
    let begin = tus(Method::POST, "/v1/uploads").header("upload-length", RECORD.len());
    let begin = begin.header("upload-metadata", format!("filetype {}", STANDARD.encode("text/plain")));
    let upload = begin.send().await.unwrap().headers()["location"].to_str().unwrap().to_owned();
    let send = tus(Method::PATCH, &upload).header("upload-offset", 0);
    let send = send.header("content-type", "application/offset+octet-stream").body(RECORD);
    assert_eq!(send.send().await.unwrap().status(), 204);

    let path = format!("/v1/links?patient=anna&category=summary&upload={}", upload.rsplit('/').next().unwrap());
    let publish = || request(&world, Method::POST, &path).header("idempotency-key", "key-1").send();
    let awaited = to_sign(publish().await.unwrap(), "proposal").await;
    let (status, link) = answer(sign_both(&world, &awaited, &key).await).await;
    assert_eq!(status, 201, "{link}");
    assert_eq!(open(&world, &link, &key).await.text().await.unwrap(), RECORD);
    assert_eq!(std::fs::read_dir(world.hospital.records()).unwrap().count(), 1);
    problem(publish().await.unwrap(), 409, "upload-used").await;
}

#[tokio::test]
async fn proposing_a_version_takes_two_signatures_and_no_other_role_gets_as_far() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let link = publish(&world, &key).await;
    let path = format!("/v1/links/{}/amendments?base_version=1&reason=mistaken", link["id"].as_str().unwrap());
    let propose = || {
        let request = request(&world, Method::POST, &path).header("idempotency-key", "key-2");
        request.header("content-type", "text/plain").body("the second version").send()
    };
    is_known_as(&world, &key, "patient", json!({"standing": "active"}));
    problem(propose().await.unwrap(), 403, "not-permitted").await;
    is_known_as(&world, &key, "clinician", json!({"standing": "active"}));
    let awaited = to_sign(propose().await.unwrap(), "proposal").await;
    let response = sign_both(&world, &awaited, &key).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, amendment) = answer(response).await;
    let id = amendment["id"].as_str().unwrap();
    assert_eq!((status, location), (201, format!("/v1/amendments/{id}")));
    world.ledger.approve(id);
    assert_eq!(open(&world, &link, &key).await.text().await.unwrap(), "the second version");
}

#[tokio::test]
async fn what_is_sealed_to_the_member_the_member_alone_opens() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    {
        // The ledger seals to the person, as it does for patients and for consents to one person.
        let mut state = world.ledger.state.lock().unwrap();
        let public_key = key.encryption.public_key();
        let recipient = Recipient {
            holder: Holder::Member("dr-grey".parse().unwrap()),
            key: EncryptionKey {
                public_key: STANDARD.encode(public_key).parse().unwrap(),
                key_hash: KeyHash::from_bytes(&fabric_msp::key_hash(public_key)),
            },
        };
        state.recipients.push(recipient.clone());
        state.recipient_of.insert(world.hospital.msp_id.clone(), recipient);
    }
    let link = publish(&world, &key).await;
    let response = open(&world, &link, &key).await;
    assert_eq!(response.headers()["content-type"], "application/vnd.healthchain.sealed-opening+json");
    let (status, sealed) = answer(response).await;
    assert_eq!(status, 200, "{sealed}");
    assert!(!sealed.to_string().contains("resourceType"));

    let context = EnvelopeContext {
        link: link["id"].as_str().unwrap(),
        version: 1,
        category: "summary",
        recipient_key_hash: key.encryption.key_hash(),
    };
    let envelope = STANDARD.decode(sealed["envelope"]["sealed"].as_str().unwrap()).unwrap();
    let payload = Payload::from_bytes(&key.encryption.unseal(&context, &envelope).unwrap()).unwrap();

    let content = sealed["content"].as_str().unwrap();
    let fetched = world.hospital.member().get(world.hospital.at(content)).send().await.unwrap();
    assert_eq!(
        (fetched.status().as_u16(), &fetched.headers()["content-type"]),
        (200, &"application/jose".parse().unwrap())
    );
    assert_eq!(payload.key.decrypt(&fetched.bytes().await.unwrap()).unwrap(), RECORD.as_bytes());

    let response = colleague(&world).await.get(world.hospital.at(content)).send().await.unwrap();
    problem(response, 404, "unknown-opening").await;
}

#[tokio::test]
async fn a_denied_opening_is_committed_and_told_as_ever() {
    let world = World::new().await;
    let key = world.hospital.hand_over_key("dr-grey");
    let link = publish(&world, &key).await;
    world.ledger.state.lock().unwrap().permitted.clear();
    let denied = problem(open(&world, &link, &key).await, 403, "consent-required").await;
    let opening = denied["opening"].as_str().unwrap().to_owned();
    let content = world.hospital.at(&format!("/v1/openings/{opening}/content"));
    problem(world.hospital.member().get(content).send().await.unwrap(), 403, "consent-required").await;
}
