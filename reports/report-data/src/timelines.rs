//! Recorded timelines beside the distribution of simulated ones.

use serde::{Deserialize, Serialize};

use crate::Program;

/// Traces that were compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimelineReport {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION).
    pub schema_version: u32,
    /// What made it.
    pub program: Program,
    /// Seed of all luck.
    pub root_seed: u64,
    /// One entry a trace, in the order they were asked for.
    pub traces: Vec<TimelineTrace>,
}

/// One trace and what was simulated of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimelineTrace {
    /// Its name.
    pub name: String,
    /// What kind of scenario it is.
    pub kind: String,
    /// Runs that were compared with it.
    pub run_count: u64,
    /// Figures it has.
    pub figure_count: u64,
    /// Figures that lie within what was simulated.
    pub covered_count: u64,
    /// All figures, in the order of the recording.
    pub figures: Vec<TimelineFigure>,
}

/// One recorded figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimelineFigure {
    /// Its place in the summary of the recording.
    pub name: String,
    /// What it counts.
    pub unit: TimelineUnit,
    /// Of a step of a series: from when on, in seconds of the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_seconds: Option<f64>,
    /// What was recorded; absent for something that did not happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<f64>,
    /// Least of what was simulated, the lowest half percent of the runs left out; absent when
    /// nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// Most of it, the highest half percent left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// How far outside the recorded figure may lie. Of a step the time has it, not the value.
    pub slack: f64,
    /// Whether it lies within.
    pub is_covered: bool,
}

impl TimelineFigure {
    /// Whether any run has it: what no run has is beside the model, not outside of a range.
    pub fn is_simulated(&self) -> bool {
        self.least.is_some() || self.recorded.is_none()
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TimelineUnit {
    /// A moment or a length of time, in seconds.
    Seconds,
    /// A length of time, in milliseconds.
    Milliseconds,
    /// A number of things.
    Count,
    /// A mean over the scenario.
    Mean,
    /// A rate.
    PerSecond,
}

impl TimelineReport {
    /// Figures of all traces, and how many of them are covered.
    pub fn counts(&self) -> [u64; 2] {
        self.traces.iter().fold([0; 2], |[figures, covered], trace| {
            [figures + trace.figure_count, covered + trace.covered_count]
        })
    }
}

impl TimelineTrace {
    /// Widths of the simulated ranges of times, in seconds, in ascending order: how much the model
    /// leaves open.
    pub fn widths_seconds(&self) -> Vec<f64> {
        let width = |figure: &TimelineFigure| {
            let scale = match figure.unit {
                TimelineUnit::Seconds => 1.0,
                TimelineUnit::Milliseconds => 0.001,
                _ => return None,
            };
            Some((figure.most? - figure.least?) * scale)
        };
        let mut widths: Vec<f64> = self.figures.iter().filter_map(width).collect();
        widths.sort_by(f64::total_cmp);
        widths
    }
}

/// The JSON Schema of a [`TimelineReport`] (draft-07).
pub fn timelines_schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<TimelineReport>()
}
