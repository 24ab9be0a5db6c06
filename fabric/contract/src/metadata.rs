//! What a chaincode offers, in the shape that the official SDKs give it (`org.hyperledger.fabric:GetMetadata`).

use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::chaincode::Contract;

pub(crate) const SYSTEM_CONTRACT: &str = "org.hyperledger.fabric";
pub(crate) const SYSTEM_FUNCTION: &str = "GetMetadata";
const COMPONENTS: &str = "#/components/schemas/";

/// One contract's functions.
#[derive(Clone, Debug)]
pub struct ContractMetadata {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it is for: the trait's documentation.
    pub description: &'static str,
    /// In the order of the trait.
    pub functions: Vec<FunctionMetadata>,
}

/// One function.
#[derive(Clone, Debug)]
pub struct FunctionMetadata {
    /// The name on the wire, without the contract's.
    pub name: &'static str,
    /// What it does: the function's documentation.
    pub description: &'static str,
    /// Whether it is meant to be submitted or only evaluated.
    pub kind: FunctionKind,
    /// Names and JSON schemas.
    pub parameters: Vec<(&'static str, Value)>,
    /// JSON schema of the result.
    pub returns: Value,
    /// Reads the arguments as the chaincode would, without calling it. Arguments beyond the parameters are not looked at.
    pub check: fn(&[Vec<u8>]) -> Result<(), Misfit>,
}

/// An argument that its function does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter} does not fit at {path}: {reason}")]
pub struct Misfit {
    /// Which argument.
    pub parameter: &'static str,
    /// Where in it, such as `scope.links[2]`; `.` for the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

/// What a function is meant for. Clients may still do either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// It writes: endorsed, ordered, committed.
    Submit,
    /// It only reads: one peer answers.
    Evaluate,
}

/// The JSON schema of a type, for [`ContractMetadata`].
pub fn schema<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

pub(crate) fn describe(contracts: &[Arc<dyn Contract>]) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();

    let mut described = Map::new();
    for (position, contract) in contracts.iter().enumerate() {
        let metadata = contract.metadata(&mut schemas);
        let mut entry = contract_entry(contract.name(), &metadata);
        if position == 0 {
            entry["default"] = true.into();
        }
        described.insert(contract.name().to_owned(), entry);
    }
    described.insert(SYSTEM_CONTRACT.to_owned(), contract_entry(SYSTEM_CONTRACT, &system_contract()));

    json!({
        "info": { "title": "undefined", "version": "latest" },
        "contracts": described,
        "components": { "schemas": components(schemas.take_definitions(true)) },
    })
}

/// The shared schemas: each with its name as `$id`, which the official schema of contracts asks for, and referring to the others
/// relative to that.
fn components(mut schemas: Map<String, Value>) -> Map<String, Value> {
    for (name, schema) in &mut schemas {
        shorten_references(schema);
        if let Value::Object(schema) = schema {
            schema.insert("$id".into(), name.as_str().into());
        }
    }
    schemas
}

fn shorten_references(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(reference) if name == "$ref" => {
                        *value = reference.trim_start_matches(COMPONENTS).into();
                    }
                    other => shorten_references(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten_references),
        _ => {}
    }
}

fn contract_entry(name: &str, contract: &ContractMetadata) -> Value {
    let mut info = json!({ "title": name, "version": "latest" });
    describe_in(&mut info, contract.description);
    let transactions: Vec<Value> = contract.functions.iter().map(function_entry).collect();
    json!({ "name": name, "info": info, "transactions": transactions })
}

fn function_entry(function: &FunctionMetadata) -> Value {
    let tag = match function.kind {
        FunctionKind::Submit => json!(["submit", "SUBMIT"]),
        FunctionKind::Evaluate => json!(["evaluate", "EVALUATE"]),
    };
    let parameters: Vec<Value> =
        function.parameters.iter().map(|(name, schema)| json!({ "name": name, "schema": schema })).collect();
    let mut entry = json!({ "name": function.name, "tag": tag, "parameters": parameters, "returns": function.returns });
    describe_in(&mut entry, function.description);
    entry
}

fn describe_in(entry: &mut Value, description: &str) {
    if !description.is_empty() {
        entry["description"] = description.into();
    }
}

fn system_contract() -> ContractMetadata {
    let metadata = FunctionMetadata {
        name: SYSTEM_FUNCTION,
        description: "",
        kind: FunctionKind::Evaluate,
        parameters: Vec::new(),
        returns: json!({ "type": "string" }),
        check: |_| Ok(()),
    };
    ContractMetadata { name: SYSTEM_CONTRACT, description: "", functions: vec![metadata] }
}
