//! What one metric proposes (`pkg/controller/podautoscaler/replica_calculator.go` and
//! `metrics/utilization.go`, Kubernetes 1.36).

use std::fmt;

use model_api::kube::{MetricSource, MetricSpec, MetricTarget, ResourceList};
use sim_kernel::{SimSpan, SimTime};

use super::{Settings, Tolerances, to_int32, to_int64};

/// A pod of the target, as the API shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// It has a deletionTimestamp.
    pub is_deleted: bool,
    /// `status.phase`.
    pub phase: PodPhase,
    /// Condition Ready.
    pub ready: Option<ReadyCondition>,
    /// `status.startTime`.
    pub started_at: Option<SimTime>,
}

/// `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum PodPhase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

/// Condition Ready of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyCondition {
    /// `status`.
    pub status: ConditionStatus,
    /// `lastTransitionTime`.
    pub since: SimTime,
}

/// `status` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// What was measured of a pod, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The value.
    pub value: i64,
    /// `timestamp`: the end of what was measured.
    pub at: SimTime,
    /// `window`: how long it was measured.
    pub window: SimSpan,
}

/// What the pods of the target request of the measured resource, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests<'a> {
    /// Nobody asks: the metric is no utilization.
    None,
    /// All the same.
    Same(i64),
    /// In the order of the pods.
    Each(&'a [i64]),
    /// Some pod states none.
    Missing(&'a str),
}

/// What could be learnt of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurement<'a> {
    /// The metrics API failed: why.
    Unavailable(&'a str),
    /// Of each pod of the target, in their order; metrics of resources and of pods.
    OfPods {
        /// What was measured.
        samples: &'a [Option<Sample>],
        /// Samples of pods that are not among them (any more).
        stray: &'a [i64],
        /// What they request.
        requests: Requests<'a>,
    },
    /// Of something else: one value for an object, one for each series of an external metric.
    Values(&'a [i64]),
}

/// Why a metric proposes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// The metrics API failed.
    Unavailable(String),
    /// The selector of the target selects no pod.
    NoPods,
    /// No pod that counts has a sample.
    NoSamples,
    /// Some pod states no request.
    NoRequest(String),
    /// The pods that were measured request nothing.
    NoKnownPods,
    /// The metric does not have that kind of target.
    Target,
    /// The metric is of a type that nobody knows.
    UnknownType(String),
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "unable to get metrics: {why}"),
            Self::NoPods => f.write_str("no pods returned by selector"),
            Self::NoSamples => f.write_str("did not receive metrics for targeted pods"),
            Self::NoRequest(what) => write!(f, "missing request: {what}"),
            Self::NoKnownPods => f.write_str("no metrics returned matched known pods"),
            Self::Target => f.write_str("the metric has no target of a kind that it can have"),
            Self::UnknownType(kind) => write!(f, "unknown metric source type {kind:?}"),
        }
    }
}

impl std::error::Error for MetricError {}

/// What a metric proposes, and what goes to `status.currentMetrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Proposal {
    /// How many replicas.
    pub replicas: i32,
    /// `averageUtilization`, in percent.
    pub average_utilization: Option<i32>,
    /// `averageValue`, in thousandths.
    pub average_value: Option<i64>,
    /// `value`, in thousandths.
    pub value: Option<i64>,
    /// What was measured, as a ratio to the target.
    pub ratio: f64,
    /// The ratio that decided: with pods that are not ready or have no sample counted as idle, or as
    /// using what they request.
    pub used_ratio: f64,
}

/// The target and the moment.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Pods that the target's selector selects.
    pub pods: &'a [PodFacts],
    /// `scale.spec.replicas`.
    pub spec_replicas: i32,
    /// `scale.status.replicas`.
    pub status_replicas: i32,
    /// Of the autoscaler.
    pub tolerances: Tolerances,
    /// Flags.
    pub settings: &'a Settings,
    /// Now.
    pub now: SimTime,
}

