//! What a cache has compiled: everything that no pod and no taint changes. Snapshots share it.
//!
//! Equal parts of templates are kept once: the same tolerations, node affinity or selector in ten
//! templates is looked up ten times and worked out once.

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::kube::{
    LabelSelector, Labels, Node, NodeSelector, PreferredSchedulingTerm, ResourceList, Taint,
    TaintEffect, Toleration,
};

use super::profile::Profile;
use super::request::is_scalar;
use super::shape::Shape;
use super::topology::Topology;
use super::volume::VolumeSet;

/// Label by which a namespace is known to selectors without being declared.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Compiled templates and the static side of nodes.
#[derive(Clone, Debug)]
pub(super) struct Catalog {
    pub(super) profile: Profile,
    namespaces: BTreeMap<String, Labels>,
    resources: Vec<String>,
    pub(super) topology: Topology,
    pub(super) shapes: Vec<Shape>,
    pub(super) pod_sets: Vec<PodSet>,
    pub(super) terms: Vec<Term>,
    pub(super) rules: Vec<TallyRule>,
    pub(super) scopes: Vec<Scope>,
    pub(super) toleration_sets: Vec<TolerationSet>,
    pub(super) wishes: Vec<Wish>,
    pub(super) preferences: Vec<Preference>,
    pub(super) volume_sets: Vec<VolumeSet>,
    /// By node slot; `None` for ids that were never added.
    pub(super) facts: Vec<Option<Arc<NodeFacts>>>,
}

/// What a node is, apart from its taints and its pods.
#[derive(Clone, Debug)]
pub(super) struct NodeFacts {
    pub(super) name: String,
    pub(super) labels: Labels,
    /// By resource.
    pub(super) allocatable: Vec<i64>,
    pub(super) allocatable_pods: i64,
}

/// Pods that something selects, by shape.
#[derive(Clone, Debug)]
pub(super) struct PodSet {
    choice: Choice,
    /// By shape.
    pub(super) members: Vec<bool>,
}

/// How the pods of a set are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// By namespace and labels.
    Selected {
        /// Namespaces by name.
        namespaces: Vec<String>,
        /// Namespaces by label.
        namespace_selector: Option<LabelSelector>,
        /// Labels; `None` selects nothing.
        selector: Option<LabelSelector>,
    },
    /// Pods that are in all of these sets.
    All(Vec<usize>),
    /// Pods that carry a term.
    Carriers(usize),
}

/// An affinity term that pods carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// Pods that it means.
    pub(super) set_idx: usize,
    pub(super) key_idx: usize,
    pub(super) class: TermClass,
}

/// What a term asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TermClass {
    /// Required affinity, and how often it is stated.
    Affinity(i64),
    /// Required anti-affinity.
    AntiAffinity,
    /// A preference; anti-affinity has a negative weight.
    Preferred(i64),
}

/// What a tally counts: the pods of a set by the value of a topology key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TallyRule {
    pub(super) set_idx: usize,
    pub(super) key_idx: usize,
    /// Only on nodes in this scope; `None` means all nodes.
    pub(super) scope_idx: Option<usize>,
    /// Pods that are being deleted count.
    pub(super) counts_terminating: bool,
}

/// Nodes that a spread constraint looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// Keys that a node must have.
    pub(super) key_idxs: Vec<usize>,
    /// Node affinity that it must match.
    pub(super) wish_idx: Option<usize>,
    /// Tolerations that must suffice for its taints.
    pub(super) tolerations_idx: Option<usize>,
}

/// Tolerations of a template.
#[derive(Clone, Debug)]
pub(super) struct TolerationSet {
    tolerations: Vec<Toleration>,
    pub(super) tolerates_unschedulable: bool,
}

/// How a node's taints look to a set of tolerations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TaintView {
    /// A NoSchedule or NoExecute taint is not tolerated.
    pub(super) is_blocked: bool,
    /// PreferNoSchedule taints that are not tolerated.
    pub(super) disliked_count: u32,
}

/// nodeSelector and required node affinity of a template.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    selector: Labels,
    required: Option<NodeSelector>,
    /// By node slot.
    pub(super) matches: Vec<bool>,
}

/// Preferred node affinity of a template.
#[derive(Clone, Debug)]
pub(super) struct Preference {
    terms: Vec<PreferredSchedulingTerm>,
    /// Sum of the weights of the terms that match, by node slot.
    pub(super) weights: Vec<i64>,
}

