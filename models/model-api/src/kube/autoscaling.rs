//! Horizontal autoscalers.

use sim_kernel::SimSpan;

use super::selector::LabelSelector;
use crate::source::Origin;

/// `autoscaling/v2 HorizontalPodAutoscaler`, with every default of the API filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct HorizontalPodAutoscaler {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.scaleTargetRef`.
    pub target: ScaleTarget,
    /// `spec.minReplicas`, default 1.
    pub min_replicas: i32,
    /// `spec.maxReplicas`.
    pub max_replicas: i32,
    /// `spec.metrics`; without any, CPU at 80 % of the request.
    pub metrics: Vec<MetricSpec>,
    /// `spec.behavior`. `None` is not the same as a behavior of defaults: without one, other rules
    /// hold.
    pub behavior: Option<ScalingBehavior>,
    /// Where it was written.
    pub origin: Origin,
}

/// `scaleTargetRef`: what an autoscaler scales, in its own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScaleTarget {
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
}

/// One of `spec.metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// What is measured.
    pub source: MetricSource,
    /// What it should be.
    pub target: MetricTarget,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricSource {
    /// A resource of all containers of a pod together.
    Resource {
        /// `cpu`, `memory`.
        name: String,
    },
    /// A resource of one container of each pod.
    ContainerResource {
        /// `cpu`, `memory`.
        name: String,
        /// Name of the container.
        container: String,
    },
    /// A metric that each pod has.
    Pods(MetricIdentifier),
    /// A metric of one other object.
    Object {
        /// The object.
        described: DescribedObject,
        /// Its metric.
        metric: MetricIdentifier,
    },
    /// A metric that belongs to no object.
    External(MetricIdentifier),
    /// A `type` that the controller does not know. The API server refuses such an object; one that was
    /// stored before it did fails as a metric.
    Unknown {
        /// `type`.
        kind: String,
    },
}

/// Name of a metric and which of its series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricIdentifier {
    /// `name`.
    pub name: String,
    /// `selector`; `None` takes every series.
    pub selector: Option<LabelSelector>,
}

/// An object that a metric describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedObject {
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
}

/// What a metric should be. Amounts are in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricTarget {
    /// `averageUtilization`: percent of what the pods request.
    Utilization(i32),
    /// `averageValue`: for each pod.
    AverageValue(i64),
    /// `value`: for all together.
    Value(i64),
}

/// `spec.behavior`, both directions filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingBehavior {
    /// `scaleUp`.
    pub scale_up: ScalingRules,
    /// `scaleDown`.
    pub scale_down: ScalingRules,
}

/// How fast one direction may be.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingRules {
    /// `stabilizationWindowSeconds`; `None` (scaling down only) is the controller's flag.
    pub stabilization_window: Option<SimSpan>,
    /// `selectPolicy`.
    pub select_policy: SelectPolicy,
    /// `policies`.
    pub policies: Vec<ScalingPolicy>,
    /// `tolerance`, as a share; `None` is the controller's flag.
    pub tolerance: Option<f64>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: no change in this direction.
    Disabled,
}

/// How much may change within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// Whether `value` is in percent of what was there when the period began, or in pods.
    pub is_percent: bool,
    /// `value`.
    pub value: i32,
    /// `periodSeconds`.
    pub period: SimSpan,
}

impl ScalingRules {
    /// What `scaleUp` is without a word about it (pkg/apis/autoscaling/v2/defaults.go, 1.36).
    pub fn default_up() -> Self {
        let period = SimSpan::from_secs(15);
        Self {
            stabilization_window: Some(SimSpan::ZERO),
            select_policy: SelectPolicy::Max,
            policies: vec![
                ScalingPolicy { is_percent: false, value: 4, period },
                ScalingPolicy { is_percent: true, value: 100, period },
            ],
            tolerance: None,
        }
    }

    /// What `scaleDown` is without a word about it.
    pub fn default_down() -> Self {
        let period = SimSpan::from_secs(15);
        Self {
            stabilization_window: None,
            select_policy: SelectPolicy::Max,
            policies: vec![ScalingPolicy { is_percent: true, value: 100, period }],
            tolerance: None,
        }
    }
}
