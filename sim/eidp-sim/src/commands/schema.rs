//! `schema`: JSON Schemas of what is read and written.

use scenario_format::schema;

use crate::exit::Exit;
use crate::flags::SchemaOf;
use crate::streams::Streams;

pub(crate) fn run(of: SchemaOf, streams: Streams) -> anyhow::Result<Exit> {
    let schema = match of {
        SchemaOf::Scenario => schema::scenario(),
        SchemaOf::Platform => schema::platform(),
        SchemaOf::Result => report_data::schema().to_value(),
        SchemaOf::Diff => report_diff::schema().to_value(),
        SchemaOf::Conformance => report_data::conformance_schema().to_value(),
        SchemaOf::Decision => report_data::decision_schema().to_value(),
        SchemaOf::BlackStart => report_data::black_start_schema().to_value(),
        SchemaOf::LoadMap => report_data::load_map_schema().to_value(),
        SchemaOf::Timelines => report_data::timelines_schema().to_value(),
    };
    streams.data(&schema::to_text(&schema))?;
    Ok(Exit::Held)
}
