//! The figures of a run, under the names that `summary.yaml` gives them.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::WorkloadKind;
use model_api::observation::{DeletionReason, UnreadyReason};
use model_api::{AutoscalerId, BudgetId, NodeId, Observation, PodId, SimTime, WorkloadId};
use model_kube::client_limit::ClientLimiter;
use model_kube::cluster::{Component, PodPhase};

use crate::election;
use crate::rig::Rig;
use crate::stage::Stage;
use crate::tape::{Series, Tape};

mod scheduling;

/// Figures of one run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Numbers by name.
    pub(crate) numbers: BTreeMap<String, f64>,
    /// Values that change in steps, by name: seconds and value.
    pub(crate) steps: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Figures {
    pub(crate) fn number(&mut self, name: impl Into<String>, value: f64) {
        self.numbers.insert(name.into(), value);
    }

    fn count(&mut self, name: impl Into<String>, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        self.number(name, count as f64);
    }

    /// How many moments there are, the first and the last of them.
    fn moments(&mut self, name: &str, mut secs: Vec<f64>, with_all: bool) {
        secs.sort_by(f64::total_cmp);
        self.count(format!("{name}.count"), secs.len());
        if let (Some(first), Some(last)) = (secs.first(), secs.last()) {
            self.number(format!("{name}.first"), *first);
            self.number(format!("{name}.last"), *last);
        }
        if with_all {
            for (idx, at) in secs.into_iter().enumerate() {
                self.number(format!("{name}.all[{idx}]"), at);
            }
        }
    }
}

/// All figures of a run.
pub(crate) fn figures(rig: &Rig<'_>, tape: &Tape) -> Figures {
    let mut figures = Figures::default();
    let seen: Vec<(SimTime, Observation)> =
        tape.observations.iter().filter(|(at, _)| *at >= rig.stage.zero_at).copied().collect();
    zones(rig, &seen, &mut figures);
    pods(rig, tape, &seen, &mut figures);
    services(rig, &mut figures);
    deployments(rig, &mut figures);
    rollouts(rig, tape, &seen, &mut figures);
    autoscalers(rig, &mut figures);
    budgets(rig, &mut figures);
    evictions(rig, &seen, &mut figures);
    leaders(rig, &mut figures);
    if !rig.stage.arrivals.is_empty() {
        scheduling::figures(rig, &seen, &mut figures);
    }
    figures
}

fn zones(rig: &Rig<'_>, seen: &[(SimTime, Observation)], figures: &mut Figures) {
    let stage = rig.stage;
    let mut moments: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    let rate = stage.blueprint.parameters.controller_client;
    let mut client = NodeClient(ClientLimiter::of(rate));
    let mut lost: BTreeSet<NodeId> = BTreeSet::new();
    for (at, observation) in seen {
        let (whats, node): (&[(&str, SimTime)], _) = match observation {
            // A node that came is not ready again.
            Observation::NodeBecameReady { node } if !lost.contains(node) => continue,
            Observation::NodeBecameNotReady { node } => {
                lost.insert(*node);
                client.write(*at);
                (&[("notReady", *at), ("taintNoSchedule", client.taint(*at))], node)
            }
            Observation::NodeBecameReady { node } => {
                (&[("readyAgain", *at), ("taintNoScheduleRemoved", client.taint(*at))], node)
            }
            Observation::NodeTaintedNoExecute { node } => (&[("taintNoExecute", *at)], node),
            Observation::NodeUntainted { node } => (&[("taintNoExecuteRemoved", *at)], node),
            Observation::NodeCordoned { node } => (&[("unschedulable", *at)], node),
            Observation::PodBecameUnready { reason: UnreadyReason::NodeNotReady, .. } => {
                client.write(*at);
                continue;
            }
            _ => continue,
        };
        for (what, at) in whats {
            moments.entry((stage.zone_name(*node), *what)).or_default().push(stage.secs(*at));
        }
    }
    for (at, node, what) in &rig.notes.node_changes {
        let secs = stage.secs(*at);
        moments.entry((stage.zone_name(*node), *what)).or_default().push(secs);
    }
    for ((zone, what), secs) in moments {
        figures.moments(&format!("zones.{zone}.{what}"), secs, true);
    }
}

