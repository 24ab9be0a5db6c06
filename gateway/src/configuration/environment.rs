//! `HEALTHCHAIN_GATEWAY__PEER__ENDPOINT=…`: what the environment says in place of the file.

use toml::{Table, Value};

use super::ConfigurationError;

/// How the name of each such variable begins; `__` parts the sections, as in `HEALTHCHAIN_GATEWAY__TLS__KEY`.
pub const PREFIX: &str = "HEALTHCHAIN_GATEWAY__";

/// Variables that stand for keys, by name.
pub(super) fn overrides(variables: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut overrides: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    overrides.sort();
    overrides
}

/// Puts a variable's value where its name points. A section that the file lacks is made. An item of a list is not reached: the
/// whole list is given, as TOML.
pub(super) fn apply(table: &mut Table, (name, text): &(String, String)) -> Result<(), ConfigurationError> {
    let refused = |reason| ConfigurationError::Variable { name: name.clone(), reason };
    let path = name[PREFIX.len()..].to_lowercase();
    let mut sections: Vec<&str> = path.split("__").collect();
    if sections.iter().any(|section| section.is_empty()) {
        return Err(refused("it names no key".into()));
    }
    let key = sections.pop().ok_or_else(|| refused("it names no key".into()))?;
    let mut place = table;
    for section in sections {
        let next = place.entry(section).or_insert_with(|| Value::Table(Table::new()));
        place = next.as_table_mut().ok_or_else(|| refused(format!("`{section}` is not a section")))?;
    }
    place.insert(key.to_owned(), value(text));
    Ok(())
}

/// TOML where the text is TOML (`8443`, `true`, `["a", "b"]`, `"8443"`), else the text itself.
fn value(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    let parsed = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(file: &str, name: &str, text: &str) -> Result<String, String> {
        let mut table: Table = toml::from_str(file).unwrap();
        apply(&mut table, &(format!("{PREFIX}{name}"), text.to_owned())).map_err(|error| error.to_string())?;
        Ok(table.to_string().trim().to_owned())
    }

    #[test]
    fn a_value_is_toml_where_it_can_be_and_text_elsewhere() {
        for (text, expected) in [
            ("8", "a = 8"),
            ("true", "a = true"),
            ("https://peer:7051", r#"a = "https://peer:7051""#),
            ("\"8\"", r#"a = "8""#),
            ("", r#"a = """#),
            (r#"["b"]"#, r#"a = ["b"]"#),
            ("1\nb = 2", "a = \"\"\"\n1\nb = 2\"\"\""),
        ] {
            assert_eq!(applied("a = 1", "A", text).unwrap(), expected);
        }
    }

    #[test]
    fn sections_are_entered_and_made() {
        assert_eq!(applied("[peer]\nend_point = 1", "PEER__END_POINT", "2").unwrap(), "[peer]\nend_point = 2");
        assert_eq!(applied("", "PEER__ENDPOINT", "2").unwrap(), "[peer]\nendpoint = 2");
    }

    #[test]
    fn a_name_that_points_nowhere_is_refused_by_name() {
        for (file, name) in [("", ""), ("", "__A"), ("", "PEER__"), ("peer = 1", "PEER__ENDPOINT")] {
            let error = applied(file, name, "x").unwrap_err();
            assert!(error.contains(&format!("{PREFIX}{name}")), "{error}");
        }
    }
}
