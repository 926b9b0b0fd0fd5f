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
                Reason::SchedulingGates => false,
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
                    // The claim may be used on any node once its pod is gone
                    // (volumerestrictions, isSchedulableAfterPodDeleted).
                    Reason::VolumeRestrictions => true,
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
    let has_key = |key_idx: usize| catalog.topology.of(key_idx, node.index()) != Topology::NO_VALUE;
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
    let has_key = |key_idx: usize| catalog.topology.of(key_idx, node.index()) != Topology::NO_VALUE;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model_api::kube::{
        Container, LabelSelector, Labels, Node, PodAffinityTerm, PodSpec, PodTemplate,
        ResourceList, Taint, TaintEffect, TopologySpreadConstraint, UnsatisfiableAction,
    };

    use super::super::shape::PodDescription;
    use super::*;
    use crate::scheduling::queue::ClusterEvent as E;

    const ZONE: &str = "topology.kubernetes.io/zone";

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn amounts(cpu: i64) -> ResourceList {
        let amounts = [("cpu", cpu), ("memory", 32 << 30), ("pods", 110)];
        ResourceList(BTreeMap::from(amounts.map(|(name, amount)| (name.to_owned(), amount))))
    }

    fn selector(app: &str) -> LabelSelector {
        LabelSelector { match_labels: labels(&[("app", app)]), ..LabelSelector::default() }
    }

    fn template(app: &str, cpu: i64) -> PodTemplate {
        let requests = ResourceList(BTreeMap::from([("cpu".to_owned(), cpu)]));
        let container = Container { requests, ..Container::default() };
        PodTemplate {
            labels: labels(&[("app", app)]),
            spec: PodSpec { containers: vec![container], ..PodSpec::default() },
            ..PodTemplate::default()
        }
    }

    /// A node of 4 CPUs in a zone, and templates: small, spread, apart, large.
    fn cache() -> (SchedulerCache, [ShapeId; 4]) {
        let mut spread = template("spread", 100);
        spread.spec.topology_spread_constraints = vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: ZONE.into(),
            when_unsatisfiable: UnsatisfiableAction::DoNotSchedule,
            label_selector: Some(selector("spread")),
            min_domains: None,
            honors_node_affinity: true,
            honors_node_taints: false,
            match_label_keys: Vec::new(),
        }];
        let mut apart = template("apart", 100);
        apart.spec.affinity.pod_anti_required = vec![PodAffinityTerm {
            label_selector: Some(selector("apart")),
            namespaces: vec!["shop".into()],
            namespace_selector: None,
            topology_key: ZONE.into(),
            match_label_keys: Vec::new(),
            mismatch_label_keys: Vec::new(),
        }];
        let templates = [template("small", 100), spread, apart, template("large", 5_000)];
        let mut cache = SchedulerCache::new();
        let shapes = templates.each_ref().map(|template| {
            cache.compile(PodDescription { namespace: "shop", template, default_selector: None })
        });
        let node = Node {
            name: "a".into(),
            labels: labels(&[(ZONE, "a")]),
            allocatable: amounts(4_000),
            ..Node::default()
        };
        cache.add_node(NodeId(0), &node);
        (cache, shapes)
    }

    #[test]
    fn an_event_wakes_whom_it_may_help() {
        let (cache, [small, spread, apart, large]) = cache();
        let node = Subject::Node(NodeId(0));
        let pod = |shape| Subject::Pod { shape, node: NodeId(0) };
        let cases = [
            (small, Reason::NodeResourcesFit, E::NodeAdded, node, true),
            (large, Reason::NodeResourcesFit, E::NodeAdded, node, false),
            (large, Reason::NodePorts, E::NodeAdded, node, true),
            (small, Reason::NodeResourcesFit, E::PodDeleted, pod(apart), true),
            (spread, Reason::PodTopologySpread, E::PodAssigned, pod(small), false),
            (spread, Reason::PodTopologySpread, E::PodAssigned, pod(spread), true),
            (spread, Reason::PodTopologySpread, E::NodeAdded, node, true),
            // Its constraint does not look at taints.
            (spread, Reason::PodTopologySpread, E::NodeTaintsChanged, node, false),
            (apart, Reason::InterPodAffinity, E::PodDeleted, pod(small), false),
            (apart, Reason::InterPodAffinity, E::PodDeleted, pod(apart), true),
            (apart, Reason::InterPodAffinity, E::PodAssigned, pod(apart), false),
            (small, Reason::VolumeBinding, E::ClaimChanged, Subject::Other, true),
        ];
        for (shape, filter, event, subject, expected) in cases {
            let helps = cache.may_help(shape, filter, event, subject);
            assert_eq!(helps, expected, "{filter:?} {event:?} {subject:?}");
        }
    }

    #[test]
    fn a_node_that_keeps_a_pod_off_wakes_it_when_that_ends() {
        let (mut cache, [small, ..]) = cache();
        let taint =
            Taint { key: "x".into(), value: String::new(), effect: TaintEffect::NoSchedule };
        let helps = |cache: &SchedulerCache| {
            let pod = Subject::Pod { shape: small, node: NodeId(0) };
            let node = Subject::Node(NodeId(0));
            let taints = E::NodeTaintsChanged;
            (
                cache.may_help(small, Reason::TaintToleration, taints, node),
                cache.may_help(small, Reason::NodeResourcesFit, E::PodDeleted, pod),
            )
        };
        assert!(cache.update_node(NodeId(0), vec![taint], false));
        assert_eq!(helps(&cache), (false, false));
        assert!(cache.update_node(NodeId(0), Vec::new(), false));
        assert!(!cache.update_node(NodeId(0), Vec::new(), false));
        assert_eq!(helps(&cache), (true, true));
    }
}
