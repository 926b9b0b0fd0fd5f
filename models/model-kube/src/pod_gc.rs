//! Which pods the garbage collector removes.
//!
//! # Modelled
//! Its four steps: finished pods above the threshold, terminating pods on nodes out of service,
//! pods of nodes that are no more, terminating pods without a node. A run and the recorded cases ask
//! the same collector.
//! # Not modelled
//! Nothing of the collector; its period is the caller's.
//! # Defaults and their sources
//! `pkg/controller/podgc/gc_controller.go`, Kubernetes 1.36: period 20 s, quarantine 40 s;
//! threshold 12500 (`pkg/controller/podgc/config/v1alpha1/defaults.go`).
//! # Invariants
//! A pod on a node that the API knows is never removed as an orphan. A pod is removed once in a pass.
//! # Checked against
//! `conformance/nodes-shutdown-podgc.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use sim_kernel::{SimSpan, SimTime};

/// A pod as the collector sees it; pods and nodes are told apart by whatever names the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcPod<P, N> {
    /// `metadata.name`.
    pub name: P,
    /// `spec.nodeName`.
    pub node: Option<N>,
    /// Phase Failed or Succeeded.
    pub is_finished: bool,
    /// Failed with reason `Evicted`.
    pub is_evicted: bool,
    /// Has a deletionTimestamp.
    pub is_terminating: bool,
    /// `metadata.creationTimestamp`.
    pub created_at: SimTime,
}

/// A node as the collector sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcNode<N> {
    /// `metadata.name`.
    pub name: N,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// Tainted `node.kubernetes.io/out-of-service`.
    pub is_out_of_service: bool,
    /// The collector's cache has it; otherwise only the API.
    pub is_cached: bool,
}

/// The steps of a pass, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Finished pods above the threshold (`gcTerminated`).
    Surplus,
    /// Terminating pods on nodes out of service (`gcTerminating`).
    OutOfService,
    /// Pods of nodes that are no more (`gcOrphaned`): they get the condition `DisruptionTarget`.
    Orphaned,
    /// Terminating pods without a node (`gcUnscheduledTerminating`).
    Unscheduled,
}

/// A pod that is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Position of the pod.
    pub pod_idx: usize,
    /// The first step that removes it.
    pub step: Step,
    /// It is patched to phase Failed first.
    pub is_failed_first: bool,
}

/// Whether a pod is being deleted on a node that somebody is sure is down, and that is not ready.
pub fn is_stuck<P, N>(pod: &GcPod<P, N>, node: &GcNode<N>) -> bool {
    pod.is_terminating && node.is_cached && !node.is_ready && node.is_out_of_service
}

/// The collector's memory.
#[derive(Clone, Debug)]
pub struct Collector<N> {
    /// `--terminated-pod-gc-threshold`; 0 switches the first step off.
    threshold: usize,
    quarantine: SimSpan,
    /// Nodes not found, and when they are looked for in the API.
    suspects: BTreeMap<N, SimTime>,
}

impl<N: Ord + Clone> Collector<N> {
    /// A collector that has seen nothing.
    pub fn new(threshold: usize, quarantine: SimSpan) -> Self {
        Self { threshold, quarantine, suspects: BTreeMap::new() }
    }

    /// Whether so many finished pods are too many.
    pub fn is_surplus(&self, finished_count: usize) -> bool {
        self.threshold > 0 && finished_count > self.threshold
    }

    /// When the first node is looked for whose quarantine runs.
    pub fn next_due(&self) -> Option<SimTime> {
        self.suspects.values().min().copied()
    }

    /// One pass (`gc`), in its order; a pod is removed once.
    pub fn pass<P: Ord>(
        &mut self,
        pods: &[GcPod<P, N>],
        nodes: &[GcNode<N>],
        now: SimTime,
    ) -> Vec<Removal> {
        let by_name: BTreeMap<&N, &GcNode<N>> =
            nodes.iter().map(|node| (&node.name, node)).collect();
        let gone = self.gone_nodes(pods, &by_name, now);
        let all = || 0..pods.len();
        let is_on_dead = |idx: &usize| {
            let node = pods[*idx].node.as_ref().and_then(|name| by_name.get(name));
            node.is_some_and(|node| is_stuck(&pods[*idx], node))
        };
        let is_orphan =
            |idx: &usize| pods[*idx].node.as_ref().is_some_and(|name| gone.contains(name));
        let is_lost = |idx: &usize| pods[*idx].is_terminating && pods[*idx].node.is_none();
        let steps = [
            (Step::Surplus, self.surplus(pods)),
            (Step::OutOfService, in_order(pods, all().filter(is_on_dead).collect())),
            (Step::Orphaned, all().filter(is_orphan).collect()),
            (Step::Unscheduled, all().filter(is_lost).collect()),
        ];
        let mut is_removed = vec![false; pods.len()];
        let mut removed = Vec::new();
        for (step, due) in steps {
            for pod_idx in due {
                if !std::mem::replace(&mut is_removed[pod_idx], true) {
                    let is_failed_first = !pods[pod_idx].is_finished;
                    removed.push(Removal { pod_idx, step, is_failed_first });
                }
            }
        }
        removed
    }

