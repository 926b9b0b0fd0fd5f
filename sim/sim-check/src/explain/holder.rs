//! What an action waits for that does not come to its end: a pod that does not go, or that is not ready.

use std::collections::BTreeMap;

use model_api::action::Action;
use model_api::fault::FaultKind;
use model_api::observation::UnreadyReason;
use model_api::{FaultId, NodeId, Observation, PodId, WorkloadId};
use report_data::{Explanation, Step};
use sim_kernel::{EventId, SimTime};

use super::Story;
use super::path::Told;

/// Something that a run told, with what it came of.
#[derive(Clone, Copy)]
struct Seen {
    cause: EventId,
    told: Told,
}

/// A pod as the last facts of a run leave it.
#[derive(Default)]
struct Pod {
    node: Option<NodeId>,
    is_ready: bool,
    /// That it is to go.
    going: Option<Seen>,
    /// What keeps it from being ready, the most telling since it last was.
    trouble: Option<(u8, Seen)>,
}

impl Pod {
    /// What it waited for is there.
    fn forget_wait(&mut self) {
        self.trouble = self.trouble.filter(|(rank, _)| *rank != WAITS);
    }
}

/// Pods and nodes as the last facts of a run leave them.
#[derive(Default)]
struct Ending {
    pods: BTreeMap<PodId, (WorkloadId, Pod)>,
    silent: BTreeMap<NodeId, Seen>,
}

impl<E> Story<'_, E> {
    /// Explains what an action waits for when the run ends at `end`; `None` where no pod holds it.
    pub(super) fn held(&self, run: u64, action: FaultId, end: SimTime) -> Option<Explanation> {
        let mut ending = self.ending_of_pods();
        let (held, others) = ending.held_by(&self.plan.faults[action.index()].kind)?;
        let (workload, pod) = ending.pods.remove(&held)?;
        let silent = pod.node.and_then(|node| ending.silent.get(&node).copied());
        let struck = self.journal.observations().iter().find(|record| {
            matches!(record.observation, Observation::FaultStruck { fault, .. } if fault == action)
        })?;
        let mut path = self.path(struck.cause);
        for seen in pod.going.into_iter().chain(pod.trouble.map(|it| it.1)).chain(silent) {
            path.extend(self.path(seen.cause));
            path.push(seen.told);
        }
        path.extend(self.journal.observations().iter().filter_map(|record| {
            let is_its = match record.observation {
                Observation::RolloutStalled { workload: of } => of == workload,
                Observation::FaultEnded { fault } => fault == action,
                _ => false,
            };
            is_its.then_some(Told { at: record.at, observation: record.observation })
        }));
        path.sort_by_key(|told| told.at);
        let mut steps = self.tell(&path);
        steps.push(Step {
            at_ns: end.as_nanos(),
            text: format!(
                "\"{}\" waits still for {}: {}",
                self.plan.faults[action.index()].name,
                self.named(workload, pod.node, others),
                reason(&pod, silent.is_some())
            ),
            position: self.position(self.blueprint.workloads[workload.index()].origin.object),
        });
        Some(Explanation { run, steps, outage_parts: Vec::new() })
    }

    fn named(&self, workload: WorkloadId, node: Option<NodeId>, others: usize) -> String {
        let place = match node {
            Some(node) => format!(" on {}", self.blueprint.nodes[node.index()].node.name),
            None => String::new(),
        };
        let others = match others {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        format!("a pod of {}{place}{others}", self.blueprint.workload_name(workload))
    }

    fn ending_of_pods(&self) -> Ending {
        let mut ending = Ending::default();
        for record in self.journal.observations() {
            let told = Told { at: record.at, observation: record.observation };
            ending.fold(Seen { cause: record.cause, told });
        }
        ending
    }
}

