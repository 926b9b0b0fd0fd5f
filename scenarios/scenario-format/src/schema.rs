//! JSON Schema (draft-07) of our documents, for editors.

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Definitions};
use crate::document::{PlatformDocument, ScenarioDocument};

/// Schema of kind `Scenario`.
pub fn scenario() -> Json {
    schema_of::<ScenarioDocument>("Scenario")
}

/// Schema of kind `Platform`.
pub fn platform() -> Json {
    schema_of::<PlatformDocument>("Platform")
}

fn schema_of<T: Decode>(kind: &str) -> Json {
    let mut definitions = Definitions::new();
    let root = T::schema(&mut definitions);
    let name = format!("{kind}Document");
    definitions[&name]["properties"]["kind"] = json!({"const": kind});
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("eidp-sim {kind}"),
        "allOf": [root],
        "definitions": definitions,
    })
}

/// A schema as it is committed: indented, with a line break at the end.
pub fn to_text(schema: &Json) -> String {
    let mut text = serde_json::to_string_pretty(schema).expect("a JSON value is always writable");
    text.push('\n');
    text
}
