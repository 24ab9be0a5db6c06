//! The table is whole, and leads where it says.

use std::collections::BTreeSet;

use serde_json::json;

use super::argument::{Parts, assemble};
use super::contracts::interface;
use super::*;

/// Functions that REST does not pass on as they are, and why. This list may only shrink.
const NOT_PASSED_ON: &[(&str, &str)] = &[
    ("Links:publish", "by hand, POST /v1/links: the gateway encrypts, stores and seals"),
    ("Links:open", "by hand, POST /v1/links/{link}/openings: the gateway unseals and fetches"),
    ("Links:recipients", "asked by the gateway before it seals"),
    ("Links:envelope", "asked by the gateway when it opens"),
    ("Links:inForce", "asked by the gateways of a publisher and its custodians before they give out a content"),
    ("Links:replicable", "asked by the gateways of a publisher and its custodian before a copy goes between them"),
    ("Links:custodianEnvelope", "asked by the publisher's gateway, which seals others from it"),
    ("Links:addEnvelope", "done by the publisher's gateway for an opening"),
    ("Links:toReseal", "asked by the publisher's gateway"),
    ("Links:reseal", "done by the publisher's gateway"),
    ("Links:confirmDestruction", "done by the gateways of a publisher and its custodians, once the content is gone"),
    ("Organisations:confirmCopiesDestroyed", "done by the gateway of whoever was struck off, once all copies are gone"),
    ("Amendments:propose", "by hand, POST /v1/links/{link}/amendments: the gateway encrypts, stores and seals"),
    ("Audit:known", "asked by the gateway before it tells a member of events"),
    ("Organisations:bootstrap", "done once, by the program that makes the network"),
];

#[test]
fn every_function_is_in_the_table_or_on_the_list_of_others() {
    let mut passed_on: BTreeSet<_> = TABLE.iter().map(|line| line.function).collect();
    for (function, reason) in NOT_PASSED_ON {
        assert!(passed_on.insert(function) && !reason.is_empty(), "{function} is in the table");
    }
    let functions: BTreeSet<_> = interface().names().collect();
    assert_eq!(passed_on, functions);
}

#[test]
fn lines_that_read_ask_what_reads_and_the_others_what_writes() {
    use fabric_contract::metadata::FunctionKind;
    for line in TABLE {
        let expected = if line.reads() { FunctionKind::Evaluate } else { FunctionKind::Submit };
        assert_eq!(interface().function(line).kind, expected, "{}", line.path);
        assert!(line.reads() || !line.for_everybody, "{}: who writes is known", line.path);
    }
}

#[test]
fn every_name_of_a_path_is_one_that_the_function_takes() {
    for line in TABLE {
        let function = interface().function(line);
        match interface().object(function) {
            Some(schema) => {
                let names: BTreeSet<_> = line.within.map_or_else(|| line.names().collect(), |member| [member].into());
                let properties = schema["properties"].as_object().unwrap();
                for name in names.into_iter().chain(line.id) {
                    assert!(properties.contains_key(name), "{} has no {name}", line.function);
                }
            }
            None => assert_eq!(line.names().count(), function.parameters.len(), "{}", line.path),
        }
    }
}

/// A path that is a word in one line and a name in another would hide an id.
#[test]
fn no_id_is_hidden_behind_a_word_of_another_line() {
    let shape = |path: &'static str| path.split('/').map(|part| part.starts_with('{')).collect::<Vec<_>>();
    for line in TABLE {
        for other in TABLE {
            let parts = || line.path.split('/').zip(other.path.split('/'));
            let same_start =
                parts().take_while(|(one, two)| one == two || one.starts_with('{') && two.starts_with('{'));
            let at = same_start.count();
            let (Some(one), Some(two)) = (shape(line.path).get(at).copied(), shape(other.path).get(at).copied()) else {
                continue;
            };
            assert_eq!(one, two, "{} and {}", line.path, other.path);
        }
    }
}

#[test]
fn a_location_leads_to_a_line_that_reads() {
    let shape = |path: &str| {
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }.to_owned()).collect::<Vec<_>>()
    };
    for line in TABLE {
        if let Answer::CreatedAt(location) = line.answer {
            assert!(TABLE.iter().any(|other| other.reads() && shape(other.path) == shape(location)), "{location}");
        }
    }
}

fn line(method: Method, path: &str) -> &'static Line {
    TABLE.iter().find(|line| line.method == method && line.path == path).unwrap()
}

fn code(line: &Line, parts: Parts) -> String {
    assemble(line, parts).unwrap_err().code
}

