//! The table's part of `openapi.json`: texts and schemas are the contracts' own.

use serde_json::{Map, Value, json};

use super::contracts::interface;
use super::{Answer, Line, TABLE, examples};
use crate::http::problem::{self, Touch};

/// Adds the table's operations, and the problems that they share, to a document.
pub(crate) fn describe(document: &mut Value) {
    for line in TABLE {
        document["paths"][line.path][line.method.as_str().to_ascii_lowercase()] = operation(line);
    }
    document["components"]["responses"] = problem::shared_responses();
}

fn operation(line: &Line) -> Value {
    let function = interface().function(line);
    let mut parameters = path_parameters(line);
    parameters.extend(query_parameters(line));
    parameters.extend(header_parameters(line));
    let mut operation = json!({
        "operationId": operation_id(line),
        "tags": [line.contract().to_ascii_lowercase()],
        "summary": summary(function.description),
        "description": function.description,
        "responses": responses(line, &function.returns),
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = request_body(line) {
        operation["requestBody"] = body;
    }
    if line.for_everybody {
        operation["security"] = json!([]);
    }
    operation
}

impl Line {
    fn contract(&self) -> &'static str {
        self.function.split(':').next().unwrap_or_default()
    }
}

/// `linksWithdraw`; of a function with several lines, with what tells them apart.
fn operation_id(line: &Line) -> String {
    let (contract, function) = line.function.split_once(':').unwrap_or_default();
    let id = format!("{}{}", contract.to_ascii_lowercase(), capitalised(function));
    let several = TABLE.iter().filter(|other| other.function == line.function).count() > 1;
    match line.names().last().filter(|_| several) {
        Some(name) => format!("{id}Of{}", capitalised(name)),
        None => id,
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// What the documentation says first.
fn summary(description: &str) -> &str {
    let end = [". ", "; ", ": "].iter().filter_map(|stop| description.find(stop)).min();
    description[..end.unwrap_or(description.len())].trim_end_matches('.')
}

fn properties(line: &Line) -> Option<&'static Map<String, Value>> {
    interface().object(interface().function(line))?["properties"].as_object()
}

/// Members of the argument that the path does not carry.
fn members(line: &Line) -> impl Iterator<Item = (&'static String, &'static Value)> {
    let of_path = |name: &str| line.within == Some(name) || line.names().any(|path_name| path_name == name);
    properties(line).into_iter().flatten().filter(move |(name, _)| !of_path(name))
}

fn required(line: &Line) -> Vec<&'static str> {
    let schema = interface().object(interface().function(line));
    let names = schema.and_then(|schema| schema.get("required")?.as_array()).into_iter().flatten();
    names.filter_map(Value::as_str).filter(|name| line.id != Some(name)).collect()
}

fn path_parameters(line: &Line) -> Vec<Value> {
    let function = interface().function(line);
    let of_member = |position: usize, name: &str| match (properties(line), line.within) {
        (Some(properties), Some(member)) => {
            let choices = interface().resolve(&properties[member])["oneOf"].as_array();
            let with_it =
                choices.and_then(|choices| choices.iter().find(|choice| !choice["properties"][name].is_null()));
            with_it.map_or(Value::Null, |choice| choice["properties"][name].clone())
        }
        (Some(properties), None) => properties[name].clone(),
        (None, _) => function.parameters[position].1.clone(),
    };
    let names = line.names().enumerate();
    names.map(|(position, name)| parameter("path", name, true, of_member(position, name))).collect()
}

fn query_parameters(line: &Line) -> Vec<Value> {
    let required = required(line);
    let members = members(line).filter(|_| line.reads());
    members.map(|(name, schema)| parameter("query", name, required.contains(&name.as_str()), schema.clone())).collect()
}

fn header_parameters(line: &Line) -> Vec<Value> {
    let header = |name: &str, text: String, schema: Value| parameter("header", name, false, with_text(schema, &text));
    let text = "For a key that is not with this gateway: the answer is 202, and has what the caller signs.";
    let mut headers = vec![header("Healthchain-Signing", text.into(), json!({"type": "string", "enum": ["detached"]}))];
    if line.reads() {
        let text = "An ETag of this resource: if it is still that one, the answer is 304 without a body.";
        headers.push(header("If-None-Match", text.into(), json!({"type": "string"})));
    }
    if !line.reads() {
        let makes = |id| format!(" It makes the `{id}` when the body leaves it out.");
        let text =
            "The same key with the same request is carried out once, and answered the same for a day.".to_owned();
        let text = text + &line.id.map(makes).unwrap_or_default();
        let mut key = header("Idempotency-Key", text, json!({"type": "string", "pattern": "^[!-~]{1,128}$"}));
        key["required"] = line.needs_key.into();
        headers.push(key);
        let text = "`respond-async`: the answer is 202, and a job has the answer when there is one (RFC 7240).";
        headers.push(header("Prefer", text.into(), json!({"type": "string"})));
    }
    if let Some(state) = line.state() {
        let text = format!(
            "The ETag that `GET {}` gave: if the own peer knows another state just before the write, nothing is written and the \
             answer is 412. What others write at the same moment is for the ledger to refuse.",
            state.path
        );
        headers.push(header("If-Match", text, json!({"type": "string"})));
    }
    headers
}

fn parameter(place: &str, name: &str, required: bool, schema: Value) -> Value {
    let mut schema = present(schema);
    let text = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter = json!({"name": name, "in": place, "required": required, "schema": schema});
    if let Some(text) = text {
        parameter["description"] = text;
    }
    parameter
}

/// The schema of a value that is there: a parameter that is absent is not `null`.
fn present(mut schema: Value) -> Value {
    schema.as_object_mut().map(|schema| schema.remove("default"));
    let text = schema["description"].take();
    let choices = schema["anyOf"].as_array().cloned().unwrap_or_default();
    let schema = choices.into_iter().find(|choice| choice["type"] != "null").unwrap_or(schema);
    match text.as_str() {
        Some(text) => with_text(schema, text),
        None => without_null(schema),
    }
}

fn with_text(mut schema: Value, text: &str) -> Value {
    schema["description"] = text.into();
    schema
}

fn without_null(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.retain(|_, value| !value.is_null());
    }
    schema
}

