//! From prescriptions in published records to a release with noise: three organisations' agents count, the agency's agent releases.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use healthchain_end_to_end::{Person, World, until};
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::agents::{A_WHILE, Post};

crate::promises![prescriptions_are_counted_and_released_with_noise_until_the_budget_is_used_up_or_the_agent_stopped];

const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const ATC: &str = "http://www.whocc.no/atc";
/// What one drug of each class of the measure is coded as.
const DRUGS: [(&str, &str); 3] = [(RXNORM, "562251"), (ATC, "N02AA01"), (RXNORM, "1049221")];
const CLASSES: [&str; 3] = ["J01", "N02AA", "N02AJ"];
/// In a month: visits, and at how many of them a drug of each class was prescribed. Of the antibiotics there are enough to be shown, of each
/// kind of opioid too few.
const COUNTS: [(&str, usize, [usize; 3]); 3] =
    [("hospital", 20, [12, 2, 3]), ("clinic", 15, [8, 2, 2]), ("surgery", 10, [5, 1, 1])];
/// What the measure's releases may spend: one release of the agent, and half of one.
const BUDGET: u32 = 1500;
/// Noise of scale 6 (three classes, ε of 1) is further from zero in less than one case of 10^8.
const NEAR: i64 = 130;

/// On a network of its own: the one that all tests share has two organisations that care for patients, and no agency.
async fn prescriptions_are_counted_and_released_with_noise_until_the_budget_is_used_up_or_the_agent_stopped(
    world: &World,
) {
    let folder = world.network.layout().root().with_extension("statistics");
    let agency = World::start_with_agency(&folder).await.unwrap();
    let told = AssertUnwindSafe(story(&agency)).catch_unwind().await;
    match told {
        Ok(()) => agency.network.clean().await.unwrap(),
        Err(reason) => {
            agency.network.down().await.unwrap();
            std::panic::resume_unwind(reason);
        }
    }
}

async fn story(world: &World) {
    let [analyst, maintainer] = ["agency-analyst", "agency-maintainer"].map(|id| world.member(id));
    let (first, second) = (month(4), month(3));
    let monitors = count(world, [&first, &second], &maintainer).await;
    let releases = post(world, "agency", "releases", "analyst");
    let functions =
        ["Statistics:measures", "Statistics:releases", "Statistics:budget", "Statistics:table", "Statistics:release"];
    releases
        .deploy_with(&json!({ "functions": functions, "purposes": [], "categories": [], "epsilon_a_day": 20_000 }))
        .await;

    // Nothing of a month is shown or released while it is open.
    let open = analyst.get(&table_of(&first)).await;
    assert_eq!(open.problem(), (409, "period-open".to_owned()));
    assert_eq!(releases.calls().await, 0);
    close(&maintainer, &first).await;
    let table = table(&analyst, &first).await;
    assert_eq!(table["contributors"], json!(COUNTS.len()));
    assert_eq!(cell(&table, "J01")["counted"], json!({ "numerator": 25, "denominator": 45 }));
    for small in ["N02AA", "N02AJ"] {
        assert_eq!(cell(&table, small), json!({ "region": "US-MA", "class": small }), "suppressed");
    }
    let clinician = world.member("clinic-clinician");
    let released = released(&clinician, 1).await;
    let release = &released[0];
    assert_eq!((&release["by"], &release["terms"]["period"]), (&json!(releases.agent.id()), &json!(first)));
    assert_eq!(release["terms"]["mechanism"], "discrete-laplace");
    let [noisy] = release["terms"]["values"].as_array().unwrap().as_slice() else { panic!("{release}") };
    assert_eq!((&noisy["class"], &noisy["region"]), (&json!("J01"), &json!("US-MA")));
    for (count, truth) in [("numerator", 25), ("denominator", 45)] {
        let count = noisy[count].as_i64().unwrap();
        assert!((count - truth).abs() < NEAR, "{count} is not {truth} with noise");
    }
    let spent = json!({ "measure": "prescriptions", "epsilon": BUDGET, "left": 500, "releases": 1 });
    let budget = clinician.get("/v1/measures/prescriptions/budget").await;
    assert_eq!(budget.json(), spent);

    // The budget does not bear another one: the agent leaves it, and the ledger refuses it.
    close(&maintainer, &second).await;
    self::table(&analyst, &second).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(releases.calls().await, 1);
    let too_much = release_by_hand(&analyst, "by-hand", &second, 1000).await;
    assert_eq!(too_much.problem(), (409, "budget-spent".to_owned()));

    // What the budget bears the agent may release, until it is stopped.
    releases.stop().await;
    let call = json!({ "release": "late", "measure": "prescriptions", "period": second, "epsilon": 500,
        "mechanism": "discrete-laplace", "values": release["terms"]["values"] });
    let contract = world.chain(&releases.agent).contract;
    let refused = contract.submit("Statistics:release", vec![call.to_string().into_bytes()]).await.unwrap_err();
    assert!(refused.to_string().contains("agent-not-permitted"), "{refused}");
    for monitor in &monitors {
        monitor.stop().await;
    }
    let by_hand = release_by_hand(&analyst, "by-hand", &second, 500).await;
    assert!(by_hand.is_success(), "{}", by_hand.text());
    let nothing_left = release_by_hand(&analyst, "again", &first, 1).await;
    assert_eq!(nothing_left.problem(), (409, "budget-spent".to_owned()));
    let all = self::released(&clinician, 2).await;
    assert!(all.iter().any(|release| release["by"] == json!(analyst.id())), "{all:?}");
}

