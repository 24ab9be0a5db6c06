//! Tests that `gateway.sample.toml` documents the whole configuration.

use super::{Configuration, ConfigurationError};

#[test]
fn the_sample_is_valid_as_it_is_and_with_everything_that_it_leaves_out() {
    for sample in [SAMPLE.to_owned(), uncommented()] {
        load_text(&sample).unwrap();
    }
}

/// In each table, a key that does not exist makes the parser say which do.
#[test]
fn the_sample_has_every_key() {
    let sample: toml::Table = toml::from_str(&uncommented()).unwrap();
    let mut tables = vec![Vec::new()];
    while let Some(path) = tables.pop() {
        let mut sample = sample.clone();
        let table = table_at(&mut sample, &path);
        let known = table.clone();
        table.insert("no_such_key".into(), true.into());
        let error = load_text(&sample.to_string()).unwrap_err().to_string();
        let (_, expected) = error.split_once("expected").unwrap_or_else(|| panic!("{path:?} takes any key: {error}"));
        assert!(error.contains("unknown field `no_such_key`"), "{error}");
        for key in expected.split('`').skip(1).step_by(2) {
            assert!(known.contains_key(key), "gateway.sample.toml lacks `{key}` in {path:?}");
        }
        let inners = known.into_iter().filter_map(|(key, mut value)| inner(&mut value).map(|_| key));
        tables.extend(inners.map(|key| [path.clone(), vec![key]].concat()));
    }
}

const SAMPLE: &str = include_str!("../../gateway.sample.toml");

/// With the keys and sections that the sample only shows: lines that begin with `#` and no space.
fn uncommented() -> String {
    let lines = SAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(shown) if !shown.is_empty() && !shown.starts_with(' ') => shown,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn table_at<'a>(table: &'a mut toml::Table, path: &[String]) -> &'a mut toml::Table {
    path.iter().fold(table, |table, key| inner(&mut table[key]).unwrap())
}

/// A section, or the first of several.
fn inner(value: &mut toml::Value) -> Option<&mut toml::Table> {
    match value {
        toml::Value::Table(table) => Some(table),
        toml::Value::Array(items) => items.first_mut().and_then(inner),
        _ => None,
    }
}

fn load_text(text: &str) -> Result<Configuration, ConfigurationError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    Configuration::load(&file)
}
