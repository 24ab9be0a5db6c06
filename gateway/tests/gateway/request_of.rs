//! Requests made from `openapi.json` alone: a path, a query and a body that fit the document, so that a new route is walked by itself.

use serde_json::{Map, Value, json};

/// A request that the document describes.
pub(crate) struct Described {
    pub(crate) method: String,
    /// As in the document, with parameters in braces.
    pub(crate) route: String,
    /// With its query.
    pub(crate) target: String,
    /// Media type and content.
    pub(crate) body: Option<(String, String)>,
}

impl Described {
    /// The request, ready to be sent by a client.
    pub(crate) fn of(&self, client: &reqwest::Client, base: &str) -> reqwest::RequestBuilder {
        let request = client.request(self.method.parse().unwrap(), format!("{base}{}", self.target));
        let request = request.header("idempotency-key", "walk");
        match &self.body {
            Some((media_type, body)) => request.header("content-type", media_type).body(body.clone()),
            None => request,
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// Every operation of the document.
pub(crate) fn all(document: &Value) -> Vec<Described> {
    let mut found = Vec::new();
    for (route, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push(described(document, route, method, operation));
        }
    }
    found
}

fn described(document: &Value, route: &str, method: &str, operation: &Value) -> Described {
    let (mut path, mut query) = (route.to_owned(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let value = match example(document, parameter) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
            Some("query") if parameter["required"] == true => query.push(format!("{name}={value}")),
            _ => {}
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let body = operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    let body = body.map(|(media_type, content)| match media_type.as_str() {
        "application/json" => (media_type.clone(), example(document, content).to_string()),
        "*/*" => ("application/fhir+json".into(), "{}".into()),
        other => (other.to_owned(), String::new()),
    });
    Described { method: method.to_uppercase(), route: route.to_owned(), target: path, body }
}

/// The example that stands beside a schema, else one made from the schema.
fn example(document: &Value, described: &Value) -> Value {
    match described.get("example").or_else(|| described["schema"].get("example")) {
        Some(example) => example.clone(),
        None => value_of(document, &described["schema"], 0),
    }
}

/// A value that fits a schema: what is required and nothing else, the first choice of several.
fn value_of(document: &Value, schema: &Value, depth: usize) -> Value {
    let deeper = |schema: &Value| value_of(document, schema, depth + 1);
    assert!(depth < 40, "a schema without end: {schema}");
    if let Some(reference) = schema["$ref"].as_str() {
        return deeper(document.pointer(reference.strip_prefix('#').unwrap()).unwrap());
    }
    for given in ["example", "const"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    if let Some(first) = schema["examples"].get(0).or_else(|| schema["enum"].get(0)) {
        return first.clone();
    }
    if let Some(first) = ["oneOf", "anyOf"].iter().find_map(|choice| schema[*choice].get(0)) {
        let mut value = deeper(first);
        if let (Some(members), Value::Object(more)) = (value.as_object_mut(), object(document, schema, depth)) {
            members.extend(more);
        }
        return value;
    }
    let kind = if schema["type"].is_array() { &schema["type"][0] } else { &schema["type"] };
    match kind.as_str() {
        Some("object") => object(document, schema, depth),
        Some("array") => {
            json!((0..schema["minItems"].as_u64().unwrap_or(0)).map(|_| deeper(&schema["items"])).collect::<Vec<_>>())
        }
        Some("integer" | "number") => json!(schema["minimum"].as_u64().unwrap_or(1).max(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!(text_of(schema)),
    }
}

fn object(document: &Value, schema: &Value, depth: usize) -> Value {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let members = required.map(|name| (name.to_owned(), value_of(document, &schema["properties"][name], depth + 1)));
    Value::Object(members.collect::<Map<_, _>>())
}

/// A text; ids and hashes are of hexadecimal digits where the schema gives a length.
fn text_of(schema: &Value) -> String {
    let least = schema["minLength"].as_u64().unwrap_or(1) as usize;
    let fixed =
        schema["pattern"].as_str().and_then(|pattern| pattern.split_once('{')?.1.split('}').next()?.parse().ok());
    "a".repeat(fixed.unwrap_or(least).max(1))
}