/// What a metric proposes (`computeReplicasForMetric`).
///
/// # Errors
/// When it proposes nothing.
pub fn propose(
    metric: &MetricSpec,
    measurement: &Measurement<'_>,
    scene: &Scene<'_>,
) -> Result<Proposal, MetricError> {
    if let MetricSource::Unknown { kind } = &metric.source {
        return Err(MetricError::UnknownType(kind.clone()));
    }
    match *measurement {
        Measurement::Unavailable(why) => Err(MetricError::Unavailable(why.to_owned())),
        Measurement::OfPods { samples, stray, requests } => {
            let is_cpu = match &metric.source {
                MetricSource::Resource { name } | MetricSource::ContainerResource { name, .. } => {
                    name == ResourceList::CPU
                }
                _ => false,
            };
            let measured = Measured { samples, stray, requests, is_cpu };
            match metric.target {
                MetricTarget::Utilization(target) => measured.utilization(target, scene),
                MetricTarget::AverageValue(target) => measured.average(target, scene),
                MetricTarget::Value(_) => Err(MetricError::Target),
            }
        }
        Measurement::Values(values) => {
            let is_external = matches!(metric.source, MetricSource::External(_));
            match metric.target {
                MetricTarget::Value(target) => total_value(values, target, scene),
                MetricTarget::AverageValue(target) => {
                    Ok(average_of_total(values, target, is_external, scene))
                }
                MetricTarget::Utilization(_) => Err(MetricError::Target),
            }
        }
    }
}

/// Samples of pods, with what they are compared to.
struct Measured<'a> {
    samples: &'a [Option<Sample>],
    stray: &'a [i64],
    requests: Requests<'a>,
    is_cpu: bool,
}

/// How a pod counts.
enum Class {
    /// Not at all.
    Ignored,
    /// As idle, when scaling up.
    Unready,
    /// As its request, when scaling down; as idle, when scaling up.
    Missing,
    /// As measured.
    Ready(i64),
}

/// Sums over the classes (`groupPods`).
#[derive(Clone, Copy, Default)]
struct Groups {
    ready_count: i64,
    /// Ready pods, and strays.
    sample_count: i64,
    usage: i64,
    request: i64,
    missing_count: i64,
    missing_request: i64,
    /// What missing pods count as when scaling down.
    missing_usage: i64,
    unready_count: i64,
    unready_request: i64,
}

/// A ratio to the target and what it was worked out of.
#[derive(Clone, Copy)]
struct Usage {
    ratio: f64,
    current: i64,
}

impl Measured<'_> {
    fn request(&self, idx: usize) -> i64 {
        match self.requests {
            Requests::Same(request) => request,
            Requests::Each(requests) => requests[idx],
            Requests::None | Requests::Missing(_) => 0,
        }
    }

    /// `groupPods`, in its order of tests.
    fn class(&self, pod: &PodFacts, sample: Option<Sample>, scene: &Scene<'_>) -> Class {
        if pod.is_deleted || pod.phase == PodPhase::Failed {
            return Class::Ignored;
        }
        if pod.phase == PodPhase::Pending {
            return Class::Unready;
        }
        let Some(sample) = sample else { return Class::Missing };
        if self.is_cpu && is_unready(pod, sample, scene) {
            return Class::Unready;
        }
        Class::Ready(sample.value)
    }

    /// `fallback` is what a missing pod with this request counts as when scaling down.
    fn groups(&self, scene: &Scene<'_>, fallback: impl Fn(i64) -> i64) -> Groups {
        let mut groups = Groups::default();
        for (idx, (pod, sample)) in scene.pods.iter().zip(self.samples).enumerate() {
            let request = self.request(idx);
            match self.class(pod, *sample, scene) {
                Class::Ignored => {}
                Class::Unready => {
                    groups.unready_count += 1;
                    groups.unready_request = groups.unready_request.wrapping_add(request);
                }
                Class::Missing => {
                    groups.missing_count += 1;
                    groups.missing_request = groups.missing_request.wrapping_add(request);
                    groups.missing_usage = groups.missing_usage.wrapping_add(fallback(request));
                }
                Class::Ready(value) => {
                    groups.ready_count += 1;
                    groups.usage = groups.usage.wrapping_add(value);
                    groups.request = groups.request.wrapping_add(request);
                }
            }
        }
        let stray_count = i64::try_from(self.stray.len()).expect("samples fit in memory");
        groups.sample_count = groups.ready_count + stray_count;
        groups
    }

    /// `GetResourceReplicas`. Samples of unknown pods count as samples, but not in the sums.
    fn utilization(&self, target: i32, scene: &Scene<'_>) -> Result<Proposal, MetricError> {
        let at_least_all = i64::from(target.max(100));
        let groups =
            self.checked_groups(scene, |request| request.wrapping_mul(at_least_all) / 100)?;
        if let Requests::Missing(what) = self.requests {
            return Err(MetricError::NoRequest(what.to_owned()));
        }
        let usage = |groups: &Groups| utilization_ratio(groups, target);
        let first = usage(&groups)?;
        let (replicas, used_ratio) = rebalance(&groups, first, scene, usage)?;
        Ok(Proposal {
            replicas,
            ratio: first.ratio,
            used_ratio,
            average_utilization: Some(low_32(first.current)),
            average_value: Some(groups.usage / groups.ready_count.max(1)),
            value: None,
        })
    }

    /// `calcPlainMetricReplicas`.
    fn average(&self, target: i64, scene: &Scene<'_>) -> Result<Proposal, MetricError> {
        let mut groups = self.checked_groups(scene, |_| target)?;
        groups.usage = self.stray.iter().fold(groups.usage, |sum, value| sum.wrapping_add(*value));
        let usage = |groups: &Groups| {
            let current = groups.usage / groups.sample_count;
            Ok(Usage { ratio: float(current) / float(target), current })
        };
        let first = usage(&groups)?;
        let (replicas, used_ratio) = rebalance(&groups, first, scene, usage)?;
        Ok(Proposal {
            replicas,
            average_value: Some(first.current),
            ratio: first.ratio,
            used_ratio,
            ..Proposal::default()
        })
    }

    fn checked_groups(
        &self,
        scene: &Scene<'_>,
        fallback: impl Fn(i64) -> i64,
    ) -> Result<Groups, MetricError> {
        if scene.pods.is_empty() {
            return Err(MetricError::NoPods);
        }
        let groups = self.groups(scene, fallback);
        if groups.sample_count == 0 { Err(MetricError::NoSamples) } else { Ok(groups) }
    }
}

