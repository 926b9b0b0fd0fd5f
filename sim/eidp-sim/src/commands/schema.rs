//! `schema`: JSON Schemas of what is read and written.

use scenario_format::decode::{Decode, Definitions};
use scenario_format::document::{PlatformDocument, ScenarioDocument};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::flags::SchemaOf;
use crate::streams::Streams;

pub(crate) fn run(of: SchemaOf, streams: Streams) -> anyhow::Result<Exit> {
    let schema = match of {
        SchemaOf::Scenario => serde_json::to_string_pretty(&document::<ScenarioDocument>()),
        SchemaOf::Platform => serde_json::to_string_pretty(&document::<PlatformDocument>()),
        SchemaOf::Result => serde_json::to_string_pretty(&report_data::schema()),
        SchemaOf::Diff => serde_json::to_string_pretty(&report_diff::schema()),
    }?;
    streams.data(&format!("{schema}\n"))?;
    Ok(Exit::Held)
}

fn document<T: Decode>() -> Value {
    let mut definitions = Definitions::new();
    let root = T::schema(&mut definitions);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [root],
        "definitions": definitions,
    })
}