fn request_body(line: &Line) -> Option<Value> {
    if line.reads() {
        return None;
    }
    let function = interface().function(line);
    let whole = interface().object(function)?;
    let left: Map<_, _> = members(line).map(|(name, schema)| (name.clone(), schema.clone())).collect();
    if left.is_empty() {
        return None;
    }
    let required: Vec<_> = required(line).into_iter().filter(|name| left.contains_key(*name)).collect();
    let schema = match left.len() == whole["properties"].as_object().map_or(0, Map::len) && line.id.is_none() {
        true => function.parameters[0].1.clone(),
        false => {
            let mut schema = whole.clone();
            schema.insert("properties".into(), left.into());
            schema.remove("required");
            if !required.is_empty() {
                schema.insert("required".into(), json!(required));
            }
            schema.into()
        }
    };
    let mut content = json!({"schema": schema});
    if let Some(example) = examples::body(line.function) {
        content["example"] = example;
    }
    Some(json!({"required": !required.is_empty(), "content": {"application/json": content}}))
}

fn responses(line: &Line, returns: &Value) -> Value {
    let (status, text) = match line.answer {
        Answer::Done if line.reads() => ("200", "As the own peer knows it"),
        Answer::Done => ("200", "Done: on the ledger"),
        Answer::Created | Answer::CreatedAt(_) => {
            ("201", "Created: on the ledger. Also when it was there already, the same")
        }
    };
    let text_header = |text: &str| json!({"description": text, "schema": {"type": "string"}});
    let mut headers = Map::new();
    if line.reads() {
        headers.insert("ETag".into(), text_header("Strong: the same as long as the answer and its Content-Encoding are. Conditions are met by that of any Content-Encoding"));
        if properties(line).is_some_and(|properties| properties.contains_key("page_token")) {
            headers.insert(
                "Link".into(),
                text_header("`rel=\"next\"` (RFC 8288): the next page, unless this is the last one"),
            );
        }
    }
    if let Answer::CreatedAt(_) = line.answer {
        headers.insert("Location".into(), text_header("Where it is read"));
    }
    let mut success = json!({"description": text, "content": {"application/json": {"schema": returns}}});
    if !headers.is_empty() {
        success["headers"] = headers.into();
    }
    let mut responses = json!({status: success});
    // Without the schema as its content: in a client made from this document it would stand beside that of every answer.
    let to_sign = "An `AwaitedSignature`, as `Healthchain-Signing: detached` asks";
    responses["202"] = json!({"description": to_sign});
    if !line.reads() {
        let job =
            "or begun without a body, as `Prefer: respond-async` asks: `Location` is the job that will have the answer";
        responses["202"]["description"] = format!("{to_sign}; {job}").into();
        responses["202"]["headers"] = json!({
            "Location": text_header("`/v1/jobs/{job}`"), "Preference-Applied": text_header("`respond-async`"),
        });
    }
    if line.reads() {
        responses["304"] = json!({"description": "The caller has it already: `If-None-Match` names it"});
    }
    let touch = if line.reads() { Touch::Reads } else { Touch::Writes };
    for status in problem::shared_statuses(touch, !line.for_everybody) {
        responses[status.to_string()] = json!({"$ref": format!("#/components/responses/Problem{status}")});
    }
    responses
}