/// Publishes the records of these months and has the organisations' monitors contribute what they count in them.
async fn count(world: &World, months: [&str; 2], maintainer: &Person) -> Vec<Post> {
    let patient = world.member("patient");
    let mut monitors = Vec::new();
    for (organisation, visits, drugs) in COUNTS {
        let monitor = post(world, organisation, "monitor", "maintainer");
        let functions = ["Statistics:measures", "Statistics:contribute"];
        monitor.deploy_with(&json!({ "functions": functions, "purposes": [], "categories": [] })).await;
        monitors.push(monitor);
        let clinician = world.member(&format!("{organisation}-clinician"));
        for month in months {
            let bundle = bundle(month, visits, drugs).to_string();
            clinician.publish(patient.id(), "medication", bundle.as_bytes()).await;
        }
    }
    let measure = json!({
        "measure": "prescriptions", "title": "antibiotics-and-opioids", "denominator": "visits", "per": 1000,
        "classes": CLASSES, "regions": ["US-MA"], "from": months[0], "epsilon_budget": BUDGET,
    });
    let defined = maintainer.post("/v1/measures", &measure).await;
    assert!(defined.is_success(), "{}", defined.text());
    for monitor in &monitors {
        until("the contributions", || async {
            let calls = monitor.calls().await;
            if calls == 2 { Ok(()) } else { Err(format!("{calls} of {}", monitor.agent.id())) }
        })
        .await;
    }
    monitors
}

/// An organisation's agent, whom the member in this office answers for.
fn post(world: &World, organisation: &str, agent: &str, owner: &str) -> Post {
    let [agent, owner, administrator] =
        [agent, owner, "administrator"].map(|name| world.member(&format!("{organisation}-{name}")));
    Post { agent, owner, administrator }
}

/// A bundle of so many visits in a month; the first so many of them with a drug of each class.
fn bundle(month: &str, visits: usize, drugs: [usize; 3]) -> Value {
    let entries = (0..visits).flat_map(|number| {
        let name = format!("urn:visit:{month}:{number}");
        let prescribed = DRUGS.into_iter().zip(drugs).filter(move |(_, count)| number < *count);
        let requests: Vec<_> = prescribed.map(|(drug, _)| prescription(&name, drug)).collect();
        let encounter = json!({ "fullUrl": name, "resource": {
            "resourceType": "Encounter", "status": "finished", "period": { "start": format!("{month}-09T10:00:00Z") },
        } });
        std::iter::once(encounter).chain(requests)
    });
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entries.collect::<Vec<_>>() })
}

fn prescription(visit: &str, (system, code): (&str, &str)) -> Value {
    json!({ "resource": {
        "resourceType": "MedicationRequest", "status": "active", "intent": "order", "encounter": { "reference": visit },
        "medicationCodeableConcept": { "coding": [{ "system": system, "code": code }] },
    } })
}

/// The month so many before the present one, `YYYY-MM`.
fn month(ago: u32) -> String {
    let first = |day: OffsetDateTime| day.replace_day(1).unwrap();
    let first = (0..ago).fold(first(OffsetDateTime::now_utc()), |month, _| first(month - time::Duration::DAY));
    format!("{:04}-{:02}", first.year(), u8::from(first.month()))
}

fn table_of(month: &str) -> String {
    format!("/v1/measures/prescriptions/periods/{month}/table")
}

async fn close(maintainer: &Person, month: &str) {
    let path = format!("/v1/measures/prescriptions/periods/{month}/closure");
    let closed = maintainer.request(Method::POST, &path, |request| request).await;
    assert!(closed.is_success(), "{}", closed.text());
}

async fn table(analyst: &Person, month: &str) -> Value {
    let path = table_of(month);
    until("the table", || async {
        let answer = analyst.get(&path).await;
        if answer.is_success() { Ok(answer.json()) } else { Err(answer.text()) }
    })
    .await
}

/// The cell of a class, of the one region.
fn cell(table: &Value, class: &str) -> Value {
    let mut cells = table["cells"].as_array().unwrap().iter();
    cells.find(|cell| cell["region"] == "US-MA" && cell["class"] == class).unwrap().clone()
}

/// The releases, once there are so many.
async fn released(member: &Person, count: usize) -> Vec<Value> {
    until("the releases", || async {
        let releases = member.get("/v1/measures/prescriptions/releases").await;
        let items = releases.json()["items"].as_array().cloned().unwrap_or_default();
        if items.len() == count { Ok(items) } else { Err(releases.text()) }
    })
    .await
}

async fn release_by_hand(analyst: &Person, id: &str, month: &str, epsilon: u32) -> healthchain_end_to_end::Answer {
    let values = json!([{ "class": "J01", "region": "US-MA", "numerator": 20, "denominator": 50 }]);
    let release = json!({
        "release": id, "period": month, "epsilon": epsilon, "mechanism": "discrete-laplace", "values": values,
    });
    analyst.post("/v1/measures/prescriptions/releases", &release).await
}
