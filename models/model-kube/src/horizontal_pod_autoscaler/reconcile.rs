//! One whole reconcile of an autoscaler (`pkg/controller/podautoscaler/horizontal.go`,
//! reconcileAutoscaler, Kubernetes 1.36).

use model_api::kube::{HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget};
use sim_kernel::SimTime;

use super::history::History;
use super::limits::{self, Normalized};
use super::replica_calculator::{Measurement, MetricError, PodFacts, Proposal, Scene, propose};
use super::{Settings, Tolerances};

/// The target as its scale subresource shows it, with its pods.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `spec.replicas`.
    pub spec_replicas: i32,
    /// `status.replicas`.
    pub status_replicas: i32,
    /// What its selector is good for.
    pub selector: Selector,
    /// Pods that it selects.
    pub pods: &'a [PodFacts],
    /// Condition ScaledToZero of the autoscaler is True.
    pub was_scaled_to_zero: bool,
}

/// What is to be said of a target's selector (`validateAndParseSelector`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// Its pods belong to no other autoscaler.
    #[default]
    Good,
    /// There is none.
    Missing,
    /// It cannot be read.
    Invalid,
    /// Some other autoscaler selects the same pods.
    Ambiguous,
}

/// What a reconcile does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// How many replicas there shall be.
    pub desired: i32,
    /// They are written to the scale: `desired` is not what there is.
    pub rescales: bool,
    /// The proposal of the metrics before stabilization and limits.
    pub proposal: Option<i32>,
    /// What each metric said, in the order of the spec; empty when none was asked.
    pub metrics: Vec<Result<Proposal, MetricError>>,
    /// Condition AbleToScale.
    pub able_to_scale: Condition,
    /// Condition ScalingActive, when it was judged.
    pub scaling_active: Option<Condition>,
    /// Condition ScalingLimited, when it was judged.
    pub scaling_limited: Option<Condition>,
    /// Events that were recorded, in order.
    pub events: Vec<Event>,
}

/// A condition without its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// `status`.
    pub is_true: bool,
    /// `reason`.
    pub reason: &'static str,
}

/// An Event of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type is Warning, not Normal.
    pub is_warning: bool,
    /// `reason`.
    pub reason: &'static str,
    /// `message`.
    pub message: String,
}

impl Event {
    fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { is_warning: true, reason, message: message.into() }
    }
}

/// What the metrics say together (`computeReplicasForMetrics`).
struct Verdict {
    replicas: i32,
    /// The metric that wins, in the order of the spec.
    winner: Option<usize>,
}

