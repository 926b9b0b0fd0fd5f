//! What the API held before: changes of its objects, each with what it replaced.
//!
//! Kept only by clusters whose state may be put back to an older one. A cluster that keeps none pays
//! for one branch a change; one that does pays for its changes, and never because time passes.

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::{AutoscalerId, NodeId, PodId, WorkloadId};
use sim_kernel::SimTime;

use super::Cluster;
use super::autoscaling::ScalerTable;
use super::claims::ClaimObject;
use super::pod::PodState;
use super::sources::Named;
use super::templates::TemplateId;
use crate::api_restore::PodObject;

/// `spec` of a workload, and how far its pods followed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) replicas: u32,
    pub(super) template: TemplateId,
    pub(super) previous: TemplateId,
    pub(super) current: TemplateId,
    pub(super) is_rolling: bool,
    /// The size before its downtime, which an annotation remembers.
    pub(super) original: Option<u32>,
}

/// A Node object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeObject {
    pub(super) is_deleted: bool,
    pub(super) is_cordoned: bool,
    pub(super) is_out_of_service: bool,
}

/// A HorizontalPodAutoscaler.
#[derive(Clone, Debug, Default)]
pub(super) struct AutoscalerObject {
    /// What was applied last; `None` where it is as it was at the start.
    pub(super) changed: Option<Arc<ScalerTable>>,
    pub(super) is_deleted: bool,
}

impl PartialEq for AutoscalerObject {
    fn eq(&self, other: &Self) -> bool {
        let spec = |object: &Self| object.changed.as_ref().map(|table| table.spec.clone());
        self.is_deleted == other.is_deleted && spec(self) == spec(other)
    }
}

/// A change; where something was replaced, with what it was before.
#[derive(Clone, Debug)]
pub(super) enum Change {
    PodCreated(PodId),
    PodBound(PodId),
    PodTerminating(PodId),
    PodGone(PodId),
    Workload(WorkloadId, Spec),
    Node(NodeId, NodeObject),
    Autoscaler(AutoscalerId, AutoscalerObject),
    /// The claims of an ordinal of a workload.
    Claims(WorkloadId, u32, Option<ClaimObject>),
    /// How often a Secret or ConfigMap was deleted without being made anew.
    Configuration(Named, usize),
}

/// Changes in the order of time.
pub(super) type History = Vec<(SimTime, Change)>;

/// Objects that were different at an earlier moment, as they were then.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub(super) pods: BTreeMap<PodId, Option<PodObject>>,
    pub(super) workloads: BTreeMap<WorkloadId, Spec>,
    pub(super) nodes: BTreeMap<NodeId, NodeObject>,
    pub(super) autoscalers: BTreeMap<AutoscalerId, AutoscalerObject>,
    pub(super) claims: BTreeMap<(WorkloadId, u32), Option<ClaimObject>>,
    pub(super) configuration: BTreeMap<Named, usize>,
}

/// The object of a pod, if there is one.
pub(super) fn pod_object(pod: &PodState) -> Option<PodObject> {
    let object = PodObject { is_bound: pod.node.is_some(), is_terminating: pod.is_terminating };
    (pod.exists() && !pod.is_orphan).then_some(object)
}

impl Cluster {
    /// Keeps what changes in the API from now on, so that [`Self::restore_api_state`] can put it
    /// back. Before the run.
    pub fn keep_history(&mut self) {
        self.history.get_or_insert_default();
        for idx in 0..self.pods.len() {
            let PodState { workload, ordinal, .. } = self.pods[idx];
            self.claim_volumes(workload, ordinal, SimTime::ZERO);
        }
    }

    /// Notes a change of an object, before or after it is made.
    pub(super) fn note_change(&mut self, change: Change, now: SimTime) {
        if let Some(history) = &mut self.history {
            history.push((now, change));
        }
    }

    /// Notes that the spec of a workload is about to change.
    pub(super) fn note_spec(&mut self, id: WorkloadId, now: SimTime) {
        if self.history.is_some() {
            self.note_change(Change::Workload(id, self.spec_of(id)), now);
        }
    }

    /// Notes that a Node object is about to change.
    pub(super) fn note_node(&mut self, id: NodeId, now: SimTime) {
        if self.history.is_some() {
            self.note_change(Change::Node(id, self.node_record(id)), now);
        }
    }

    pub(super) fn spec_of(&self, id: WorkloadId) -> Spec {
        let state = &self.workloads[id.index()];
        Spec {
            replicas: state.replicas,
            template: state.template,
            previous: state.previous,
            current: state.current,
            is_rolling: state.is_rolling,
            original: self.off_peak.get(&id).and_then(|it| it.original),
        }
    }

    pub(super) fn node_record(&self, id: NodeId) -> NodeObject {
        let state = &self.nodes[id.index()];
        NodeObject {
            is_deleted: state.is_deleted,
            is_cordoned: state.is_cordoned,
            is_out_of_service: state.is_out_of_service,
        }
    }

    /// Undoes every change that was not made before `until`, newest first, and forgets it.
    pub(super) fn rewind(&mut self, until: SimTime) -> Past {
        let mut past = Past::default();
        let Some(mut history) = self.history.take() else { return past };
        while let Some((_, change)) = history.pop_if(|(at, _)| *at >= until) {
            match change {
                Change::PodCreated(pod)
                | Change::PodBound(pod)
                | Change::PodTerminating(pod)
                | Change::PodGone(pod) => {
                    let state = &self.pods[pod.index()];
                    let object = past.pods.entry(pod).or_insert_with(|| pod_object(state));
                    *object = before(&change, *object, state.node.is_some());
                }
                Change::Workload(id, spec) => _ = past.workloads.insert(id, spec),
                Change::Node(id, node) => _ = past.nodes.insert(id, node),
                Change::Autoscaler(id, object) => _ = past.autoscalers.insert(id, object),
                Change::Claims(id, key, object) => _ = past.claims.insert((id, key), object),
                Change::Configuration(named, count) => {
                    past.configuration.insert(named, count);
                }
            }
        }
        self.history = Some(history);
        past
    }
}

/// A pod's object before a change that made it what it is now. `was_bound` tells of one that is gone
/// whether it had a node.
fn before(change: &Change, object: Option<PodObject>, was_bound: bool) -> Option<PodObject> {
    let last = PodObject { is_bound: was_bound, is_terminating: true };
    match change {
        Change::PodCreated(_) => None,
        Change::PodGone(_) => Some(object.unwrap_or(last)),
        Change::PodBound(_) => object.map(|it| PodObject { is_bound: false, ..it }),
        Change::PodTerminating(_) => object.map(|it| PodObject { is_terminating: false, ..it }),
        Change::Workload(..)
        | Change::Node(..)
        | Change::Autoscaler(..)
        | Change::Claims(..)
        | Change::Configuration(..) => object,
    }
}
