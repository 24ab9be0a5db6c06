//! The organisation's own record numbers.

use healthchain_gateway::ledger::LedgerFailure;
use healthchain_rules::{Refusal, RefusalCode};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::ledger::When;
use super::world::{World, answer, problem};

const ANNA: &str = "4711-0815";

/// What the ledger says of a member.
fn person(id: &str, organisation: &str, role: &str) -> Value {
    json!({
        "id": id, "organisation": organisation, "role": role, "key_hash": "07".repeat(32),
        "encryption_key": {"public_key": format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{:A<85}A==", ""), "key_hash": "07".repeat(32)},
        "attestation": {"by": "admin-1", "at": 1_700_000_000_000_u64},
        "standing": {"standing": "active"},
    })
}

fn says(world: &World, function: &str, value: Value) {
    world.ledger.state.lock().unwrap().answers.insert(function.to_owned(), value);
}

/// A hospital whose member the ledger knows in this role, and a patient.
async fn world(role: &str) -> World {
    let world = World::new().await;
    knows(&world, role);
    world
}

/// The ledger knows the hospital's member in this role, and a patient.
pub(crate) fn knows(world: &World, role: &str) {
    says(world, "Members:me", json!({"member": person("dr-grey", "HospitalMSP", role)}));
    says(world, "Members:member", person("anna", "HospitalMSP", "patient"));
}

fn identifier(value: &str) -> Value {
    json!({"system": "urn:oid:2.999.1", "value": value})
}

async fn send(world: &World, client: &Client, path: &str, body: &Value) -> Response {
    client.post(world.hospital.at(path)).json(body).send().await.unwrap()
}

async fn enter(world: &World, value: &str, patient: &str) -> Response {
    let entry = json!({"identifier": identifier(value), "patient": patient});
    send(world, &world.hospital.member(), "/v1/patient-index", &entry).await
}

async fn search(world: &World, wanted: Value) -> Value {
    let (status, found) =
        answer(send(world, &world.hospital.member(), "/v1/patient-index/searches", &wanted).await).await;
    assert_eq!(status, 200, "{found}");
    found["entries"].clone()
}

#[tokio::test]
async fn a_number_leads_to_its_patient_and_a_patient_to_its_numbers() {
    let world = world("clinician").await;
    let entry = json!({"identifier": identifier(ANNA), "patient": "anna"});
    assert_eq!(answer(enter(&world, ANNA, "anna").await).await, (201, entry.clone()));
    assert_eq!(enter(&world, ANNA, "anna").await.status(), 200, "it was there before");
    assert_eq!(search(&world, json!({"identifier": identifier(ANNA)})).await, json!([entry]));
    assert_eq!(search(&world, json!({"patient": "anna"})).await, json!([entry]));
    assert_eq!(search(&world, json!({"patient": "bert"})).await, json!([]));
    for other in [identifier("4711-0816"), json!({"system": "urn:oid:2.999.2", "value": ANNA})] {
        assert_eq!(search(&world, json!({"identifier": other})).await, json!([]));
    }
}

#[tokio::test]
async fn a_number_stands_for_one_patient_until_it_is_taken_out() {
    let world = world("maintainer").await;
    assert_eq!(enter(&world, ANNA, "anna").await.status(), 201);
    says(&world, "Members:member", person("bert", "HospitalMSP", "patient"));
    problem(enter(&world, ANNA, "bert").await, 409, "identifier-of-another-patient").await;

    let member = world.hospital.member();
    let removal = json!({"identifier": identifier(ANNA)});
    let remove = || send(&world, &member, "/v1/patient-index/removals", &removal);
    assert_eq!(answer(remove().await).await.1["patient"], "anna");
    problem(remove().await, 404, "identifier-unknown").await;
    assert_eq!(enter(&world, ANNA, "bert").await.status(), 201);
}

#[tokio::test]
async fn the_index_is_for_the_organisations_active_clinicians_and_maintainers_only() {
    let world = world("clinician").await;
    assert_eq!(enter(&world, ANNA, "anna").await.status(), 201);
    let mut suspended = person("dr-grey", "HospitalMSP", "clinician");
    suspended["standing"] =
        json!({"standing": "suspended", "by": "admin-1", "at": 1_700_000_000_000_u64, "reason": "leave"});
    let roles =
        ["administrator", "patient", "guardian", "pharmacist", "payer-officer", "privacy-officer", "analyst", "agent"];
    let others = roles.map(|role| person("dr-grey", "HospitalMSP", role)).into_iter();
    for other in others.chain([suspended, person("dr-grey", "PayerMSP", "clinician")]) {
        says(&world, "Members:me", json!({"member": other}));
        let member = world.hospital.member();
        let asked = [
            enter(&world, "4711-0816", "anna").await,
            send(&world, &member, "/v1/patient-index/searches", &json!({"patient": "anna"})).await,
            send(&world, &member, "/v1/patient-index/removals", &json!({"identifier": identifier(ANNA)})).await,
        ];
        for refused in asked {
            problem(refused, 403, "patient-index-not-permitted").await;
        }
    }
    let stranger = world.hospital.client(None);
    let asked = send(&world, &stranger, "/v1/patient-index/searches", &json!({"patient": "anna"})).await;
    problem(asked, 401, "client-certificate-missing").await;
}

#[tokio::test]
async fn only_a_patient_whom_the_ledger_knows_is_entered() {
    let world = world("clinician").await;
    says(&world, "Members:member", person("dr-yang", "HospitalMSP", "clinician"));
    problem(enter(&world, ANNA, "dr-yang").await, 422, "not-a-patient").await;
    let (status, message) = Refusal::new(RefusalCode::UnknownMember, "said by the test").into();
    let unknown = LedgerFailure::Refused { status: i32::from(status), message };
    world.ledger.fail_next("Members:member", When::Before, unknown);
    problem(enter(&world, ANNA, "nobody").await, status, "unknown-member").await;
    assert_eq!(search(&world, json!({"identifier": identifier(ANNA)})).await, json!([]));
}

#[tokio::test]
async fn what_is_no_identifier_is_refused() {
    let world = world("clinician").await;
    for value in ["", " 1", "1\n", &"1".repeat(256)] {
        problem(enter(&world, value, "anna").await, 400, "malformed-body").await;
    }
    let both = json!({"patient": "anna", "identifier": identifier(ANNA)});
    for wanted in [json!({}), both, json!({"mrn": ANNA})] {
        let asked = send(&world, &world.hospital.member(), "/v1/patient-index/searches", &wanted).await;
        problem(asked, 400, "malformed-body").await;
    }
}

#[tokio::test]
async fn the_ledger_never_hears_of_a_number_and_the_database_does_not_show_it() {
    let world = world("clinician").await;
    assert_eq!(enter(&world, ANNA, "anna").await.status(), 201);
    let calls = world.ledger.state.lock().unwrap().calls.clone();
    assert_eq!(calls, ["Members:me", "Members:member"]);
    let rows = sqlx::query("SELECT identifier, patient, sealed FROM patient_index");
    let row = rows.fetch_one(world.hospital.gateway.state.pool()).await.unwrap();
    let (identifier, sealed): (String, Vec<u8>) = (sqlx::Row::get(&row, 0), sqlx::Row::get(&row, 2));
    assert!(!identifier.contains(ANNA) && !sealed.windows(ANNA.len()).any(|window| window == ANNA.as_bytes()));
}
