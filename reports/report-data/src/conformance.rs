//! What the models make of cases of the real components.

use serde::{Deserialize, Serialize};

use crate::{Position, Program};

/// Results of putting case files to the models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConformanceReport {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION).
    pub schema_version: u32,
    /// What made it.
    pub program: Program,
    /// How measured figures are judged, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// One entry a file, in the order they were asked for.
    pub files: Vec<ConformanceFile>,
}

/// One file of cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConformanceFile {
    /// Path, as it was named or found.
    pub file: String,
    /// Cases in which everything came out as expected.
    pub passed_count: u64,
    /// Cases in which something else came out.
    pub failed_count: u64,
    /// Cases that no model answers.
    pub not_supported_count: u64,
    /// All cases in the order they were written.
    pub cases: Vec<ConformanceCase>,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConformanceCase {
    /// Its name.
    pub name: String,
    /// What it was taken from, as the case says.
    pub source: String,
    /// Where it begins.
    pub position: Position,
    /// What became of it.
    pub outcome: ConformanceOutcome,
    /// Why it is not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Expectations that did not come out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<ConformanceDifference>,
    /// Measured figures beside what was simulated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<ConformanceRange>,
}

/// A figure that was measured, and the range of simulated ones. Lengths of time are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConformanceRange {
    /// Its name.
    pub figure: String,
    /// What was measured.
    pub measured: f64,
    /// The least of all runs; none when it happened in no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The middle of all runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// The most of all runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// From the least to the most: a wide range says little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Whether the measured figure lies in it, by the rule of the report.
    pub is_inside: bool,
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConformanceOutcome {
    /// Everything came out as expected.
    Passed,
    /// Something else came out.
    Failed,
    /// No model answers it.
    NotSupported,
}

/// An expectation that did not come out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConformanceDifference {
    /// Its path within `expect`.
    pub expectation: String,
    /// What was expected.
    pub expected: String,
    /// What came out.
    pub got: String,
    /// Where it is written.
    pub position: Position,
}

impl ConformanceReport {
    /// Passed, failed and not supported cases of all files.
    pub fn counts(&self) -> [u64; 3] {
        self.files.iter().fold([0; 3], |[passed, failed, not_supported], file| {
            [
                passed + file.passed_count,
                failed + file.failed_count,
                not_supported + file.not_supported_count,
            ]
        })
    }
}

/// The JSON Schema of a [`ConformanceReport`] (draft-07).
pub fn conformance_schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<ConformanceReport>()
}
