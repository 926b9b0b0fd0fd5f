//! A pod template compiled for the scheduler.

use model_api::kube::{
    ContainerPort, LabelSelector, Labels, NodeSelector, Operator, PodAffinityTerm, PodSpec,
    PodTemplate, Requirement, Service, TopologySpreadConstraint, UnsatisfiableAction,
};
use model_api::observation::UnschedulableReason;

use super::catalog::{Catalog, Choice, Scope, TallyRule, Term, TermClass};
use super::profile::DefaultSpreading;
use super::request::{pod_requests, scored_incoming_requests, scored_requests};
use super::topology::Topology;

/// Label of single hosts, which scoring counts by node.
const HOSTNAME: &str = "kubernetes.io/hostname";
/// Field that names a node.
const NODE_NAME_FIELD: &str = "metadata.name";

/// What the scheduler is told of a template.
#[derive(Clone, Copy, Debug)]
pub struct PodDescription<'a> {
    /// Namespace of the pods.
    pub namespace: &'a str,
    /// Their template.
    pub template: &'a PodTemplate,
    /// The selector of default spreading; see [`default_selector`].
    pub default_selector: Option<&'a LabelSelector>,
}

/// A compiled template. Pods of one shape are alike to the scheduler.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) namespace: String,
    pub(super) labels: Labels,
    pub(super) priority: i32,
    pub(super) never_preempts: bool,
    /// By resource of the catalog.
    pub(super) requests: Vec<i64>,
    /// CPU and memory as scoring counts them on a node, and as those of the incoming pod.
    pub(super) scored_requests: [i64; 2],
    pub(super) scored_incoming_requests: [i64; 2],
    pub(super) host_ports: Vec<HostPort>,
    pub(super) node_name: Option<String>,
    /// Nodes to which affinity by name narrows the search.
    pub(super) only_nodes: Option<Vec<String>>,
    pub(super) tolerations_idx: usize,
    pub(super) wish_idx: usize,
    /// The profile's `addedAffinity`.
    pub(super) added_wish_idx: usize,
    pub(super) preference_idx: Option<usize>,
    pub(super) hard_spread: Vec<HardSpread>,
    pub(super) soft_spread: Vec<SoftSpread>,
    /// Nodes without a soft constraint's key are not scored; they are under system defaults.
    pub(super) requires_all_keys: bool,
    /// Required affinity: key, and tally of the pods that match all terms.
    pub(super) affinity: Vec<TermTally>,
    pub(super) anti_affinity: Vec<TermTally>,
    /// Tallies of pods that the preferred terms mean, with their signed weights.
    pub(super) preferred: Vec<(usize, i64)>,
    /// Terms that pods of this shape carry.
    pub(super) term_idxs: Vec<usize>,
    /// Tallies of carriers of required anti-affinity that means this shape.
    pub(super) kept_off_by: Vec<usize>,
    /// Tallies of carriers of other terms that mean this shape, with the weight each adds.
    pub(super) attracted_by: Vec<(usize, i64)>,
    /// Tallies that count pods of this shape.
    pub(super) counted_by: Vec<usize>,
    /// Images with tags, one entry a container.
    pub(super) images: Vec<String>,
    /// The first shape to which every node by itself answers the same.
    pub(super) alike_idx: usize,
    /// The filter that cannot read what the template asks of it, and refuses its pods.
    pub(super) unreadable: Option<UnschedulableReason>,
    /// A preferred term of node affinity that cannot be read, which scoring trips over.
    pub(super) has_unreadable_preference: bool,
}

/// A port that a pod claims on its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    protocol: String,
    /// `None` for all addresses.
    ip: Option<String>,
    pub(super) port: u16,
}

/// A `DoNotSchedule` constraint.
#[derive(Clone, Debug)]
pub(super) struct HardSpread {
    pub(super) key_idx: usize,
    pub(super) max_skew: i64,
    pub(super) min_domains: i64,
    /// The incoming pod counts itself.
    pub(super) matches_self: bool,
    pub(super) tally_idx: usize,
}

