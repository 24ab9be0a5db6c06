//! The events' names, and those that a follower asks for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use healthchain_rules::LedgerEvent;
use healthchain_rules::audit::Act;
use serde_json::Value;

/// All that there are: the tags of what is done.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut known = BTreeSet::new();
    tags(schemars::schema_for!(Act).as_value(), &mut known);
    known
});

/// The names of the events that are asked for; all of them when none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(BTreeSet<String>);

/// A name that no event has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no event {0:?}: names are those of what is done, such as link-opened")]
pub struct NoSuchEvent(String);

impl Names {
    /// These names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, NoSuchEvent> {
        let checked =
            names.into_iter().map(|name| KNOWN.get(name).cloned().ok_or_else(|| NoSuchEvent(name.to_owned())));
        Ok(Self(checked.collect::<Result<_, _>>()?))
    }

    /// Whether events of this name are asked for.
    pub fn include(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.contains(name)
    }

    /// Those that are named.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// An event's name.
pub(super) fn name(event: &LedgerEvent) -> String {
    let act = serde_json::to_value(&event.entry.act).unwrap_or_default();
    act["act"].as_str().unwrap_or_default().to_owned()
}

/// The constants that a schema says an act's tag to be.
fn tags(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            found.extend(schema["properties"]["act"]["const"].as_str().map(str::to_owned));
            members.values().for_each(|member| tags(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| tags(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_is_an_event_that_can_be_asked_for() {
        for name in ["link-opened", "opening-denied", "consent-granted", "member-suspended", "hold-placed"] {
            assert!(Names::new([name]).unwrap().include(name), "{name}");
        }
        assert!(KNOWN.len() > 50, "{KNOWN:?}");
    }

    #[test]
    fn whoever_names_none_asks_for_all_and_whoever_names_some_for_those() {
        assert!(Names::new([]).unwrap().include("link-opened"));
        let some = Names::new(["link-opened"]).unwrap();
        assert!(some.include("link-opened") && !some.include("opening-denied"));
        assert_eq!(some.iter().collect::<Vec<_>>(), ["link-opened"]);
        for unknown in ["link-openend", "", "LinkOpened", "link-opened "] {
            assert_eq!(Names::new(["link-opened", unknown]), Err(NoSuchEvent(unknown.to_owned())));
        }
    }
}
