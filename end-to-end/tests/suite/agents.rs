//! The agents that come with the gateways: an administrator deploys each over REST, it does its work, its owner stops it, and it does
//! nothing more.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use healthchain_end_to_end::{Person, World, until};
use healthchain_rules::LinkId;
use healthchain_rules::OrganisationKind::{self, PatientServices, PrimaryCare, SecondaryCare};
use healthchain_rules::Role::{self, Administrator, Clinician, Maintainer};
use openssl::base64::encode_block;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::X509;
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

crate::promises![
    the_amendment_verifier_approves_by_its_policy_until_it_is_stopped,
    the_key_custodian_seals_to_a_new_key_until_it_is_stopped,
    the_prescription_monitor_contributes_what_the_records_say_and_not_when_it_is_stopped,
    whose_subscription_ends_is_reminded_until_the_agent_is_stopped,
];

const FIRST: &[u8] = br#"{"resourceType":"AllergyIntolerance","criticality":"low"}"#;
const SECOND: &[u8] = br#"{"resourceType":"AllergyIntolerance","criticality":"high"}"#;
/// Long enough for an agent that looks every second to do something that it should not.
pub(crate) const A_WHILE: Duration = Duration::from_secs(4);

/// An agent with what an administrator needs to deploy it, and who answers for it.
pub(crate) struct Post {
    pub(crate) agent: Person,
    pub(crate) owner: Person,
    pub(crate) administrator: Person,
}

impl Post {
    /// The organisation's `number`th agent, from 0.
    fn new(world: &World, (kind, number): (OrganisationKind, usize), owner: Role) -> Self {
        let person = |role| world.person(kind, role, 0);
        Self {
            agent: world.person(kind, Role::Agent, number),
            owner: person(owner),
            administrator: person(Administrator),
        }
    }

    async fn deploy(&self, functions: &[&str], purposes: &[&str], categories: &[&str]) {
        self.deploy_with(&json!({ "functions": functions, "purposes": purposes, "categories": categories })).await;
    }