/// A `ScheduleAnyway` constraint.
#[derive(Clone, Debug)]
pub(super) struct SoftSpread {
    pub(super) key_idx: usize,
    pub(super) max_skew: i64,
    /// Counts by value, or by node for the key of single hosts.
    pub(super) tally_idx: usize,
    pub(super) is_hostname: bool,
}

/// A required term of the incoming pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct TermTally {
    pub(super) key_idx: usize,
    pub(super) tally_idx: usize,
}

/// The selector that default spreading uses: every requirement of every Service that selects the
/// pod and of the ReplicaSet, StatefulSet or ReplicationController that owns it; `None` when there
/// is neither (pkg/scheduler/framework/plugins/helper/spread.go, DefaultSelector, 1.36).
pub fn default_selector(
    namespace: &str,
    labels: &Labels,
    services: &[Service],
    owner: Option<&LabelSelector>,
) -> Option<LabelSelector> {
    let mut merged = LabelSelector::default();
    for service in services {
        if service.selects(namespace, labels) {
            merged.match_labels.extend(service.selector.clone());
        }
    }
    for (key, value) in owner.iter().flat_map(|owner| &owner.match_labels) {
        merged.match_expressions.push(one_of(key, value, Operator::In));
    }
    merged.match_expressions.extend(owner.iter().flat_map(|o| &o.match_expressions).cloned());
    (!merged.is_empty()).then_some(merged)
}

fn one_of(key: &str, value: &str, operator: Operator) -> Requirement {
    Requirement { key: key.to_owned(), operator, values: vec![value.to_owned()] }
}

impl Shape {
    /// Compiles a template into the catalog; the caller then adds the shape to it.
    pub(super) fn compile(catalog: &mut Catalog, pod: PodDescription<'_>) -> Self {
        let (spec, labels) = (&pod.template.spec, &pod.template.labels);
        let added = catalog.profile.added_affinity.clone();
        let mut preferred = spec.affinity.node.preferred.clone();
        preferred.extend(added.preferred);
        // A term that weighs nothing does not keep the plugin in the round either.
        preferred.retain(|term| term.weight != 0);
        let mut shape = Self {
            namespace: pod.namespace.to_owned(),
            labels: labels.clone(),
            priority: spec.priority,
            never_preempts: spec.never_preempts,
            requests: catalog.amounts(&pod_requests(spec)),
            scored_requests: scored_requests(spec),
            scored_incoming_requests: scored_incoming_requests(spec),
            host_ports: host_ports(spec),
            node_name: spec.node_name.clone(),
            only_nodes: nodes_by_name(spec.affinity.node.required.as_ref()),
            tolerations_idx: catalog.tolerations(&spec.tolerations),
            wish_idx: catalog.wish(&spec.node_selector, &spec.affinity.node.required),
            added_wish_idx: catalog.wish(&Labels::new(), &added.required),
            preference_idx: catalog.preference(preferred),
            hard_spread: Vec::new(),
            soft_spread: Vec::new(),
            requires_all_keys: true,
            affinity: Vec::new(),
            anti_affinity: Vec::new(),
            preferred: Vec::new(),
            term_idxs: Vec::new(),
            kept_off_by: Vec::new(),
            attracted_by: Vec::new(),
            counted_by: Vec::new(),
            images: images(spec),
            alike_idx: 0,
            unreadable: unreadable(spec),
            has_unreadable_preference: has_unreadable_preference(spec),
        };
        shape.compile_spread(catalog, pod);
        shape.compile_affinity(catalog, spec);
        shape
    }