/// The client of the node lifecycle controller, by whose limit the `NoSchedule` taints of many nodes
/// that are lost at once come one after the other. A status and the condition of a pod take one
/// request each, a taint two: `AddOrUpdateTaintOnNode` reads the node and patches it
/// (`pkg/controller/util/node/controller_utils.go`, 1.36).
struct NodeClient(ClientLimiter);

impl NodeClient {
    fn write(&mut self, at: SimTime) {
        self.0.reserve(at);
    }

    /// When a taint is there that is to be set, or taken away, since this moment.
    fn taint(&mut self, at: SimTime) -> SimTime {
        self.0.reserve(at);
        self.0.reserve(at)
    }
}

fn pods(rig: &Rig<'_>, tape: &Tape, seen: &[(SimTime, Observation)], figures: &mut Figures) {
    let stage = rig.stage;
    let mut moments: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for what in [
        "created",
        "bound",
        "running",
        "ready",
        "unready",
        "deleting",
        "gone",
        "unschedulable",
        "markedNotReady",
    ] {
        moments.insert(what, Vec::new());
    }
    let mut created: BTreeSet<PodId> = BTreeSet::new();
    // Each pod counts once for each of these.
    let mut done: BTreeSet<(&str, PodId)> = BTreeSet::new();
    let mut disrupted: BTreeMap<PodId, (f64, &'static str)> = BTreeMap::new();
    // A condition that is true already keeps its time and gets another reason
    // (`UpdatePodCondition`, pkg/api/v1/pod/util.go, 1.36).
    let mut disrupt = |pod, reason, secs| {
        if let Some(reason) = disruption(reason) {
            disrupted.entry(pod).or_insert((secs, reason)).1 = reason;
        }
    };
    for (at, observation) in seen {
        let secs = stage.secs(*at);
        let (what, pod) =
            match *observation {
                Observation::PodCreated { pod, .. } => {
                    created.insert(pod);
                    ("created", pod)
                }
                Observation::PodBound { pod, .. } if created.contains(&pod) => ("bound", pod),
                Observation::PodStarted { pod, .. } if created.contains(&pod) => ("running", pod),
                Observation::PodBecameReady { pod, .. } if created.contains(&pod) => ("ready", pod),
                Observation::PodBecameUnschedulable { pod, .. } => ("unschedulable", pod),
                Observation::PodGone { pod, .. } => ("gone", pod),
                Observation::PodBecameUnready {
                    pod, reason: UnreadyReason::NodeNotReady, ..
                } if !created.contains(&pod) => ("markedNotReady", pod),
                Observation::PodBecameUnready { pod, .. } => ("unready", pod),
                Observation::PodDeletionRequested { pod, reason, .. } => {
                    disrupt(pod, reason, secs);
                    ("deleting", pod)
                }
                Observation::PodDisrupted { pod, reason, .. } => {
                    disrupt(pod, reason, secs);
                    continue;
                }
                _ => continue,
            };
        if done.insert((what, pod)) {
            moments.entry(what).or_default().push(secs);
        }
    }
    let later = rig.notes.nominated.values().filter(|at| **at >= stage.zero_at);
    moments.insert("nominated", later.map(|at| stage.secs(*at)).collect());
    for (what, secs) in moments {
        figures.moments(&format!("pods.{what}"), secs, false);
    }
    let mut by_reason: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (secs, reason) in disrupted.into_values() {
        by_reason.entry(reason).or_default().push(secs);
    }
    for (reason, secs) in by_reason {
        figures.moments(&format!("pods.disruption.{reason}"), secs, false);
    }
    placement(stage, &tape.observations, stage.zero_at, "atStartByZone", figures);
    placement(stage, &tape.observations, SimTime::MAX, "atEndByZone", figures);
}

/// Reason of the condition DisruptionTarget that a deletion comes with.
fn disruption(reason: DeletionReason) -> Option<&'static str> {
    match reason {
        DeletionReason::Taint => Some("DeletionByTaintManager"),
        DeletionReason::PodGc => Some("DeletionByPodGC"),
        DeletionReason::Eviction => Some("EvictionByEvictionAPI"),
        DeletionReason::Preemption => Some("PreemptionByScheduler"),
        DeletionReason::ScaleDown | DeletionReason::Rollout | DeletionReason::VolumeLost => None,
    }
}

