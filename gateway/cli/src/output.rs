//! What the person, or the program, reads.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;

/// Members of the ledger's answers that are moments, in milliseconds since 1970.
const MOMENTS: [&str; 10] = ["time", "at", "from", "until", "granted", "published", "asked", "expires", "due", "since"];

/// Writes an answer: as JSON, as a table of these columns if it is a list, or line by line.
pub(crate) fn answer(answer: &Value, columns: &[&str], json: bool) {
    if json {
        tell(&serde_json::to_string_pretty(answer).expect("a value is JSON"));
    } else {
        tell(plain(answer, columns).trim_end());
    }
}

/// Writes to standard output. Whoever reads may stop at any moment.
pub(crate) fn tell(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes why a verb did not succeed, and what to do, to standard error.
pub(crate) fn failure(error: &Error, json: bool) {
    if json {
        let problem = match error {
            Error::Problem(problem) => json!(problem),
            _ => json!({ "title": error.to_string(), "detail": error.remedy() }),
        };
        return eprintln!("{problem:#}");
    }
    eprintln!("healthchain: {error}");
    if let Error::Problem(problem) = error {
        eprintln!("  {}", problem.detail);
        if !problem.code.is_empty() {
            eprintln!("  code: {}", problem.code);
        }
        if let Some(opening) = &problem.opening {
            eprintln!("  opening: {opening}");
        }
    }
    if let Some(remedy) = error.remedy() {
        eprintln!("  {remedy}");
    }
}

fn plain(answer: &Value, columns: &[&str]) -> String {
    match (answer.get("items").and_then(Value::as_array), answer) {
        (Some(items), _) => {
            let more = if answer["more"] == true { "\nThere are more; raise --limit.\n" } else { "" };
            table(items, columns) + more
        }
        (None, Value::Array(items)) => table(items, columns),
        (None, Value::Null) => "Done.".into(),
        (None, _) => {
            let mut lines = String::new();
            tell_members(answer, "", &mut lines);
            lines
        }
    }
}

fn table(items: &[Value], columns: &[&str]) -> String {
    if items.is_empty() {
        return "Nothing.".into();
    }
    let heads: Vec<String> =
        columns.iter().map(|column| column.rsplit('.').next().unwrap_or(column).replace('_', " ")).collect();
    let cell = |item: &Value, column: &&str| {
        let found = column.split('.').fold(item, |value, name| &value[name]);
        short(column.rsplit('.').next().unwrap_or(column), found)
    };
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| &row[column]).chain([&heads[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(&heads).chain(&rows).map(line).collect()
}

/// `name: value`, a line each; what is inside another is named with a dot.
fn tell_members(value: &Value, path: &str, lines: &mut String) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                tell_members(member, &path, lines);
            }
        }
        _ => {
            let name = path.rsplit('.').next().unwrap_or(path);
            *lines += &format!("{path}: {}\n", short(name, value));
        }
    }
}

/// A value in a cell: times are told in UTC, lists with commas.
fn short(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => printable(text),
        Value::Number(number) if MOMENTS.contains(&name) => {
            let moment = number.as_i64().map(|number| i128::from(number) * 1_000_000);
            let moment = moment.and_then(|number| OffsetDateTime::from_unix_timestamp_nanos(number).ok());
            moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| number.to_string())
        }
        Value::Array(items) => items.iter().map(|item| short(name, item)).collect::<Vec<_>>().join(","),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| match short(name, value) {
                value if value.is_empty() => name.clone(),
                value => format!("{name}={value}"),
            });
            members.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// What others wrote on the ledger does not move the cursor of whoever reads it.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_table_of_what_one_wants_to_see() {
        let answer = json!({ "items": [
            { "link": "ab", "published": 1_700_000_000_000_u64, "terms": { "purposes": ["treatment", "payment"] }, "x": 1 },
            { "link": "abcdef", "terms": { "purposes": [] } },
        ] });
        let told = plain(&answer, &["link", "published", "terms.purposes"]);
        assert_eq!(
            told,
            "link    published             purposes\n\
             ab      2023-11-14T22:13:20Z  treatment,payment\n\
             abcdef  -\n"
        );
    }

    #[test]
    fn a_thing_is_told_line_by_line() {
        let told = plain(&json!({ "id": "a", "state": { "state": "active", "at": 0 } }), &[]);
        assert_eq!(told, "id: a\nstate.at: 1970-01-01T00:00:00Z\nstate.state: active\n");
    }

    #[test]
    fn an_empty_list_says_so_and_a_longer_one_that_there_is_more() {
        assert_eq!(plain(&json!({ "items": [] }), &["id"]), "Nothing.");
        assert!(plain(&json!({ "items": [{ "id": 1 }], "more": true }), &["id"]).contains("--limit"));
    }

    #[test]
    fn what_others_wrote_cannot_command_the_terminal() {
        assert_eq!(short("reason", &json!("a\u{1b}[2Jb\n")), "a\u{fffd}[2Jb\u{fffd}");
    }
}