    /// Deploys it with these functions, purposes and categories, and whatever else a charter says.
    pub(crate) async fn deploy_with(&self, charter: &Value) {
        let access = self.agent.access();
        let certificate = X509::from_pem(&std::fs::read(&access.identity.certificate).unwrap()).unwrap();
        let key = certificate.public_key().unwrap().public_key_to_der().unwrap();
        let encryption_key = PKey::private_key_from_pem(&std::fs::read(&access.encryption_key).unwrap()).unwrap();
        let in_a_month = SystemTime::now() + Duration::from_secs(30 * 24 * 3600);
        let until = u64::try_from(in_a_month.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let mut deployment = json!({
            "agent": self.agent.id(), "owner": self.owner.id(), "key_hash": hex::encode(openssl::sha::sha256(&key)),
            "encryption_key": encode_block(&encryption_key.public_key_to_der().unwrap()), "calls_a_day": 100,
            "until": until,
        });
        deployment.as_object_mut().unwrap().extend(charter.as_object().unwrap().clone());
        let deployed = self.administrator.post("/v1/agents", &deployment).await;
        assert_eq!(deployed.status, 201, "{}", deployed.text());
    }

    pub(crate) async fn stop(&self) {
        let path = format!("/v1/agents/{}/termination", self.agent.id());
        let stopped = self.owner.post(&path, &json!({ "reason": "not needed" })).await;
        assert!(stopped.is_success(), "{}", stopped.text());
    }

    /// The transactions that the ledger counts the agent today.
    pub(crate) async fn calls(&self) -> u64 {
        let found = self.owner.get(&format!("/v1/agents/{}", self.agent.id())).await;
        found.json()["used"]["calls"].as_u64().unwrap()
    }

    /// Entries of an act on a patient's trail; each names the agent, and its owner.
    async fn acts(&self, patient: &Person, act: &str) -> Vec<Value> {
        let answer = patient.get(&format!("/v1/patients/{}/audit?limit=100", patient.id())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let entries = answer.json()["items"].as_array().cloned().unwrap_or_default();
        let entries: Vec<_> = entries.into_iter().filter(|entry| entry["act"]["act"] == act).collect();
        for entry in &entries {
            let (member, owner) = (json!(self.agent.id()), json!(self.owner.id()));
            assert_eq!((&entry["member"], &entry["owner"]), (&member, &owner), "{entry}");
        }
        entries
    }

    async fn comes_to_act(&self, patient: &Person, act: &str) -> Value {
        until(act, || async {
            let entries = self.acts(patient, act).await;
            entries.first().cloned().ok_or_else(|| "not on the trail".to_owned())
        })
        .await
    }
}

async fn propose(who: &Person, link: &LinkId, base: u32, record: &[u8]) -> String {
    let path = format!("/v1/links/{link}/amendments?base_version={base}&reason=it%20is%20worse");
    let with = |request: RequestBuilder| {
        let request = request.header("Idempotency-Key", Uuid::new_v4().to_string());
        request.header(header::CONTENT_TYPE, "application/fhir+json").body(record.to_vec())
    };
    let answer = who.request(Method::POST, &path, with).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn comes_to_stand(who: &Person, amendment: &str, standing: &str) -> Value {
    until("the amendment", || async {
        let answer = who.get(&format!("/v1/amendments/{amendment}")).await;
        let stands = answer.is_success() && answer.json()["standing"] == standing;
        if stands { Ok(answer.json()) } else { Err(answer.text()) }
    })
    .await
}

async fn the_amendment_verifier_approves_by_its_policy_until_it_is_stopped(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let post = Post::new(world, (SecondaryCare, 0), Clinician);
    let functions = ["Amendments:amendment", "Amendments:approve", "Amendments:reject", "Links:link", "Members:member"];
    post.deploy(&functions, &["treatment"], &["allergy", "laboratory"]).await;

    let link = hospital.publish(patient.id(), "allergy", FIRST).await;
    let amendment = propose(&hospital, &link, 1, SECOND).await;
    let activated = comes_to_stand(&hospital, &amendment, "activated").await;
    let voice = &activated["amendment"]["voices"][post.owner.access().msp_id.as_str()];
    assert_eq!((&voice["by"], &voice["owner"]), (&json!(post.agent.id()), &json!(post.owner.id())), "{activated}");
    let act = post.comes_to_act(&patient, "amendment-activated").await;
    assert_eq!(act["act"]["by_agent"], true);
    until("the version", || async {
        let opened = patient.open(&link, "personal").await;
        if opened.body == SECOND { Ok(()) } else { Err(opened.text()) }
    })
    .await;

    // Of a kind that is for people.
    let other = hospital.publish(patient.id(), "laboratory", FIRST).await;
    let for_people = propose(&hospital, &other, 1, SECOND).await;
    tokio::time::sleep(A_WHILE).await;
    comes_to_stand(&hospital, &for_people, "open").await;

    post.stop().await;
    let after = propose(&hospital, &link, 2, FIRST).await;
    tokio::time::sleep(A_WHILE).await;
    comes_to_stand(&hospital, &after, "open").await;
    assert_eq!(post.calls().await, 1);
}

/// Gives a member a new encryption key, in the wallet and on the ledger.
async fn rotate(member: &Person) {
    let access = member.access();
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let certificate = X509::from_pem(&std::fs::read(&access.identity.certificate).unwrap()).unwrap();
    let signing_key = certificate.public_key().unwrap().public_key_to_der().unwrap();
    member.rotate_keys(&signing_key, &key.public_key_to_der().unwrap()).await;
    std::fs::write(&access.encryption_key, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
}

async fn the_key_custodian_seals_to_a_new_key_until_it_is_stopped(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let post = Post::new(world, (PrimaryCare, 0), Clinician);
    post.deploy(&["Links:toReseal", "Links:reseal"], &[], &[]).await;

    let link = hospital.publish(patient.id(), "summary", FIRST).await;
    rotate(&patient).await;
    let act = post.comes_to_act(&patient, "envelope-resealed").await;
    assert_eq!(act["act"]["link"], json!(link));
    until("the record under the new key", || async {
        let opened = patient.open(&link, "personal").await;
        if opened.body == FIRST { Ok(()) } else { Err(opened.text()) }
    })
    .await;

    post.stop().await;
    rotate(&patient).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(post.acts(&patient, "envelope-resealed").await.len(), 1);
    assert_eq!(post.calls().await, 1);
}

/// The month before the present one, `YYYY-MM`.
fn last_month() -> String {
    let first = OffsetDateTime::now_utc().replace_day(1).unwrap();
    let last = first - time::Duration::DAY;
    format!("{:04}-{:02}", last.year(), u8::from(last.month()))
}

/// A visit of last month with what was prescribed at it.
fn visit(name: &str, drugs: &[&str]) -> Vec<Value> {
    let encounter = json!({ "fullUrl": name, "resource": {
        "resourceType": "Encounter", "status": "finished", "period": { "start": format!("{}-09T10:00:00Z", last_month()) },
        "identifier": [{ "system": "https://hospital.example/visits", "value": name }],
    } });
    let prescribed = drugs.iter().map(|drug| {
        json!({ "resource": {
            "resourceType": "MedicationRequest", "status": "completed", "intent": "order", "encounter": { "reference": name },
            "medicationCodeableConcept": {
                "coding": [{ "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": drug }],
            },
        } })
    });
    std::iter::once(encounter).chain(prescribed).collect()
}

/// Of antibiotics and opioids other stories have measures.
async fn the_prescription_monitor_contributes_what_the_records_say_and_not_when_it_is_stopped(world: &World) {
    let (metformin, acetaminophen) = ("860975", "313782");
    let functions = ["Statistics:measures", "Statistics:contribute"];
    let hospital = Post::new(world, (PrimaryCare, 1), Maintainer);
    let clinic = Post::new(world, (SecondaryCare, 1), Maintainer);
    hospital.deploy(&functions, &[], &[]).await;
    clinic.deploy(&functions, &[], &[]).await;
    clinic.stop().await;

    let patient = world.new_patient();
    let entries = [visit("urn:v1", &[metformin]), visit("urn:v2", &[metformin, acetaminophen]), visit("urn:v3", &[])];
    let first = json!({ "resourceType": "Bundle", "entry": entries[..2].concat() });
    let again = json!({ "resourceType": "Bundle", "entry": entries[1..].concat() });
    for bundle in [first, again] {
        world.hospital_clinician().publish(patient.id(), "encounter-note", bundle.to_string().as_bytes()).await;
    }
    let measure = json!({
        "measure": "e2e-drugs", "title": "drugs", "denominator": "visits", "per": 1000, "classes": ["A10B", "N02B"],
        "regions": ["US-MA"], "from": last_month(), "epsilon_budget": 1000,
    });
    let defined = hospital.owner.post("/v1/measures", &measure).await;
    assert!(defined.is_success(), "{}", defined.text());
    until("the contribution", || async {
        if hospital.calls().await == 1 { Ok(()) } else { Err("not contributed".to_owned()) }
    })
    .await;

    // What an organisation contributed once is taken again when it is the same, and refused when it is not.
    let path = format!("/v1/measures/e2e-drugs/periods/{}/contribution", last_month());
    let cells = |visits: u64, metformin: u64, acetaminophen: u64| {
        let cell = |class, numerator| json!({ "class": class, "region": "US-MA", "numerator": numerator, "denominator": visits });
        json!({ "cells": [cell("A10B", metformin), cell("N02B", acetaminophen)] })
    };
    let contribute = async |who: &Person, cells: Value| who.request(Method::PUT, &path, |put| put.json(&cells)).await;
    let same = contribute(&hospital.owner, cells(3, 2, 1)).await;
    assert!(same.is_success(), "{}", same.text());
    assert_eq!(same.json()["by"], json!(hospital.agent.id()));
    let other = contribute(&hospital.owner, cells(4, 2, 1)).await;
    assert_eq!(other.problem(), (409, "contribution-exists".to_owned()));
    hospital.stop().await;

    // The clinic's agent, which was stopped before, left its month to people.
    tokio::time::sleep(A_WHILE).await;
    let by_people = contribute(&clinic.owner, cells(7, 5, 5)).await;
    assert!(by_people.is_success(), "{}", by_people.text());
    assert_eq!(by_people.json()["by"], json!(clinic.owner.id()));
}

async fn whose_subscription_ends_is_reminded_until_the_agent_is_stopped(world: &World) {
    let (told, untold) = (world.new_patient(), world.new_patient());
    let post = Post::new(world, (PatientServices, 0), Maintainer);
    post.deploy(&["Subscriptions:dueReminders", "Subscriptions:remind"], &[], &[]).await;
    let plan = format!("month-{}", Uuid::new_v4().simple());
    let terms = json!({
        "price": { "amount": 1000, "currency": "USD" }, "period_days": 30, "grace_days": 7, "notarization_price": 40,
        "features": {},
    });
    let made = post.owner.post("/v1/plans", &json!({ "plan": plan, "terms": terms })).await;
    assert!(made.is_success(), "{}", made.text());
    let order = async |patient: &Person| {
        let path = format!("/v1/patients/{}/orders", patient.id());
        let order = json!({ "order": "o1", "plan": plan, "periods": 1 });
        until("the order", || async {
            let ordered = patient.post(&path, &order).await;
            if ordered.is_success() { Ok(ordered.json()) } else { Err(ordered.text()) }
        })
        .await
    };

    let ordered = order(&told).await;
    let act = post.comes_to_act(&told, "subscription-ending").await;
    assert_eq!((&act["act"]["until"], &act["act"]["reminder"]), (&ordered["until"], &json!("ending")), "{act}");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(post.acts(&told, "subscription-ending").await.len(), 1, "once");

    post.stop().await;
    order(&untold).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(post.acts(&untold, "subscription-ending").await, [] as [Value; 0]);
}