/// Whether the CPU sample of a pod says nothing yet: its start, or the time before it was ready.
fn is_unready(pod: &PodFacts, sample: Sample, scene: &Scene<'_>) -> bool {
    let (Some(ready), Some(started_at)) = (pod.ready, pod.started_at) else { return true };
    let is_false = ready.status == ConditionStatus::False;
    let settings = scene.settings;
    if started_at.saturating_add(settings.cpu_initialization_period) > scene.now {
        is_false || sample.at < ready.since.saturating_add(sample.window)
    } else {
        is_false && started_at.saturating_add(settings.initial_readiness_delay) > ready.since
    }
}

/// `GetResourceUtilizationRatio`: whole percent first, then the ratio.
fn utilization_ratio(groups: &Groups, target: i32) -> Result<Usage, MetricError> {
    if groups.request == 0 {
        return Err(MetricError::NoKnownPods);
    }
    let percent = groups.usage.wrapping_mul(100).wrapping_div(groups.request);
    let percent = low_32(percent);
    let ratio = f64::from(percent) / f64::from(target);
    Ok(Usage { ratio, current: i64::from(percent) })
}

/// The part that both calculations share: what missing and unready pods make of a proposal, and the
/// ratio that it came from.
fn rebalance(
    groups: &Groups,
    first: Usage,
    scene: &Scene<'_>,
    usage: impl Fn(&Groups) -> Result<Usage, MetricError>,
) -> Result<(i32, f64), MetricError> {
    let current = scene.spec_replicas;
    let ratio = first.ratio;
    let has_unready_above = groups.unready_count > 0 && ratio > 1.0;
    if !has_unready_above && groups.missing_count == 0 {
        let replicas = if scene.tolerances.hold(ratio) {
            current
        } else {
            to_int32((ratio * float(groups.ready_count)).ceil())
        };
        return Ok((replicas, ratio));
    }
    let mut filled = *groups;
    if ratio != 1.0 {
        filled.sample_count += groups.missing_count;
        filled.request = filled.request.wrapping_add(groups.missing_request);
        if ratio < 1.0 {
            filled.usage = filled.usage.wrapping_add(groups.missing_usage);
        }
    }
    if has_unready_above {
        filled.sample_count += groups.unready_count;
        filled.request = filled.request.wrapping_add(groups.unready_request);
    }
    let second = usage(&filled)?.ratio;
    let turns = (ratio < 1.0 && second > 1.0) || (ratio > 1.0 && second < 1.0);
    if scene.tolerances.hold(second) || turns {
        return Ok((current, second));
    }
    let replicas = to_int32((second * float(filled.sample_count)).ceil());
    let is_backwards = (second < 1.0 && replicas > current) || (second > 1.0 && replicas < current);
    Ok((if is_backwards { current } else { replicas }, second))
}

