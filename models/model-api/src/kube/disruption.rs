//! Voluntary disruption.

use super::selector::LabelSelector;
use super::workload::IntOrPercent;
use crate::source::Origin;

/// `policy/v1 PodDisruptionBudget`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodDisruptionBudget {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.selector`; empty selects all pods of the namespace, `None` none.
    pub selector: Option<LabelSelector>,
    /// `spec.minAvailable`.
    pub min_available: Option<IntOrPercent>,
    /// `spec.maxUnavailable`.
    pub max_unavailable: Option<IntOrPercent>,
    /// `spec.unhealthyPodEvictionPolicy`.
    pub unhealthy_pods: UnhealthyPodEvictionPolicy,
    /// Where it was written.
    pub origin: Origin,
}

/// Whether pods that are not ready may be evicted regardless of the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum UnhealthyPodEvictionPolicy {
    #[default]
    IfHealthyBudget,
    AlwaysAllow,
}
