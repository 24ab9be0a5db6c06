//! Composite keys: several parts in one key of the ledger, found again by their first parts.
//!
//! The form is Fabric's: U+0000, the object type, U+0000, then each attribute followed by U+0000. Simple keys do not begin
//! with U+0000, so that the two kinds never meet in a range.

use crate::error::KeyError;

const SEPARATOR: char = '\u{0}';
const LAST: char = '\u{10FFFF}';
/// Where an unbounded range of simple keys starts: behind all composite keys.
const FIRST_SIMPLE: &str = "\u{1}";

/// One key of an object type and its attributes, in the form that all official SDKs share.
///
/// ```
/// # use fabric_contract::{composite_key, split_composite_key};
/// let key = composite_key("asset", &["blue", "a-1"])?;
/// assert_eq!(split_composite_key(&key)?, ("asset", vec!["blue", "a-1"]));
/// # Ok::<(), fabric_contract::KeyError>(())
/// ```
pub fn composite_key(object_type: &str, attributes: &[&str]) -> Result<String, KeyError> {
    if object_type.is_empty() {
        return Err(KeyError::EmptyObjectType);
    }
    let mut key = String::from(SEPARATOR);
    for part in std::iter::once(&object_type).chain(attributes) {
        if part.contains([SEPARATOR, LAST]) {
            return Err(KeyError::ReservedCharacter((*part).to_owned()));
        }
        key.push_str(part);
        key.push(SEPARATOR);
    }
    Ok(key)
}

/// The object type and the attributes of a key made by [`composite_key`].
pub fn split_composite_key(key: &str) -> Result<(&str, Vec<&str>), KeyError> {
    let parts = key.strip_prefix(SEPARATOR).and_then(|rest| rest.strip_suffix(SEPARATOR));
    let mut parts = parts.ok_or_else(|| KeyError::NotComposite(key.to_owned()))?.split(SEPARATOR);
    match parts.next() {
        Some(object_type) if !object_type.is_empty() => Ok((object_type, parts.collect())),
        _ => Err(KeyError::NotComposite(key.to_owned())),
    }
}

/// The bounds of a range of simple keys; an empty `start` or `end` leaves that side open.
pub(crate) fn simple_range(start: &str, end: &str) -> Result<(String, String), KeyError> {
    for key in [start, end] {
        if key.starts_with(SEPARATOR) {
            return Err(KeyError::CompositeInRange(key.to_owned()));
        }
    }
    let start = if start.is_empty() { FIRST_SIMPLE } else { start };
    Ok((start.to_owned(), end.to_owned()))
}

/// The bounds of all composite keys that begin with these parts.
pub(crate) fn composite_range(object_type: &str, attributes: &[&str]) -> Result<(String, String), KeyError> {
    let start = composite_key(object_type, attributes)?;
    let end = format!("{start}{LAST}");
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_key_has_the_form_of_the_official_sdks() {
        assert_eq!(composite_key("link", &["p1", "lab"]).unwrap(), "\u{0}link\u{0}p1\u{0}lab\u{0}");
        assert_eq!(composite_key("link", &[]).unwrap(), "\u{0}link\u{0}");
    }

    #[test]
    fn a_composite_key_splits_into_what_made_it() {
        let key = composite_key("link", &["p1", "", "lab"]).unwrap();
        assert_eq!(split_composite_key(&key).unwrap(), ("link", vec!["p1", "", "lab"]));
    }

    #[test]
    fn parts_with_the_separator_or_the_last_character_are_refused() {
        for part in ["a\u{0}b", "\u{10FFFF}"] {
            assert_eq!(composite_key("link", &[part]), Err(KeyError::ReservedCharacter(part.into())));
            assert_eq!(composite_key(part, &[]), Err(KeyError::ReservedCharacter(part.into())));
        }
        assert_eq!(composite_key("", &["a"]), Err(KeyError::EmptyObjectType));
    }

    #[test]
    fn what_is_no_composite_key_does_not_split() {
        for key in ["", "link", "\u{0}", "\u{0}link", "\u{0}\u{0}", "link\u{0}"] {
            assert_eq!(split_composite_key(key), Err(KeyError::NotComposite(key.into())), "{key:?}");
        }
    }

    #[test]
    fn ranges_of_simple_keys_keep_clear_of_composite_keys() {
        assert_eq!(simple_range("", "").unwrap(), ("\u{1}".into(), String::new()));
        assert!(matches!(simple_range("\u{0}link\u{0}", ""), Err(KeyError::CompositeInRange(_))));
        assert!(matches!(simple_range("a", "\u{0}z"), Err(KeyError::CompositeInRange(_))));
    }
}