    /// Whether a node by itself, whatever other pods do, is to both shapes the same.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.requests == other.requests
            && self.scored_incoming_requests == other.scored_incoming_requests
            && self.host_ports == other.host_ports
            && self.node_name == other.node_name
            && self.tolerations_idx == other.tolerations_idx
            && self.wish_idx == other.wish_idx
            && self.added_wish_idx == other.added_wish_idx
    }

    fn compile_spread(&mut self, catalog: &mut Catalog, pod: PodDescription<'_>) {
        let mut constraints = pod.template.spec.topology_spread_constraints.clone();
        if constraints.is_empty()
            && let Some(selector) = pod.default_selector
        {
            constraints = match &catalog.profile.default_spreading {
                DefaultSpreading::System => system_constraints().into(),
                DefaultSpreading::List(list) => list.clone(),
            };
            self.requires_all_keys = catalog.profile.default_spreading != DefaultSpreading::System;
            for constraint in &mut constraints {
                constraint.label_selector = Some(selector.clone());
                constraint.match_label_keys.clear();
            }
        }
        for action in [UnsatisfiableAction::DoNotSchedule, UnsatisfiableAction::ScheduleAnyway] {
            let of_kind: Vec<&TopologySpreadConstraint> =
                constraints.iter().filter(|it| it.when_unsatisfiable == action).collect();
            let mut key_idxs: Vec<usize> = Vec::new();
            if self.requires_all_keys {
                key_idxs.extend(of_kind.iter().map(|it| catalog.key(&it.topology_key)));
                key_idxs.sort_unstable();
                key_idxs.dedup();
            }
            for constraint in of_kind {
                self.compile_constraint(catalog, constraint, &key_idxs);
            }
        }
    }

    fn compile_constraint(
        &mut self,
        catalog: &mut Catalog,
        constraint: &TopologySpreadConstraint,
        key_idxs: &[usize],
    ) {
        let key_idx = catalog.key(&constraint.topology_key);
        let selector = constraint_selector(constraint, &self.labels);
        let matches_self = selector.as_ref().is_some_and(|it| it.matches(&self.labels));
        // An empty selector counts no existing pod, though it matches the incoming one
        // (podtopologyspread/common.go, countPodsMatchSelector, 1.36).
        let set_idx = catalog.pod_set(Choice::Selected {
            namespaces: vec![self.namespace.clone()],
            namespace_selector: None,
            selector: selector.filter(|it| !it.is_empty()),
        });
        let is_hard = constraint.when_unsatisfiable == UnsatisfiableAction::DoNotSchedule;
        let is_hostname = !is_hard && constraint.topology_key == HOSTNAME;
        let scope_idx = catalog.scope(Scope {
            key_idxs: key_idxs.to_vec(),
            wish_idx: constraint.honors_node_affinity.then_some(self.wish_idx),
            tolerations_idx: constraint.honors_node_taints.then_some(self.tolerations_idx),
        });
        let tally_idx = catalog.rule(TallyRule {
            set_idx,
            key_idx: if is_hostname { Topology::NODE } else { key_idx },
            scope_idx: (!is_hostname).then_some(scope_idx),
            counts_terminating: false,
        });
        let max_skew = i64::from(constraint.max_skew);
        if is_hard {
            let min_domains = i64::from(constraint.min_domains.unwrap_or(1));
            self.hard_spread.push(HardSpread {
                key_idx,
                max_skew,
                min_domains,
                matches_self,
                tally_idx,
            });
        } else {
            self.soft_spread.push(SoftSpread { key_idx, max_skew, tally_idx, is_hostname });
        }
    }

    fn compile_affinity(&mut self, catalog: &mut Catalog, spec: &PodSpec) {
        let affinity = &spec.affinity;
        let required: Vec<(usize, usize)> =
            affinity.pod_required.iter().map(|term| self.target(catalog, term)).collect();
        let mut set_idxs: Vec<usize> = required.iter().map(|(set_idx, _)| *set_idx).collect();
        set_idxs.sort_unstable();
        set_idxs.dedup();
        for (set_idx, key_idx) in required {
            let all_idx = catalog.pod_set(Choice::All(set_idxs.clone()));
            let tally_idx = tally_of_pods(catalog, all_idx, key_idx);
            self.affinity.push(TermTally { key_idx, tally_idx });
            self.carry(catalog, Term { set_idx, key_idx, class: TermClass::Affinity(1) });
        }
        for term in &affinity.pod_anti_required {
            let (set_idx, key_idx) = self.target(catalog, term);
            let tally_idx = tally_of_pods(catalog, set_idx, key_idx);
            self.anti_affinity.push(TermTally { key_idx, tally_idx });
            self.carry(catalog, Term { set_idx, key_idx, class: TermClass::AntiAffinity });
        }
        let preferred = affinity.pod_preferred.iter().map(|it| (&it.term, i64::from(it.weight)));
        let anti = affinity.pod_anti_preferred.iter();
        let anti = anti.map(|it| (&it.term, -i64::from(it.weight)));
        for (term, weight) in preferred.chain(anti) {
            let (set_idx, key_idx) = self.target(catalog, term);
            let tally_idx = tally_of_pods(catalog, set_idx, key_idx);
            self.preferred.push((tally_idx, weight));
            self.carry(catalog, Term { set_idx, key_idx, class: TermClass::Preferred(weight) });
        }
    }

    /// Notes a term that pods of this shape carry, and has its carriers counted. A shape that
    /// carries the same term twice is counted twice.
    fn carry(&mut self, catalog: &mut Catalog, term: Term) {
        let key_idx = term.key_idx;
        let mut term = term;
        loop {
            let term_idx = catalog.term(term.clone());
            if !self.term_idxs.contains(&term_idx) {
                self.term_idxs.push(term_idx);
                let set_idx = catalog.pod_set(Choice::Carriers(term_idx));
                tally_of_pods(catalog, set_idx, key_idx);
                return;
            }
            // What is added to scores adds up; keeping off twice is keeping off.
            let (TermClass::Preferred(weight) | TermClass::Affinity(weight)) = &mut term.class
            else {
                return;
            };
            self.term_idxs.retain(|idx| *idx != term_idx);
            *weight += *weight;
        }
    }

    /// Pods and topology key that a term means.
    fn target(&self, catalog: &mut Catalog, term: &PodAffinityTerm) -> (usize, usize) {
        let mut namespaces = term.namespaces.clone();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(self.namespace.clone());
        }
        let set_idx = catalog.pod_set(Choice::Selected {
            namespaces,
            namespace_selector: term.namespace_selector.clone(),
            selector: term_selector(term, &self.labels),
        });
        (set_idx, catalog.key(&term.topology_key))
    }
}

