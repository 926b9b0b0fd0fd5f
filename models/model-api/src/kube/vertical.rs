//! Vertical autoscalers.

use super::autoscaling::ScaleTarget;
use crate::source::Origin;

/// `autoscaling.k8s.io/v1 VerticalPodAutoscaler`, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerticalPodAutoscaler {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.targetRef`.
    pub target: ScaleTarget,
    /// `spec.updatePolicy.updateMode`.
    pub update_mode: UpdateMode,
    /// `spec.resourcePolicy.containerPolicies`.
    pub policies: Vec<ContainerResourcePolicy>,
    /// Where it was written.
    pub origin: Origin,
}

/// What becomes of a recommendation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateMode {
    /// It is shown.
    Off,
    /// Pods that are created get it.
    Initial,
    /// Running pods are evicted to get it: the default, and what `Auto` means.
    #[default]
    Recreate,
    /// Running pods get it in place where that is possible, and are evicted elsewhere.
    InPlaceOrRecreate,
    /// Running pods get it in place or not at all (alpha since 1.7.0).
    InPlace,
}

impl UpdateMode {
    /// As Kubernetes spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Initial => "Initial",
            Self::Recreate => "Recreate",
            Self::InPlaceOrRecreate => "InPlaceOrRecreate",
            Self::InPlace => "InPlace",
        }
    }
}

/// The policy of a container: the first of its own name, else the last for all (`*`).
///
/// Source: vertical-pod-autoscaler `pkg/utils/vpa/api.go`, GetContainerResourcePolicy, 1.7.
pub fn container_policy<'a, P>(
    policies: &'a [P],
    container: &str,
    name_of: impl Fn(&P) -> &str,
) -> Option<&'a P> {
    let own = policies.iter().find(|policy| name_of(policy) == container);
    own.or_else(|| policies.iter().rfind(|policy| name_of(policy) == "*"))
}

/// One of `spec.resourcePolicy.containerPolicies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerResourcePolicy {
    /// `containerName`; `*` is for all that have none of their own.
    pub container_name: String,
    /// `mode: Off`: nothing is recommended.
    pub is_off: bool,
    /// `minAllowed.cpu` in millicores.
    pub cpu_millis_min: Option<i64>,
    /// `maxAllowed.cpu` in millicores.
    pub cpu_millis_max: Option<i64>,
    /// `minAllowed.memory` in bytes.
    pub memory_bytes_min: Option<i64>,
    /// `maxAllowed.memory` in bytes.
    pub memory_bytes_max: Option<i64>,
    /// `controlledResources` has `cpu`.
    pub controls_cpu: bool,
    /// `controlledResources` has `memory`.
    pub controls_memory: bool,
}
