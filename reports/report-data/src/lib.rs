//! Results as plain, versioned data.
//!
//! What a campaign found, in a form that outlives the program: every report is drawn from this and
//! from nothing else, so an old result can be redrawn by a new version. Imports nothing of ours.
//! Integers carry their unit in the name; order is deterministic; JSON keys are camelCase.
//!
//! The schema of it all is `reports/schema/report.schema.json`, an example
//! `reports/examples/every-verdict.json`. Start reading at [`Report`].

use serde::{Deserialize, Serialize};

mod black_start;
mod conformance;
mod decision;
mod exposure;
mod load_map;
pub mod metric_name;
mod recommendation;
mod storage;
mod summary;
mod timelines;

pub use black_start::{
    BlackStart, BlackStartFrom, BlackStartReport, BlackStartStage, black_start_schema,
};
pub use conformance::{
    ConformanceCase, ConformanceDifference, ConformanceFile, ConformanceOutcome, ConformanceRange,
    ConformanceReport, conformance_schema,
};
pub use decision::{
    Datum, DecisionColumn, DecisionKind, DecisionReport, DecisionStep, DecisionTable, PluginScore,
    decision_schema,
};
pub use exposure::{CurvePoint, Exposure};
pub use load_map::{
    LoadEdge, LoadMap, LoadMapCell, LoadMapColumn, LoadMapReport, LoadMapRow, LoadRegion,
    load_map_schema,
};
pub use recommendation::Recommendation;
pub use storage::PoolDurability;
pub use summary::Quantiles;
pub use timelines::{
    TimelineFigure, TimelineReport, TimelineTrace, TimelineUnit, timelines_schema,
};

/// Version of this data's shape. Raised when a reader of the old shape would misread the new one.
pub const SCHEMA_VERSION: u32 = 1;

/// The JSON Schema of a [`Report`] (draft-07, which editors read).
///
/// `reports/schema/report.schema.json` is this, written out.
pub fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<Report>()
}

/// Results of one call of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What made it.
    pub program: Program,
    /// One result a scenario, in the order they were asked for.
    pub results: Vec<ScenarioResult>,
}

/// The program that made a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Program {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

/// What was found of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScenarioResult {
    /// Name of the scenario.
    pub scenario: String,
    /// What it is about.
    pub description: String,
    /// Path of its file, as it was named.
    pub file: String,
    /// Seed of all its luck.
    pub root_seed: u64,
    /// Runs made.
    pub run_count: u64,
    /// Virtual time of each run, in nanoseconds.
    pub horizon_ns: u64,
    /// Fold of the digests of all runs in order, as 16 hexadecimal digits.
    pub digest: String,
    /// The worst verdict of all guarantees.
    pub verdict: Verdict,
    /// Guarantees in the order they were written.
    pub guarantees: Vec<GuaranteeResult>,
    /// Faults in the order they were written.
    pub faults: Vec<FaultResult>,
    /// Figures of every run, for tables and for comparison run by run.
    pub metrics: Vec<Metric>,
    /// What disasters would have cost each data set, whether they struck or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposures: Vec<Exposure>,
    /// How durable storage pools are, one entry a pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<PoolDurability>,
    /// What vertical autoscalers recommend for what the load used, one entry a container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recommendations: Vec<Recommendation>,
    /// Events over all runs.
    pub event_count: u64,
    /// Runs that a limit ended before their horizon.
    pub limited_run_count: u64,
    /// What had to be assumed.
    pub assumptions: Vec<Note>,
    /// What the input says and the model leaves out.
    pub not_modelled: Vec<Note>,
    /// Warnings about the input, which `check` prints with their places.
    #[serde(default)]
    pub warnings: Vec<Note>,
    /// Rare branches that no run reached.
    pub probes_never_hit: Vec<String>,
}

/// A verdict, from best to worst.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Kept, as often as promised.
    Held,
    /// Never put to the test.
    Vacuous,
    /// The model does not know what it is about.
    NotModelled,
    /// More runs must decide.
    Inconclusive,
    /// Broken where no design could have kept it, and nowhere else.
    Unwinnable,
    /// Not kept as often as promised.
    Violated,
}

