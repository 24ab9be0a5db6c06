//! What a request says, as the argument of the contract's function.

use axum::http::Method;
use fabric_contract::metadata::{FunctionMetadata, Misfit};
use serde_json::{Map, Value};

use super::Line;
use super::contracts::interface;
use crate::http::problem::{IDEMPOTENCY_KEY_OR_ID_MISSING, MALFORMED_BODY, MALFORMED_PATH, MALFORMED_QUERY, Problem};

/// A request's parts, not yet of any type.
#[derive(Default)]
pub(super) struct Parts {
    /// The values in the path, in order.
    pub(super) path: Vec<String>,
    /// Names and values, decoded.
    pub(super) query: Vec<(String, String)>,
    /// The JSON object of the body; empty when there is none.
    pub(super) body: Map<String, Value>,
    /// The id to use when the caller leaves it out, if the request has an Idempotency-Key.
    pub(super) derived_id: Option<String>,
}

/// The arguments of a call.
#[derive(Debug)]
pub(super) struct Arguments {
    /// As the contract takes them, checked against its types.
    pub(super) json: Vec<Vec<u8>>,
    /// The one object that holds them by name, for the Location.
    pub(super) named: Map<String, Value>,
}

/// Puts a request's parts together as its function's arguments.
pub(super) fn assemble(line: &Line, parts: Parts) -> Result<Arguments, Problem> {
    let function = interface().function(line);
    let (values, named) = match interface().object(function) {
        Some(schema) => {
            let object = object(line, &schema["properties"], parts)?;
            (vec![Value::Object(object.clone())], object)
        }
        None => values(line, function, parts)?,
    };
    let json: Vec<_> = values.iter().map(|value| value.to_string().into_bytes()).collect();
    (function.check)(&json).map_err(|misfit| blame(line, function, misfit))?;
    Ok(Arguments { json, named })
}

fn object(line: &Line, properties: &Value, parts: Parts) -> Result<Map<String, Value>, Problem> {
    let Parts { path, query, body, derived_id } = parts;
    let from_path = line.names().zip(path);
    let mut object = Map::new();
    match line.within {
        Some(member) => {
            let inner = from_path.map(|(name, text)| (name.to_owned(), Value::String(text))).collect();
            object.insert(member.into(), Value::Object(inner));
        }
        None => object.extend(from_path.map(|(name, text)| (name.to_owned(), typed(&properties[name], text)))),
    }
    let known = |name: &str| properties.get(name).is_some();
    let queried = if line.reads() { Some(properties) } else { None };
    add_query(&mut object, queried, line, query)?;
    for (name, value) in body {
        if !known(&name) {
            return Err(Problem::new(MALFORMED_BODY).because(format_args!("{name} is no member of it")));
        }
        match object.get(&name) {
            Some(other) if *other != value => {
                return Err(Problem::new(MALFORMED_BODY).because(format_args!("{name} is not the path's")));
            }
            _ => object.insert(name, value),
        };
    }
    if let Some(id) = line.id.filter(|id| !object.contains_key(*id)) {
        let derived = derived_id.ok_or_else(|| Problem::new(IDEMPOTENCY_KEY_OR_ID_MISSING).because(id))?;
        object.insert(id.into(), derived.into());
    }
    Ok(object)
}

/// Plain values, all from the path.
fn values(line: &Line, function: &FunctionMetadata, parts: Parts) -> Result<(Vec<Value>, Map<String, Value>), Problem> {
    if let Some((name, _)) = parts.query.first() {
        return Err(Problem::new(MALFORMED_QUERY).because(format_args!("{name} is not asked for")));
    }
    if let Some(name) = parts.body.keys().next() {
        return Err(Problem::new(MALFORMED_BODY).because(format_args!("{name} is no member of it")));
    }
    let values: Vec<_> =
        function.parameters.iter().zip(parts.path).map(|((_, schema), text)| typed(schema, text)).collect();
    let named = line.names().map(str::to_owned).zip(values.iter().cloned()).collect();
    Ok((values, named))
}

fn add_query(
    object: &mut Map<String, Value>,
    properties: Option<&Value>,
    line: &Line,
    query: Vec<(String, String)>,
) -> Result<(), Problem> {
    let refused = |name: &str, why: &str| Err(Problem::new(MALFORMED_QUERY).because(format_args!("{name} {why}")));
    for (name, text) in query {
        let schema = properties.and_then(|properties| properties.get(&name));
        let of_path = line.within == Some(&name) || line.names().any(|path_name| path_name == name);
        let Some(schema) = schema.filter(|_| !of_path) else { return refused(&name, "is not asked for") };
        let schema = interface().resolve(schema);
        match (is_of(schema, "array"), object.get_mut(&name)) {
            (true, Some(Value::Array(items))) => items.push(typed(&schema["items"], text)),
            (true, _) => drop(object.insert(name, Value::Array(vec![typed(&schema["items"], text)]))),
            (false, Some(_)) => return refused(&name, "is there twice"),
            (false, None) => drop(object.insert(name, typed(schema, text))),
        }
    }
    Ok(())
}

/// A text of the path or the query as the schema's type. What is no such value stays text, and the check says so.
fn typed(schema: &Value, text: String) -> Value {
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let schema = interface().resolve(schema);
    match text.as_str() {
        digits if is_of(schema, "integer") => number(digits).map_or_else(|| Value::String(text.clone()), Value::from),
        "true" if is_of(schema, "boolean") => Value::Bool(true),
        "false" if is_of(schema, "boolean") => Value::Bool(false),
        _ => Value::String(text),
    }
}

/// Whether a schema is of this type; what may be left out may be null, too.
fn is_of(schema: &Value, wanted: &str) -> bool {
    match &schema["type"] {
        Value::Array(types) => types.iter().any(|one| one == wanted),
        one => one == wanted,
    }
}

/// The problem of the part in which the mistake is.
fn blame(line: &Line, function: &FunctionMetadata, misfit: Misfit) -> Problem {
    let plain = interface().object(function).is_none();
    let member = misfit.path.split(['.', '[']).next().unwrap_or_default();
    let of_path = plain || line.within == Some(member) || line.names().any(|name| name == member);
    let kind = match of_path {
        true => MALFORMED_PATH,
        false if line.method == Method::GET => MALFORMED_QUERY,
        false => MALFORMED_BODY,
    };
    // Where in the JSON that was put together here says nothing to the caller.
    let reason = misfit.reason.split(" at line ").next().unwrap_or_default();
    match misfit.path.as_str() {
        "." => Problem::new(kind).because(reason),
        place => Problem::new(kind).because(format_args!("{place}: {reason}")),
    }
}
