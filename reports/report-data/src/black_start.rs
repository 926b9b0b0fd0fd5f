//! The order of a black start: what starts after what when nothing runs.

use serde::{Deserialize, Serialize};

use crate::Program;

/// The black starts of platforms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlackStartReport {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION).
    pub schema_version: u32,
    /// What made it.
    pub program: Program,
    /// One for each scenario, in the order they were asked for.
    pub scenarios: Vec<BlackStart>,
}

/// How one platform starts when nothing runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlackStart {
    /// Name of the scenario.
    pub scenario: String,
    /// What it begins with.
    pub from: BlackStartFrom,
    /// Stages, in order.
    pub stages: Vec<BlackStartStage>,
}

/// What a black start begins with.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum BlackStartFrom {
    /// The nodes are those that were, with their pods and images.
    Nodes,
    /// The nodes are new; etcd has what it had.
    #[default]
    Etcd,
    /// The nodes are new and etcd is empty, and what is in the input is applied again.
    Git,
}

/// One stage of a black start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum BlackStartStage {
    /// These start by themselves.
    Start {
        /// Which workloads, as `namespace/name`.
        workloads: Vec<String>,
        /// What of earlier stages they wait for, in words; each once.
        waits_for: Vec<String>,
    },
    /// Nothing more starts by itself: what is left goes around in a circle.
    ByHand {
        /// The way around the circle, in words.
        because: Vec<String>,
        /// The smallest step that breaks it.
        step: String,
    },
}

/// The JSON Schema of a [`BlackStartReport`].
pub fn black_start_schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<BlackStartReport>()
}
