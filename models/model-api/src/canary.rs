//! Progressive delivery: what a `Canary` of Flagger says, and what it makes of its target.
//!
//! The target keeps the revision that is tried, at size zero while nothing is tried. Requests are
//! answered by a copy of it, the primary, whose pods bear another value of one label.

use sim_kernel::SimSpan;

use crate::ids::{ServiceId, WorkloadId};
use crate::kube::{LabelSelector, Labels, PodTemplate};
use crate::source::Origin;

/// All weight there is to divide (`totalWeight` of `pkg/controller/scheduler.go`).
pub const TOTAL_WEIGHT: u32 = 100;
/// What is put behind the names of a target and of its label (`pkg/canary/deployment_controller.go`).
pub const PRIMARY_SUFFIX: &str = "-primary";
/// What is put behind the name of the Service that leads to the revision that is tried.
pub const CANARY_SUFFIX: &str = "-canary";
/// Labels by which pods of a target are told from those of its primary: the first that its selector
/// has (`-selector-labels` of `cmd/flagger/main.go`).
pub const SELECTOR_LABELS: [&str; 3] = ["app", "name", "app.kubernetes.io/name"];

/// The shortest interval (`GetAnalysisInterval`).
const INTERVAL_MIN: SimSpan = SimSpan::from_secs(10);
/// Iterations where traffic cannot be split and none are stated (`advanceCanary`).
const ITERATIONS_WITHOUT_SPLIT: u32 = 10;

/// `flagger.app/v1beta1 Canary`, with what Flagger made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The Deployment of `spec.targetRef`.
    pub target: WorkloadId,
    /// The copy of it that answers requests.
    pub primary: WorkloadId,
    /// The Service that clients ask, whose requests are divided.
    pub service: ServiceId,
    /// The Service of the target's pods.
    pub canary_service: ServiceId,
    /// The label by which the pods of both are told apart.
    pub label: String,
    /// Replicas of the target while it is tried, where `spec.autoscalerRef` says so; as many as the
    /// primary has when `None`.
    pub replicas: Option<u32>,
    /// `spec.analysis` and what stands beside it.
    pub analysis: Analysis,
    /// `spec.suspend`.
    pub is_suspended: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// `spec.analysis` and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// `interval`: how often a step is taken.
    pub interval: SimSpan,
    /// `threshold`: so many failed checks, and the canary is rolled back.
    pub threshold: u32,
    /// `maxWeight`: the canary's weight at which it is promoted; 0 is the total.
    pub max_weight: u32,
    /// `stepWeight`.
    pub step_weight: u32,
    /// `stepWeights`, used when there is no `stepWeight`.
    pub step_weights: Vec<u32>,
    /// `stepWeightPromotion`: by how much traffic goes to the promoted primary; 0 is at once.
    pub step_weight_promotion: u32,
    /// `iterations`: with any, traffic shifts at once after so many checks (blue/green).
    pub iterations: u32,
    /// `mirror`: requests are copied to the canary before it answers any.
    pub mirrors: bool,
    /// `metrics`, of those that are built in.
    pub metrics: Vec<Metric>,
    /// A webhook sends requests to the canary while it gets none.
    pub has_load_test: bool,
    /// `primaryReadyThreshold`, in percent.
    pub primary_ready_percent: u32,
    /// `canaryReadyThreshold`, in percent.
    pub canary_ready_percent: u32,
    /// `skipAnalysis`.
    pub is_skipped: bool,
    /// `progressDeadlineSeconds`.
    pub progress_deadline: SimSpan,
    /// What the provider can do with requests.
    pub routing: Routing,
}

/// What a provider can do with requests (`SetRoutes` of `pkg/router/*.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// Nothing (`kubernetes`): the primary serves everything and the canary is only tested.
    Whole,
    /// Split them; whether they shall be mirrored is not looked at.
    Split,
    /// Split them, and mirror them in blue/green deliveries only (Gateway API).
    SplitOrMirror,
    /// Split and mirror them (Istio).
    #[default]
    SplitAndMirror,
}

impl Default for Analysis {
    /// Flagger 1.x of 2025, `pkg/apis/flagger/v1beta1/canary.go`.
    fn default() -> Self {
        Self {
            interval: SimSpan::from_secs(60),
            threshold: 1,
            max_weight: 0,
            step_weight: 0,
            step_weights: Vec::new(),
            step_weight_promotion: 0,
            iterations: 0,
            mirrors: false,
            metrics: Vec::new(),
            has_load_test: false,
            primary_ready_percent: 100,
            canary_ready_percent: 100,
            is_skipped: false,
            progress_deadline: SimSpan::from_secs(600),
            routing: Routing::default(),
        }
    }
}

