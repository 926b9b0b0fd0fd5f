//! What vertical autoscalers recommend for what the load used.

use serde::{Deserialize, Serialize};

use crate::{Note, Position, Quantiles};

/// What one VerticalPodAutoscaler recommends for one container. Nothing is changed by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recommendation {
    /// The autoscaler: `namespace/name`.
    pub autoscaler: String,
    /// What it looks after: `Kind namespace/name`.
    pub workload: String,
    /// The container.
    pub container: String,
    /// `updateMode`, as Kubernetes spells it.
    pub update_mode: String,
    /// Where the requests of the container are written, or the workload.
    pub position: Option<Position>,
    /// What it requests in the input, in millicores; nothing when it requests none.
    pub request_cpu_millis: Option<i64>,
    /// `target` by run, in millicores; `None` in a run that had none.
    pub target_cpu_millis: Vec<Option<i64>>,
    /// `lowerBound` by run, in millicores.
    pub lower_cpu_millis: Vec<Option<i64>>,
    /// `upperBound` by run, in millicores; 10¹⁴ stands for any amount.
    pub upper_cpu_millis: Vec<Option<i64>>,
    /// `uncappedTarget` by run, in millicores: the target before `minAllowed` and `maxAllowed`.
    pub uncapped_cpu_millis: Vec<Option<i64>>,
    /// What it requests in the input, in bytes; nothing when it requests none.
    #[serde(default)]
    pub request_memory_bytes: Option<i64>,
    /// `target` of memory by run, in bytes; `None` in a run that had none. Empty in older results.
    #[serde(default)]
    pub target_memory_bytes: Vec<Option<i64>>,
    /// `lowerBound` of memory by run, in bytes.
    #[serde(default)]
    pub lower_memory_bytes: Vec<Option<i64>>,
    /// `upperBound` of memory by run, in bytes; 10¹⁴ stands for any amount.
    #[serde(default)]
    pub upper_memory_bytes: Vec<Option<i64>>,
    /// `uncappedTarget` of memory by run, in bytes.
    #[serde(default)]
    pub uncapped_memory_bytes: Vec<Option<i64>>,
    /// What is not recommended, and why.
    pub not_recommended: Vec<Note>,
}

impl Recommendation {
    /// What an upper bound is when there is no history to bound it (`MaxResourceAmount`).
    pub const UNBOUNDED: i64 = 100_000_000_000_000;

    /// Where the targets of all runs lie, in millicores; `None` when no run had one.
    pub fn target(&self) -> Option<Quantiles> {
        Quantiles::of(&self.target_cpu_millis)
    }

    /// Where the targets of memory of all runs lie, in bytes.
    pub fn target_memory(&self) -> Option<Quantiles> {
        Quantiles::of(&self.target_memory_bytes)
    }

    /// The medians of the lower and of the upper bound over all runs, in millicores.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        medians(&self.lower_cpu_millis, &self.upper_cpu_millis)
    }

    /// The same of memory, in bytes.
    pub fn memory_bounds(&self) -> Option<(i64, i64)> {
        medians(&self.lower_memory_bytes, &self.upper_memory_bytes)
    }
}

fn medians(lower: &[Option<i64>], upper: &[Option<i64>]) -> Option<(i64, i64)> {
    let median = |values: &[Option<i64>]| Quantiles::of(values).map(|it| it.p50);
    Some((median(lower)?, median(upper)?))
}
