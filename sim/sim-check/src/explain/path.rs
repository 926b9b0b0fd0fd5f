//! The way from the first cause to an event, in facts.
//!
//! Events are few and say little; what they told says more. Of each event on the chain the most
//! telling fact stands for it. Facts that were found out or decided later, but because of an event
//! on the chain (a node found silent, a pod bound after it waited), belong on the way too, when they
//! are about a pod that the chain is about or about the node of such a pod.

use std::collections::{BTreeMap, BTreeSet};

use model_api::{NodeId, Observation, PodId, WorkloadId};
use sim_kernel::{EventId, EventRecord, SimTime};

use super::Story;

/// One fact on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) at: SimTime,
    pub(super) observation: Observation,
}

impl<E> Story<'_, E> {
    /// The facts on the way to the event `id`, in order of time.
    pub(super) fn path(&self, id: EventId) -> Vec<Told> {
        let chain = self.journal.chain(id);
        let mut path: Vec<Told> = chain.iter().flat_map(|record| self.heads(record)).collect();
        let Some(end) = chain.last().map(|record| record.at) else { return path };
        let mut focus = Focus::default();
        focus.pods.extend(path.iter().filter_map(|told| pod_of(&told.observation)));
        for record in self.journal.observations().iter().filter(|record| record.at <= end) {
            if let Observation::PodBound { pod, node, .. } = record.observation
                && focus.pods.contains(&pod)
            {
                focus.nodes.insert(node);
            }
        }
        let found = self.found_silent(&chain, &path, end);
        path.extend(found.filter(|told| !focus.admits(&told.observation)));
        for record in chain {
            let told = self.by_cause.get(&record.id).into_iter().flatten();
            let later = told.filter(|told| told.at > record.at && told.at <= end);
            path.extend(later.filter(|told| focus.admits(&told.observation)));
        }
        path.extend(self.obstacles_on(&focus, &path));
        path.sort_by_key(|told| told.at);
        path
    }

    /// What the pods of a way waited for on it, though something else came of that: a volume that
    /// another node had, a quota that let no pod be.
    fn obstacles_on(&self, focus: &Focus, path: &[Told]) -> Vec<Told> {
        use Observation as O;
        let begin = path.iter().map(|told| told.at).min().unwrap_or(SimTime::MAX);
        let last_created = |workload: WorkloadId| {
            path.iter().rev().find_map(|told| match told.observation {
                O::PodCreated { workload: id, .. } if id == workload => Some(told.at),
                _ => None,
            })
        };
        let mut told = BTreeSet::new();
        let mut found = Vec::new();
        for record in self.journal.observations().iter().filter(|record| record.at >= begin) {
            let key = match record.observation {
                O::PodVolumeHeld { pod, .. } if focus.pods.contains(&pod) => (pod.index(), 0),
                O::PodNotAdmitted { pod, .. } if focus.pods.contains(&pod) => (pod.index(), 1),
                O::PodOverQuota { workload, .. }
                    if last_created(workload).is_some_and(|at| record.at <= at) =>
                {
                    (workload.index(), 2)
                }
                _ => continue,
            };
            let fact = Told { at: record.at, observation: record.observation };
            if told.insert(key) && !path.contains(&fact) {
                found.push(fact);
            }
        }
        found
    }

    /// Endpoints of a Service that changed because nodes under its pods were found silent: the last of
    /// these nodes.
    fn found_silent(&self, chain: &[&EventRecord<E>], path: &[Told], end: SimTime) -> Option<Told> {
        let service = path.iter().rev().find_map(|told| match told.observation {
            Observation::EndpointsChanged { service, .. } => Some(service),
            _ => None,
        })?;
        let service = &self.blueprint.services[service.index()];
        let is_its = |workload: WorkloadId| {
            let spec = &self.blueprint.workloads[workload.index()];
            service.selects(&spec.namespace, &spec.template.labels)
        };
        let of_chain = |id: &EventId| chain.iter().any(|record| record.id == *id);
        let records = self.journal.observations().iter().filter(|record| record.at <= end);
        let (mut under, mut last) = (BTreeMap::new(), None);
        for record in records {
            match record.observation {
                Observation::PodBound { pod, node, workload } if is_its(workload) => {
                    under.insert(pod, node);
                }
                Observation::NodeBecameNotReady { node }
                    if of_chain(&record.cause) && under.values().any(|it| *it == node) =>
                {
                    last = Some(Told { at: record.at, observation: record.observation });
                }
                _ => {}
            }
        }
        last
    }

    /// What stands for an event: of a fault that it struck and where, of a pass of a kubelet whom it
    /// evicted, else the first fact that words exist for.
    fn heads(&self, record: &EventRecord<E>) -> Vec<Told> {
        let told = self.by_cause.get(&record.id).map_or(&[][..], Vec::as_slice);
        let told = told.iter().filter(|told| told.at == record.at);
        let has_words = |told: &&Told| {
            volumes_told(told).is_none() && self.sentence(&told.observation).is_some()
        };
        let is_fault = |told: &&Told| matches!(told.observation, Observation::FaultStruck { .. });
        let fault = told.clone().find(is_fault);
        let is_eviction = |told: &&Told| matches!(told.observation, Observation::PodEvicted { .. });
        let main = told.clone().find(is_eviction).or_else(|| told.clone().find(has_words));
        let first = main.filter(|first| Some(*first) != fault);
        let volumes = told.filter_map(volumes_told);
        fault.into_iter().chain(first).copied().chain(volumes).collect()
    }
}

/// The moment at which volumes are attached, which is known when the attach begins.
fn volumes_told(told: &Told) -> Option<Told> {
    let Observation::PodVolumesExpected { at_ns, .. } = told.observation else { return None };
    Some(Told { at: SimTime::from_nanos(at_ns), observation: told.observation })
}

/// What a way is about.
#[derive(Default)]
struct Focus {
    pods: BTreeSet<PodId>,
    nodes: BTreeSet<NodeId>,
    waiting: BTreeSet<PodId>,
}

impl Focus {
    /// Whether a later fact belongs on the way; of many refusals of a pod only the first.
    fn admits(&mut self, observation: &Observation) -> bool {
        use Observation as O;
        match *observation {
            O::NodeBecameNotReady { node } | O::NodeTaintedNoExecute { node } => {
                self.nodes.contains(&node)
            }
            O::PodBecameUnschedulable { pod, .. } => {
                self.pods.contains(&pod) && self.waiting.insert(pod)
            }
            O::PodBound { pod, .. } => self.pods.contains(&pod),
            _ => false,
        }
    }
}

fn pod_of(observation: &Observation) -> Option<PodId> {
    use Observation as O;
    match *observation {
        O::PodCreated { pod, .. }
        | O::PodBound { pod, .. }
        | O::PodBecameUnschedulable { pod, .. }
        | O::PodImagePulled { pod, .. }
        | O::PodStarted { pod, .. }
        | O::PodBecameReady { pod, .. }
        | O::PodDeletionRequested { pod, .. }
        | O::PodEvicted { pod, .. }
        | O::PodRefused { pod, .. }
        | O::PodNotAdmitted { pod, .. }
        | O::FailoverStarted { from: pod, .. } => Some(pod),
        _ => None,
    }
}