/// Pods by the zone of their node just before a moment; terminating and pending ones apart.
fn placement(
    stage: &Stage,
    observations: &[(SimTime, Observation)],
    before: SimTime,
    name: &str,
    figures: &mut Figures,
) {
    let mut at: BTreeMap<PodId, &str> = BTreeMap::new();
    for (_, observation) in observations.iter().filter(|(at, _)| *at < before) {
        match *observation {
            Observation::PodCreated { pod, .. } => _ = at.insert(pod, "pending"),
            Observation::PodBound { pod, node, .. } => _ = at.insert(pod, stage.zone_name(node)),
            Observation::PodDeletionRequested { pod, .. } => _ = at.insert(pod, "terminating"),
            Observation::PodGone { pod, .. } => _ = at.remove(&pod),
            _ => {}
        }
    }
    let zones = stage.zone_names.iter().map(String::as_str);
    for place in zones.chain(["pending", "terminating"]) {
        let count = at.values().filter(|it| **it == place).count();
        figures.count(format!("pods.{name}.{place}"), count);
    }
}

/// Steps from the scenario's zero on, in seconds.
fn steps(rig: &Rig<'_>, series: Series) -> Vec<(f64, f64)> {
    let (stage, zero_at) = (rig.stage, rig.stage.zero_at);
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let number = |value: i64| value as f64;
    let before = zero_at.saturating_sub(model_api::SimSpan::from_nanos(1));
    let mut steps = vec![(0.0, number(rig.notes.value_at(series, before)))];
    let later = rig.notes.steps_of(series).iter().filter(|(at, _)| *at >= zero_at);
    steps.extend(later.map(|(at, value)| (stage.secs(*at), number(*value))));
    steps
}

/// Integral of a step function until `end`, after a change of its values.
fn integral(steps: &[(f64, f64)], end: f64, value: impl Fn(f64) -> f64) -> f64 {
    let ends = steps.iter().skip(1).map(|(at, _)| *at).chain([end]);
    steps.iter().zip(ends).map(|((from, it), until)| value(*it) * (until - from)).sum()
}

fn least(steps: &[(f64, f64)]) -> f64 {
    steps.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min)
}

fn services(rig: &Rig<'_>, figures: &mut Figures) {
    let end = rig.stage.secs(rig.stage.end_at);
    for (id, name) in rig.stage.services() {
        let name = format!("service.{name}");
        let [ready, live] = [Series::Ready(id), Series::Live(id)].map(|it| steps(rig, it));
        let start = ready[0].1;
        figures.number(format!("{name}.readyAtStart"), start);
        figures.number(format!("{name}.minReady"), least(&ready));
        figures.number(format!("{name}.minLive"), least(&live));
        for (what, steps) in [("meanReady", &ready), ("meanLive", &live)] {
            figures.number(format!("{name}.{what}"), integral(steps, end, |it| it) / end);
        }
        let is_below = |value: f64| f64::from(u8::from(value < start));
        let below = [("secondsBelowStart", &ready), ("secondsLiveBelowStart", &live)];
        for (what, steps) in below {
            figures.number(format!("{name}.{what}"), integral(steps, end, is_below));
        }
        let dead = integral(&difference(&ready, &live), end, |it| f64::from(u8::from(it > 0.0)));
        figures.number(format!("{name}.secondsWithDeadEndpoints"), dead);
        figures.steps.insert(format!("{name}.ready"), ready);
        figures.steps.insert(format!("{name}.live"), live);
    }
}

/// The difference of two step functions.
fn difference(a: &[(f64, f64)], b: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut moments: Vec<f64> = a.iter().chain(b).map(|(at, _)| *at).collect();
    moments.sort_by(f64::total_cmp);
    moments.dedup();
    moments.into_iter().map(|at| (at, value_at(a, at) - value_at(b, at))).collect()
}