/// Pods of a set by key, those that are being deleted included.
fn tally_of_pods(catalog: &mut Catalog, set_idx: usize, key_idx: usize) -> usize {
    catalog.rule(TallyRule { set_idx, key_idx, scope_idx: None, counts_terminating: true })
}

/// The selector with `matchLabelKeys` merged in; keys give even an absent selector something to
/// match (podtopologyspread/common.go, mergeLabelSetWithSelector, 1.36).
fn constraint_selector(
    constraint: &TopologySpreadConstraint,
    labels: &Labels,
) -> Option<LabelSelector> {
    let keys = constraint.match_label_keys.iter();
    let merged: Vec<Requirement> = keys
        .filter_map(|key| labels.get(key).map(|value| one_of(key, value, Operator::In)))
        .collect();
    match (&constraint.label_selector, merged.is_empty()) {
        (None, true) => None,
        (selector, _) => {
            let mut selector = selector.clone().unwrap_or_default();
            selector.match_expressions.extend(merged);
            Some(selector)
        }
    }
}

/// The selector of a term with the keys that the API server merges in
/// (pkg/registry/core/pod/strategy.go, applyMatchLabelKeysAndMismatchLabelKeys, 1.36).
fn term_selector(term: &PodAffinityTerm, labels: &Labels) -> Option<LabelSelector> {
    let mut selector = term.label_selector.clone()?;
    let keys =
        [(&term.match_label_keys, Operator::In), (&term.mismatch_label_keys, Operator::NotIn)];
    for (keys, operator) in keys {
        let merged = keys.iter().filter_map(|key| labels.get(key).map(|value| (key, value)));
        selector.match_expressions.extend(merged.map(|(k, v)| one_of(k, v, operator)));
    }
    Some(selector)
}

/// Built-in constraints: hostname with skew 3 and zone with skew 5, both soft
/// (podtopologyspread/plugin.go, systemDefaultConstraints, 1.36).
fn system_constraints() -> [TopologySpreadConstraint; 2] {
    [(HOSTNAME, 3), ("topology.kubernetes.io/zone", 5)].map(|(key, max_skew)| {
        TopologySpreadConstraint {
            max_skew,
            topology_key: key.to_owned(),
            when_unsatisfiable: UnsatisfiableAction::ScheduleAnyway,
            label_selector: None,
            min_domains: None,
            honors_node_affinity: true,
            honors_node_taints: false,
            match_label_keys: Vec::new(),
        }
    })
}

