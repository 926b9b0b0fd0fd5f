//! One decision of the platform, explained: what was decided, the numbers it came from, the fields
//! of manifests that made it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Position, Program};

/// A decision and how it came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionReport {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION).
    pub schema_version: u32,
    /// What made it.
    pub program: Program,
    /// Which decision.
    pub decision: DecisionKind,
    /// What it is about: `namespace/name`, or several words.
    pub subject: String,
    /// The decision in a sentence.
    pub answer: String,
    /// The decision in figures, by name: what a script reads.
    pub figures: BTreeMap<String, Datum>,
    /// How it came about, in order.
    pub steps: Vec<DecisionStep>,
    /// Figures of many things alike.
    pub tables: Vec<DecisionTable>,
    /// What had to be assumed, and what is left out.
    pub notes: Vec<String>,
}

/// A kind of decision, named as the command that explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DecisionKind {
    /// Where a pod goes.
    Schedule,
    /// How many replicas a HorizontalPodAutoscaler wants.
    Hpa,
    /// What a disruption budget allows.
    Pdb,
    /// How pods of a new template replace the old ones.
    Rollout,
    /// Which nodes come and go.
    Autoscaler,
    /// What a VerticalPodAutoscaler recommends.
    Vpa,
    /// When pods leave lost nodes.
    Eviction,
}

impl DecisionKind {
    /// The name of the command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Hpa => "hpa",
            Self::Pdb => "pdb",
            Self::Rollout => "rollout",
            Self::Autoscaler => "autoscaler",
            Self::Vpa => "vpa",
            Self::Eviction => "eviction",
        }
    }
}

/// A step on the way to a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionStep {
    /// What is looked at or worked out, in a few words.
    pub what: String,
    /// What came out.
    pub result: String,
    /// The field of a manifest that made it, as a path within its object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Where that field, or what stands for it, is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// Rows with the same columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionTable {
    /// Its name, for programs.
    pub name: String,
    /// What it shows, for people.
    pub title: String,
    /// Its columns, in order.
    pub columns: Vec<DecisionColumn>,
    /// Its rows: a datum by the name of its column; what does not apply is absent.
    pub rows: Vec<BTreeMap<String, Datum>>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionColumn {
    /// Its name, for programs.
    pub name: String,
    /// Its heading, for people.
    pub title: String,
}

/// A figure or a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Datum {
    /// Yes or no.
    Truth(bool),
    /// A whole number.
    Number(i64),
    /// A word, a name, or an amount with its unit.
    Text(String),
    /// What a plugin gives a node.
    Score(PluginScore),
}

/// What a scoring plugin of the scheduler gives a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginScore {
    /// As the plugin counts.
    pub raw: i64,
    /// 0 to 100.
    pub normalized: i64,
    /// How often that counts.
    pub weight: i64,
}

impl From<bool> for Datum {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<i64> for Datum {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Datum {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Datum {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Datum {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<PluginScore> for Datum {
    fn from(score: PluginScore) -> Self {
        Self::Score(score)
    }
}

/// The JSON Schema of an [`DecisionReport`] (draft-07).
pub fn decision_schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<DecisionReport>()
}