#[test]
fn path_and_body_become_one_argument() {
    let line = line(Method::POST, "/v1/links/{link}/withdrawal");
    let parts = |body: serde_json::Value| Parts {
        path: vec!["l1".into()],
        body: body.as_object().unwrap().clone(),
        ..Parts::default()
    };
    let arguments = assemble(line, parts(json!({"reason": "duplicate"}))).unwrap();
    assert_eq!(arguments.json, [br#"{"link":"l1","reason":"duplicate"}"#]);
    assert!(assemble(line, parts(json!({"reason": "duplicate", "link": "l1"}))).is_ok());
    for body in [
        json!({}),
        json!({"reason": "duplicate", "link": "l2"}),
        json!({"reason": "duplicate", "and": "more"}),
        json!({"reason": 7}),
        json!({"reason": "duplicate", "superseded_by": "NO ID"}),
    ] {
        assert_eq!(code(line, parts(body)), "malformed-body");
    }
    let bad = Parts { path: vec!["L1".into()], ..parts(json!({"reason": "duplicate"})) };
    assert_eq!(code(line, bad), "malformed-path");
    let query = vec![("reason".into(), "duplicate".into())];
    assert_eq!(code(line, Parts { query, ..parts(json!({})) }), "malformed-query");
}

#[test]
fn a_query_is_of_the_types_that_the_function_takes() {
    let parts = |path: &[&str], query: &[(&str, &str)]| Parts {
        path: path.iter().copied().map(str::to_owned).collect(),
        query: query.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect(),
        ..Parts::default()
    };
    let proposals = line(Method::GET, "/v1/proposals");
    let arguments = assemble(proposals, parts(&[], &[("open", "true"), ("limit", "7")])).unwrap();
    assert_eq!(arguments.json, [br#"{"limit":7,"open":true}"#]);
    let reminders = line(Method::GET, "/v1/subscription-reminders");
    let arguments = assemble(reminders, parts(&[], &[("days", "7")])).unwrap();
    assert_eq!(arguments.json, [br#"{"days":7}"#]);
    for query in [
        &[("open", "yes")][..],
        &[("limit", "0")],
        &[("limit", "+7")],
        &[("limit", "")],
        &[("limit", "7"), ("limit", "7")],
        &[("page", "2")],
    ] {
        assert_eq!(code(proposals, parts(&[], query)), "malformed-query", "{query:?}");
    }

    let version = line(Method::GET, "/v1/links/{link}/versions/{number}");
    assert_eq!(assemble(version, parts(&["l1", "2"], &[])).unwrap().json, [&b"\"l1\""[..], b"2"]);
    assert_eq!(code(version, parts(&["l1", "two"], &[])), "malformed-path");
    assert_eq!(code(version, parts(&["l1", "4294967296"], &[])), "malformed-path");
    assert_eq!(code(version, parts(&["l1", "2"], &[("a", "b")])), "malformed-query");

    let statement = line(Method::GET, "/v1/statements/patients/{patient}");
    let arguments = assemble(statement, parts(&["anna"], &[("from", "5")])).unwrap();
    assert_eq!(arguments.json, [br#"{"account":{"patient":"anna"},"from":5}"#]);
    assert_eq!(code(statement, parts(&["Anna"], &[])), "malformed-path");
    assert_eq!(code(statement, parts(&["anna"], &[("account", "bob")])), "malformed-query");
}

#[test]
fn an_id_that_is_left_out_follows_from_the_idempotency_key() {
    let notarizations = line(Method::POST, "/v1/notarizations");
    let parts = |derived: Option<&str>, id: Option<&str>| {
        let mut body =
            json!({"patient": "anna", "kind": "document", "hash": "ab".repeat(32), "bill_to": "organisation"});
        if let Some(id) = id {
            body["notarization"] = id.into();
        }
        Parts { body: body.as_object().unwrap().clone(), derived_id: derived.map(str::to_owned), ..Parts::default() }
    };
    let id = |parts| assemble(notarizations, parts).unwrap().named["notarization"].clone();
    assert_eq!(id(parts(Some("made"), None)), "made");
    assert_eq!(id(parts(Some("made"), Some("own"))), "own");
    assert_eq!(code(notarizations, parts(None, None)), "id-missing");
}

#[test]
fn a_write_is_conditional_on_what_it_changes() {
    let state = |method, path| line(method, path).state().map(|state| state.path);
    assert_eq!(state(Method::POST, "/v1/links/{link}/withdrawal"), Some("/v1/links/{link}"));
    assert_eq!(state(Method::POST, "/v1/links/{link}/erasure"), Some("/v1/links/{link}"));
    assert_eq!(state(Method::POST, "/v1/consents"), None);
    assert_eq!(state(Method::PUT, "/v1/patients/{patient}/recovery/plan"), Some("/v1/patients/{patient}/recovery"));
    assert_eq!(state(Method::GET, "/v1/links/{link}"), None);
}

#[test]
fn every_body_has_an_example_that_fits() {
    let sample = |name: &str| match name {
        "emergency" | "opening" | "reading" => "ab".repeat(32),
        "period" => "2026-03".into(),
        "organisation" => "HospitalMSP".into(),
        name => format!("{name}-1"),
    };
    for line in TABLE.iter().filter(|line| !line.reads()) {
        let example = examples::body(line.function);
        let parts = |body: Option<serde_json::Value>| Parts {
            path: line.names().map(sample).collect(),
            body: body.and_then(|body| body.as_object().cloned()).unwrap_or_default(),
            derived_id: Some("made".into()),
            ..Parts::default()
        };
        let needed = assemble(line, parts(None)).is_err();
        assert_eq!(needed, example.is_some(), "{}: a body, and an example of it", line.function);
        assemble(line, parts(example)).unwrap_or_else(|problem| panic!("{}: {problem:?}", line.function));
    }
}
