//! JSON: the data as it is. Stable; its schema is that of [`Report`].

use report_data::Report;

/// The report as indented JSON with a final line end.
pub fn json(report: &Report) -> String {
    let mut text =
        serde_json::to_string_pretty(report).expect("plain data without maps always serializes");
    text.push('\n');
    text
}