impl Catalog {
    /// Index of memory; CPU comes before it, local storage after it.
    pub(super) const MEMORY: usize = 1;

    pub(super) fn new(profile: Profile) -> Self {
        let resources = [ResourceList::CPU, ResourceList::MEMORY, ResourceList::EPHEMERAL_STORAGE];
        Self {
            profile,
            namespaces: BTreeMap::new(),
            resources: resources.map(str::to_owned).into(),
            topology: Topology::new(),
            shapes: Vec::new(),
            pod_sets: Vec::new(),
            terms: Vec::new(),
            rules: Vec::new(),
            scopes: Vec::new(),
            toleration_sets: Vec::new(),
            wishes: Vec::new(),
            preferences: Vec::new(),
            volume_sets: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Sets the labels of a namespace.
    pub(super) fn declare_namespace(&mut self, name: &str, labels: &Labels) {
        let is_late = self.shapes.iter().any(|shape| shape.namespace == name);
        assert!(!is_late, "namespace {name} is declared after a template in it was compiled");
        let mut labels = labels.clone();
        labels.entry(NAMESPACE_NAME.to_owned()).or_insert_with(|| name.to_owned());
        self.namespaces.insert(name.to_owned(), labels);
    }

    /// Number of a resource; `None` for names that nodes do not count.
    pub(super) fn resource(&mut self, name: &str) -> Option<usize> {
        let known = self.resources.iter().position(|known| known == name);
        if known.is_some() || !is_scalar(name) {
            return known;
        }
        self.resources.push(name.to_owned());
        Some(self.resources.len() - 1)
    }

    /// Number of a resource that something has named before.
    pub(super) fn known_resource(&self, name: &str) -> Option<usize> {
        self.resources.iter().position(|known| known == name)
    }

    /// Name of a resource.
    pub(super) fn resource_name(&self, idx: usize) -> &str {
        &self.resources[idx]
    }

    /// Amounts by resource number.
    pub(super) fn amounts(&mut self, list: &ResourceList) -> Vec<i64> {
        let mut amounts = vec![0; self.resources.len()];
        for (name, amount) in &list.0 {
            let Some(idx) = self.resource(name) else { continue };
            if amounts.len() <= idx {
                amounts.resize(idx + 1, 0);
            }
            amounts[idx] = *amount;
        }
        amounts
    }

    /// Whether a node is known as it is.
    pub(super) fn is_known(&self, node_idx: usize, node: &Node) -> bool {
        let Some(Some(facts)) = self.facts.get(node_idx) else { return false };
        let amount = |idx: usize| facts.allocatable.get(idx).copied().unwrap_or(0);
        let is_counted = |(name, stated): (&String, &i64)| match self.known_resource(name) {
            Some(idx) => amount(idx) == *stated,
            None => !is_scalar(name),
        };
        // Pods have a field of their own.
        let pods = node.allocatable.get(ResourceList::PODS).unwrap_or(0);
        facts.name == node.name
            && facts.labels == node.labels
            && facts.allocatable_pods == pods
            && node.allocatable.0.iter().all(is_counted)
            && (0..facts.allocatable.len())
                .all(|idx| amount(idx) == 0 || node.allocatable.get(&self.resources[idx]).is_some())
    }

    /// Sets what a node is and works out what every compiled part makes of it.
    pub(super) fn set_node(&mut self, node_idx: usize, node: &Node) {
        let facts = NodeFacts {
            name: node.name.clone(),
            labels: node.labels.clone(),
            allocatable: self.amounts(&node.allocatable),
            allocatable_pods: node.allocatable.get(ResourceList::PODS).unwrap_or(0),
        };
        if self.facts.len() <= node_idx {
            self.facts.resize(node_idx + 1, None);
        }
        self.topology.set_node(node_idx, &facts.labels);
        for wish in &mut self.wishes {
            put(&mut wish.matches, node_idx, matches_node(&wish.selector, &wish.required, &facts));
        }
        for preference in &mut self.preferences {
            put(&mut preference.weights, node_idx, weight_of(&preference.terms, &facts));
        }
        for set in &mut self.volume_sets {
            set.set_node(node_idx, &facts);
        }
        self.facts[node_idx] = Some(Arc::new(facts));
    }

    /// What a node is.
    pub(super) fn node(&self, node_idx: usize) -> &NodeFacts {
        self.facts[node_idx].as_deref().expect("only nodes that were added are asked for")
    }

    /// Number of a topology key.
    pub(super) fn key(&mut self, name: &str) -> usize {
        let facts = self.facts.iter().map(|facts| facts.as_deref().map(|facts| &facts.labels));
        self.topology.key(name, facts)
    }

    pub(super) fn pod_set(&mut self, choice: Choice) -> usize {
        if let Some(idx) = self.pod_sets.iter().position(|set| set.choice == choice) {
            return idx;
        }
        let members = (0..self.shapes.len()).map(|idx| self.is_member(&choice, idx)).collect();
        self.pod_sets.push(PodSet { choice, members });
        self.pod_sets.len() - 1
    }

    pub(super) fn term(&mut self, term: Term) -> usize {
        position_or_push(&mut self.terms, term)
    }

    pub(super) fn rule(&mut self, rule: TallyRule) -> usize {
        position_or_push(&mut self.rules, rule)
    }

    pub(super) fn scope(&mut self, scope: Scope) -> usize {
        position_or_push(&mut self.scopes, scope)
    }

    pub(super) fn tolerations(&mut self, tolerations: &[Toleration]) -> usize {
        let known = self.toleration_sets.iter().position(|set| set.tolerations == tolerations);
        known.unwrap_or_else(|| {
            self.toleration_sets.push(TolerationSet::new(tolerations.to_vec()));
            self.toleration_sets.len() - 1
        })
    }

    pub(super) fn wish(&mut self, selector: &Labels, required: &Option<NodeSelector>) -> usize {
        let is_same = |wish: &Wish| wish.selector == *selector && wish.required == *required;
        if let Some(idx) = self.wishes.iter().position(is_same) {
            return idx;
        }
        let facts = self.facts.iter();
        let matches = facts.map(|facts| {
            facts.as_deref().is_some_and(|facts| matches_node(selector, required, facts))
        });
        self.wishes.push(Wish {
            matches: matches.collect(),
            selector: selector.clone(),
            required: required.clone(),
        });
        self.wishes.len() - 1
    }

    /// `None` when there is nothing to prefer.
    pub(super) fn preference(&mut self, terms: Vec<PreferredSchedulingTerm>) -> Option<usize> {
        if terms.is_empty() {
            return None;
        }
        if let Some(idx) = self.preferences.iter().position(|known| known.terms == terms) {
            return Some(idx);
        }
        let facts = self.facts.iter();
        let weights = facts.map(|f| f.as_deref().map_or(0, |facts| weight_of(&terms, facts)));
        self.preferences.push(Preference { weights: weights.collect(), terms });
        Some(self.preferences.len() - 1)
    }

    pub(super) fn volume_set(&mut self, claims: Vec<super::volume::Claim>) -> usize {
        if let Some(idx) = self.volume_sets.iter().position(|set| set.claims() == claims) {
            return idx;
        }
        let mut set = VolumeSet::new(claims);
        for (node_idx, facts) in self.facts.iter().enumerate() {
            if let Some(facts) = facts {
                set.set_node(node_idx, facts);
            }
        }
        self.volume_sets.push(set);
        self.volume_sets.len() - 1
    }

    /// Takes up a shape whose own parts are compiled: which sets it is in, which tallies count it,
    /// which terms mean it.
    pub(super) fn add_shape(&mut self, shape: Shape, first_new_rule_idx: usize) {
        if !self.namespaces.contains_key(&shape.namespace) {
            self.declare_namespace(&shape.namespace.clone(), &Labels::new());
        }
        let shape_idx = self.shapes.len();
        let alike_idx = self.shapes.iter().position(|earlier| earlier.is_alike(&shape));
        self.shapes.push(Shape { alike_idx: alike_idx.unwrap_or(shape_idx), ..shape });
        for set_idx in 0..self.pod_sets.len() {
            let is_member = self.is_member(&self.pod_sets[set_idx].choice, shape_idx);
            let members = &mut self.pod_sets[set_idx].members;
            // A set that was made for this shape knows the earlier ones only.
            debug_assert_eq!(members.len(), shape_idx);
            members.push(is_member);
        }
        for other_idx in 0..self.shapes.len() {
            let is_new = other_idx == shape_idx;
            let first_idx = if is_new { 0 } else { first_new_rule_idx };
            for rule_idx in first_idx..self.rules.len() {
                self.meet(other_idx, rule_idx);
            }
        }
    }

    /// Notes what a rule is to a shape.
    fn meet(&mut self, shape_idx: usize, rule_idx: usize) {
        let rule = &self.rules[rule_idx];
        let set = &self.pod_sets[rule.set_idx];
        let shape = &mut self.shapes[shape_idx];
        if set.members[shape_idx] {
            shape.counted_by.push(rule_idx);
        }
        if let Choice::Carriers(term_idx) = set.choice {
            let term = &self.terms[term_idx];
            if self.pod_sets[term.set_idx].members[shape_idx] {
                match term.class {
                    TermClass::AntiAffinity => shape.kept_off_by.push(rule_idx),
                    TermClass::Affinity(count) => {
                        let weight = self.profile.hard_pod_affinity_weight;
                        if weight > 0 {
                            shape.attracted_by.push((rule_idx, weight * count));
                        }
                    }
                    TermClass::Preferred(weight) => shape.attracted_by.push((rule_idx, weight)),
                }
            }
        }
    }

    fn is_member(&self, choice: &Choice, shape_idx: usize) -> bool {
        let shape = &self.shapes[shape_idx];
        match choice {
            Choice::Selected { namespaces, namespace_selector, selector } => {
                let is_named = || namespaces.contains(&shape.namespace);
                let is_selected = || {
                    namespace_selector.as_ref().is_some_and(|selector| {
                        let labels = self.namespaces.get(&shape.namespace);
                        labels.is_some_and(|labels| selector.matches(labels))
                    })
                };
                let matches = selector.as_ref().is_some_and(|it| it.matches(&shape.labels));
                matches && (is_named() || is_selected())
            }
            Choice::All(set_idxs) => {
                set_idxs.iter().all(|set_idx| self.pod_sets[*set_idx].members[shape_idx])
            }
            Choice::Carriers(term_idx) => shape.term_idxs.contains(term_idx),
        }
    }
}

impl TolerationSet {
    fn new(tolerations: Vec<Toleration>) -> Self {
        let taint = Taint {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            value: String::new(),
            effect: TaintEffect::NoSchedule,
        };
        let tolerates_unschedulable = tolerations.iter().any(|it| it.tolerates(&taint));
        Self { tolerations, tolerates_unschedulable }
    }

    /// tainttoleration/taint_toleration.go, 1.36: filtering looks at NoSchedule and NoExecute;
    /// scoring at PreferNoSchedule, and there only at tolerations of that effect or of all.
    pub(super) fn view(&self, taints: &[Taint]) -> TaintView {
        let mut view = TaintView::default();
        for taint in taints {
            let is_preference = taint.effect == TaintEffect::PreferNoSchedule;
            let is_tolerated = self.tolerations.iter().any(|it| it.tolerates(taint));
            view.is_blocked |= !is_preference && !is_tolerated;
            view.disliked_count += u32::from(is_preference && !is_tolerated);
        }
        view
    }

    /// The first taint that blocks.
    pub(super) fn blocking<'a>(&self, taints: &'a [Taint]) -> Option<&'a Taint> {
        taints.iter().find(|taint| {
            taint.effect != TaintEffect::PreferNoSchedule
                && !self.tolerations.iter().any(|it| it.tolerates(taint))
        })
    }
}