/// The value of a step function at a moment.
pub(crate) fn value_at(steps: &[(f64, f64)], at: f64) -> f64 {
    let behind = steps.partition_point(|(from, _)| *from <= at);
    steps[behind.saturating_sub(1)].1
}

fn deployments(rig: &Rig<'_>, figures: &mut Figures) {
    for (idx, workload) in rig.stage.blueprint.workloads.iter().enumerate() {
        let id = WorkloadId::from_index(idx);
        if rig.notes.steps_of(Series::Available(id)).is_empty() {
            continue;
        }
        let is_set = matches!(workload.kind, WorkloadKind::StatefulSet { .. });
        let kind = if is_set { "statefulsets" } else { "deployments" };
        let name = format!("{kind}.{}", workload.name);
        let available = steps(rig, Series::Available(id));
        let replicas = steps(rig, Series::Replicas(id));
        let most = |steps: &[(f64, f64)]| steps.iter().map(|(_, it)| *it).fold(0.0, f64::max);
        figures.number(format!("{name}.minAvailable"), least(&available));
        figures.number(format!("{name}.availableAtEnd"), available.last().map_or(0.0, |it| it.1));
        figures.number(format!("{name}.maxReplicas"), most(&replicas));
        figures.number(format!("{name}.maxPodsNotDeleted"), most(&replicas));
    }
}

fn rollouts(rig: &Rig<'_>, tape: &Tape, seen: &[(SimTime, Observation)], figures: &mut Figures) {
    let stage = rig.stage;
    let name =
        |id: WorkloadId| format!("deployments.{}", stage.blueprint.workloads[id.index()].name);
    for (at, observation) in seen {
        let (what, workload) = match *observation {
            Observation::RolloutStarted { workload } => ("patchedAt", workload),
            Observation::RolloutCompleted { workload } => ("completeAt", workload),
            Observation::RolloutStalled { workload } => ("progressDeadlineExceededAt", workload),
            _ => continue,
        };
        let key = format!("{}.{what}", name(workload));
        figures.numbers.entry(key).or_insert(stage.secs(*at));
    }
    let mut sizes: BTreeMap<(WorkloadId, u32), Vec<(f64, f64)>> = BTreeMap::new();
    for (at, observation) in &tape.observations {
        let Observation::ReplicaSetScaled { workload, revision, replicas } = *observation else {
            continue;
        };
        let steps = sizes.entry((workload, revision)).or_insert_with(|| vec![(0.0, 0.0)]);
        match stage.secs(*at) {
            secs if secs < 0.0 => *steps = vec![(0.0, f64::from(replicas))],
            secs => steps.push((secs, f64::from(replicas))),
        }
    }
    for ((workload, revision), steps) in sizes {
        figures.steps.insert(format!("{}.replicaSets[{revision}]", name(workload)), steps);
    }
}

fn autoscalers(rig: &Rig<'_>, figures: &mut Figures) {
    for (idx, autoscaler) in rig.stage.blueprint.autoscalers.iter().enumerate() {
        let id = AutoscalerId::from_index(idx);
        let name = format!("hpa.{}", autoscaler.name);
        let desired = steps(rig, Series::Desired(id));
        // The recorder looks for the peak among the entries of its series, which are changes.
        let changes = changes(rig, id);
        let peak = changes.iter().fold(None, |peak: Option<(f64, f64)>, (at, value)| {
            if peak.is_none_or(|(_, most)| *value > most) { Some((*at, *value)) } else { peak }
        });
        if let Some((at, value)) = peak {
            figures.number(format!("{name}.peakDesired"), value);
            figures.number(format!("{name}.peakAt"), at);
        }
        figures.number(format!("{name}.desiredAtEnd"), desired.last().map_or(0.0, |it| it.1));
        figures.steps.insert(format!("{name}.current"), steps(rig, Series::Current(id)));
        figures.steps.insert(format!("{name}.desired"), desired);
        figures.steps.insert(format!("{name}.util"), steps(rig, Series::Utilization(id)));
    }
}

