//! Which pods the garbage collector removes.
//!
//! # Modelled
//! Its four steps: finished pods above the threshold, terminating pods on nodes out of service,
//! pods of nodes that are no more, terminating pods without a node.
//! # Not modelled
//! Nothing of the collector; its period is the caller's.
//! # Defaults and their sources
//! `pkg/controller/podgc/gc_controller.go`, Kubernetes 1.36: period 20 s, quarantine 40 s,
//! threshold 12500.
//! # Invariants
//! A pod on a node that the API knows is never removed as an orphan.
//! # Checked against
//! `conformance/nodes-shutdown-podgc.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use sim_kernel::{SimSpan, SimTime};

/// A pod as the collector sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcPod {
    /// `metadata.name`.
    pub name: String,
    /// `spec.nodeName`.
    pub node: Option<String>,
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
pub struct GcNode {
    /// `metadata.name`.
    pub name: String,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// Tainted `node.kubernetes.io/out-of-service`.
    pub is_out_of_service: bool,
    /// The collector's cache has it; otherwise only the API.
    pub is_cached: bool,
}

/// A pod that is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Position of the pod.
    pub pod_idx: usize,
    /// It is patched to phase Failed first.
    pub is_failed_first: bool,
}

/// The collector's memory.
#[derive(Clone, Debug)]
pub struct Collector {
    /// `--terminated-pod-gc-threshold`; 0 switches the first step off.
    threshold: usize,
    quarantine: SimSpan,
    /// Nodes not found, and when they are looked for in the API.
    suspects: BTreeMap<String, SimTime>,
}

impl Collector {
    /// A collector that has seen nothing.
    pub fn new(threshold: usize, quarantine: SimSpan) -> Self {
        Self { threshold, quarantine, suspects: BTreeMap::new() }
    }

    /// One pass (`gc`), in its order; a pod is removed once.
    pub fn pass(&mut self, pods: &[GcPod], nodes: &[GcNode], now: SimTime) -> Vec<Removal> {
        let gone = self.gone_nodes(pods, nodes, now);
        let node_of = |pod: &GcPod| {
            pod.node.as_ref().and_then(|name| nodes.iter().find(|node| node.name == *name))
        };
        let is_dead = |pod: &GcPod| {
            let dead = |node: &GcNode| node.is_cached && !node.is_ready && node.is_out_of_service;
            pod.is_terminating && node_of(pod).is_some_and(dead)
        };
        let is_orphan = |pod: &GcPod| pod.node.as_ref().is_some_and(|name| gone.contains(name));
        let is_lost = |pod: &GcPod| pod.is_terminating && pod.node.is_none();
        let mut removed: Vec<Removal> = self
            .surplus(pods)
            .into_iter()
            .map(|pod_idx| Removal { pod_idx, is_failed_first: false })
            .collect();
        let steps: [&dyn Fn(&GcPod) -> bool; 3] = [&is_dead, &is_orphan, &is_lost];
        for is_due in steps {
            for (pod_idx, pod) in pods.iter().enumerate().filter(|(_, pod)| is_due(pod)) {
                if removed.iter().all(|removal| removal.pod_idx != pod_idx) {
                    removed.push(Removal { pod_idx, is_failed_first: !pod.is_finished });
                }
            }
        }
        removed
    }

    /// Finished pods above the threshold: evicted ones first, then the oldest.
    fn surplus(&self, pods: &[GcPod]) -> Vec<usize> {
        let mut finished: Vec<usize> =
            (0..pods.len()).filter(|idx| pods[*idx].is_finished).collect();
        let count = finished.len().saturating_sub(self.threshold);
        if self.threshold == 0 {
            return Vec::new();
        }
        finished.sort_by(|a, b| {
            let rank = |idx: &usize| {
                let pod = &pods[*idx];
                (!pod.is_evicted, pod.created_at, pod.name.clone())
            };
            rank(a).cmp(&rank(b))
        });
        finished.truncate(count);
        finished
    }

    /// Nodes that are surely no more: missing from the cache, and from the API after a quarantine.
    fn gone_nodes(&mut self, pods: &[GcPod], nodes: &[GcNode], now: SimTime) -> BTreeSet<String> {
        let cached = |name: &str| nodes.iter().any(|node| node.is_cached && node.name == name);
        let exists = |name: &str| nodes.iter().any(|node| node.name == name);
        for name in pods.iter().filter_map(|pod| pod.node.as_ref()).filter(|name| !cached(name)) {
            self.suspects.entry(name.clone()).or_insert(now + self.quarantine);
        }
        let due = |at: &SimTime| *at <= now;
        let checked: Vec<String> =
            self.suspects.iter().filter(|(_, at)| due(at)).map(|(name, _)| name.clone()).collect();
        self.suspects.retain(|_, at| !due(at));
        checked.into_iter().filter(|name| !exists(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That another node is known does not clear one that is not.
    #[test]
    fn each_node_is_looked_up_by_its_name() {
        let on = |node: &str| GcPod {
            name: format!("on-{node}"),
            node: Some(node.into()),
            ..GcPod::default()
        };
        let node =
            |name: &str, is_cached| GcNode { name: name.into(), is_cached, ..GcNode::default() };
        let pods = [on("here"), on("gone"), on("uncached")];
        let nodes = [node("here", true), node("uncached", false)];
        let mut collector = Collector::new(12_500, SimSpan::from_secs(40));
        let removed =
            [0, 20, 40, 60].map(|at| collector.pass(&pods, &nodes, SimTime::from_secs(at)).len());
        assert_eq!(removed, [0, 0, 1, 0], "it is put into quarantine anew");
    }

    #[test]
    fn pods_of_a_deleted_node_go_after_the_quarantine() {
        let pod = GcPod { name: "a".into(), node: Some("gone".into()), ..GcPod::default() };
        let mut collector = Collector::new(12_500, SimSpan::from_secs(40));
        let pods = [pod];
        let removed: Vec<usize> =
            [0, 20, 40].map(|at| collector.pass(&pods, &[], SimTime::from_secs(at)).len()).to_vec();
        assert_eq!(removed, [0, 0, 1]);
    }
}
