//! Queueing hints: can what happened help a pod that filters refused?
//!
//! # Modelled
//! What the plugins' `QueueingHintFn`s look at: taints and labels of the node, its allocatable,
//! labels of the pod that came or went and the terms between it and the one that waits.
//! # Not modelled
//! What an object was before: a node that suited already wakes the pod as one that suits now.
//! Simplified: a pod that leaves a node which taints, affinity or a cordon keep the waiting one off
//! wakes nobody. Upstream tries such a pod again, in vain.
//! # Defaults and their sources
//! `isSchedulableAfter…` in `pkg/scheduler/framework/plugins/*/*.go`, 1.36.
//! # Invariants
//! Nothing changes.
//! # Checked against
//! Cases worked out by hand; in the cluster, the recorded timelines.

use std::sync::Arc;

use model_api::NodeId;
use model_api::observation::UnschedulableReason as Reason;

use super::attempt::Attempt;
use super::cache::{SchedulerCache, ShapeId};
use super::catalog::Catalog;
use super::filter::{Code, Query};
use super::queue::ClusterEvent;
use super::shape::Shape;
use super::topology::Topology;

/// Filters whose refusal no pod that leaves the node can mend.
const OF_THE_NODE: [Reason; 4] =
    [Reason::NodeUnschedulable, Reason::NodeName, Reason::TaintToleration, Reason::NodeAffinity];

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A node, as it is now.
    Node(NodeId),
    /// A pod of this template on this node.
    Pod {
        /// Its template.
        shape: ShapeId,
        /// Where it is, or was.
        node: NodeId,
    },
    /// Something that no hint looks at.
    Other,
}

impl Subject {
    /// The node that is concerned.
    pub const fn node(self) -> Option<NodeId> {
        match self {
            Self::Node(node) | Self::Pod { node, .. } => Some(node),
            Self::Other => None,
        }
    }
}

impl SchedulerCache {
    /// Whether an event may help pods of a template that a filter refused.
    pub fn may_help(
        &self,
        waiting: ShapeId,
        filter: Reason,
        event: ClusterEvent,
        subject: Subject,
    ) -> bool {
        let catalog = Arc::clone(&self.catalog);
        let shape = &catalog.shapes[waiting.index()];
        match subject {
            Subject::Other => true,
            Subject::Node(node) => match filter {
                Reason::PodTopologySpread => spreads_over(&catalog, shape, node, event),
                Reason::InterPodAffinity => has_keys_of_terms(&catalog, shape, node),
                Reason::NodePorts
                | Reason::VolumeRestrictions
                | Reason::NodeVolumeLimits
                | Reason::VolumeBinding
                | Reason::VolumeZone => true,
                Reason::NodeUnschedulable
                | Reason::NodeName
                | Reason::TaintToleration
                | Reason::NodeAffinity
                | Reason::NodeResourcesFit => {
                    let query = Query::new(self, &catalog, Attempt::new(waiting));
                    let checked = query.check_alone(self, node, filter);
                    // Pods that are there may go: what counts is the node when it is empty.
                    match checked {
                        Ok(()) => true,
                        Err(refusal) => {
                            filter == Reason::NodeResourcesFit
                                && refusal.code == Code::Unschedulable
                        }
                    }
                }
            },
            Subject::Pod { shape: other, node } => {
                let other = &catalog.shapes[other.index()];
                match filter {
                    Reason::PodTopologySpread => {
                        shape.hard_spread.iter().any(|it| other.counted_by.contains(&it.tally_idx))
                    }
                    Reason::InterPodAffinity => suits(shape, other, event),
                    Reason::NodePorts => {
                        let clashes = |port| other.host_ports.iter().any(|it| it.clashes(port));
                        shape.host_ports.iter().any(clashes) && self.may_be_used(waiting, node)
                    }
                    _ => self.may_be_used(waiting, node),
                }
            }
        }
    }

    /// Whether a node would take a pod if it were empty.
    fn may_be_used(&self, waiting: ShapeId, node: NodeId) -> bool {
        let query = Query::new(self, &self.catalog, Attempt::new(waiting));
        let passes = |filter| query.check_alone(self, node, filter).is_ok();
        self.is_there(node) && OF_THE_NODE.into_iter().all(passes)
    }
}

/// podtopologyspread/plugin.go, isSchedulableAfterNodeChange: the node has every key; its taints
/// matter to constraints that honor them.
fn spreads_over(catalog: &Catalog, shape: &Shape, node: NodeId, event: ClusterEvent) -> bool {
    let has_key =
        |key_idx: usize| catalog.topology.of(key_idx, node.index()) != Topology::NO_VALUE;
    let honors_taints = |tally_idx: usize| {
        let scope_idx = catalog.rules[tally_idx].scope_idx;
        scope_idx.is_some_and(|idx| catalog.scopes[idx].tolerations_idx.is_some())
    };
    let mut constraints = shape.hard_spread.iter();
    let matters = event != ClusterEvent::NodeTaintsChanged
        || constraints.clone().any(|it| honors_taints(it.tally_idx));
    matters && constraints.all(|it| has_key(it.key_idx))
}

/// interpodaffinity/plugin.go, isSchedulableAfterNodeChange.
fn has_keys_of_terms(catalog: &Catalog, shape: &Shape, node: NodeId) -> bool {
    let has_key =
        |key_idx: usize| catalog.topology.of(key_idx, node.index()) != Topology::NO_VALUE;
    shape.affinity.iter().all(|term| has_key(term.key_idx))
        || shape.anti_affinity.iter().any(|term| has_key(term.key_idx))
}

/// interpodaffinity/plugin.go, isSchedulableAfterPodChange: a pod that all terms of affinity mean has
/// come, or one has gone that was kept away from, or kept the waiting one away.
fn suits(shape: &Shape, other: &Shape, event: ClusterEvent) -> bool {
    let is_counted_by = |tally_idx: usize| other.counted_by.contains(&tally_idx);
    if event == ClusterEvent::PodDeleted {
        shape.anti_affinity.iter().any(|term| is_counted_by(term.tally_idx))
            || shape.kept_off_by.iter().any(|idx| is_counted_by(*idx))
    } else {
        !shape.affinity.is_empty()
            && shape.affinity.iter().all(|term| is_counted_by(term.tally_idx))
    }
}