/// Whether labels and name of a node satisfy nodeSelector and required node affinity
/// (k8s.io/component-helpers `scheduling/corev1/nodeaffinity`, 1.36).
fn matches_node(selector: &Labels, required: &Option<NodeSelector>, facts: &NodeFacts) -> bool {
    selector.iter().all(|(key, value)| facts.labels.get(key) == Some(value))
        && required.as_ref().is_none_or(|it| selector_matches(it, facts))
}

/// Terms are ORed.
pub(super) fn selector_matches(selector: &NodeSelector, facts: &NodeFacts) -> bool {
    selector.terms.iter().any(|term| term.matches(&facts.name, &facts.labels))
}

fn weight_of(terms: &[PreferredSchedulingTerm], facts: &NodeFacts) -> i64 {
    terms
        .iter()
        .filter(|term| term.preference.matches(&facts.name, &facts.labels))
        .map(|term| i64::from(term.weight))
        .sum()
}

/// Sets a slot, making room for it.
pub(super) fn put<T: Clone + Default>(slots: &mut Vec<T>, idx: usize, value: T) {
    if slots.len() <= idx {
        slots.resize(idx + 1, T::default());
    }
    slots[idx] = value;
}

fn position_or_push<T: PartialEq>(known: &mut Vec<T>, wanted: T) -> usize {
    known.iter().position(|it| *it == wanted).unwrap_or_else(|| {
        known.push(wanted);
        known.len() - 1
    })
}