impl Analysis {
    /// How often a step is taken in fact.
    pub fn effective_interval(&self) -> SimSpan {
        self.interval.max(INTERVAL_MIN)
    }

    /// Failed checks that end it in fact.
    pub fn effective_threshold(&self) -> u32 {
        self.threshold.max(1)
    }

    /// Checks before traffic shifts at once, in fact; 0 where it shifts in steps.
    pub fn effective_iterations(&self) -> u32 {
        if self.iterations == 0 && !self.splits_traffic() {
            ITERATIONS_WITHOUT_SPLIT
        } else {
            self.iterations
        }
    }

    /// Whether something in front of the pods can split traffic.
    pub fn splits_traffic(&self) -> bool {
        self.routing != Routing::Whole
    }

    /// Whether requests are copied where they shall be.
    pub fn can_mirror(&self) -> bool {
        match self.routing {
            Routing::Whole | Routing::Split => false,
            Routing::SplitOrMirror => self.iterations > 0,
            Routing::SplitAndMirror => true,
        }
    }

    /// The longest window that a metric looks back over.
    pub fn window_max(&self) -> SimSpan {
        self.metrics.iter().map(|metric| metric.window).max().unwrap_or_default()
    }
}

/// One of `metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What is measured.
    pub kind: MetricKind,
    /// The range in which it passes.
    pub check: MetricCheck,
    /// `interval`: the window that it is measured over.
    pub window: SimSpan,
}

/// Metrics that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// `request-success-rate`: answers that are no errors, in parts per million of all requests.
    SuccessRate,
    /// `request-duration`: the 99th percentile, in nanoseconds.
    Duration,
}

/// A range in which a metric passes. Values are whole numbers in a unit of the metric's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricCheck {
    /// `thresholdRange.min`.
    pub min: Option<i64>,
    /// `thresholdRange.max`.
    pub max: Option<i64>,
}

impl MetricCheck {
    /// `request-success-rate` of at least so much.
    pub const fn success_rate(min_ppm: i64) -> Self {
        Self { min: Some(min_ppm), max: None }
    }

    /// `request-duration`, at the 99th percentile, of at most so much.
    pub const fn duration(max_ns: i64) -> Self {
        Self { min: None, max: Some(max_ns) }
    }
}

/// The label of a target's selector by which its pods are told from those of the primary, and its
/// value (`getSelectorLabel`).
pub fn selector_label(selector: &LabelSelector) -> Option<(&'static str, &str)> {
    SELECTOR_LABELS
        .into_iter()
        .find_map(|label| Some((label, selector.match_labels.get(label)?.as_str())))
}

/// Labels of the primary's pods (`makePrimaryLabels`).
pub fn primary_labels(labels: &Labels, label: &str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.insert(label.to_owned(), format!("{value}{PRIMARY_SUFFIX}"));
    labels
}

/// The template of the primary of a target of this name, whose selector has this label
/// (`getPrimaryDeploymentTemplateSpec`): what spreads or repels pods of the target by their name
/// does so with pods of the primary. An affinity that attracts is left as it is.
pub fn primary_template(
    template: &PodTemplate,
    target_name: &str,
    (label, value): (&str, &str),
) -> PodTemplate {
    let mut template = template.clone();
    template.labels = primary_labels(&template.labels, label, value);
    let spec = &mut template.spec;
    let spread = spec.topology_spread_constraints.iter_mut();
    let required = spec.affinity.pod_anti_required.iter_mut();
    let preferred = spec.affinity.pod_anti_preferred.iter_mut().map(|it| &mut it.term);
    let selectors = spread
        .map(|it| &mut it.label_selector)
        .chain(required.map(|it| &mut it.label_selector))
        .chain(preferred.map(|it| &mut it.label_selector));
    for selector in selectors.flatten() {
        point_at_primary(selector, target_name);
    }
    template
}

/// `appendPrimarySuffixToValuesIfNeeded`.
fn point_at_primary(selector: &mut LabelSelector, target_name: &str) {
    let is_known = |key: &str| SELECTOR_LABELS.contains(&key);
    let requirements = selector.match_expressions.iter_mut();
    for requirement in requirements.filter(|it| is_known(&it.key)) {
        if let Some(value) = requirement.values.iter_mut().find(|value| *value == target_name) {
            value.push_str(PRIMARY_SUFFIX);
        }
    }
    for (key, value) in &mut selector.match_labels {
        if is_known(key) && value == target_name {
            value.push_str(PRIMARY_SUFFIX);
        }
    }
}