/// Host ports of containers and sidecars
/// (pkg/scheduler/util/utils.go, GetHostPorts, 1.36).
fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().filter(|container| container.restart_always);
    let containers = spec.containers.iter().chain(sidecars);
    containers.flat_map(|container| &container.ports).filter_map(HostPort::of).collect()
}

impl HostPort {
    fn of(port: &ContainerPort) -> Option<Self> {
        let is_any = port.host_ip.is_empty() || port.host_ip == "0.0.0.0";
        Some(Self {
            protocol: if port.protocol.is_empty() { "TCP" } else { &port.protocol }.to_owned(),
            ip: (!is_any).then(|| port.host_ip.clone()),
            port: port.host_port.filter(|port| *port != 0)?,
        })
    }

    /// The address of all interfaces clashes with every address
    /// (k8s.io/kube-scheduler framework, HostPortInfo.CheckConflict, 1.36).
    pub(super) fn clashes(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip.is_none() || other.ip.is_none() || self.ip == other.ip)
    }
}

/// Images of all containers, with the tag that the runtime adds
/// (imagelocality/image_locality.go, normalizedImageName, 1.36).
fn images(spec: &PodSpec) -> Vec<String> {
    let containers = spec.init_containers.iter().chain(&spec.containers);
    containers
        .map(|container| {
            let image = &container.image;
            let has_tag = image.rfind(':') > image.rfind('/');
            if has_tag { image.clone() } else { format!("{image}:latest") }
        })
        .collect()
}

/// Names to which required node affinity narrows the search: when every term has a requirement on
/// the node's name, the union over terms of what each allows
/// (nodeaffinity/node_affinity.go, PreFilter, 1.36).
fn nodes_by_name(required: Option<&NodeSelector>) -> Option<Vec<String>> {
    let terms = &required?.terms;
    let mut names: Vec<String> = Vec::new();
    for term in terms {
        let mut allowed: Option<Vec<String>> = None;
        for requirement in &term.match_fields {
            if requirement.key == NODE_NAME_FIELD && requirement.operator == Operator::In {
                let values = requirement.values.iter();
                let is_kept = |value: &&String| allowed.as_ref().is_none_or(|a| a.contains(value));
                allowed = Some(values.filter(is_kept).cloned().collect());
            }
        }
        names.extend(allowed?);
    }
    names.sort_unstable();
    names.dedup();
    (!terms.is_empty()).then_some(names)
}

/// The first filter whose part of the template cannot be read: labels that the API server would not
/// take. Affinity to pods refuses the pod (interpodaffinity/filtering.go, PreFilter, 1.36); spreading
/// fails the attempt, which comes to the same (podtopologyspread/filtering.go, calPreFilterState).
fn unreadable(spec: &PodSpec) -> Option<UnschedulableReason> {
    let affinity = &spec.affinity;
    let preferred = affinity.pod_preferred.iter().chain(&affinity.pod_anti_preferred);
    let required = affinity.pod_required.iter().chain(&affinity.pod_anti_required);
    let mut terms = required.chain(preferred.map(|it| &it.term));
    let can_read = |it: &Option<LabelSelector>| it.as_ref().is_none_or(LabelSelector::is_readable);
    let spreads = spec.topology_spread_constraints.iter();
    if !spreads.map(|it| &it.label_selector).all(can_read) {
        return Some(UnschedulableReason::PodTopologySpread);
    }
    let is_readable = |term: &PodAffinityTerm| {
        can_read(&term.label_selector) && can_read(&term.namespace_selector)
    };
    (!terms.all(is_readable)).then_some(UnschedulableReason::InterPodAffinity)
}

/// Whether a preferred term that weighs something cannot be read (nodeaffinity.go, PreScore, 1.36):
/// attempts then fail where several nodes pass. A term that asks for nothing is passed over.
fn has_unreadable_preference(spec: &PodSpec) -> bool {
    spec.affinity.node.preferred.iter().any(|it| it.weight != 0 && !it.preference.is_readable())
}
