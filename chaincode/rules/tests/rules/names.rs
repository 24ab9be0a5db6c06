//! Names on the wire: what the code calls a thing is what serde writes, and the lists leave nothing out.

use std::fmt::Display;

use healthchain_rules::*;
use schemars::{JsonSchema, schema_for};
use serde::Serialize;

/// The names that serde takes for a type, from its schema.
fn names_of<T: JsonSchema>() -> Vec<String> {
    let schema = serde_json::to_value(schema_for!(T)).unwrap();
    let plain = schema["enum"].as_array().cloned().unwrap_or_default();
    let documented = schema["oneOf"].as_array().cloned().unwrap_or_default();
    let names = documented.into_iter().map(|variant| variant["const"].clone()).chain(plain);
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn lists_all<T: JsonSchema + Serialize>(all: &[T]) {
    let listed: Vec<String> =
        all.iter().map(|one| serde_json::to_value(one).unwrap().as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, names_of::<T>());
}

fn is_called_as_written<T: Serialize + Display>(all: &[T]) {
    for one in all {
        assert_eq!(serde_json::to_value(one).unwrap(), one.to_string());
    }
}

#[test]
fn the_lists_leave_nothing_out() {
    lists_all(&Role::ALL);
    lists_all(&Permission::ALL);
    lists_all(&Purpose::ALL);
    lists_all(&Category::ALL);
    lists_all(&OrganisationKind::ALL);
    lists_all(&RefusalCode::ALL);
    lists_all(&Denial::ALL);
}

#[test]
fn names_in_code_and_on_the_wire_are_the_same() {
    is_called_as_written(&Role::ALL);
    is_called_as_written(&Purpose::ALL);
    is_called_as_written(&Category::ALL);
    is_called_as_written(&RefusalCode::ALL);
    for name in names_of::<Denial>() {
        let denial: Denial = serde_json::from_value(name.clone().into()).unwrap();
        assert_eq!(denial.as_str(), name);
    }
}

/// The tags of all acts, from the schema.
fn tags(schema: &serde_json::Value, found: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(fields) => {
            let tag = &schema["properties"]["act"]["const"];
            found.extend(tag.as_str().map(str::to_owned));
            fields.values().for_each(|inner| tags(inner, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|inner| tags(inner, found)),
        _ => {}
    }
}

#[test]
fn no_two_acts_have_the_same_name() {
    let mut found = Vec::new();
    tags(&serde_json::to_value(schema_for!(audit::Act)).unwrap(), &mut found);
    let all: std::collections::BTreeSet<_> = found.iter().collect();
    assert!(all.len() > 10 && all.len() == found.len(), "{found:?}");
}