    /// Finished pods above the threshold: evicted ones first, then the oldest.
    fn surplus<P: Ord>(&self, pods: &[GcPod<P, N>]) -> Vec<usize> {
        let finished: Vec<usize> = (0..pods.len()).filter(|idx| pods[*idx].is_finished).collect();
        if !self.is_surplus(finished.len()) {
            return Vec::new();
        }
        let count = finished.len() - self.threshold;
        let mut finished = in_order(pods, finished);
        finished.truncate(count);
        finished
    }

    /// Nodes that are surely no more: missing from the cache, and from the API after a quarantine.
    /// Those whose quarantine is over have left the delaying queue before the pass puts the missing
    /// ones into it, which may be the same again.
    fn gone_nodes<P>(
        &mut self,
        pods: &[GcPod<P, N>],
        by_name: &BTreeMap<&N, &GcNode<N>>,
        now: SimTime,
    ) -> BTreeSet<N> {
        let mut due = self.take_due(now);
        let is_cached = |name: &N| by_name.get(name).is_some_and(|node| node.is_cached);
        for name in pods.iter().filter_map(|pod| pod.node.as_ref()).filter(|name| !is_cached(name))
        {
            self.suspects.entry(name.clone()).or_insert(now + self.quarantine);
        }
        if self.quarantine.is_zero() {
            due.extend(self.take_due(now));
        }
        due.retain(|name| !by_name.contains_key(name));
        due
    }

    fn take_due(&mut self, now: SimTime) -> BTreeSet<N> {
        let due = self.suspects.iter().filter(|(_, at)| **at <= now);
        let due: BTreeSet<N> = due.map(|(name, _)| name.clone()).collect();
        self.suspects.retain(|_, at| *at > now);
        due
    }
}

/// Evicted pods first, then the oldest, then by name (`byEvictionAndCreationTimestamp`).
fn in_order<P: Ord, N>(pods: &[GcPod<P, N>], mut positions: Vec<usize>) -> Vec<usize> {
    positions.sort_by(|a, b| {
        let rank = |idx: &usize| {
            let pod = &pods[*idx];
            (!pod.is_evicted, pod.created_at, &pod.name)
        };
        rank(a).cmp(&rank(b))
    });
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pod = GcPod<String, String>;
    type Node = GcNode<String>;

    fn on(node: &str) -> Pod {
        Pod { name: format!("on-{node}"), node: Some(node.into()), ..Pod::default() }
    }

    fn collector(threshold: usize) -> Collector<String> {
        Collector::new(threshold, SimSpan::from_secs(40))
    }

    /// That another node is known does not clear one that is not.
    #[test]
    fn each_node_is_looked_up_by_its_name() {
        let node = |name: &str, is_cached| Node { name: name.into(), is_cached, ..Node::default() };
        let pods = [on("here"), on("gone"), on("uncached")];
        let nodes = [node("here", true), node("uncached", false)];
        let mut collector = collector(12_500);
        let counts = [0, 20, 40, 60, 80]
            .map(|at| collector.pass(&pods, &nodes, SimTime::from_secs(at)).len());
        assert_eq!(counts, [0, 0, 1, 0, 1], "the pass that finds it gone looks for it anew");
    }

    #[test]
    fn pods_of_a_deleted_node_go_after_the_quarantine() {
        let count_at = |quarantine: u64| {
            let mut collector = Collector::new(12_500, SimSpan::from_secs(quarantine));
            [0, 20, 40].map(|at| collector.pass(&[on("gone")], &[], SimTime::from_secs(at)).len())
        };
        assert_eq!(count_at(40), [0, 0, 1]);
        assert_eq!(count_at(0), [1, 1, 1]);
    }

    #[test]
    fn a_pass_takes_its_steps_in_order_and_each_pod_once() {
        let finished = |name: &str, is_evicted, secs| Pod {
            name: name.into(),
            is_finished: true,
            is_evicted,
            created_at: SimTime::from_secs(secs),
            ..Pod::default()
        };
        let pods = [
            Pod { is_terminating: true, ..Pod::default() },
            finished("old", false, 1),
            finished("young", false, 3),
            Pod { is_terminating: true, ..on("dead") },
            Pod { is_terminating: true, node: Some("dead".into()), ..finished("evicted", true, 9) },
        ];
        let dead = Node {
            name: "dead".into(),
            is_out_of_service: true,
            is_cached: true,
            ..Node::default()
        };
        let removed = collector(1).pass(&pods, &[dead], SimTime::ZERO);
        let steps: Vec<(usize, Step, bool)> =
            removed.iter().map(|it| (it.pod_idx, it.step, it.is_failed_first)).collect();
        let expected = [
            (4, Step::Surplus, false),
            (1, Step::Surplus, false),
            (3, Step::OutOfService, true),
            (0, Step::Unscheduled, true),
        ];
        assert_eq!(steps, expected);
        assert!(collector(0).pass(&pods[1..3], &[], SimTime::ZERO).is_empty(), "0 is off");
    }
}