/// `GetObjectMetricReplicas`, `GetExternalMetricReplicas`.
fn total_value(values: &[i64], target: i64, scene: &Scene<'_>) -> Result<Proposal, MetricError> {
    let usage = total(values);
    let ratio = float(usage) / float(target);
    let replicas = if scene.spec_replicas == 0 {
        to_int32(ratio.ceil())
    } else if scene.tolerances.hold(ratio) {
        scene.spec_replicas
    } else {
        if scene.pods.is_empty() {
            return Err(MetricError::NoPods);
        }
        let ready = scene.pods.iter().filter(|pod| is_ready(pod)).count();
        let ready = i64::try_from(ready).expect("pods fit in memory");
        let replicas = ratio * float(ready);
        if replicas > f64::from(i32::MAX) { i32::MAX } else { to_int32(replicas.ceil()) }
    };
    let used_ratio = ratio;
    Ok(Proposal { replicas, value: Some(usage), ratio, used_ratio, ..Proposal::default() })
}

/// `GetObjectPerPodMetricReplicas`, `GetExternalPerPodMetricReplicas`: only the second is capped.
fn average_of_total(values: &[i64], target: i64, is_external: bool, scene: &Scene<'_>) -> Proposal {
    let usage = total(values);
    // A sum below nothing is taken for one that ran over.
    let usage = if is_external && usage < 0 { i64::MAX } else { usage };
    let status = scene.status_replicas;
    let ratio = float(usage) / (float(target) * f64::from(status));
    let replicas = if scene.tolerances.hold(ratio) {
        status
    } else {
        let wanted = (float(usage) / float(target)).ceil();
        if is_external && wanted > f64::from(i32::MAX) { i32::MAX } else { to_int32(wanted) }
    };
    let is_overflow = is_external && float(usage) >= float(i64::MAX);
    let average =
        if is_overflow { i64::MAX } else { to_int64((float(usage) / f64::from(status)).ceil()) };
    let used_ratio = ratio;
    Proposal { replicas, average_value: Some(average), ratio, used_ratio, ..Proposal::default() }
}

/// The sum of all series, which stops at the largest number.
fn total(values: &[i64]) -> i64 {
    let mut sum = 0_i64;
    for value in values {
        match sum.checked_add(*value) {
            None if *value > 0 => return i64::MAX,
            _ => sum = sum.wrapping_add(*value),
        }
    }
    sum
}

fn is_ready(pod: &PodFacts) -> bool {
    let is_true = pod.ready.is_some_and(|ready| ready.status == ConditionStatus::True);
    pod.phase == PodPhase::Running && is_true
}

#[expect(clippy::cast_precision_loss, reason = "upstream works with the same floats")]
fn float(value: i64) -> f64 {
    value as f64
}

