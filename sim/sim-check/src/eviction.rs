//! Evictions that would still come of nodes that are silent when a run ends.
//!
//! The pods of a node that is lost stay where they are until the node controller finds it silent, taints
//! it, and their tolerations run out. A run that ends before has not shown that they stay. Whatever keeps
//! them after that (a zone of which too much is gone, an API that does not answer) has shown it.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::{Taint, TaintEffect, Toleration};
use model_api::{Blueprint, NodeId, Observation, PodId, WorkloadId};
use sim_kernel::{SimSpan, SimTime};

/// The taint of a node that is silent (k8s.io/api core/v1 `well_known_taints.go`).
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// `--node-monitor-period` of kube-controller-manager: a node is found silent by the next pass.
const MONITOR_PERIOD: SimSpan = SimSpan::from_secs(5);

/// How long pods stay on a silent node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    /// By workload; `None` stays for ever.
    by_workload: Vec<Option<SimSpan>>,
    /// From the loss of a node until it is found silent, at most.
    detection: SimSpan,
}

impl Patience {
    pub(crate) fn of(blueprint: &Blueprint) -> Self {
        let workloads = blueprint.workloads.iter();
        Self {
            by_workload: workloads.map(|it| patience(&it.template.spec.tolerations)).collect(),
            detection: blueprint.parameters.node_monitor_grace_period + MONITOR_PERIOD,
        }
    }
}

/// The least time of those tolerations that have one; for ever when none has (kube-controller-manager
/// 1.34, `pkg/controller/tainteviction`, `getMinTolerationTime`).
fn patience(tolerations: &[Toleration]) -> Option<SimSpan> {
    let key = UNREACHABLE.to_owned();
    let taint = Taint { key, value: String::new(), effect: TaintEffect::NoExecute };
    let mut used = tolerations.iter().filter(|it| it.tolerates(&taint)).peekable();
    if used.peek().is_none() {
        return Some(SimSpan::ZERO);
    }
    used.filter_map(|it| it.toleration).min()
}

/// Pods on nodes that are silent.
#[derive(Clone, Debug, Default)]
pub(crate) struct EvictionWatch {
    pods: BTreeMap<PodId, (WorkloadId, NodeId)>,
    silent: BTreeMap<NodeId, Silence>,
}

#[derive(Clone, Copy, Debug)]
struct Silence {
    lost_at: SimTime,
    found_at: Option<SimTime>,
    tainted_at: Option<SimTime>,
}

impl EvictionWatch {
    pub(crate) fn fold(&mut self, at: SimTime, observation: &Observation) {
        use Observation as O;
        let unknown = Silence { lost_at: at, found_at: None, tainted_at: None };
        match *observation {
            O::PodBound { pod, workload, node } => {
                self.pods.insert(pod, (workload, node));
            }
            O::PodDeletionRequested { pod, .. } | O::PodGone { pod, .. } => {
                self.pods.remove(&pod);
            }
            O::NodeLost { node } => {
                self.silent.entry(node).or_insert(unknown);
            }
            O::NodeBecameNotReady { node } => {
                self.silent.entry(node).or_insert(unknown).found_at = Some(at);
            }
            O::NodeTaintedNoExecute { node } => {
                self.silent.entry(node).or_insert(unknown).tainted_at = Some(at);
            }
            O::NodeRestored { node } | O::NodeBecameReady { node } | O::NodeRemoved { node } => {
                self.silent.remove(&node);
            }
            _ => {}
        }
    }

    /// Workloads of which pods would still be evicted, were the run not over at `end`.
    pub(crate) fn pending(&self, patience: &Patience, end: SimTime) -> BTreeSet<WorkloadId> {
        let is_pending = |(workload, node): &&(WorkloadId, NodeId)| {
            let Some(silence) = self.silent.get(node) else { return false };
            let Some(stays) = patience.by_workload[workload.index()] else { return false };
            let from = silence.tainted_at.or(silence.found_at);
            let from = from.unwrap_or(silence.lost_at + patience.detection);
            from.checked_add(stays).is_none_or(|due| due > end)
        };
        self.pods.values().filter(is_pending).map(|(workload, _)| *workload).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(at: u64) -> SimTime {
        SimTime::from_secs(at)
    }

    /// Whether a pod on a node that is lost at 100 s would still be evicted after the end, given when that
    /// node is found silent, tainted and back.
    fn is_pending(stays: Option<u64>, told: [Option<u64>; 3], end: u64) -> bool {
        let patience = Patience {
            by_workload: vec![stays.map(SimSpan::from_secs)],
            detection: SimSpan::from_secs(55),
        };
        let (pod, workload, node) = (PodId(0), WorkloadId(0), NodeId(0));
        let mut watch = EvictionWatch::default();
        let mut see = |at, seen| watch.fold(secs(at), &seen);
        see(0, Observation::PodBound { pod, workload, node });
        see(100, Observation::NodeLost { node });
        let [found, tainted, back] = told;
        if let Some(at) = found {
            see(at, Observation::NodeBecameNotReady { node });
        }
        if let Some(at) = tainted {
            see(at, Observation::NodeTaintedNoExecute { node });
        }
        if let Some(at) = back {
            see(at, Observation::NodeRestored { node });
        }
        watch.pending(&patience, secs(end)).contains(&workload)
    }

    #[test]
    fn pods_of_a_silent_node_are_evicted_once_their_tolerations_have_run_out() {
        let tainted = [Some(150), Some(151), None];
        let cases = [
            (Some(300), [None; 3], 160, true),
            (Some(300), tainted, 400, true),
            // They are still there when it has run out: something else keeps them.
            (Some(300), tainted, 460, false),
            (Some(300), [None; 3], 460, false),
            (Some(300), [Some(150), None, None], 440, true),
            (Some(300), [Some(150), Some(151), Some(200)], 210, false),
            (None, tainted, 160, false),
            (Some(0), [None; 3], 120, true),
        ];
        for (stays, told, end, expected) in cases {
            assert_eq!(is_pending(stays, told, end), expected, "{stays:?} {told:?} {end}");
        }
    }

    #[test]
    fn the_shortest_toleration_counts() {
        let tolerating = |key: &str, secs: Option<u64>| Toleration {
            key: key.to_owned(),
            operator: model_api::kube::TolerationOperator::Exists,
            value: String::new(),
            effect: Some(TaintEffect::NoExecute),
            toleration: secs.map(SimSpan::from_secs),
        };
        let cases: [(&[Toleration], Option<u64>); 4] = [
            (&[], Some(0)),
            (&[tolerating(UNREACHABLE, Some(300))], Some(300)),
            (&[tolerating("", None), tolerating(UNREACHABLE, Some(20))], Some(20)),
            (&[tolerating("", None)], None),
        ];
        for (tolerations, expected) in cases {
            assert_eq!(patience(tolerations), expected.map(SimSpan::from_secs));
        }
    }
}