/// Decides once; remembers the proposal and, when the target is rescaled, the change.
///
/// `measurements` are those of `spec.metrics`, in their order.
pub fn reconcile(
    autoscaler: &HorizontalPodAutoscaler,
    settings: &Settings,
    target: &Target<'_>,
    measurements: &[Measurement<'_>],
    history: &mut History,
    now: SimTime,
) -> Decision {
    let current = target.spec_replicas;
    history.seed(current, now);
    let mut decision = Decision {
        desired: current,
        able_to_scale: Condition { is_true: true, reason: "SucceededGetScale" },
        ..Decision::default()
    };
    let is_zeroed = settings.scales_to_zero && target.was_scaled_to_zero;
    let least = autoscaler.min_replicas;
    let why = if current == 0 && !leaves_zero(autoscaler, is_zeroed) {
        decision.scaling_active = Some(Condition { is_true: false, reason: "ScalingDisabled" });
        return decision;
    } else if current > 0 && current > autoscaler.max_replicas {
        decision.desired = autoscaler.max_replicas;
        "Current number of replicas above Spec.MaxReplicas".to_owned()
    } else if current > 0 && current < least {
        decision.desired = least;
        BELOW_LEAST.to_owned()
    } else {
        let scene = Scene {
            pods: target.pods,
            spec_replicas: current,
            status_replicas: target.status_replicas,
            tolerances: Tolerances::of(autoscaler, settings),
            settings,
            now,
        };
        let verdict = verdict(autoscaler, target.selector, measurements, &scene, &mut decision);
        let Some(verdict) = verdict else { return decision };
        let proposal = verdict.replicas.max(0);
        decision.proposal = Some(proposal);
        let normalized = limits::normalize(autoscaler, settings, history, current, proposal, now);
        decision.take(normalized);
        let mut why = if proposal == current { Some(String::new()) } else { None };
        if current == 0 && least != 0 && is_zeroed && decision.desired < least {
            decision.desired = least;
            why = why.map(|_| BELOW_LEAST.to_owned());
        }
        if decision.desired == current {
            return decision;
        }
        why.unwrap_or_else(|| reason(autoscaler, &verdict, proposal, current))
    };
    decision.rescale(why);
    if let Some(behavior) = &autoscaler.behavior {
        let (up, down) = (&behavior.scale_up, &behavior.scale_down);
        history.record_change(current, decision.desired, up, down, now);
    }
    decision
}

const BELOW_LEAST: &str = "Current number of replicas below Spec.MinReplicas";

/// Whether a target without replicas is looked at (`shouldComputeMetricsForZeroReplicas`); one that
/// somebody scaled to zero by hand is left alone.
fn leaves_zero(autoscaler: &HorizontalPodAutoscaler, is_zeroed: bool) -> bool {
    let from_outside = |metric: &MetricSpec| {
        matches!(metric.source, MetricSource::Object { .. } | MetricSource::External(_))
    };
    is_zeroed && (autoscaler.min_replicas != 0 || autoscaler.metrics.iter().any(from_outside))
}

impl Decision {
    fn take(&mut self, normalized: Normalized) {
        self.desired = normalized.replicas;
        self.able_to_scale = Condition { is_true: true, reason: normalized.able_reason };
        self.scaling_limited = Some(Condition {
            is_true: normalized.replicas != normalized.stabilized,
            reason: normalized.limited_reason,
        });
    }

    fn rescale(&mut self, why: String) {
        self.rescales = true;
        self.able_to_scale = Condition { is_true: true, reason: "SucceededRescale" };
        let message = format!("New size: {}; reason: {why}", self.desired);
        self.events.push(Event { is_warning: false, reason: "SuccessfulRescale", message });
    }
}

/// The highest proposal; nothing when all metrics failed, or some did and the others would scale
/// down.
fn verdict(
    autoscaler: &HorizontalPodAutoscaler,
    selector: Selector,
    measurements: &[Measurement<'_>],
    scene: &Scene<'_>,
    decision: &mut Decision,
) -> Option<Verdict> {
    let bad = match selector {
        Selector::Good => None,
        Selector::Missing => Some(("SelectorRequired", "InvalidSelector")),
        Selector::Invalid => Some(("InvalidSelector", "InvalidSelector")),
        Selector::Ambiguous => Some(("AmbiguousSelector", "AmbiguousSelector")),
    };
    if let Some((event, reason)) = bad {
        let message = "the selector of the target cannot be used";
        decision.events.push(Event::warning(event, message));
        return decision.fail(reason, message);
    }
    let mut verdict = Verdict { replicas: 0, winner: None };
    let mut first_error: Option<&'static str> = None;
    let mut failed_count = 0;
    for (idx, (metric, measurement)) in autoscaler.metrics.iter().zip(measurements).enumerate() {
        let proposed = propose(metric, measurement, scene);
        match &proposed {
            Err(error) => {
                let reason = failure_reason(&metric.source);
                decision.events.push(Event::warning(reason, error.to_string()));
                first_error.get_or_insert(reason);
                failed_count += 1;
            }
            Ok(proposal) if verdict.replicas == 0 || proposal.replicas > verdict.replicas => {
                verdict = Verdict { replicas: proposal.replicas, winner: Some(idx) };
            }
            Ok(_) => {}
        }
        decision.metrics.push(proposed);
    }
    let would_shrink = failed_count > 0 && verdict.replicas < scene.spec_replicas;
    if failed_count >= autoscaler.metrics.len() || would_shrink {
        let count = autoscaler.metrics.len();
        let message = format!("invalid metrics ({failed_count} invalid out of {count})");
        return decision.fail(first_error.unwrap_or_default(), &message);
    }
    decision.scaling_active = Some(Condition { is_true: true, reason: "ValidMetricFound" });
    Some(verdict)
}

impl Decision {
    fn fail<T>(&mut self, reason: &'static str, message: &str) -> Option<T> {
        self.scaling_active = Some(Condition { is_true: false, reason });
        self.events.push(Event::warning("FailedComputeMetricsReplicas", message));
        None
    }
}

/// Reason of condition ScalingActive when this metric is the first that failed.
fn failure_reason(source: &MetricSource) -> &'static str {
    match source {
        MetricSource::Resource { .. } => "FailedGetResourceMetric",
        MetricSource::ContainerResource { .. } => "FailedGetContainerResourceMetric",
        MetricSource::Pods(_) => "FailedGetPodsMetric",
        MetricSource::Object { .. } => "FailedGetObjectMetric",
        MetricSource::External(_) => "FailedGetExternalMetric",
        MetricSource::Unknown { .. } => "InvalidMetricSourceType",
    }
}

/// Why a target is rescaled, for the event.
fn reason(
    autoscaler: &HorizontalPodAutoscaler,
    verdict: &Verdict,
    proposal: i32,
    current: i32,
) -> String {
    if proposal < current {
        return "All metrics below target".to_owned();
    }
    let name = verdict.winner.map(|idx| metric_name(&autoscaler.metrics[idx]));
    format!("{} above target", name.unwrap_or_default())
}

/// A metric as events name it.
fn metric_name(metric: &MetricSpec) -> String {
    let is_utilization = matches!(metric.target, MetricTarget::Utilization(_));
    match &metric.source {
        MetricSource::Resource { name } if is_utilization => {
            format!("{name} resource utilization (percentage of request)")
        }
        MetricSource::ContainerResource { name, .. } if is_utilization => {
            format!("{name} container resource utilization (percentage of request)")
        }
        MetricSource::Resource { name } | MetricSource::ContainerResource { name, .. } => {
            format!("{name} resource")
        }
        MetricSource::Pods(metric) => format!("pods metric {}", metric.name),
        MetricSource::Object { described, metric } => {
            format!("{} metric {}", described.kind, metric.name)
        }
        MetricSource::External(metric) => format!("external metric {}", metric.name),
        MetricSource::Unknown { kind } => kind.clone(),
    }
}

#[cfg(test)]
mod tests {
    use model_api::Origin;
    use model_api::kube::ScaleTarget;
    use sim_kernel::SimSpan;

    use super::super::{ConditionStatus, PodPhase, ReadyCondition, Requests, Sample};
    use super::*;

    const NOW: SimTime = SimTime::from_secs(1000);

    /// Three pods that use so much of the 100 that each requests and of which 50 are wanted, beside a
    /// metric of a type that nobody knows.
    fn beside_an_unknown_type(used: i64, others: &[MetricSource]) -> Decision {
        let target = MetricTarget::Utilization(50);
        let cpu = MetricSource::Resource { name: "cpu".to_owned() };
        let sources = others.iter().cloned().chain([cpu]).take(2);
        let autoscaler = HorizontalPodAutoscaler {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            target: ScaleTarget::default(),
            min_replicas: 1,
            max_replicas: 10,
            metrics: sources.map(|source| MetricSpec { source, target }).collect(),
            behavior: None,
            origin: Origin::default(),
        };
        let pod = PodFacts {
            phase: PodPhase::Running,
            started_at: Some(SimTime::ZERO),
            ready: Some(ReadyCondition { status: ConditionStatus::True, since: SimTime::ZERO }),
            ..PodFacts::default()
        };
        let target = Target {
            spec_replicas: 3,
            status_replicas: 3,
            selector: Selector::Good,
            pods: &[pod; 3],
            was_scaled_to_zero: false,
        };
        let sample = Sample { value: used, at: NOW, window: SimSpan::from_secs(15) };
        let cpu = Measurement::OfPods {
            samples: &[Some(sample); 3],
            stray: &[],
            requests: Requests::Same(100),
        };
        let measurements = [Measurement::Unavailable("never asked"), cpu];
        let history = &mut History::default();
        let settings = Settings { cpu_initialization_period: SimSpan::ZERO, ..Settings::default() };
        reconcile(&autoscaler, &settings, &target, &measurements, history, NOW)
    }

    fn cheddar() -> MetricSource {
        MetricSource::Unknown { kind: "CheddarCheese".to_owned() }
    }

    /// `TestConditionInvalidSourceType` of horizontal_test.go, 1.36.
    #[test]
    fn a_type_that_nobody_knows_is_a_metric_that_failed() {
        let alone = beside_an_unknown_type(20, &[cheddar(), cheddar()]);
        assert_eq!((alone.desired, alone.rescales), (3, false));
        let reason = "InvalidMetricSourceType";
        assert_eq!(alone.scaling_active, Some(Condition { is_true: false, reason }));
        assert_eq!(alone.events[0].reason, reason);
        assert_eq!(alone.events[0].message, "unknown metric source type \"CheddarCheese\"");
        assert_eq!(alone.able_to_scale.reason, "SucceededGetScale");
    }

    /// `computeReplicasForMetrics`: with one metric invalid, the others may scale up and not down.
    #[test]
    fn beside_a_metric_that_failed_others_scale_up_only() {
        assert_eq!(beside_an_unknown_type(100, &[cheddar()]).desired, 6);
        let smaller = beside_an_unknown_type(10, &[cheddar()]);
        assert_eq!((smaller.desired, smaller.rescales), (3, false));
        let active = smaller.scaling_active.expect("it was judged");
        assert_eq!((active.is_true, active.reason), (false, "InvalidMetricSourceType"));
    }
}
