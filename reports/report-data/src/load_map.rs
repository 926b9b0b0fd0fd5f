//! Maps of load: which is borne, and at which a trigger leaves a platform down.

use serde::{Deserialize, Serialize};

use crate::{Note, Program};

/// Maps of scenarios.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadMapReport {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION).
    pub schema_version: u32,
    /// What made it.
    pub program: Program,
    /// One for each scenario, in the order they were asked for.
    pub maps: Vec<LoadMap>,
}

/// The map of one scenario: columns are loads, rows are lengths of the trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadMap {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of all luck.
    pub root_seed: u64,
    /// Runs of each cell.
    pub run_count: u64,
    /// Share of requests that is answered when all is well, in parts per million.
    pub share_ppm: u32,
    /// How soon after the trigger all must be well again.
    pub within_ns: u64,
    /// What clients of the scenario ask for in the mean, in requests per 1000 s: the load that is 100 %.
    pub mean_millirps: u64,
    /// Names of the faults that are the trigger.
    pub trigger: Vec<String>,
    /// Runs that a limit ended, those that look for the two edges included.
    pub limited_count: u64,
    /// The platform comes back from the trigger, up to this load.
    pub stable_up_to: LoadEdge,
    /// The platform bears load without the trigger, up to this one.
    pub borne_up_to: LoadEdge,
    /// Loads that were tried, rising.
    pub columns: Vec<LoadMapColumn>,
    /// Lengths of the trigger that were tried.
    pub rows: Vec<LoadMapRow>,
    /// What had to be assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<Note>,
    /// What the input says and the model leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_modelled: Vec<Note>,
    /// Warnings about the input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Note>,
}

/// Where one region of load ends and the next begins, in parts per million of the scenario's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadEdge {
    /// The highest load that was found within the region; none when the least one tried is beyond.
    pub up_to_ppm: Option<u32>,
    /// The next load that was tried, which is beyond; none when all tried are within.
    pub below_ppm: Option<u32>,
}

/// What a load does to a platform, from good to bad.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum LoadRegion {
    /// It comes back from the trigger by itself.
    Stable,
    /// It bears the load, but the trigger can leave it down for good.
    Vulnerable,
    /// It does not bear the load, without any trigger.
    Overloaded,
}

/// One load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadMapColumn {
    /// In parts per million of the scenario's load.
    pub load_ppm: u32,
    /// What it is, over all lengths of the trigger.
    pub region: LoadRegion,
    /// Without the trigger.
    pub alone: LoadMapCell,
}

/// One length of the trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadMapRow {
    /// In parts per million of the scenario's length.
    pub length_ppm: u32,
    /// By column; none where the load is not borne even without the trigger.
    pub cells: Vec<Option<LoadMapCell>>,
}

/// Runs of one load with one trigger, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadMapCell {
    /// Runs in which every Service with a load was well in time, and to the end.
    pub well_count: u64,
    /// Runs in which the trigger struck and changed something.
    pub struck_count: u64,
    /// Runs that a limit ended; they count as not well.
    pub limited_count: u64,
    /// How long it took at most after the trigger, of runs that were well.
    pub longest_ns: Option<u64>,
    /// Services that were down in some run.
    pub down: Vec<String>,
}

/// The JSON Schema of a [`LoadMapReport`].
pub fn load_map_schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<LoadMapReport>()
}