impl Ending {
    fn fold(&mut self, seen: Seen) {
        use Observation as O;
        match seen.told.observation {
            O::PodCreated { pod, workload } => {
                self.pods.insert(pod, (workload, Pod::default()));
            }
            O::PodBound { pod, node, .. } => self.change(pod, |it| {
                it.node = Some(node);
                it.forget_wait();
            }),
            O::PodImagePulled { pod, .. } | O::PodStarted { pod, .. } => {
                self.change(pod, Pod::forget_wait);
            }
            O::PodBecameReady { pod, .. } => self.change(pod, |it| {
                it.is_ready = true;
                it.trouble = None;
            }),
            O::PodDeletionRequested { pod, .. } => {
                self.change(pod, |it| _ = it.going.get_or_insert(seen));
            }
            O::PodGone { pod, .. } => {
                self.pods.remove(&pod);
            }
            O::NodeBecameNotReady { node } => {
                self.silent.insert(node, seen);
            }
            O::NodeBecameReady { node } => {
                self.silent.remove(&node);
            }
            _ => {}
        }
        if let O::PodBecameUnready { pod, .. } = seen.told.observation {
            self.change(pod, |it| it.is_ready = false);
        }
        if let Some((pod, rank)) = trouble(&seen.told.observation) {
            self.change(pod, |it| {
                if it.trouble.is_none_or(|(known, _)| rank > known) {
                    it.trouble = Some((rank, seen));
                }
            });
        }
    }

    fn change(&mut self, pod: PodId, change: impl FnOnce(&mut Pod)) {
        if let Some((_, known)) = self.pods.get_mut(&pod) {
            change(known);
        }
    }

    /// The first pod that holds an action, and how many more do. One that does not go is named before one
    /// that is not ready: the latter may wait for its place or its volume.
    fn held_by(&self, kind: &FaultKind) -> Option<(PodId, usize)> {
        let going = |pod: &Pod| pod.going.is_some();
        let of_nodes = |nodes: &[NodeId]| {
            let is_on = |pod: &Pod| pod.node.is_some_and(|node| nodes.contains(&node));
            self.first_of(|_, pod| going(pod) && is_on(pod))
        };
        match kind {
            FaultKind::Action(Action::Rollout { workload, .. }) => self
                .first_of(|of, pod| of == *workload && going(pod))
                .or_else(|| self.first_of(|of, pod| of == *workload && !pod.is_ready)),
            FaultKind::Action(Action::Drain(work) | Action::NodeUpgrade(work)) => {
                of_nodes(&work.nodes)
            }
            _ => None,
        }
    }

    fn first_of(&self, is_it: impl Fn(WorkloadId, &Pod) -> bool) -> Option<(PodId, usize)> {
        let mut found = self.pods.iter().filter(|(_, (of, pod))| is_it(*of, pod));
        let (first, _) = found.next()?;
        Some((*first, found.count()))
    }
}

/// How much it says that something is not there.
const WAITS: u8 = 5;

/// A fact that keeps a pod from being ready, and how much it says: of equals the first counts.
fn trouble(observation: &Observation) -> Option<(PodId, u8)> {
    use Observation as O;
    match *observation {
        O::PodCreated { pod, .. } => Some((pod, 0)),
        O::PodBound { pod, .. } => Some((pod, 1)),
        O::PodStarted { pod, .. } => Some((pod, 2)),
        O::PodBecameUnready { pod, reason: UnreadyReason::Probe, .. } => Some((pod, 3)),
        O::ContainersKilled { pod, .. } => Some((pod, 4)),
        O::PodBecameUnschedulable { pod, .. }
        | O::PodVolumeHeld { pod, .. }
        | O::PodConfigurationMissing { pod, .. }
        | O::PodImagePullFailed { pod, .. } => Some((pod, WAITS)),
        _ => None,
    }
}

/// Why a pod holds what waits for it.
fn reason(pod: &Pod, is_silent: bool) -> String {
    use Observation as O;
    let state = match (&pod.going, pod.node) {
        (Some(_), _) => "it is deleted and does not go",
        (None, None) => "it has no node",
        (None, Some(_)) => "it is not ready",
    };
    if is_silent {
        // `docs/concepts/architecture/nodes.md`, Kubernetes 1.36: pods of a node that is silent stay until
        // its kubelet tells of them, or until the node is deleted or marked as out of service.
        return format!(
            "{state}, as its node is silent and nobody knows whether its containers run"
        );
    }
    let why = match pod.trouble.map(|(_, seen)| seen.told.observation) {
        _ if pod.going.is_some() => ", as its containers run still",
        Some(O::PodStarted { .. }) => ", though its containers run",
        Some(O::ContainersKilled { .. }) => ", as its containers are killed again and again",
        Some(O::PodVolumeHeld { .. }) => ", as its volume is attached elsewhere",
        Some(O::PodImagePullFailed { .. }) => ", as its image cannot be pulled",
        Some(O::PodConfigurationMissing { .. }) => ", as a Secret or ConfigMap of it is missing",
        _ => "",
    };
    format!("{state}{why}")
}
