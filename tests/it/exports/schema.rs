//! The schema of everything that is serialized, applied strictly: a field that it does not name is an error, too.

use serde::Serialize;
use serde_json::{Map, Value, json};

const TEXT: &str = include_str!("../../../docs/status.schema.json");

/// Returns the published schema.
pub(super) fn published() -> Value {
    serde_json::from_str(TEXT).unwrap()
}

/// The schema, with no fields allowed that it does not name.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn new() -> Self {
        let mut schema = published();
        let definitions = schema["$defs"].as_object_mut().unwrap();
        for definition in definitions.values_mut() {
            if definition.get("properties").is_some() {
                definition["additionalProperties"] = json!(false);
            }
        }
        Self(schema)
    }

    /// Serializes a value, asserts that it is a `name` of the schema, and returns it.
    #[track_caller]
    pub(super) fn check(&self, name: &str, value: &impl Serialize) -> Value {
        // Through text, because that is what others read.
        let value: Value = serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap();
        assert_eq!(self.complaints(name, &value), [""; 0], "{value:#}");
        value
    }

    /// Returns what the validator has against a value as a `name` of the schema.
    pub(super) fn complaints(&self, name: &str, value: &Value) -> Vec<String> {
        let mut schema = self.0.clone();
        schema["$ref"] = json!(format!("#/$defs/{name}"));
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

/// Returns the properties of a definition.
pub(super) fn properties(name: &str) -> Map<String, Value> {
    published()["$defs"][name]["properties"].as_object().unwrap().clone()
}

#[test]
fn the_schema_is_valid_and_all_fields_of_its_types_are_required() {
    let schema = published();
    jsonschema::meta::validate(&schema).unwrap();
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        // These two have the fields of their reason.
        if definition.get("properties").is_none() || ["reason", "advice_error"].contains(&&**name) {
            continue;
        }
        let properties: Vec<_> = definition["properties"].as_object().unwrap().keys().collect();
        let mut required: Vec<_> = definition["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap())
            .collect();
        required.sort_unstable();
        assert_eq!(required, properties, "required of {name}");
    }
}

#[test]
fn the_validator_finds_a_missing_field_one_too_many_and_one_of_the_wrong_type() {
    let schema = Schema::new();
    let payments = crate::support::bulkhead(1, 1);
    let good = schema.check("status", &payments.status());
    let mut missing = good.clone();
    missing["totals"].as_object_mut().unwrap().remove("admitted");
    let mut unknown = good.clone();
    unknown["totals"]["invented"] = json!(1);
    let mut wrong = good;
    wrong["peaks"]["wait_seconds"] = json!("1s");
    for bad in [missing, unknown, wrong] {
        assert_eq!(schema.complaints("bulkhead_status", &bad).len(), 1, "{bad:#}");
    }
}
