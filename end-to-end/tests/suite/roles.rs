//! Every route of `openapi.json`, asked for by every role: whom the ledger refuses for the role stands in a golden table.

#[path = "../../../gateway/tests/gateway/request_of.rs"]
#[allow(dead_code, reason = "the gateway's own walk uses more of it")]
mod request_of;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use healthchain_end_to_end::{Person, World};
use healthchain_rules::Role;
use uuid::Uuid;

use self::request_of::Described;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/roles-by-route.txt");

crate::promises![each_route_refuses_the_roles_that_it_is_not_for];

/// Last of all promises: what a role may do is done.
async fn each_route_refuses_the_roles_that_it_is_not_for(world: &World) {
    let people = one_of_each_role(world);
    let document = world.hospital_clinician().get("/openapi.json").await.json();
    let mut refused: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for request in request_of::all(&document).iter().filter(|request| of_members(&document, request)) {
        let refused = refused.entry(format!("{} {}", request.method, request.route)).or_default();
        for (role, person) in &people {
            let answer = ask(person, request).await;
            assert!(answer.0 != 401 && answer.0 != 500, "{role:?}, {} {}: {answer:?}", request.method, request.route);
            if answer == (403, "not-permitted".to_owned()) {
                refused.insert(role.as_str());
            }
        }
    }
    let mut table = String::from(
        "# Which roles the ledger refuses with not-permitted, for each route, asked for something that is not there.\n\
         # A route without a role behind it refuses nobody for the role alone: such lines may only become fewer.\n",
    );
    for (route, roles) in &refused {
        let roles: Vec<_> = roles.iter().copied().collect();
        writeln!(table, "{route}: {}", roles.join(" ")).unwrap();
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(golden == table, "look at what UPDATE_GOLDEN=1 changes in {GOLDEN}; it is now:\n{table}");
}

fn one_of_each_role(world: &World) -> Vec<(Role, Person)> {
    let mut people: Vec<(Role, Person)> = Vec::new();
    for organisation in &world.network.consortium().organisations {
        // An agent has no role but its owner's.
        for member in organisation.members.iter().filter(|member| member.role != Role::Agent) {
            if people.iter().all(|(role, _)| *role != member.role) {
                people.push((member.role, world.person(organisation.kind, member.role, 0)));
            }
        }
    }
    assert!(people.len() >= 7, "{}", people.len());
    people
}

fn of_members(document: &serde_json::Value, request: &Described) -> bool {
    let operation = &document["paths"][&request.route][request.method.to_lowercase()];
    request.route.starts_with("/v1/")
        && operation["security"] != serde_json::json!([])
        && operation["tags"] != serde_json::json!(["between gateways"])
}

/// Status and code of what is answered.
async fn ask(person: &Person, described: &Described) -> (u16, String) {
    let method = described.method.parse().unwrap();
    let answer = person
        .request(method, &described.target, |request| {
            let request = request.header("Idempotency-Key", Uuid::new_v4().to_string());
            match &described.body {
                Some((media_type, body)) => request.header("Content-Type", media_type).body(body.clone()),
                None => request,
            }
        })
        .await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, body["code"].as_str().unwrap_or_default().to_owned())
}