/// Go's `int32(x)` of an integer.
#[expect(clippy::cast_possible_truncation, reason = "it is what upstream does")]
fn low_32(value: i64) -> i32 {
    value as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each edge of the times that decide whether a sample counts belongs to the later side.
    #[test]
    fn a_sample_counts_from_the_edge_on() {
        let at = SimTime::from_secs;
        let settings = Settings::default();
        let is_out = |status, ready_at, sampled_at, now| {
            let pod = PodFacts {
                is_deleted: false,
                phase: PodPhase::Running,
                ready: Some(ReadyCondition { status, since: at(ready_at) }),
                started_at: Some(at(0)),
            };
            let sample = Sample { value: 1, at: at(sampled_at), window: SimSpan::from_secs(15) };
            let scene = Scene {
                pods: &[],
                spec_replicas: 1,
                status_replicas: 1,
                tolerances: Tolerances { up: 0.1, down: 0.1 },
                settings: &settings,
                now: at(now),
            };
            is_unready(&pod, sample, &scene)
        };
        use ConditionStatus::{False, True};
        for (status, ready_at, sampled_at, now, expected) in [
            // Within the first five minutes a whole window must have been measured.
            (True, 100, 114, 299, true),
            (True, 100, 115, 299, false),
            (False, 100, 200, 299, true),
            // After them, a pod that was ready once and is not now counts.
            (True, 100, 114, 300, false),
            (False, 29, 200, 300, true),
            (False, 30, 200, 300, false),
        ] {
            let case = (status, ready_at, sampled_at, now);
            assert_eq!(is_out(status, ready_at, sampled_at, now), expected, "{case:?}");
        }
    }

    #[test]
    fn pods_without_a_sample_count_against_a_change_only() {
        let settings = Settings::default();
        let scene = Scene {
            pods: &[],
            spec_replicas: 4,
            status_replicas: 4,
            tolerances: Tolerances { up: 0.1, down: 0.1 },
            settings: &settings,
            now: SimTime::ZERO,
        };
        let usage = |groups: &Groups| -> Result<Usage, MetricError> {
            let ratio = float(groups.usage) / float(groups.request);
            Ok(Usage { ratio, current: 0 })
        };
        let proposed = |groups: Groups| {
            let first = usage(&groups).expect("known");
            rebalance(&groups, first, &scene, usage).expect("known").0
        };
        let ready = Groups { ready_count: 2, sample_count: 2, request: 200, ..Groups::default() };
        // Exactly on target: pods that are not ready change nothing.
        let unready = Groups { unready_count: 2, unready_request: 200, ..ready };
        assert_eq!(proposed(Groups { usage: 200, ..unready }), 4);
        // Above it, missing ones count as idle; below it, as using what they request.
        let missing =
            Groups { missing_count: 2, missing_request: 200, missing_usage: 200, ..ready };
        assert_eq!(proposed(Groups { usage: 500, ..missing }), 5);
        assert_eq!(proposed(Groups { usage: 100, ..missing }), 3);
        // More pods than were asked for: too little use never makes more of them.
        let many = Groups { missing_usage: 190, missing_count: 1, missing_request: 100, ..missing };
        let many = Groups { ready_count: 4, sample_count: 4, request: 400, usage: 220, ..many };
        assert_eq!(proposed(many), 4);
    }

    /// A pod without a sample counts as using all that it requests, however low the target.
    #[test]
    fn a_low_target_does_not_make_missing_pods_idle() {
        let ready = ReadyCondition { status: ConditionStatus::True, since: SimTime::ZERO };
        let pod = PodFacts {
            is_deleted: false,
            phase: PodPhase::Running,
            ready: Some(ready),
            started_at: Some(SimTime::ZERO),
        };
        let settings = Settings::default();
        let scene = Scene {
            pods: &[pod; 4],
            spec_replicas: 4,
            status_replicas: 4,
            tolerances: Tolerances { up: 0.1, down: 0.1 },
            settings: &settings,
            now: SimTime::from_mins(10),
        };
        let window = SimSpan::from_secs(15);
        let sample = Some(Sample { value: 20, at: SimTime::from_mins(10), window });
        let samples = [sample, sample, None, None];
        let measured = Measured {
            samples: &samples,
            stray: &[],
            requests: Requests::Same(100),
            is_cpu: false,
        };
        assert_eq!(measured.utilization(50, &scene).expect("known").replicas, 4);
    }

    #[test]
    fn only_running_pods_are_ready() {
        let ready = ReadyCondition { status: ConditionStatus::True, since: SimTime::ZERO };
        let pod = |phase| PodFacts {
            is_deleted: false,
            phase,
            ready: Some(ready),
            started_at: Some(SimTime::ZERO),
        };
        assert!(is_ready(&pod(PodPhase::Running)) && !is_ready(&pod(PodPhase::Pending)));
    }

    #[test]
    fn both_ends_of_the_tolerance_hold() {
        let tolerances = Tolerances { up: 0.25, down: 0.125 };
        for (ratio, holds) in [(0.875, true), (0.874, false), (1.25, true), (1.251, false)] {
            assert_eq!(tolerances.hold(ratio), holds, "{ratio}");
        }
    }
}
