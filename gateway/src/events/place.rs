//! Places in the ledger's order of events.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where reading goes on: in this block, behind so many of its events. Written `BLOCK:NUMBER`. It tells nothing of what was read, unlike
/// a transaction's id, and of two places it is plain which comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Block number.
    pub block: u64,
    /// Events of the block that come before.
    pub number: u32,
}

/// A text that names no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place is BLOCK:NUMBER, as the id of an event says it")]
pub struct NoPlace;

impl Place {
    /// The beginning of a block.
    pub const fn at(block: u64) -> Self {
        Self { block, number: 0 }
    }

    /// The place behind the next event, which stands in this block.
    pub(super) fn next_in(self, block: u64) -> Self {
        let number = if block == self.block { self.number.saturating_add(1) } else { 1 };
        Self { block, number }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.block, self.number)
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (block, number) = text.split_once(':').ok_or(NoPlace)?;
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(block) || !is_number(number) {
            return Err(NoPlace);
        }
        // Databases count blocks with a sign.
        let block: i64 = block.parse().map_err(|_| NoPlace)?;
        Ok(Self { block: block.unsigned_abs(), number: number.parse().map_err(|_| NoPlace)? })
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Place {
    fn schema_name() -> Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = "Where to go on: a block, and how many of its events are read";
        json_schema!({"type": "string", "pattern": "^[0-9]{1,18}:[0-9]{1,9}$", "description": text})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_places_have_an_order() {
        for text in ["0:0", "17:3", "9223372036854775807:4294967295"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        let place = |text: &str| text.parse::<Place>().unwrap();
        assert!(place("9:7") < place("10:0") && place("10:0") < place("10:1"));
        assert_eq!(place("9:7").next_in(9), place("9:8"));
        assert_eq!(place("9:7").next_in(12), place("12:1"));
    }

    #[test]
    fn anything_else_is_no_place() {
        for text in
            ["", ":", "1", "1:", ":1", "+1:0", "1:-1", "1:2:3", " 1:2", "a:b", "9223372036854775808:0", "1:4294967296"]
        {
            assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text}");
        }
    }
}
