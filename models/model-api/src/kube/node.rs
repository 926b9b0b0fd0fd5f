//! Nodes, taints, tolerations.

use sim_kernel::SimSpan;

use super::pod::ResourceList;
use super::selector::Labels;

/// A node as the scheduler sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.annotations`.
    pub annotations: Labels,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// `status.allocatable`, `pods` included.
    pub allocatable: ResourceList,
    /// `status.images`: name to size in bytes.
    pub images: Vec<(Vec<String>, i64)>,
    /// Volumes that can be attached to it (`spec.drivers[].allocatable.count` of its CSINode); `None` for any
    /// number.
    pub attach_limit: Option<u32>,
}

/// A taint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, empty when absent.
    pub value: String,
    /// Effect.
    pub effect: TaintEffect,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

/// A toleration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Toleration {
    /// Key; empty with `Exists` tolerates every taint.
    pub key: String,
    /// How key and value are compared.
    pub operator: TolerationOperator,
    /// Value, for `Equal`.
    pub value: String,
    /// Effect; `None` tolerates all effects.
    pub effect: Option<TaintEffect>,
    /// For `NoExecute`: how long a pod stays; `None` means for ever, zero or less at once.
    pub toleration: Option<SimSpan>,
}

/// Operators of tolerations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TolerationOperator {
    /// The taint has the same value.
    #[default]
    Equal,
    /// The taint has any value.
    Exists,
    /// Anything else, which matches no taint: also `Gt` and `Lt` while their feature gate
    /// TaintTolerationComparisonOperators is off, as it is by default.
    Other,
}

impl Toleration {
    /// Whether this tolerates `taint` (k8s.io/api core/v1 `toleration.go`, ToleratesTaint).
    pub fn tolerates(&self, taint: &Taint) -> bool {
        if self.effect.is_some_and(|effect| effect != taint.effect) {
            return false;
        }
        if !self.key.is_empty() && self.key != taint.key {
            return false;
        }
        match self.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => self.value == taint.value,
            TolerationOperator::Other => false,
        }
    }
}