/// What an autoscaler wanted whenever that or its current replicas changed.
fn changes(rig: &Rig<'_>, id: AutoscalerId) -> Vec<(f64, f64)> {
    let [current, desired] = [Series::Current(id), Series::Desired(id)].map(|it| steps(rig, it));
    let mut moments: Vec<f64> =
        current.iter().skip(1).chain(desired.iter().skip(1)).map(|(at, _)| *at).collect();
    moments.sort_by(f64::total_cmp);
    moments.into_iter().map(|at| (at, value_at(&desired, at))).collect()
}

fn budgets(rig: &Rig<'_>, figures: &mut Figures) {
    for (idx, budget) in rig.stage.blueprint.budgets.iter().enumerate() {
        let id = BudgetId::from_index(idx);
        let series = [
            ("healthy", Series::Healthy(id)),
            ("desired", Series::HealthyWanted(id)),
            ("allowed", Series::Allowed(id)),
        ];
        for (what, series) in series {
            figures.steps.insert(format!("pdbs.{}.{what}", budget.name), steps(rig, series));
        }
    }
}

fn evictions(rig: &Rig<'_>, seen: &[(SimTime, Observation)], figures: &mut Figures) {
    let mut attempts: BTreeMap<u16, Vec<(f64, f64)>> =
        [201, 403, 429, 500].map(|code| (code, vec![(0.0, 0.0)])).into();
    for (at, observation) in seen {
        let secs = rig.stage.secs(*at);
        let (what, node) = match *observation {
            Observation::EvictionRefused { code, .. } => {
                attempt(&mut attempts, code, secs);
                continue;
            }
            Observation::PodDeletionRequested { reason: DeletionReason::Eviction, .. } => {
                attempt(&mut attempts, 201, secs);
                continue;
            }
            Observation::NodeCordoned { node } => ("cordon", node),
            Observation::NodeDrained { node } => ("drained", node),
            Observation::DrainFailed { node, .. } => ("drainTimeout", node),
            _ => continue,
        };
        let name = format!("evictionApi.nodes.{}.{what}", rig.stage.node_name(node));
        figures.number(name, secs);
    }
    for (code, steps) in attempts {
        let last = steps.last().map_or(0.0, |it| it.1);
        if last > 0.0 {
            figures.number(format!("evictionApi.answers.{code}"), last);
        }
        figures.steps.insert(format!("evictionApi.attempts.{code}"), steps);
    }
}

/// From the death of each leader to the name of another one in the Lease.
fn leaders(rig: &Rig<'_>, figures: &mut Figures) {
    let taken = |(killed_at, component): &(SimTime, Component)| {
        let mut takeovers = rig.notes.takeovers.iter();
        let next = takeovers.find(|(at, of)| at >= killed_at && of == component)?;
        Some((next.0 - *killed_at).as_secs_f64() * 1000.0)
    };
    let mut gaps: Vec<f64> = rig.notes.killed_leaders.iter().filter_map(taken).collect();
    gaps.sort_by(f64::total_cmp);
    election::quantiles("election", &gaps, figures);
}

/// One more eviction got this HTTP code.
fn attempt(attempts: &mut BTreeMap<u16, Vec<(f64, f64)>>, code: u16, secs: f64) {
    let steps = attempts.entry(code).or_default();
    let so_far = steps.last().map_or(0.0, |it| it.1);
    steps.push((secs, so_far + 1.0));
}

/// Whether a pod still is, with its place when it runs or will.
fn is_there(rig: &Rig<'_>, pod: PodId) -> bool {
    let pod = rig.cluster.pod(pod);
    pod.phase != PodPhase::Gone && !pod.is_terminating
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of twenty nodes that are found silent at once, the last ones wait for the client.
    #[test]
    fn taints_of_a_large_zone_come_one_after_the_other() {
        let last = |nodes: usize| {
            let rate = model_api::Parameters::default().controller_client;
            let mut client = NodeClient(ClientLimiter::of(rate));
            let at = SimTime::from_secs(50);
            let taints = (0..nodes).map(|_| {
                client.write(at);
                client.taint(at)
            });
            (taints.last().expect("there are nodes") - at).as_millis()
        };
        assert_eq!([last(3), last(10), last(20)], [0, 0, 1500]);
    }
}
