//! The contracts' functions as the table finds them: by name, with the schemas of what they take and give.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fabric_contract::metadata::FunctionMetadata;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Line;

const SCHEMAS: &str = "#/components/schemas/";

/// All contracts.
pub(super) struct Interface {
    functions: BTreeMap<String, FunctionMetadata>,
    /// What the functions' schemas refer to, by name.
    pub(super) schemas: Map<String, Value>,
}

/// The interface that this gateway was built with.
pub(super) fn interface() -> &'static Interface {
    static INTERFACE: LazyLock<Interface> = LazyLock::new(|| {
        let mut generator = generator();
        let contracts = healthchain_interface::contracts(&mut generator);
        let functions = contracts.into_iter().flat_map(|contract| {
            let full_name = move |function: &FunctionMetadata| format!("{}:{}", contract.name, function.name);
            contract.functions.into_iter().map(move |function| (full_name(&function), function))
        });
        Interface { functions: functions.collect(), schemas: generator.take_definitions(true) }
    });
    &INTERFACE
}

/// Describes types as OpenAPI 3.1 has them.
pub(crate) fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.trim_start_matches('#').trim_end_matches('/').into();
        settings.meta_schema = None;
    });
    settings.into_generator()
}

impl Interface {
    /// The function of a line of the table.
    pub(super) fn function(&self, line: &Line) -> &FunctionMetadata {
        self.functions.get(line.function).expect("a test finds each line's function among the contracts'")
    }

    /// The function's argument, when it takes one JSON object: its schema.
    pub(super) fn object<'a>(&'a self, function: &'a FunctionMetadata) -> Option<&'a Map<String, Value>> {
        let [(_, schema)] = function.parameters.as_slice() else { return None };
        self.resolve(schema).as_object().filter(|schema| schema.contains_key("properties"))
    }

    /// The schema that a reference, or a value that may be absent, comes down to.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let present = |choice: &&Value| choice["type"] != "null";
        let referred = schema["$ref"].as_str().and_then(|name| self.schemas.get(name.strip_prefix(SCHEMAS)?));
        let optional = schema["anyOf"].as_array().and_then(|choices| choices.iter().find(present));
        referred.or(optional).map_or(schema, |schema| self.resolve(schema))
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }
}