impl Verdict {
    /// The verdict in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Vacuous => "vacuous",
            Self::NotModelled => "not modelled",
            Self::Inconclusive => "inconclusive",
            Self::Unwinnable => "unwinnable",
            Self::Violated => "violated",
        }
    }
}

/// A place in an input file; lines and columns from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Position {
    /// File, as it was named.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A sentence about a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Note {
    /// The sentence.
    pub text: String,
    /// The place, if there is one.
    pub position: Option<Position>,
}

/// A guarantee and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuaranteeResult {
    /// Unique name in the scenario.
    pub name: String,
    /// The promise as it was written.
    pub text: String,
    /// Where it was written.
    pub position: Option<Position>,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict as a sentence with its figures.
    pub reason: String,
    /// Runs in which it held.
    pub held_count: u64,
    /// Runs in which it was put to the test and could have held.
    pub judged_count: u64,
    /// Lower end of the 95 % interval of the share of runs that hold it, 0 to 1.
    pub share_low: f64,
    /// Upper end.
    pub share_high: f64,
    /// Unit of `values`.
    pub unit: Unit,
    /// The measured value of each run.
    pub values: Vec<Option<i64>>,
    /// Of an expression: every figure that it names, with the value of each run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Metric>,
    /// The run that broke it worst.
    pub worst_run: Option<u64>,
    /// How it came to the worst run.
    pub explanation: Option<Explanation>,
    /// Command that replays the worst run.
    pub replay: Option<String>,
}

/// Unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Parts per million.
    PartsPerMillion,
    /// A count; of a predicate, 1 for true.
    Count,
}

/// How it came to a broken promise in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Explanation {
    /// The run.
    pub run: u64,
    /// From the fault to the effect, in order.
    pub steps: Vec<Step>,
    /// The outage split into its parts, in order; they sum to it exactly. Empty when the promise is
    /// not about an outage.
    pub outage_parts: Vec<OutagePart>,
}

/// One step of a chain of causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Virtual time in nanoseconds.
    pub at_ns: u64,
    /// What happened, as a sentence.
    pub text: String,
    /// The field of the input that had it so.
    pub position: Option<Position>,
}

/// A part of an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutagePart {
    /// Which.
    pub part: Part,
    /// How long, in nanoseconds.
    pub length_ns: u64,
}

/// What the time of an outage is spent on, in the order in which it usually comes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// Until the control plane knows.
    Detect,
    /// Until it has decided to act: rate limits, tolerations, leases.
    Decide,
    /// Until the decision is carried out: pods replaced and bound, proxies told.
    Act,
    /// Until machines and volumes are there.
    Provision,
    /// Until images are there.
    Pull,
    /// Until containers run.
    Start,
    /// Until they are ready.
    Warm,
    /// Until enough is answered, with everything there.
    Drain,
    /// Until what piled up is served.
    Backlog,
    /// From the last thing that was done about it to the end of the run: nothing more comes of it, or
    /// nothing has yet.
    Stuck,
}

impl Part {
    /// Its name, as in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Decide => "decide",
            Self::Act => "act",
            Self::Provision => "provision",
            Self::Pull => "pull",
            Self::Start => "start",
            Self::Warm => "warm",
            Self::Drain => "drain",
            Self::Backlog => "backlog",
            Self::Stuck => "stuck",
        }
    }
}

/// A fault and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultResult {
    /// Its name.
    pub name: String,
    /// What it does, as a sentence.
    pub text: String,
    /// Where it was written.
    pub position: Option<Position>,
    /// Runs in which it struck.
    pub struck_run_count: u64,
    /// Runs in which it struck and changed something.
    pub hit_run_count: u64,
    /// Fewest things it changed in a run in which it struck.
    pub target_count_min: u32,
    /// Most things it changed in a run.
    pub target_count_max: u32,
}

/// A figure of every run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metric {
    /// What is measured: `availability`, `longestOutage`, `lostRequests`, `lostCommits`, ...
    pub name: String,
    /// Of what: `namespace/name`.
    pub subject: String,
    /// Unit.
    pub unit: Unit,
    /// By run; `None` when there was nothing to measure.
    pub values: Vec<Option<i64>>,
}

#[cfg(test)]
mod tests;
